//! Every version against the definition bit by bit, and the definition against f64.

use super::*;
use crate::half::f16_to_f32;
use crate::testing::noise;

/// The parts of a cache; those that its element type does not use are empty.
struct Cache {
    element: CacheElement,
    head_dim: usize,
    floats: [Vec<f32>; 2],
    halves: [Vec<u16>; 2],
    codes: [Vec<i8>; 2],
    scales: [Vec<f32>; 2],
}

impl Cache {
    /// A ring filled with `value` in every place, scales too; Int8 has the code 127.
    fn filled(element: CacheElement, head_dim: usize, capacity: usize, value: f32) -> Cache {
        let len = |wanted| if element == wanted { capacity * head_dim } else { 0 };
        let scales = len(CacheElement::Int8) / head_dim;
        let half = crate::half::f32_to_f16(value);
        Cache {
            element,
            head_dim,
            floats: [(); 2].map(|()| vec![value; len(CacheElement::F32)]),
            halves: [(); 2].map(|()| vec![half; len(CacheElement::F16)]),
            codes: [(); 2].map(|()| vec![127; len(CacheElement::Int8)]),
            scales: [(); 2].map(|()| vec![value; scales]),
        }
    }

    fn writer(&mut self) -> HeadCacheMut<'_> {
        let [keys, values] = &mut self.floats;
        let [half_keys, half_values] = &mut self.halves;
        let [code_keys, code_values] = &mut self.codes;
        let [key_scales, value_scales] = &mut self.scales;
        let rows = match self.element {
            CacheElement::F32 => CacheRowsMut::F32 { keys, values },
            CacheElement::F16 => CacheRowsMut::F16 { keys: half_keys, values: half_values },
            CacheElement::Int8 => CacheRowsMut::Int8 {
                keys: code_keys,
                values: code_values,
                key_scales,
                value_scales,
            },
        };
        HeadCacheMut::new(self.head_dim, rows)
    }

    fn attend(&mut self, isa: Isa, q: &Queries<'_>) -> Vec<f32> {
        let mut out = vec![7.0; q.queries.len()];
        attend_cached(isa, &HeadPages::new(&[self.writer().as_cache()]), q, &mut out);
        out
    }

    /// Key and value of a position as they can be read back, in f64.
    fn row(&self, position: usize) -> [Vec<f64>; 2] {
        let k = self.head_dim;
        let numbers = self.floats[0].len() + self.halves[0].len() + self.codes[0].len();
        let r = position % (numbers / k);
        let number = |part: usize, at: usize| match self.element {
            CacheElement::F32 => f64::from(self.floats[part][at]),
            CacheElement::F16 => f64::from(f16_to_f32(self.halves[part][at])),
            CacheElement::Int8 => f64::from(self.codes[part][at]) * f64::from(self.scales[part][r]),
        };
        let key = (0..k).map(|d| number(0, r / 16 * 16 * k + 16 * d + r % 16)).collect();
        [key, (0..k).map(|d| number(1, r * k + d)).collect()]
    }
}

/// Key and value of a position, the same for every cache.
fn row(head_dim: usize, position: usize) -> [Vec<f32>; 2] {
    let seed = position as u32 * 2 + 1;
    [noise(head_dim, seed), noise(head_dim, seed + 900_001)]
}

/// A cache that holds `first..end`, after everything before that went through it.
fn written(element: CacheElement, head_dim: usize, capacity: usize, end: usize) -> Cache {
    let mut cache = Cache::filled(element, head_dim, capacity, 0.25);
    for position in end.saturating_sub(capacity)..end {
        let [key, value] = row(head_dim, position);
        cache.writer().store(position, &key, &value);
    }
    cache
}

/// What a query needs beside the positions.
struct Heads {
    queries: Vec<f32>,
    sinks: Vec<f32>,
}

impl Heads {
    /// Sinks far below, among and above the scores, and none.
    fn new(heads: usize, head_dim: usize) -> Heads {
        let sinks = [-30.0, 0.5, -0.5, 4.0, f32::NEG_INFINITY];
        let sinks = (0..heads).map(|h| sinks[h % sinks.len()]).collect();
        let queries = noise(heads * head_dim, 77).iter().map(|x| x * 4.0).collect();
        Heads { queries, sinks }
    }

    /// Gives sinks to all: a head without one must see something.
    fn have_sinks(&mut self) {
        self.sinks.iter_mut().for_each(|sink| *sink = sink.max(-30.0));
    }

