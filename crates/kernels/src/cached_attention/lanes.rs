//! Sixteen f32 in vector registers: one of 512 bits or two of 256.
//!
//! A value of [`Avx512`] or [`Avx2`] is the proof that the CPU has these instructions, because only
//! code compiled for them can make one. The methods are inlined into the loops of a [`Task`], and
//! [`Lanes::run`] compiles these for the instruction set. A task is a function of its own: one
//! function for all of them would be too large for the compiler to inline what it must.

use std::arch::x86_64::*;

use super::cache::TILE;

/// Loops over vectors; `run` is `#[inline(always)]`.
pub(super) trait Task {
    fn run<L: Lanes>(self, lanes: L);
}

/// Sixteen numbers at a time, with single rounded operations.
pub(super) trait Lanes: Copy {
    /// Sixteen f32.
    type Vector: Copy;
    /// Vectors that may be summed in registers at once, beside the operands.
    const ACCUMULATORS: usize;

    fn splat(self, x: f32) -> Self::Vector;
    fn load(self, x: &[f32; TILE]) -> Self::Vector;
    fn widen_f16(self, x: &[u16; TILE]) -> Self::Vector;
    fn widen_i8(self, x: &[i8; TILE]) -> Self::Vector;
    fn store(self, x: Self::Vector, out: &mut [f32; TILE]);
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a where it is larger, else b; so b where one is NaN.
    fn larger(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a·b + c, rounded once.
    fn fused(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// Runs a task in code that is compiled for these registers.
    fn run<T: Task>(self, task: T);

    /// Asks for the lines of memory from `start + at` on that hold `len` elements, which will be
    /// read soon; at least for one.
    #[inline(always)]
    fn prefetch<E>(self, start: *const E, at: usize, len: usize) {
        let mut byte = 0;
        while byte == 0 || byte < len * size_of::<E>() {
            let line = start.wrapping_add(at).wrapping_byte_add(byte);
            // SAFETY: SSE is part of every x86-64 CPU; a prefetch may have any address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
            byte += 64;
        }
    }
}

/// AVX-512 F, BW, DQ and VL, and what [`Avx2`] has.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
    pub(super) fn new() -> Avx512 {
        Avx512(())
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
fn run_avx512<T: Task>(lanes: Avx512, task: T) {
    task.run(lanes);
}

impl Lanes for Avx512 {
    type Vector = __m512;
    const ACCUMULATORS: usize = 16;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: an `Avx512` exists only if the CPU has AVX-512 F.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn load(self, x: &[f32; TILE]) -> __m512 {
        // SAFETY: an `Avx512` exists only if the CPU has AVX-512 F; 64 bytes of such an array.
        unsafe { _mm512_loadu_ps(x.as_ptr()) }
    }

    #[inline(always)]
    fn widen_f16(self, x: &[u16; TILE]) -> __m512 {
        // SAFETY: an `Avx512` exists only if the CPU has AVX-512 F; 32 bytes of such an array.
        let x = unsafe { _mm256_loadu_si256(x.as_ptr().cast()) };
        // Without "suppress all exceptions", the load becomes part of the conversion.
        // SAFETY: an `Avx512` exists only if the CPU has AVX-512 F.
        unsafe { _mm512_cvt_roundph_ps::<_MM_FROUND_CUR_DIRECTION>(x) }
    }

    #[inline(always)]
    fn widen_i8(self, x: &[i8; TILE]) -> __m512 {
        // SAFETY: an `Avx512` exists only if the CPU has AVX-512 F; 16 bytes of such an array.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(x.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn store(self, x: __m512, out: &mut [f32; TILE]) {
        // SAFETY: an `Avx512` exists only if the CPU has AVX-512 F; 64 bytes of such an array.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), x) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: an `Avx512` exists only if the CPU has AVX-512 F.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: an `Avx512` exists only if the CPU has AVX-512 F.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn larger(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: an `Avx512` exists only if the CPU has AVX-512 F.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: an `Avx512` exists only if the CPU has AVX-512 F.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn fused(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: an `Avx512` exists only if the CPU has AVX-512 F.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    fn run<T: Task>(self, task: T) {
        // SAFETY: an `Avx512` exists only if the CPU has all that the function is compiled for.
        unsafe { run_avx512(self, task) }
    }
}

/// AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn new() -> Avx2 {
        Avx2(())
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn run_avx2<T: Task>(lanes: Avx2, task: T) {
    task.run(lanes);
}

impl Lanes for Avx2 {
    type Vector = (__m256, __m256);
    const ACCUMULATORS: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::Vector {
        // SAFETY: an `Avx2` exists only if the CPU has AVX2.
        let x = unsafe { _mm256_set1_ps(x) };
        (x, x)
    }

    #[inline(always)]
    fn load(self, x: &[f32; TILE]) -> Self::Vector {
        let [low, high] = halves(x);
        // SAFETY: an `Avx2` exists only if the CPU has AVX2; 32 bytes of such arrays.
        unsafe { (_mm256_loadu_ps(low.as_ptr()), _mm256_loadu_ps(high.as_ptr())) }
    }

    #[inline(always)]
    fn widen_f16(self, x: &[u16; TILE]) -> Self::Vector {
        let [low, high] = halves(x);
        (widen_f16(self, low), widen_f16(self, high))
    }

    #[inline(always)]
    fn widen_i8(self, x: &[i8; TILE]) -> Self::Vector {
        let [low, high] = halves(x);
        (widen_i8(self, low), widen_i8(self, high))
    }

    #[inline(always)]
    fn store(self, x: Self::Vector, out: &mut [f32; TILE]) {
        let (low, high) = out.split_at_mut(8);
        // SAFETY: an `Avx2` exists only if the CPU has AVX2; 32 bytes of the first half.
        unsafe { _mm256_storeu_ps(low.as_mut_ptr(), x.0) };
        // SAFETY: an `Avx2` exists only if the CPU has AVX2; 32 bytes of the second half.
        unsafe { _mm256_storeu_ps(high.as_mut_ptr(), x.1) };
    }

    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: an `Avx2` exists only if the CPU has AVX2.
        unsafe { (_mm256_add_ps(a.0, b.0), _mm256_add_ps(a.1, b.1)) }
    }

    #[inline(always)]
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: an `Avx2` exists only if the CPU has AVX2.
        unsafe { (_mm256_sub_ps(a.0, b.0), _mm256_sub_ps(a.1, b.1)) }
    }

    #[inline(always)]
    fn larger(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: an `Avx2` exists only if the CPU has AVX2.
        unsafe { (_mm256_max_ps(a.0, b.0), _mm256_max_ps(a.1, b.1)) }
    }

    #[inline(always)]
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: an `Avx2` exists only if the CPU has AVX2.
        unsafe { (_mm256_mul_ps(a.0, b.0), _mm256_mul_ps(a.1, b.1)) }
    }

