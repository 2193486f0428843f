//! Rates of the eight-bit kernels on one thread: `cargo bench -p gptoss-kernels --bench int8`.
//!
//! For each layout and instruction set: the time of a matrix of 5760 rows of 2880 (one expert's
//! first matrix in gpt-oss-20b) for 1 to 64 tokens, the bytes of weights read per second, and the
//! multiplications and additions per second. Several matrices are used in turn, so that weights
//! come from memory and not from the cache. Every result is compared with plain code first.

use std::hint::black_box;
use std::time::{Duration, Instant};

use gptoss_kernels::Isa;
use gptoss_kernels::int8::{
    Activations, BLOCK, BlockLayout, TILE_BLOCK_BYTES, TILE_ROWS, TileRows, dot_tile, quantize,
    unpack,
};

const ROWS: usize = 5760;
const BLOCKS: usize = 90;
/// Blocks that are unpacked at once: their codes stay in the first cache.
const CHUNK: usize = 30;
const MATRICES: usize = 24;

struct Layout {
    layout: BlockLayout,
    row_bytes: usize,
    scale_bytes: usize,
}

const LAYOUTS: [Layout; 3] = [
    Layout { layout: BlockLayout::Mxfp4, row_bytes: 16 * BLOCKS, scale_bytes: BLOCKS },
    Layout { layout: BlockLayout::Mxfp4Gguf, row_bytes: 17 * BLOCKS, scale_bytes: 0 },
    Layout { layout: BlockLayout::Q8_0, row_bytes: 34 * BLOCKS, scale_bytes: 0 },
];

fn main() {
    println!(
        "{:>10} {:>9} {:>6} {:>10} {:>8} {:>8}",
        "layout", "isa", "tokens", "ms", "GB/s", "GOPS"
    );
    for layout in &LAYOUTS {
        let bytes = layout.row_bytes * ROWS;
        let weights: Vec<Vec<u8>> = (0..MATRICES).map(|m| filled(bytes, m as u32)).collect();
        let scales = vec![121; layout.scale_bytes * ROWS];
        for tokens in [1, 4, 16, 64] {
            let x: Vec<f32> =
                (0..tokens * BLOCKS * BLOCK).map(|i| (i % 97) as f32 - 48.0).collect();
            let (mut codes, mut steps, mut offsets) =
                (vec![0; x.len()], vec![0.0; tokens * BLOCKS], vec![0; tokens * BLOCKS]);
            quantize(layout.layout, &x, &mut codes, &mut steps, &mut offsets);
            let x =
                Activations { codes: &codes, scales: &steps, offsets: &offsets, blocks: BLOCKS };
            for isa in Isa::available().filter(|isa| *isa != Isa::PORTABLE) {
                let mut out = vec![0.0; tokens * ROWS];
                let mut expected = vec![0.0; tokens * TILE_ROWS];
                tile(Isa::PORTABLE, layout, &weights[0], &scales, 0, &x, &mut expected);
                product(isa, layout, &weights[0], &scales, &x, &mut out);
                assert_eq!(out[..expected.len()], expected, "{} differs", isa.name());
                let mut times: Vec<Duration> = (0..5)
                    .map(|_| {
                        let start = Instant::now();
                        for weights in &weights {
                            product(isa, layout, weights, &scales, &x, &mut out);
                            black_box(&out);
                        }
                        start.elapsed() / MATRICES as u32
                    })
                    .collect();
                times.sort();
                let seconds = times[2].as_secs_f64();
                println!(
                    "{:>10} {:>9} {tokens:>6} {:>10.3} {:>8.1} {:>8.0}",
                    format!("{:?}", layout.layout),
                    isa.name(),
                    seconds * 1e3,
                    (bytes + scales.len()) as f64 / seconds * 1e-9,
                    2.0 * (ROWS * BLOCKS * BLOCK * tokens) as f64 / seconds * 1e-9,
                );
            }
        }
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

fn product(
    isa: Isa,
    layout: &Layout,
    weights: &[u8],
    scales: &[u8],
    x: &Activations<'_>,
    out: &mut [f32],
) {
    let tokens = x.scales.len() / BLOCKS;
    for (i, out) in out.chunks_mut(tokens * TILE_ROWS).enumerate() {
        out.fill(0.0);
        tile(isa, layout, weights, scales, i * TILE_ROWS, x, out);
    }
}

fn tile(
    isa: Isa,
    layout: &Layout,
    weights: &[u8],
    scales: &[u8],
    row: usize,
    x: &Activations<'_>,
    out: &mut [f32],
) {
    let codes_of = |r: usize| &weights[(row + r) * layout.row_bytes..][..layout.row_bytes];
    let rows = TileRows {
        layout: layout.layout,
        codes: std::array::from_fn(codes_of),
        scales: std::array::from_fn(|r| match layout.scale_bytes {
            0 => codes_of(r),
            bytes => &scales[(row + r) * bytes..][..bytes],
        }),
    };
    let (mut codes, mut steps) = ([0; CHUNK * TILE_BLOCK_BYTES], [0.0; CHUNK * TILE_ROWS]);
    for first in (0..BLOCKS).step_by(CHUNK) {
        unpack(isa, &rows, first, &mut codes, &mut steps);
        dot_tile(isa, layout.layout, (&codes, &steps), x, first, out);
    }
}
