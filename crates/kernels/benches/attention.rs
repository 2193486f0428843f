//! Rates of attention over a cache on one thread:
//! `cargo bench -p gptoss-kernels --bench attention`.
//!
//! For each element type, instruction set, number of heads and number of visible positions: the
//! time per position and the share of a core's fused multiply-adds (two vectors a cycle at
//! [`GIGAHERTZ`]) when one cache is read again and again, and time and bytes per second when many
//! caches are read in turn, so that they come from memory. A cache lies in one piece, or in pages
//! of [`PAGE`] positions. Every result is compared with plain
//! code first. Words after `--` choose rows: `-- F16 avx512` measures these only.

use std::hint::black_box;
use std::time::Instant;

use gptoss_kernels::Isa;
use gptoss_kernels::cached_attention::{
    CacheElement, CacheRows, CacheRowsMut, HeadCache, HeadCacheMut, HeadPages, Queries,
    attend_cached,
};

/// K of gpt-oss.
const HEAD_DIM: usize = 64;
/// Positions of a page.
const PAGE: usize = 128;
/// Clock of the machine that the figures of the log were taken on.
const GIGAHERTZ: f64 = 2.5;
/// Bytes of all caches together when they shall come from memory.
const COLD_BYTES: usize = 256 << 20;
/// Positions that are attended to in one measurement, at least, and measurements.
const POSITIONS: usize = 1 << 15;
const MEASUREMENTS: usize = 40;

fn main() {
    println!(
        "{:>8} {:>8} {:>5} {:>8} {:>6} {:>10} {:>7} {:>10} {:>6}",
        "element", "isa", "heads", "context", "page", "warm ns", "peak %", "cold ns", "GB/s"
    );
    let words: Vec<String> = std::env::args().skip(1).filter(|w| !w.starts_with('-')).collect();
    let is_named = |word: &String| CacheElement::ALL.iter().any(|e| format!("{e:?}") == *word);
    for element in CacheElement::ALL {
        let name = format!("{element:?}");
        if words.iter().any(|word| is_named(word) && *word != name) {
            continue;
        }
        for (context, page) in
            [(128, 128), (4096, 4096), (4096, PAGE), (32768, 32768), (32768, PAGE)]
        {
            let bytes = context * element.position_bytes(HEAD_DIM);
            let caches: Vec<Vec<Cache>> = (0..COLD_BYTES.div_ceil(bytes) as u32)
                .map(|seed| (0..context / page).map(|_| Cache::new(element, page, seed)).collect())
                .collect();
            for heads in [8, 4, 1] {
                for isa in Isa::available().filter(|isa| *isa != Isa::PORTABLE) {
                    let is_other =
                        |word: &String| Isa::named(word).is_some_and(|named| named != isa);
                    if words.iter().any(is_other) {
                        continue;
                    }
                    rates(isa, &caches, heads, context);
                }
            }
        }
    }
}

fn rates(isa: Isa, caches: &[Vec<Cache>], heads: usize, context: usize) {
    let (queries, sinks) = (noise(heads * HEAD_DIM, 1), vec![0.5; heads]);
    let scale = 1.0 / (HEAD_DIM as f32).sqrt();
    let q = Queries { queries: &queries, sinks: &sinks, scale, first: 0, end: context };
    let (mut out, mut expected) = (vec![0.0; queries.len()], vec![0.0; queries.len()]);
    let pages: Vec<Vec<HeadCache<'_>>> =
        caches.iter().map(|pages| pages.iter().map(Cache::view).collect()).collect();
    let views: Vec<HeadPages<'_>> = pages.iter().map(|pages| HeadPages::new(pages)).collect();
    attend_cached(isa, &views[0], &q, &mut out);
    attend_cached(Isa::PORTABLE, &views[0], &q, &mut expected);
    assert_eq!(out, expected, "{} differs", isa.name());

    let warm = nanoseconds(isa, &views[..1], &q, &mut out);
    let cold = nanoseconds(isa, &views, &q, &mut out);
    let lanes = if isa.name() == "avx512" { 16.0 } else { 8.0 };
    let element = views[0].element();
    println!(
        "{:>8} {:>8} {heads:>5} {context:>8} {:>6} {warm:>10.2} {:>7.1} {cold:>10.2} {:>6.1}",
        format!("{element:?}"),
        isa.name(),
        context / pages[0].len(),
        (2 * heads * HEAD_DIM) as f64 / warm / (2.0 * lanes * GIGAHERTZ) * 100.0,
        element.position_bytes(HEAD_DIM) as f64 / cold,
    );
}

