//! What this machine can do at most: loops that do nothing but read, or nothing but multiply.
//!
//! A real kernel is compared with these, and no kernel can be faster: each loop has as many
//! independent sums as hide the latency of an instruction, and keeps them in registers. The loops
//! do a given amount of work and give a checksum that depends on all of it; who calls them has the
//! clock and the threads.
//!
//! | loop             | AVX-512       | AVX2                         | portable                   |
//! |------------------|---------------|------------------------------|----------------------------|
//! | [`read`]         | 64-byte loads | 32-byte loads                | 16-byte loads on x86       |
//! | [`read_streams`] | 16-byte loads on x86 | the same              | the same                   |
//! | [`int8_dot`]     | VPDPBUSD      | VPMADDUBSW, VPMADDWD, VPADDD | the plain product of bytes |
//! | [`f32_fma`]      | VFMADD, 16 lanes | VFMADD, 8 lanes           | product, then sum          |
//! | [`bf16_dot`]     | VDPBF16PS, where there is one | –            | –                          |
//!
//! Reading order: `read`, `int8_dot`, `f32_fma`, `bf16_dot`.

mod bf16_dot;
mod f32_fma;
mod int8_dot;
mod read;

pub use bf16_dot::{bf16_dot, has_bf16_dot};
pub use f32_fma::f32_fma;
pub use int8_dot::int8_dot;
pub use read::{read, read_streams};

/// What a loop of arithmetic did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Multiplications and additions, two for each product that is added to a sum.
    pub operations: u64,
    /// A number that depends on every one of them.
    pub checksum: u32,
}
