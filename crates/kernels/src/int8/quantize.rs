//! Activations to eight bits.

use super::{BLOCK, BlockLayout};
use crate::isa::{Isa, Level};

/// A block of 32 activations of one token, in the order of the weights they will meet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ActivationBlock {
    /// −127 to 127.
    pub codes: [i8; BLOCK],
    /// Value of one step of a code.
    pub scale: f32,
    /// Where a sum of products with unsigned weight codes starts: minus the sum of the codes times
    /// what makes weight codes unsigned. For a layout with a minimum, where products start at 0,
    /// the sum of the codes.
    pub start: i32,
}

/// Below this, 2⁻¹¹⁹, the scale of a block could be subnormal and its reciprocal infinite.
const SMALLEST: f32 = f32::MIN_POSITIVE * 128.0;
/// 1.5·2²³.
const ROUND: f32 = 12_582_912.0;

/// Quantises activations for weights of `layout`: for each block of 32, `scale = max |x| / 127`
/// and `code = round(x · (127 / max |x|))`, ties to even.
///
/// | argument | shape             |
/// |----------|-------------------|
/// | `x`      | `[T, blocks, 32]` |
/// | `out`    | `[T, blocks]`     |
///
/// The error of an element is at most half a scale. A block whose largest magnitude is below 2⁻¹¹⁹
/// becomes 0 with scale 0; NaN becomes 0, an infinite element makes its block 0 with an infinite
/// scale, so that the result is NaN.
///
/// # Panics
/// If the lengths do not belong together.
pub fn quantize(isa: Isa, layout: BlockLayout, x: &[f32], out: &mut [ActivationBlock]) {
    assert_eq!(x.len(), out.len() * BLOCK, "quantize: lengths");
    match isa.level() {
        Level::Portable => portable(layout, x, out),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of these levels exists only if the CPU has AVX2.
        Level::Avx2 | Level::Avx512 => unsafe { avx2::quantize(layout, x, out) },
    }
}

/// The definition.
fn portable(layout: BlockLayout, x: &[f32], out: &mut [ActivationBlock]) {
    for (x, out) in x.as_chunks::<BLOCK>().0.iter().zip(out) {
        let max = x.iter().fold(0.0, |max: f32, x| max.max(x.abs()));
        let (scale, inverse) = scale_and_inverse(max);
        let mut sum = 0;
        for (i, code) in out.codes.iter_mut().enumerate() {
            // The sum has no bits below 1, so adding rounds to an integer, ties to even.
            *code = (x[layout.element(i)] * inverse + ROUND - ROUND) as i8;
            sum += i32::from(*code);
        }
        out.scale = scale;
        out.start = sum * layout.start_factor();
    }
}

/// The scale of a block and its reciprocal, from the largest magnitude.
fn scale_and_inverse(max: f32) -> (f32, f32) {
    match max >= SMALLEST {
        true => (max / 127.0, 127.0 / max),
        false => (0.0, 0.0),
    }
}

/// The layout's order of elements as two steps on the bytes of a block: output group `g` of four
/// is group `groups[g]`, then output byte `i` of each half is byte `bytes[i]`.
#[cfg(target_arch = "x86_64")]
struct Order {
    groups: [i32; 8],
    bytes: [i8; 16],
}

#[cfg(target_arch = "x86_64")]
impl Order {
    const fn of(layout: BlockLayout) -> Order {
        let mut order = Order {
            groups: [0, 1, 2, 3, 4, 5, 6, 7],
            bytes: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        };
        match layout {
            BlockLayout::Mxfp4 => {
                order.bytes = [0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15];
            }
            BlockLayout::Mxfp4Gguf | BlockLayout::Q4_0 | BlockLayout::Q4_1 => {
                order.groups = [0, 4, 1, 5, 2, 6, 3, 7];
            }
            BlockLayout::Q8_0 => {}
        }
        order
    }
}

