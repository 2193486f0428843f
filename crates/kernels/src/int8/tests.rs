//! Every way to multiply, on every instruction set, against the definition and against f64.

use super::*;
use crate::testing::noise;
use crate::{Format, Isa, dequantize_row, mxfp4};

/// Random rows of a layout and their values.
struct Rows {
    layout: BlockLayout,
    codes: Vec<u8>,
    scales: Vec<u8>,
    values: Vec<Vec<f32>>,
}

fn random_bytes(len: usize, seed: u32) -> Vec<u8> {
    noise(len, seed).iter().map(|x| ((x + 1.0) * 127.99) as u8).collect()
}

/// Scales of blocks: halves around 0.01, and subnormal ones.
fn halves(codes: &mut [u8], stride: usize, exponents: &[u8]) {
    for (block, exponent) in codes.chunks_mut(stride).zip(exponents) {
        (block[0], block[1]) = (*exponent, if *exponent < 3 { 0 } else { 0x20 });
    }
}

impl Rows {
    fn random(layout: BlockLayout, blocks: usize, seed: u32) -> Rows {
        let mut all = Rows { layout, codes: vec![], scales: vec![], values: vec![] };
        for row in 0..TILE_ROWS as u32 {
            let mut codes = random_bytes(blocks * layout.code_stride(), seed + 2 * row);
            let exponents = random_bytes(blocks, seed + 2 * row + 1);
            let mut exponents: Vec<u8> = exponents.iter().map(|byte| 118 + byte % 8).collect();
            // Subnormal scales.
            exponents[0] = (row % 3) as u8;
            let mut values = vec![0.0; blocks * BLOCK];
            match layout {
                BlockLayout::Mxfp4 => {
                    mxfp4::dequantize_row(Isa::PORTABLE, &codes, &exponents, &mut values)
                }
                BlockLayout::Mxfp4Gguf => {
                    for (block, exponent) in codes.chunks_mut(17).zip(&exponents) {
                        block[0] = *exponent;
                    }
                    dequantize_row(Isa::PORTABLE, Format::Mxfp4Gguf, &codes, &mut values);
                }
                BlockLayout::Q8_0 => {
                    halves(&mut codes, 34, &exponents);
                    // The extreme code, whose magnitude does not fit into a signed byte.
                    codes[2] = 0x80;
                    dequantize_row(Isa::PORTABLE, Format::Q8_0, &codes, &mut values);
                }
                BlockLayout::Q4_0 => {
                    halves(&mut codes, 18, &exponents);
                    dequantize_row(Isa::PORTABLE, Format::Q4_0, &codes, &mut values);
                }
                BlockLayout::Q4_1 => {
                    halves(&mut codes, 20, &exponents);
                    for (b, block) in codes.chunks_mut(20).enumerate() {
                        // Minimums of about minus seven scales, a positive one, and zero.
                        (block[2], block[3]) = [(block[2], 0xAB), (0, 0x28), (0, 0)][b % 3];
                    }
                    dequantize_row(Isa::PORTABLE, Format::Q4_1, &codes, &mut values);
                }
            }
            if layout == BlockLayout::Mxfp4 {
                all.scales.extend(exponents);
            }
            all.codes.extend(codes);
            all.values.push(values);
        }
        all
    }

    /// The rows as neighbours, which is how the buffers hold them.
    fn tile(&self) -> TileRows<'_> {
        let (layout, blocks) = (self.layout, self.values[0].len() / BLOCK);
        let scales = if self.scales.is_empty() { &self.codes } else { &self.scales };
        let (code_row, scale_row) = (blocks * layout.code_stride(), blocks * layout.scale_stride());
        TileRows {
            layout,
            blocks,
            codes: [&self.codes, &self.codes[code_row..]],
            code_stride: 2 * code_row,
            scales: [scales, &scales[scale_row..]],
            scale_stride: 2 * scale_row,
            ahead: [&self.codes, scales],
        }
    }
}

/// Activations of several tokens in the order of a layout.
fn quantized(layout: BlockLayout, x: &[f32]) -> Vec<ActivationBlock> {
    let mut blocks = vec![ActivationBlock::default(); x.len() / BLOCK];
    quantize(Isa::detect(), layout, x, &mut blocks);
    blocks
}

fn in_place(isa: Isa, rows: &Rows, x: &Activations<'_>, tokens: &[u32]) -> Vec<[f32; TILE_ROWS]> {
    let mut out = vec![[f32::NAN; TILE_ROWS]; tokens.len()];
    for (tokens, out) in tokens.chunks(FEW_TOKENS).zip(out.chunks_mut(FEW_TOKENS)) {
        dot_rows(isa, &rows.tile(), x, tokens, out);
    }
    out
}