    fn see(&self, first: usize, end: usize) -> Queries<'_> {
        let scale = 1.0 / ((self.queries.len() / self.sinks.len()) as f32).sqrt();
        Queries { queries: &self.queries, sinks: &self.sinks, scale, first, end }
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Capacity, first and end: the start, rings that wrap, a window of 128, a full ring whose first
/// and last block are the same rows, one position, none.
const POSITIONS: [(usize, usize, usize); 11] = [
    (64, 0, 1),
    (64, 0, 64),
    (64, 37, 101),
    (128, 0, 65),
    (128, 100, 228),
    (192, 0, 130),
    (192, 211, 339),
    (192, 448, 576),
    (256, 1000, 1128),
    (256, 1023, 1024),
    (256, 300, 300),
];

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let mut compared = 0;
    for element in CacheElement::ALL {
        for head_dim in [16, 32, 48, 64, 80, 128, 256] {
            for (capacity, first, end) in POSITIONS {
                let mut cache = written(element, head_dim, capacity, end);
                for heads in [1, 2, 3, 4, 5, 8, 9, 16] {
                    let mut queries = Heads::new(heads, head_dim);
                    if first == end {
                        queries.have_sinks();
                    }
                    let q = queries.see(first, end);
                    let expected = cache.attend(Isa::PORTABLE, &q);
                    assert!(expected.iter().all(|x| x.is_finite()));
                    for isa in Isa::available().skip(1) {
                        let actual = cache.attend(isa, &q);
                        let what = (isa.name(), element, head_dim, heads, capacity, first, end);
                        assert_eq!(bits(&actual), bits(&expected), "{what:?}");
                        compared += 1;
                    }
                }
            }
        }
    }
    let cases = 3 * 7 * POSITIONS.len() * 8;
    assert_eq!(compared, cases * (Isa::available().count() - 1));
}