/// The least time of all measurements, per position; they go on where the last one ended.
fn nanoseconds(isa: Isa, views: &[HeadPages<'_>], q: &Queries<'_>, out: &mut [f32]) -> f64 {
    let calls = POSITIONS.div_ceil(q.end);
    let mut views = views.iter().cycle();
    let times = (0..MEASUREMENTS).map(|_| {
        let start = Instant::now();
        for view in views.by_ref().take(calls) {
            attend_cached(isa, view, q, out);
            black_box(&out);
        }
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min) / (calls * q.end) as f64 * 1e9
}

/// The parts of a cache; those that its element type does not use are empty.
struct Cache {
    element: CacheElement,
    capacity: usize,
    floats: [Aligned<f32>; 2],
    halves: [Aligned<u16>; 2],
    codes: [Aligned<i8>; 2],
    scales: [Aligned<f32>; 2],
}

/// Numbers whose first one begins a line of memory.
struct Aligned<T> {
    numbers: Vec<T>,
    start: usize,
}

impl<T: Copy + Default> Aligned<T> {
    fn pair(len: usize) -> [Aligned<T>; 2] {
        std::array::from_fn(|_| {
            let numbers = vec![T::default(); len + 64];
            let start = numbers.as_ptr().align_offset(64);
            Aligned { numbers, start }
        })
    }

    fn all(&self, len: usize) -> &[T] {
        &self.numbers[self.start..][..len]
    }

    fn all_mut(&mut self, len: usize) -> &mut [T] {
        &mut self.numbers[self.start..][..len]
    }
}

impl Cache {
    fn new(element: CacheElement, capacity: usize, seed: u32) -> Cache {
        let len = |wanted| if element == wanted { capacity * HEAD_DIM } else { 0 };
        let mut cache = Cache {
            element,
            capacity,
            floats: Aligned::pair(len(CacheElement::F32)),
            halves: Aligned::pair(len(CacheElement::F16)),
            codes: Aligned::pair(len(CacheElement::Int8)),
            scales: Aligned::pair(len(CacheElement::Int8) / HEAD_DIM),
        };
        let numbers = noise(2 * HEAD_DIM * 61, seed);
        let rows: Vec<&[f32]> = numbers.chunks_exact(HEAD_DIM).collect();
        let mut writer = HeadCacheMut::new(HEAD_DIM, cache.rows_mut());
        for position in 0..capacity {
            writer.store(position, rows[position % 61], rows[61 + position % 61]);
        }
        cache
    }

    fn rows_mut(&mut self) -> CacheRowsMut<'_> {
        let rows = self.capacity;
        let len = rows * HEAD_DIM;
        match self.element {
            CacheElement::F32 => {
                let [keys, values] = self.floats.each_mut().map(|part| part.all_mut(len));
                CacheRowsMut::F32 { keys, values }
            }
            CacheElement::F16 => {
                let [keys, values] = self.halves.each_mut().map(|part| part.all_mut(len));
                CacheRowsMut::F16 { keys, values }
            }
            CacheElement::Int8 => {
                let [keys, values] = self.codes.each_mut().map(|part| part.all_mut(len));
                let scales = self.scales.each_mut().map(|part| part.all_mut(rows));
                let [key_scales, value_scales] = scales;
                CacheRowsMut::Int8 { keys, values, key_scales, value_scales }
            }
        }
    }

    fn view(&self) -> HeadCache<'_> {
        let rows = self.capacity;
        let len = rows * HEAD_DIM;
        let rows = match self.element {
            CacheElement::F32 => {
                let [keys, values] = self.floats.each_ref().map(|part| part.all(len));
                CacheRows::F32 { keys, values }
            }
            CacheElement::F16 => {
                let [keys, values] = self.halves.each_ref().map(|part| part.all(len));
                CacheRows::F16 { keys, values }
            }
            CacheElement::Int8 => {
                let [keys, values] = self.codes.each_ref().map(|part| part.all(len));
                let scales = self.scales.each_ref().map(|part| part.all(rows));
                let [key_scales, value_scales] = scales;
                CacheRows::Int8 { keys, values, key_scales, value_scales }
            }
        };
        HeadCache::new(HEAD_DIM, rows)
    }
}

/// Numbers between −1 and 1.
fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}