/// Up to four blocks at once: one block is a chain of steps that wait for each other, and maxima
/// and sums of four blocks fill a vector. AVX-512 has longer vectors and is no faster here.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{ActivationBlock, BLOCK, BlockLayout, Order, SMALLEST};

    /// Where packing within halves of a vector leaves each group of four.
    const PACKED: [i32; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

    #[target_feature(enable = "avx2")]
    pub(super) fn quantize(layout: BlockLayout, x: &[f32], out: &mut [ActivationBlock]) {
        let wanted = Wanted::new(layout);
        let (x, x_left) = x.as_chunks::<BLOCK>().0.as_chunks::<4>();
        let (out, out_left) = out.as_chunks_mut::<4>();
        for (i, x) in x.iter().enumerate() {
            wanted.quantize(x, &mut out[i]);
        }
        let (x, out) = (x_left.as_chunks::<1>().0, out_left.as_chunks_mut::<1>().0);
        for (i, x) in x.iter().enumerate() {
            wanted.quantize(x, &mut out[i]);
        }
    }

    /// What a layout asks for, in registers.
    struct Wanted {
        groups: __m256i,
        bytes: __m256i,
        start_factor: i32,
    }

    impl Wanted {
        #[inline]
        #[target_feature(enable = "avx2")]
        fn new(layout: BlockLayout) -> Wanted {
            let mut order = Order::of(layout);
            for group in &mut order.groups {
                *group = PACKED[*group as usize];
            }
            // SAFETY: 32 bytes of an array of eight integers.
            let groups = unsafe { _mm256_loadu_si256(order.groups.as_ptr().cast()) };
            // SAFETY: 16 bytes of an array of that size.
            let bytes = unsafe { _mm_loadu_si128(order.bytes.as_ptr().cast()) };
            let bytes = _mm256_broadcastsi128_si256(bytes);
            Wanted { groups, bytes, start_factor: layout.start_factor() }
        }

        #[inline]
        #[target_feature(enable = "avx2")]
        fn quantize<const N: usize>(&self, x: &[[f32; BLOCK]; N], out: &mut [ActivationBlock; N]) {
            let magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(i32::MAX));
            let mut max = [_mm256_setzero_ps(); N];
            for i in 0..N {
                for x in x[i].as_chunks::<8>().0 {
                    // SAFETY: 32 bytes of an array of eight floats.
                    let x = unsafe { _mm256_loadu_ps(x.as_ptr()) };
                    // `max` gives its second operand if one is NaN, so NaN does not count.
                    max[i] = _mm256_max_ps(_mm256_and_ps(x, magnitude), max[i]);
                }
            }
            let inverses = scales_and_inverses(max, out);
            let mut packed = [_mm256_setzero_si256(); N];
            for i in 0..N {
                let inverse = _mm256_set1_ps(inverses[i]);
                let parts = x[i].as_chunks::<8>().0;
                let first =
                    _mm256_packs_epi32(rounded(&parts[0], inverse), rounded(&parts[1], inverse));
                let second =
                    _mm256_packs_epi32(rounded(&parts[2], inverse), rounded(&parts[3], inverse));
                packed[i] = _mm256_packs_epi16(first, second);
                // NaN is converted to the smallest integer; only that becomes −128.
                let is_nan = _mm256_cmpeq_epi8(packed[i], _mm256_set1_epi8(i8::MIN));
                packed[i] = _mm256_andnot_si256(is_nan, packed[i]);
            }
            self.store(packed, out);
        }

        /// Stores codes in the layout's order, and their sums times `start_factor`.
        #[inline]
        #[target_feature(enable = "avx2")]
        fn store<const N: usize>(&self, codes: [__m256i; N], out: &mut [ActivationBlock; N]) {
            let mut rows = [_mm_setzero_si128(); 4];
            for i in 0..N {
                let grouped = _mm256_permutevar8x32_epi32(codes[i], self.groups);
                let ordered = _mm256_shuffle_epi8(grouped, self.bytes);
                // SAFETY: 32 bytes of an array of that size.
                unsafe { _mm256_storeu_si256(out[i].codes.as_mut_ptr().cast(), ordered) };
                // Sums of eight unsigned bytes, each 128 more than its code.
                let unsigned = _mm256_xor_si256(codes[i], _mm256_set1_epi8(i8::MIN));
                let sums = _mm256_sad_epu8(unsigned, _mm256_setzero_si256());
                let high = _mm256_extracti128_si256::<1>(sums);
                rows[i] = _mm_add_epi32(_mm256_castsi256_si128(sums), high);
            }
            // A row is two sums of 64 bits, whose upper halves are zero.
            let [a, b, c, d] = rows;
            let ab = _mm_or_si128(a, _mm_slli_epi64::<32>(b));
            let cd = _mm_or_si128(c, _mm_slli_epi64::<32>(d));
            let sums = _mm_add_epi32(_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
            let sums = _mm_sub_epi32(sums, _mm_set1_epi32(128 * BLOCK as i32));
            let products = _mm_mullo_epi32(sums, _mm_set1_epi32(self.start_factor));
            let mut integers = [0; 4];
            // SAFETY: 16 bytes of an array of four integers.
            unsafe { _mm_storeu_si128(integers.as_mut_ptr().cast(), products) };
            for i in 0..N {
                out[i].start = integers[i];
            }
        }
    }

    /// Eight codes, and the smallest integer for NaN.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn rounded(x: &[f32; 8], inverse: __m256) -> __m256i {
        // SAFETY: 32 bytes of an array of eight floats.
        let x = unsafe { _mm256_loadu_ps(x.as_ptr()) };
        _mm256_cvtps_epi32(_mm256_mul_ps(x, inverse))
    }

    /// `scale_and_inverse` of every block, from eight candidates for its maximum, none of which is
    /// NaN: writes the scales, gives the reciprocals.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn scales_and_inverses<const N: usize>(
        max: [__m256; N],
        out: &mut [ActivationBlock; N],
    ) -> [f32; N] {
        let mut rows = [_mm_setzero_ps(); 4];
        for i in 0..N {
            let high = _mm256_extractf128_ps::<1>(max[i]);
            rows[i] = _mm_max_ps(_mm256_castps256_ps128(max[i]), high);
        }
        let [a, b, c, d] = rows;
        let ab = _mm_max_ps(_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
        let cd = _mm_max_ps(_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
        let max = _mm_max_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab));
        let is_large = _mm_cmpge_ps(max, _mm_set1_ps(SMALLEST));
        let quotients = _mm_and_ps(_mm_div_ps(max, _mm_set1_ps(127.0)), is_large);
        let inverses = _mm_and_ps(_mm_div_ps(_mm_set1_ps(127.0), max), is_large);
        let scales = floats(quotients);
        for i in 0..N {
            out[i].scale = scales[i];
        }
        *floats(inverses).first_chunk().expect("N is at most 4")
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn floats(x: __m128) -> [f32; 4] {
        let mut floats = [0.0; 4];
        // SAFETY: 16 bytes of an array of four floats.
        unsafe { _mm_storeu_ps(floats.as_mut_ptr(), x) };
        floats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{noise, odd_noise};

    fn run(isa: Isa, layout: BlockLayout, x: &[f32]) -> Vec<ActivationBlock> {
        let mut out = vec![ActivationBlock::default(); x.len() / BLOCK];
        quantize(isa, layout, x, &mut out);
        out
    }

    #[test]
    fn codes_are_within_half_a_scale_and_in_the_layouts_order() {
        for layout in BlockLayout::ALL {
            let x = noise(96, 5);
            for (block, x) in run(Isa::detect(), layout, &x).iter().zip(x.chunks(BLOCK)) {
                let mut seen = [false; BLOCK];
                for (i, code) in block.codes.iter().enumerate() {
                    let element = layout.element(i);
                    seen[element] = true;
                    let error = (f32::from(*code) * block.scale - x[element]).abs();
                    assert!(error <= block.scale * 0.501, "{layout:?} {i}: {error}");
                }
                assert!(seen.iter().all(|seen| *seen), "{layout:?}: a permutation");
                let sum: i32 = block.codes.iter().map(|c| i32::from(*c)).sum();
                assert_eq!(block.start, sum * layout.start_factor());
            }
        }
    }

    #[test]
    fn odd_values_are_defined() {
        for isa in Isa::available() {
            let run = |x: [f32; 32]| run(isa, BlockLayout::Q8_0, &x)[0];
            let zeros = |scale: f32| ActivationBlock { codes: [0; 32], scale, start: 0 };
            assert_eq!(run([0.0; 32]), zeros(0.0), "{isa:?}");
            assert_eq!(run([-1e-36; 32]), zeros(0.0), "{isa:?}: the reciprocal overflows");
            let mut x = [0.0; 32];
            x[3] = f32::INFINITY;
            assert_eq!(run(x), zeros(f32::INFINITY), "{isa:?}");
            x[3] = f32::NAN;
            assert_eq!(run(x), zeros(0.0), "{isa:?}");
            x[3] = -2.0;
            assert_eq!(run(x).codes[3], -127, "{isa:?}");
            let small = run([-SMALLEST; 32]);
            assert_eq!((small.codes, small.start), ([-127; 32], 127 * 32 * 128), "{isa:?}");
            assert_eq!(small.scale, SMALLEST / 127.0, "{isa:?}");
        }
    }

    #[test]
    fn every_isa_gives_the_same_codes() {
        let mut compared = 0;
        for layout in BlockLayout::ALL {
            for seed in 0..50 {
                // Multiples of 1/254 meet the middle between two codes.
                let mut halves: Vec<f32> =
                    noise(96, seed).iter().map(|x| (x * 254.0).round() / 254.0).collect();
                halves[40] = 1.0;
                let tiny = noise(96, seed).iter().map(|x| x * 3e-36).collect();
                for x in [noise(2880, seed), odd_noise(2880, seed), halves, tiny] {
                    let expected = run(Isa::PORTABLE, layout, &x);
                    let mut codes = expected.iter().flat_map(|block| block.codes);
                    assert!(codes.all(|code| code >= -127), "{layout:?}, seed {seed}");
                    for isa in Isa::available() {
                        let actual = run(isa, layout, &x);
                        assert_eq!(actual, expected, "{isa:?}, {layout:?}, seed {seed}");
                        compared += BLOCK * actual.len();
                    }
                }
            }
        }
        assert!(compared > 800_000, "{compared}");
    }
}