#[test]
fn the_result_does_not_depend_on_the_ring_or_on_other_heads() {
    let (head_dim, first, end) = (64, 411, 539);
    let mut compared = 0;
    for element in CacheElement::ALL {
        let all = Heads::new(8, head_dim);
        for isa in Isa::available() {
            let mut largest = written(element, head_dim, 1024, end);
            let expected = largest.attend(isa, &all.see(first, end));
            for capacity in [128, 192, 256, 320] {
                let mut cache = written(element, head_dim, capacity, end);
                let actual = cache.attend(isa, &all.see(first, end));
                assert_eq!(bits(&actual), bits(&expected), "{element:?} {capacity}");
                let queries = all.queries.chunks(head_dim).zip(all.sinks.chunks(1));
                for ((queries, sinks), expected) in queries.zip(expected.chunks(head_dim)) {
                    let q = Queries { queries, sinks, ..all.see(first, end) };
                    assert_eq!(bits(&cache.attend(isa, &q)), bits(expected), "{capacity}");
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 3 * 4 * 8 * Isa::available().count());
}

#[test]
fn the_result_does_not_depend_on_pages() {
    let (head_dim, end) = (32, 1000);
    let mut compared = 0;
    for element in CacheElement::ALL {
        let heads = Heads::new(5, head_dim);
        let mut whole = written(element, head_dim, 1024, end);
        for page in [64, 128, 192, 256] {
            // Garbage in every row that is not written.
            let mut pages: Vec<Cache> = (0..end.div_ceil(page))
                .map(|_| Cache::filled(element, head_dim, page, f32::NAN))
                .collect();
            for position in 0..end {
                let [key, value] = row(head_dim, position);
                pages[position / page].writer().store(position, &key, &value);
            }
            let mut writers: Vec<_> = pages.iter_mut().map(Cache::writer).collect();
            let views: Vec<_> = writers.iter_mut().map(|writer| writer.as_cache()).collect();
            let views = HeadPages::new(&views);
            for isa in Isa::available() {
                for (first, end) in [(0, 1), (0, 64), (0, 65), (100, 300), (0, end), (640, end)] {
                    let q = heads.see(first, end);
                    let mut found = vec![7.0; q.queries.len()];
                    attend_cached(isa, &views, &q, &mut found);
                    let expected = whole.attend(isa, &q);
                    let what = (isa.name(), element, page, first, end);
                    assert_eq!(bits(&found), bits(&expected), "{what:?}");
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 3 * 4 * 6 * Isa::available().count());
}

#[test]
fn rows_that_are_not_visible_are_not_used() {
    let (head_dim, capacity) = (32, 192);
    let heads = Heads::new(5, head_dim);
    let mut compared = 0;
    for element in CacheElement::ALL {
        for garbage in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 3e4] {
            for (first, end) in [(0, 3), (70, 100), (150, 250), (63, 65), (500, 510), (64, 64)] {
                let mut clean = written(element, head_dim, capacity, end);
                let mut dirty = Cache::filled(element, head_dim, capacity, garbage);
                for position in first..end {
                    let [key, value] = row(head_dim, position);
                    dirty.writer().store(position, &key, &value);
                }
                for isa in Isa::available() {
                    let q = heads.see(first, end);
                    let (actual, expected) = (dirty.attend(isa, &q), clean.attend(isa, &q));
                    let what = (isa.name(), element, garbage, first, end);
                    assert_eq!(bits(&actual), bits(&expected), "{what:?}");
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 3 * 4 * 6 * Isa::available().count());
}

#[test]
fn what_is_not_a_number_and_visible_is_seen() {
    let heads = Heads::new(3, 16);
    for isa in Isa::available() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut cache = written(CacheElement::F32, 16, 64, 40);
            let [mut key, value] = row(16, 20);
            key[3] = bad;
            cache.writer().store(20, &key, &value);
            let out = cache.attend(isa, &heads.see(0, 40));
            assert!(out.iter().any(|x| x.is_nan()), "{} {bad}", isa.name());
            let out = cache.attend(isa, &heads.see(21, 40));
            assert!(out.iter().all(|x| x.is_finite()), "{} {bad}", isa.name());
        }
    }
}

#[test]
fn without_a_visible_position_the_result_is_zero() {
    for isa in Isa::available() {
        let mut heads = Heads::new(9, 16);
        heads.have_sinks();
        let out = written(CacheElement::F32, 16, 64, 9).attend(isa, &heads.see(9, 9));
        assert_eq!(bits(&out), vec![0; 9 * 16], "{}", isa.name());
    }
}

/// Softmax with the sink, then the weighted values, in f64 from what the cache holds.
fn exact(cache: &Cache, q: &Queries<'_>) -> Vec<f64> {
    let k = cache.head_dim;
    let rows: Vec<[Vec<f64>; 2]> = (q.first..q.end).map(|p| cache.row(p)).collect();
    let mut out = Vec::new();
    for (query, sink) in q.queries.chunks(k).zip(q.sinks) {
        let score = |key: &[f64]| {
            let products = query.iter().zip(key).map(|(q, k)| f64::from(*q) * k);
            libm::exp(products.sum::<f64>() * f64::from(q.scale))
        };
        let weights: Vec<f64> = rows.iter().map(|[key, _]| score(key)).collect();
        let sum = weights.iter().sum::<f64>() + libm::exp(f64::from(*sink));
        out.extend((0..k).map(|d| {
            let parts = weights.iter().zip(&rows).map(|(w, [_, value])| w / sum * value[d]);
            parts.sum::<f64>()
        }));
    }
    out
}

/// Values are at most 1, so the error is absolute. It comes from scores of up to 6, whose rounding
/// (2⁻²² each) changes weights by as much, and from up to 995 additions one after another; the
/// worst that was measured is 1.34e-6.
const TOLERANCE: f64 = 2e-6;

#[test]
fn the_definition_agrees_with_f64() {
    let (mut worst, mut compared) = (0.0f64, 0);
    for element in CacheElement::ALL {
        for head_dim in [16, 64, 128] {
            for (capacity, first, end) in [(64, 0, 1), (192, 211, 339), (1024, 5, 1000)] {
                let mut cache = written(element, head_dim, capacity, end);
                let heads = Heads::new(5, head_dim);
                let q = heads.see(first, end);
                let actual = cache.attend(Isa::PORTABLE, &q);
                for (i, (actual, exact)) in actual.iter().zip(exact(&cache, &q)).enumerate() {
                    let error = (f64::from(*actual) - exact).abs();
                    let what = (element, head_dim, first, end, i);
                    assert!(error < TOLERANCE, "{what:?}: {actual} is not {exact}");
                    worst = worst.max(error);
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 3 * 3 * 5 * (16 + 64 + 128));
    assert!(worst > 0.0, "nothing was rounded");
}

#[test]
fn a_stored_number_is_as_close_as_its_element_allows() {
    let mut compared = 0;
    for element in CacheElement::ALL {
        let (head_dim, end) = (48, 100);
        let cache = written(element, head_dim, 128, end);
        for position in 0..end {
            for (stored, x) in cache.row(position).iter().zip(row(head_dim, position)) {
                let max = x.iter().fold(0.0f32, |max, x| max.max(x.abs()));
                for (stored, x) in stored.iter().zip(&x) {
                    // Half a unit of 11 bits below 1; half a scale and its own rounding.
                    let bound = match element {
                        CacheElement::F32 => 0.0,
                        CacheElement::F16 => 0.5 / 2048.0,
                        CacheElement::Int8 => f64::from(max) / 127.0 * 0.50001,
                    };
                    let error = (stored - f64::from(*x)).abs();
                    assert!(error <= bound, "{element:?} {position}: {stored} for {x}");
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 3 * 100 * 2 * 48);
}

#[test]
fn bytes_count_what_is_stored() {
    assert_eq!(CacheElement::F32.position_bytes(64), 512);
    assert_eq!(CacheElement::F16.position_bytes(64), 256);
    assert_eq!(CacheElement::Int8.position_bytes(64), 136);
    assert!(supports(16) && supports(64) && supports(HEAD_DIM_MAX));
    assert!(!supports(0) && !supports(24) && !supports(HEAD_DIM_MAX + 16));
}
