//! Rates of the float kernels on one thread: `cargo bench -p gptoss-kernels --bench float`.
//!
//! Three tables, each for every instruction set and format: one token times a matrix of 256 MiB,
//! beside a linear read of the same memory; a matrix of 512 rows of 2880 times 4 to 512 tokens,
//! beside the peak of fused multiply-adds; and rows of block formats widened to f32. Minimum of
//! several runs, because other programs can only make a run longer. Arguments choose tables:
//! `memory`, `tokens`, `dequantize`. Every result is compared with plain code first.

use std::hint::black_box;
use std::time::Instant;

use gptoss_kernels::{FloatRows, FloatTokens, Format, Isa, dequantize_row, float_rows, mxfp4};

const COLS: usize = 2880;
const PLAIN: [Format; 3] = [Format::Bf16, Format::F16, Format::F32];
const BLOCKS: [Format; 9] = [
    Format::Q4_0,
    Format::Q4_1,
    Format::Q5_0,
    Format::Q5_1,
    Format::Q8_0,
    Format::Q4K,
    Format::Q5K,
    Format::Q6K,
    Format::Mxfp4Gguf,
];

fn main() {
    let tables: [(&str, fn()); 3] =
        [("memory", memory), ("tokens", tokens), ("dequantize", dequantize)];
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    for (name, table) in tables {
        let is_chosen = chosen.iter().all(|argument| argument.starts_with('-'))
            || chosen.iter().any(|argument| argument == name);
        if is_chosen {
            table();
        }
    }
}

fn vector_isas() -> impl Iterator<Item = Isa> {
    Isa::available().filter(|isa| *isa != Isa::PORTABLE)
}

/// The shortest of `runs` runs in seconds.
fn shortest(runs: usize, mut run: impl FnMut()) -> f64 {
    (0..runs)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

/// Weights of ordinary size in a plain format.
fn weights(format: Format, len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut bytes = Vec::with_capacity(len * format.block_bytes());
    for _ in 0..len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match format {
            // Of size 0.5 to 2, half of them negative.
            Format::F16 => bytes.extend(((state >> 16) as u16 & 0x87FF | 0x3800).to_le_bytes()),
            Format::Bf16 => bytes.extend(((state >> 16) as u16 & 0x80FF | 0x3F00).to_le_bytes()),
            _ => bytes.extend((state & 0x80FF_FFFF | 0x3F00_0000).to_le_bytes()),
        }
    }
    bytes
}

fn activations(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i % 97) as f32 / 48.0 - 1.0).collect()
}

/// A matrix with its tokens, in calls of some rows each.
struct Product<'a> {
    isa: Isa,
    format: Format,
    bytes: &'a [u8],
    x: FloatTokens<'a>,
    rows_per_call: usize,
    scratch: Vec<f32>,
    out: Vec<f32>,
    /// The shortest time of each call. On a machine with other programs the sum of these says
    /// more than the time of all calls.
    seconds: Vec<f64>,
}

