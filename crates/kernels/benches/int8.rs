//! Rates of the eight-bit kernels on one thread: `cargo bench -p gptoss-kernels --bench int8`.
//!
//! For each layout and instruction set: the time of a matrix of 5760 rows of 2880 (one expert's
//! first matrix in gpt-oss-20b) for 1 to 512 tokens, the bytes of weights read per second, and the
//! multiplications and additions per second. Several matrices are used in turn, so that weights
//! come from memory and not from the cache. Every result is compared with plain code first.
//! With names of layouts or numbers of tokens as arguments (`-- Q8_0 1`), only these.

use std::hint::black_box;
use std::time::{Duration, Instant};

use gptoss_kernels::Isa;
use gptoss_kernels::int8::{
    ActivationBlock, Activations, BLOCK, BlockCodes, BlockLayout, CHUNK_BLOCKS, FEW_TOKENS,
    TILE_ROWS, TileRows, Unpacked, UnpackedMut, add_tiles, dot_rows, quantize, unpack,
};

const ROWS: usize = 5760;
const BLOCKS: usize = 90;
const MATRICES: usize = 24;

/// A matrix in a layout.
struct Matrix {
    layout: BlockLayout,
    codes: Vec<u8>,
    scales: Vec<u8>,
}

impl Matrix {
    fn random(layout: BlockLayout, seed: u32) -> Matrix {
        let scales = if layout == BlockLayout::Mxfp4 { vec![121; BLOCKS * ROWS] } else { vec![] };
        Matrix { layout, codes: filled(layout.code_stride() * BLOCKS * ROWS, seed), scales }
    }

    fn bytes(&self) -> usize {
        self.codes.len() + self.scales.len()
    }

    fn tile(&self, row: usize) -> TileRows<'_> {
        let code_row = BLOCKS * self.layout.code_stride();
        let scale_row = BLOCKS * self.layout.scale_stride();
        let scales = if self.scales.is_empty() { &self.codes } else { &self.scales };
        let next = ((row + 2 * TILE_ROWS) * code_row).min(self.codes.len());
        let ahead = next + TILE_ROWS * code_row;
        TileRows {
            layout: self.layout,
            blocks: BLOCKS,
            codes: [&self.codes[row * code_row..], &self.codes[(row + 1) * code_row..]],
            code_stride: 2 * code_row,
            scales: [&scales[row * scale_row..], &scales[(row + 1) * scale_row..]],
            scale_stride: 2 * scale_row,
            ahead: [&self.codes[next..ahead.min(self.codes.len())], &[]],
        }
    }
}

/// Room for some blocks of two tiles.
struct Room {
    codes: [[BlockCodes; CHUNK_BLOCKS]; 2],
    scales: [[[f32; TILE_ROWS]; CHUNK_BLOCKS]; 2],
    minimums: [[[f32; TILE_ROWS]; CHUNK_BLOCKS]; 2],
}

/// The results of a token, two tiles.
type Pair = [[f32; TILE_ROWS]; 2];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    println!(
        "{:>10} {:>9} {:>6} {:>10} {:>8} {:>8}",
        "layout", "isa", "tokens", "ms", "GB/s", "GOPS"
    );
    let mut room = Room {
        codes: [[[[0; 64]; 8]; CHUNK_BLOCKS]; 2],
        scales: [[[0.0; TILE_ROWS]; CHUNK_BLOCKS]; 2],
        minimums: [[[0.0; TILE_ROWS]; CHUNK_BLOCKS]; 2],
    };
    let names = BlockLayout::ALL.map(|layout| format!("{layout:?}"));
    let (named, numbered) = wanted.into_iter().partition::<Vec<_>, _>(|w| names.contains(w));
    let is_wanted = |list: &[String], what: &str| list.is_empty() || list.iter().any(|w| w == what);
    for layout in BlockLayout::ALL.into_iter().filter(|l| is_wanted(&named, &format!("{l:?}"))) {
        let weights: Vec<Matrix> =
            (0..MATRICES).map(|m| Matrix::random(layout, m as u32)).collect();
        let numbers = [1, 2, 4, 8, 16, 64, 512].into_iter();
        for tokens in numbers.filter(|n| is_wanted(&numbered, &n.to_string())) {
            let x: Vec<f32> =
                (0..tokens * BLOCKS * BLOCK).map(|i| (i % 97) as f32 - 48.0).collect();
            let mut data = vec![ActivationBlock::default(); x.len() / BLOCK];
            quantize(Isa::detect(), layout, &x, &mut data);
            let x = Activations { data: &data, blocks: BLOCKS };
            for isa in Isa::available().filter(|isa| *isa != Isa::PORTABLE) {
                measure(isa, &weights, &x, &mut room);
            }
        }
    }
}

