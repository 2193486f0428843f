//! What one thread of this machine can do at most: `cargo bench -p gptoss-kernels --bench limits`.
//!
//! For each instruction set the bytes read per second from a buffer above the last cache, and the
//! operations per second of the loops of `gptoss_kernels::limits`; the best of fifty runs each.

use std::hint::black_box;
use std::time::Instant;

use gptoss_kernels::Isa;
use gptoss_kernels::limits::{Work, bf16_dot, f32_fma, int8_dot, read, read_streams};

const REPETITIONS: usize = 50;
const BYTES: usize = 128 << 20;
/// A few milliseconds a loop: others get in between seldom.
const ROUNDS: u64 = 1 << 16;

fn main() {
    let bytes = vec![1u8; BYTES];
    let columns = ["isa", "read GB/s", "8 streams", "int8 GOPS", "f32", "bf16"];
    println!("{}", columns.map(|name| format!("{name:>10}")).join(" "));
    for isa in Isa::available() {
        let linear = best(|| reading(|bytes| read(isa, bytes), &bytes));
        let streams = best(|| reading(read_streams, &bytes));
        let int8 = best(|| operations(int8_dot(isa, ROUNDS)));
        let f32 = best(|| operations(f32_fma(isa, ROUNDS)));
        let bf16 = bf16_dot(1).map(|_| best(|| bf16_dot(ROUNDS).map_or(0, operations)));
        let bf16 = bf16.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.1}"));
        let name = isa.name();
        println!("{name:>10} {linear:>10.1} {streams:>10.1} {int8:>10.1} {f32:>10.1} {bf16:>10}");
    }
}

fn reading(read: impl Fn(&[u8]) -> u64, bytes: &[u8]) -> u64 {
    black_box(read(black_box(bytes)));
    bytes.len() as u64
}

fn operations(work: Work) -> u64 {
    black_box(work.checksum);
    work.operations
}

/// The highest rate of several runs of `work`, which gives its amount, in 10⁹ a second.
fn best(work: impl Fn() -> u64) -> f64 {
    let rate = |_| {
        let start = Instant::now();
        let amount = work();
        amount as f64 / start.elapsed().as_secs_f64() / 1e9
    };
    (0..REPETITIONS).map(rate).fold(0.0, f64::max)
}