impl<'a> Product<'a> {
    fn new(format: Format, bytes: &'a [u8], isa: Isa, x: FloatTokens<'a>) -> Product<'a> {
        let rows = bytes.len() / COLS / format.block_bytes();
        // A call takes less than a time slice of the system's scheduler.
        let rows_per_call = if x.tokens() == 1 { 480 } else { 96 };
        let out = vec![0.0; rows * x.tokens()];
        let scratch = vec![0.0; x.scratch_len()];
        let seconds = vec![f64::INFINITY; rows.div_ceil(rows_per_call)];
        Product { isa, format, bytes, x, rows_per_call, scratch, out, seconds }
    }

    fn run(&mut self) {
        let stride = self.out.len() / self.x.tokens();
        let calls = self.bytes.chunks(self.rows_per_call * COLS * self.format.block_bytes());
        for (i, (bytes, seconds)) in calls.zip(&mut self.seconds).enumerate() {
            let rows = FloatRows::stored(self.format, bytes, COLS).expect("a plain format");
            let out = &mut self.out[i * self.rows_per_call..];
            let run = || float_rows(rows, self.x, &mut self.scratch, out, stride);
            *seconds = seconds.min(shortest(1, run));
        }
    }

    fn seconds(&self) -> f64 {
        self.seconds.iter().sum()
    }

    /// Compares the first and the last rows for some tokens with plain code.
    fn check(&self, x: &[f32]) {
        let (rows, stride) = (5, self.out.len() / self.x.tokens());
        let x = &x[..x.len().min(20 * COLS)];
        let part = rows * COLS * self.format.block_bytes();
        let ends =
            [(0, &self.bytes[..part]), (stride - rows, &self.bytes[self.bytes.len() - part..])];
        for (first, bytes) in ends {
            let mut expected = vec![0.0; x.len() / COLS * rows];
            let plain = FloatRows::stored(self.format, bytes, COLS).expect("a plain format");
            let x = FloatTokens::new(Isa::PORTABLE, x, COLS, &mut []);
            float_rows(plain, x, &mut [], &mut expected, rows);
            for (expected, out) in expected.chunks(rows).zip(self.out.chunks(stride)) {
                assert_eq!(out[first..][..rows], *expected, "{:?} differs", self.isa);
            }
        }
    }
}

fn memory() {
    println!("one token, matrix of 256 MiB");
    println!("{:>6} {:>9} {:>10} {:>8} {:>8}", "format", "isa", "ms", "GB/s", "of read");
    for format in PLAIN {
        let rows = (256 << 20) / (COLS * format.block_bytes());
        let bytes = weights(format, rows * COLS);
        let x = activations(COLS);
        let tokens = vector_isas().map(|isa| (isa, FloatTokens::new(isa, &x, COLS, &mut [])));
        let mut products: Vec<_> =
            tokens.map(|(isa, tokens)| Product::new(format, &bytes, isa, tokens)).collect();
        let pieces = bytes.chunks(480 * COLS * format.block_bytes());
        let mut read_seconds = vec![f64::INFINITY; pieces.len()];
        // In turn, so that what other programs do meets all of them.
        for _ in 0..9 {
            for (piece, seconds) in pieces.clone().zip(&mut read_seconds) {
                *seconds = seconds.min(shortest(1, || {
                    black_box(linear_read(piece));
                }));
            }
            products.iter_mut().for_each(Product::run);
        }
        products.iter().for_each(|product| product.check(&x));
        let read_seconds: f64 = read_seconds.iter().sum();
        let results = products.iter().map(|product| (product.isa.name(), product.seconds()));
        for (name, seconds) in [("read", read_seconds)].into_iter().chain(results) {
            println!(
                "{:>6} {name:>9} {:>10.2} {:>8.2} {:>7.0}%",
                format.name(),
                seconds * 1e3,
                bytes.len() as f64 / seconds * 1e-9,
                read_seconds / seconds * 100.0,
            );
        }
    }
}

/// The sum of all bytes, eight at a time: as fast as memory is.
fn linear_read(bytes: &[u8]) -> u64 {
    let mut sums = [0_u64; 16];
    for words in bytes.as_chunks::<8>().0.as_chunks::<16>().0 {
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum = sum.wrapping_add(u64::from_ne_bytes(*word));
        }
    }
    sums.into_iter().fold(0, u64::wrapping_add)
}

