//! Activations to eight bits.

use super::{BLOCK, BlockLayout};

/// Quantises tokens for weights of `layout`: for each block of 32, `scale = max |x| / 127` and
/// `code = round(x · (127 / max |x|))`, ties to even.
///
/// | argument  | shape             |
/// |-----------|-------------------|
/// | `x`       | `[T, blocks, 32]` |
/// | `codes`   | `[T, blocks, 32]` |
/// | `scales`  | `[T, blocks]`     |
/// | `offsets` | `[T, blocks]`     |
///
/// The error of an element is at most half a scale. A block of zeros has scale 0; NaN becomes 0,
/// an infinite element makes its block 0 with an infinite scale, so that the result is NaN.
///
/// # Panics
/// If the lengths do not belong together.
pub fn quantize(
    layout: BlockLayout,
    x: &[f32],
    codes: &mut [i8],
    scales: &mut [f32],
    offsets: &mut [i32],
) {
    assert_eq!(x.len(), codes.len(), "quantize: codes");
    assert_eq!(x.len(), scales.len() * BLOCK, "quantize: scales");
    assert_eq!(scales.len(), offsets.len(), "quantize: offsets");
    let blocks = x.as_chunks::<BLOCK>().0.iter().zip(codes.as_chunks_mut::<BLOCK>().0);
    for ((x, codes), (scale, offset)) in blocks.zip(scales.iter_mut().zip(offsets)) {
        let max = x.iter().fold(0.0, |max: f32, x| max.max(x.abs()));
        *scale = max / 127.0;
        let inverse = if max > 0.0 { 127.0 / max } else { 0.0 };
        let mut sum = 0;
        for (i, code) in codes.iter_mut().enumerate() {
            *code = (x[layout.element(i)] * inverse).round_ties_even() as i8;
            sum += i32::from(*code);
        }
        *offset = sum * layout.offset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    #[test]
    fn codes_are_within_half_a_scale_and_in_the_layouts_order() {
        for layout in [BlockLayout::Mxfp4, BlockLayout::Mxfp4Gguf, BlockLayout::Q8_0] {
            let x = noise(96, 5);
            let (mut codes, mut scales, mut offsets) = ([0; 96], [0.0; 3], [0; 3]);
            quantize(layout, &x, &mut codes, &mut scales, &mut offsets);
            let mut seen = [false; BLOCK];
            for (i, code) in codes.iter().enumerate() {
                let (block, element) = (i / BLOCK, layout.element(i % BLOCK));
                seen[element] = true;
                let back = f32::from(*code) * scales[block];
                let error = (back - x[block * BLOCK + element]).abs();
                assert!(error <= scales[block] * 0.501, "{layout:?} {i}: {error}");
            }
            assert!(seen.iter().all(|seen| *seen), "{layout:?}: a permutation");
            for block in 0..3 {
                let sum: i32 = codes[block * 32..][..32].iter().map(|c| i32::from(*c)).sum();
                assert_eq!(offsets[block], sum * layout.offset());
            }
        }
    }

    #[test]
    fn odd_values_are_defined() {
        let run = |x: [f32; 32]| {
            let (mut codes, mut scales, mut offsets) = ([1; 32], [1.0], [1]);
            quantize(BlockLayout::Q8_0, &x, &mut codes, &mut scales, &mut offsets);
            (codes, scales[0], offsets[0])
        };
        assert_eq!(run([0.0; 32]), ([0; 32], 0.0, 0));
        let mut x = [0.0; 32];
        x[3] = f32::INFINITY;
        assert_eq!(run(x), ([0; 32], f32::INFINITY, 0));
        x[3] = f32::NAN;
        assert_eq!(run(x), ([0; 32], 0.0, 0));
        x[3] = -2.0;
        assert_eq!(run(x).0[3], -127);
    }
}