    #[inline(always)]
    fn fused(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        // SAFETY: an `Avx2` exists only if the CPU has FMA.
        unsafe { (_mm256_fmadd_ps(a.0, b.0, c.0), _mm256_fmadd_ps(a.1, b.1, c.1)) }
    }

    fn run<T: Task>(self, task: T) {
        // SAFETY: an `Avx2` exists only if the CPU has all that the function is compiled for.
        unsafe { run_avx2(self, task) }
    }
}

#[inline(always)]
fn halves<E>(x: &[E; TILE]) -> [&[E; 8]; 2] {
    let [low, high] = x.as_chunks::<8>().0 else { unreachable!("sixteen are twice eight") };
    [low, high]
}

#[inline(always)]
fn widen_f16(_: Avx2, x: &[u16; 8]) -> __m256 {
    // SAFETY: an `Avx2` exists only if the CPU has F16C; 16 bytes of such an array.
    unsafe { _mm256_cvtph_ps(_mm_loadu_si128(x.as_ptr().cast())) }
}

#[inline(always)]
fn widen_i8(_: Avx2, x: &[i8; 8]) -> __m256 {
    // SAFETY: an `Avx2` exists only if the CPU has AVX2; 8 bytes of such an array.
    unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(x.as_ptr().cast()))) }
}