/// Prints one row of the table.
fn measure(isa: Isa, weights: &[Matrix], x: &Activations<'_>, room: &mut Room) {
    let tokens: Vec<u32> = (0..(x.data.len() / BLOCKS) as u32).collect();
    let mut out = vec![[[0.0; TILE_ROWS]; 2]; tokens.len()];
    let mut expected = out.clone();
    pair(Isa::PORTABLE, &weights[0], 32, x, &tokens, room, &mut expected);
    pair(isa, &weights[0], 32, x, &tokens, room, &mut out);
    assert_eq!(out, expected, "{} differs", isa.name());
    let matrices = if tokens.len() > 64 { &weights[..2] } else { weights };
    let mut times: Vec<Duration> = (0..5)
        .map(|_| {
            let start = Instant::now();
            for weights in matrices {
                for row in (0..ROWS).step_by(2 * TILE_ROWS) {
                    pair(isa, weights, row, x, &tokens, room, &mut out);
                    black_box(&out);
                }
            }
            start.elapsed() / matrices.len() as u32
        })
        .collect();
    times.sort();
    let seconds = times[2].as_secs_f64();
    println!(
        "{:>10} {:>9} {:>6} {:>10.3} {:>8.1} {:>8.0}",
        format!("{:?}", weights[0].layout),
        isa.name(),
        tokens.len(),
        seconds * 1e3,
        weights[0].bytes() as f64 / seconds * 1e-9,
        2.0 * (ROWS * BLOCKS * BLOCK * tokens.len()) as f64 / seconds * 1e-9,
    );
}

/// The rows `row..row + 32` times all tokens.
fn pair(
    isa: Isa,
    weights: &Matrix,
    row: usize,
    x: &Activations<'_>,
    tokens: &[u32],
    room: &mut Room,
    out: &mut [Pair],
) {
    let rows = [weights.tile(row), weights.tile(row + TILE_ROWS)];
    if tokens.len() <= FEW_TOKENS {
        let mut results = [[0.0; TILE_ROWS]; FEW_TOKENS];
        for (m, rows) in rows.iter().enumerate() {
            dot_rows(isa, rows, x, tokens, &mut results[..tokens.len()]);
            out.iter_mut().zip(&results).for_each(|(out, result)| out[m] = *result);
        }
        return;
    }
    out.fill([[0.0; TILE_ROWS]; 2]);
    for first in (0..BLOCKS).step_by(CHUNK_BLOCKS) {
        let n = CHUNK_BLOCKS.min(BLOCKS - first);
        for (m, rows) in rows.iter().enumerate() {
            let room = UnpackedMut {
                codes: &mut room.codes[m][..n],
                scales: &mut room.scales[m][..n],
                minimums: &mut room.minimums[m][..n],
            };
            unpack(isa, rows, first, room);
        }
        let codes = [&room.codes[0][..n], &room.codes[1][..n]];
        let scales = [&room.scales[0][..n], &room.scales[1][..n]];
        let minimums = [&room.minimums[0][..n], &room.minimums[1][..n]];
        let tiles = Unpacked { layout: weights.layout, first, codes, scales, minimums };
        add_tiles(isa, &tiles, x, tokens, out);
    }
}

/// Bytes that look random and whose scales are of ordinary size.
fn filled(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            32 + (state >> 26) as u8
        })
        .collect()
}