fn tokens() {
    let rows = 960;
    println!("matrix of {rows} rows of {COLS}");
    println!(
        "{:>6} {:>9} {:>6} {:>10} {:>9} {:>8}",
        "format", "isa", "tokens", "ms", "Gfma/s", "of peak"
    );
    for format in PLAIN {
        let bytes = weights(format, rows * COLS);
        for isa in vector_isas() {
            for tokens in [1, 2, 4, 8, 16, 24, 32, 64, 512] {
                let x = activations(tokens * COLS);
                let mut packed = vec![0.0; FloatTokens::packed_len(isa, tokens, COLS)];
                let packed = FloatTokens::new(isa, &x, COLS, &mut packed);
                let mut product = Product::new(format, &bytes, isa, packed);
                let mut peak = 0.0_f64;
                for _ in 0..10 + 64 / tokens {
                    peak = peak.max(fma_rate(isa));
                    product.run();
                }
                product.check(&x);
                let rate = (rows * COLS * tokens) as f64 / product.seconds() * 1e-9;
                println!(
                    "{:>6} {:>9} {tokens:>6} {:>10.3} {rate:>9.1} {:>7.0}%",
                    format.name(),
                    isa.name(),
                    product.seconds() * 1e3,
                    rate / peak * 100.0,
                );
            }
        }
    }
}

/// Fused multiply-adds in registers, in 10⁹ lanes a second.
fn fma_rate(isa: Isa) -> f64 {
    const ROUNDS: usize = 100_000;
    let lanes = match isa.name() {
        #[cfg(target_arch = "x86_64")]
        "avx512" => 16,
        _ => 8,
    };
    let seconds = shortest(3, || {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Isa::available` gave `isa`, so that the CPU has its instructions.
        let sum = unsafe {
            match lanes {
                16 => fma_avx512(black_box(0.5), ROUNDS),
                _ => fma_avx2(black_box(0.5), ROUNDS),
            }
        };
        #[cfg(target_arch = "x86_64")]
        black_box(sum);
    });
    (ROUNDS * 12 * lanes) as f64 / seconds * 1e-9
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn fma_avx512(x: f32, rounds: usize) -> f32 {
    use std::arch::x86_64::*;
    let x = _mm512_set1_ps(x);
    let mut sums = [x; 12];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, x, x);
        }
    }
    let mut total = x;
    for sum in sums {
        total = _mm512_add_ps(total, sum);
    }
    _mm512_reduce_add_ps(total)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn fma_avx2(x: f32, rounds: usize) -> f32 {
    use std::arch::x86_64::*;
    let x = _mm256_set1_ps(x);
    let mut sums = [x; 12];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, x, x);
        }
    }
    let mut total = x;
    for sum in sums {
        total = _mm256_add_ps(total, sum);
    }
    _mm_cvtss_f32(_mm256_castps256_ps128(total))
}

fn dequantize() {
    println!("rows of 2048 elements widened in the first cache");
    println!("{:>10} {:>9} {:>12}", "format", "isa", "elements/ns");
    // 8 KiB of values and as little of codes.
    let elements = 2048;
    for format in BLOCKS.into_iter().chain(PLAIN) {
        let bytes = filled(format.row_bytes(elements).expect("whole blocks"));
        widen(format.name(), elements, |isa, out| dequantize_row(isa, format, &bytes, out));
    }
    let (codes, scales) = (filled(elements / 2), filled(elements / 32));
    let row = |isa, out: &mut [f32]| mxfp4::dequantize_row(isa, &codes, &scales, out);
    widen("MXFP4 file", elements, row);
}

/// The rate of `row` for every instruction set.
fn widen(name: &str, elements: usize, row: impl Fn(Isa, &mut [f32])) {
    const ROUNDS: usize = 200;
    let mut expected = vec![0.0; elements];
    row(Isa::PORTABLE, &mut expected);
    for isa in Isa::available() {
        let mut out = vec![0.0; elements];
        row(isa, &mut out);
        assert_eq!(out, expected, "{isa:?} {name} differs");
        let seconds = shortest(20, || {
            for _ in 0..ROUNDS {
                row(isa, black_box(&mut out));
            }
        });
        let rate = (ROUNDS * elements) as f64 / seconds * 1e-9;
        println!("{name:>10} {:>9} {rate:>12.2}", isa.name());
    }
}

/// Bytes that look random and whose scales are of ordinary size.
fn filled(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            32 + (state >> 26) as u8
        })
        .collect()
}
