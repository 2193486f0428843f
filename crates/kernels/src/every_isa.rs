//! One body of plain Rust, compiled for every instruction set.

/// Calls an `#[inline(always)]` function of plain Rust, compiled for the instructions of `isa`.
///
/// The body is inlined into one function for each level, where the compiler may use the vectors
/// of that level. Rust neither fuses `a * b + c` nor reorders sums, so the bits are the same
/// everywhere. Written `every_isa!(isa, body(x: &[f32], y: &mut [f32]) -> f32)`, where the
/// arguments are variables in scope.
macro_rules! every_isa {
    ($isa:expr, $body:ident($($name:ident: $type:ty),*) $(-> $result:ty)?) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,f16c")]
        fn avx2($($name: $type),*) $(-> $result)? {
            $body($($name),*)
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn avx512($($name: $type),*) $(-> $result)? {
            $body($($name),*)
        }
        match $isa.level() {
            $crate::isa::Level::Portable => $body($($name),*),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of this level exists only if the CPU has AVX2, FMA and F16C.
            $crate::isa::Level::Avx2 => unsafe { avx2($($name),*) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of this level exists only if the CPU has AVX-512 F, BW, DQ and VL.
            $crate::isa::Level::Avx512 => unsafe { avx512($($name),*) },
        }
    }};
}

pub(crate) use every_isa;