/// Two tiles, the second with its blocks in another order, in chunks of `chunk` blocks; gives the
/// first.
fn unpacked(
    isa: Isa,
    rows: &Rows,
    x: &Activations<'_>,
    tokens: &[u32],
    chunk: usize,
) -> Vec<[f32; TILE_ROWS]> {
    let mut out = vec![[[0.0; TILE_ROWS]; 2]; tokens.len()];
    let mut alone = vec![[[0.0; TILE_ROWS]; 1]; tokens.len()];
    for first in (0..x.blocks).step_by(chunk) {
        let n = chunk.min(x.blocks - first);
        let mut codes = vec![[[0; 64]; 8]; n];
        let mut scales = vec![[0.0; TILE_ROWS]; n];
        let has_minimum = rows.layout.has_minimum();
        let mut minimums = vec![[0.0; TILE_ROWS]; if has_minimum { n } else { 0 }];
        let (codes_mut, scales_mut) = (&mut codes, &mut scales);
        let room = UnpackedMut { codes: codes_mut, scales: scales_mut, minimums: &mut minimums };
        unpack(isa, &rows.tile(), first, room);
        let other: Vec<_> = codes.iter().rev().copied().collect();
        let (layout, codes) = (rows.layout, [&codes[..], &other]);
        let (scales, minimums) = (&scales[..], &minimums[..]);
        let tiles = Unpacked { layout, first, codes, scales: [scales; 2], minimums: [minimums; 2] };
        add_tiles(isa, &tiles, x, tokens, &mut out);
        let (scales, minimums) = ([scales], [minimums]);
        let tile = Unpacked { layout, first, codes: [codes[1]], scales, minimums };
        add_tiles(isa, &tile, x, tokens, &mut alone);
    }
    let second = out.iter().map(|[_, second]| second);
    assert!(second.eq(alone.iter().map(|[second]| second)), "two tiles are as each alone");
    out.into_iter().map(|[first, _]| first).collect()
}

#[test]
fn every_isa_and_every_way_gives_the_same_bits() {
    let mut compared = 0;
    for layout in BlockLayout::ALL {
        for (blocks, tokens) in
            [(1, 1), (2, 2), (3, 3), (5, 4), (7, 5), (16, 6), (17, 7), (33, 8), (90, 1), (4, 19)]
        {
            let rows = Rows::random(layout, blocks, 11);
            let data = quantized(layout, &noise(tokens * blocks * BLOCK, 3));
            let x = Activations { data: &data, blocks };
            // Not in order, and one of them twice.
            let ids: Vec<u32> = (0..tokens as u32).rev().chain([0]).collect();
            let expected = in_place(Isa::PORTABLE, &rows, &x, &ids);
            for isa in Isa::available() {
                let ways = [
                    in_place(isa, &rows, &x, &ids),
                    unpacked(isa, &rows, &x, &ids, blocks),
                    unpacked(isa, &rows, &x, &ids, 3),
                ];
                for (way, actual) in ways.iter().enumerate() {
                    for (i, (a, e)) in actual.iter().zip(&expected).enumerate() {
                        assert_eq!(
                            a.map(f32::to_bits),
                            e.map(f32::to_bits),
                            "{isa:?} {layout:?} {blocks} blocks, way {way}, token {i} of {tokens}"
                        );
                        compared += 1;
                    }
                }
            }
        }
    }
    assert!(compared >= 5 * 3 * 66 * Isa::available().count(), "{compared}");
}

#[test]
fn rows_of_two_matrices_in_turn_are_read_in_turn() {
    let blocks = 3;
    let rows = Rows::random(BlockLayout::Q8_0, blocks, 7);
    let row_bytes = blocks * 34;
    let take = |odd: usize| -> Vec<u8> {
        let all: Vec<&[u8]> = rows.codes.chunks(row_bytes).collect();
        all.iter().skip(odd).step_by(2).copied().flatten().copied().collect()
    };
    let (even, odd) = (take(0), take(1));
    let apart = TileRows {
        codes: [&even, &odd],
        scales: [&even, &odd],
        code_stride: row_bytes,
        scale_stride: row_bytes,
        ..rows.tile()
    };
    let data = quantized(BlockLayout::Q8_0, &noise(blocks * BLOCK, 3));
    let x = Activations { data: &data, blocks };
    let expected = in_place(Isa::PORTABLE, &rows, &x, &[0]);
    for isa in Isa::available() {
        let mut out = [[0.0; TILE_ROWS]];
        dot_rows(isa, &apart, &x, &[0], &mut out);
        assert_eq!(out[..], expected);
    }
}

#[test]
fn the_result_is_the_product_within_the_error_of_eight_bits() {
    for layout in BlockLayout::ALL {
        let blocks = 90;
        let rows = Rows::random(layout, blocks, 5);
        let floats = noise(2 * blocks * BLOCK, 4);
        let data = quantized(layout, &floats);
        let x = Activations { data: &data, blocks };
        for (token, actual) in in_place(Isa::detect(), &rows, &x, &[0, 1]).iter().enumerate() {
            let x = &floats[token * blocks * BLOCK..][..blocks * BLOCK];
            for (row, actual) in actual.iter().enumerate() {
                let products =
                    rows.values[row].iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x));
                let (exact, size) =
                    products.fold((0.0, 0.0), |(sum, size), p| (sum + p, size + p * p));
                // Half a step of 1/127 on every activation, independent of each other.
                let error = (f64::from(*actual) - exact).abs();
                assert!(error < 0.04 * f64::sqrt(size), "{layout:?} {row}: {actual} {exact}");
            }
        }
    }
}

#[test]
fn an_infinite_scale_gives_no_number() {
    let mut rows = Rows::random(BlockLayout::Mxfp4, 1, 5);
    rows.scales[3] = 255;
    let data = quantized(BlockLayout::Mxfp4, &noise(BLOCK, 4));
    let x = Activations { data: &data, blocks: 1 };
    for isa in Isa::available() {
        let out = in_place(isa, &rows, &x, &[0])[0];
        assert!(!out[3].is_finite(), "{isa:?}");
        assert!(out[2].is_finite(), "{isa:?}");
    }
}
