//! Writing a position into a cache.

use super::cache::{CacheRows, HEAD_DIM_MAX, HeadCache, TILE};
use crate::half::f32_to_f16;

/// The largest binary16.
const F16_MAX: f32 = 65504.0;

/// The parts of a kv head's cache, as in [`CacheRows`].
#[derive(Debug)]
#[allow(missing_docs)] // As in `CacheRows`.
pub enum CacheRowsMut<'a> {
    F32 {
        keys: &'a mut [f32],
        values: &'a mut [f32],
    },
    /// Bits of binary16.
    F16 {
        keys: &'a mut [u16],
        values: &'a mut [u16],
    },
    Int8 {
        keys: &'a mut [i8],
        values: &'a mut [i8],
        key_scales: &'a mut [f32],
        value_scales: &'a mut [f32],
    },
}

/// A [`HeadCache`] that can be written to.
#[derive(Debug)]
pub struct HeadCacheMut<'a> {
    rows: CacheRowsMut<'a>,
    head_dim: usize,
    capacity: usize,
}

impl<'a> HeadCacheMut<'a> {
    /// A view of these parts.
    ///
    /// # Panics
    /// As [`HeadCache::new`].
    pub fn new(head_dim: usize, rows: CacheRowsMut<'a>) -> HeadCacheMut<'a> {
        let capacity = HeadCache::new(head_dim, rows.as_rows()).capacity();
        HeadCacheMut { rows, head_dim, capacity }
    }

    /// The same, to read.
    pub fn as_cache(&self) -> HeadCache<'_> {
        HeadCache::new(self.head_dim, self.rows.as_rows())
    }

    /// Stores the key and the value (`[K]` each) of a position in row `position mod capacity`,
    /// rounded as [`CacheElement`](super::CacheElement) says.
    ///
    /// Int8: scale = max |x| / 127 and code = round(x · (127 / max |x|)), ties to even. Zeros
    /// have scale 0; NaN becomes 0; an infinite element makes the row 0 with an infinite scale, so
    /// that what reads it is NaN.
    ///
    /// # Panics
    /// If `key` or `value` has another length than K.
    pub fn store(&mut self, position: usize, key: &[f32], value: &[f32]) {
        let k = self.head_dim;
        assert_eq!((key.len(), value.len()), (k, k), "store: lengths of key and value");
        let row = position % self.capacity;
        match &mut self.rows {
            CacheRowsMut::F32 { keys, values } => {
                scatter(keys, row, key);
                values[row * k..][..k].copy_from_slice(value);
            }
            CacheRowsMut::F16 { keys, values } => {
                let mut rounded = [0; HEAD_DIM_MAX];
                to_f16(key, &mut rounded[..k]);
                scatter(keys, row, &rounded[..k]);
                to_f16(value, &mut values[row * k..][..k]);
            }
            CacheRowsMut::Int8 { keys, values, key_scales, value_scales } => {
                let mut codes = [0; HEAD_DIM_MAX];
                key_scales[row] = to_int8(key, &mut codes[..k]);
                scatter(keys, row, &codes[..k]);
                value_scales[row] = to_int8(value, &mut values[row * k..][..k]);
            }
        }
    }
}

impl CacheRowsMut<'_> {
    fn as_rows(&self) -> CacheRows<'_> {
        match self {
            CacheRowsMut::F32 { keys, values } => CacheRows::F32 { keys, values },
            CacheRowsMut::F16 { keys, values } => CacheRows::F16 { keys, values },
            CacheRowsMut::Int8 { keys, values, key_scales, value_scales } => {
                CacheRows::Int8 { keys, values, key_scales, value_scales }
            }
        }
    }
}

/// Writes a key into its lane of its tile.
fn scatter<E: Copy>(keys: &mut [E], row: usize, key: &[E]) {
    let tile = &mut keys.as_chunks_mut::<TILE>().0[row / TILE * key.len()..][..key.len()];
    for (lanes, x) in tile.iter_mut().zip(key) {
        lanes[row % TILE] = *x;
    }
}

fn to_f16(x: &[f32], out: &mut [u16]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = f32_to_f16(x.clamp(-F16_MAX, F16_MAX));
    }
}

/// Gives the scale.
fn to_int8(x: &[f32], codes: &mut [i8]) -> f32 {
    let max = x.iter().fold(0.0, |max: f32, x| max.max(x.abs()));
    let inverse = if max > 0.0 { 127.0 / max } else { 0.0 };
    for (code, x) in codes.iter_mut().zip(x) {
        *code = (x * inverse).round_ties_even() as i8;
    }
    max / 127.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_lies_where_the_layout_says() {
        let (k, capacity) = (32, 128);
        let (mut keys, mut values) = (vec![0.0; k * capacity], vec![0.0; k * capacity]);
        let rows = CacheRowsMut::F32 { keys: &mut keys, values: &mut values };
        let mut cache = HeadCacheMut::new(k, rows);
        let row_of = |p: usize| (0..k).map(|d| (p * 1000 + d) as f32).collect::<Vec<_>>();
        for p in 100..228 {
            cache.store(p, &row_of(p), &row_of(p + 1000));
        }
        let mut compared = 0;
        for p in 100..228 {
            let r = p % capacity;
            for d in 0..k {
                let key = keys[(r / 16) * 16 * k + 16 * d + r % 16];
                assert_eq!(key, row_of(p)[d], "key {p} {d}");
                assert_eq!(values[r * k + d], row_of(p + 1000)[d], "value {p} {d}");
                compared += 1;
            }
        }
        assert_eq!(compared, k * capacity);
    }

    #[test]
    fn numbers_out_of_range_are_defined() {
        let mut half = [0; 6];
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        to_f16(&[65504.0, 65520.0, -1e9, inf, -inf, nan], &mut half);
        assert_eq!(half[..5], [0x7BFF, 0x7BFF, 0xFBFF, 0x7BFF, 0xFBFF]);
        assert_eq!(half[5] & 0x7E00, 0x7E00, "NaN stays NaN");

        let mut codes = [9; 4];
        assert_eq!(to_int8(&[0.0; 4], &mut codes), 0.0);
        assert_eq!(codes, [0; 4]);
        assert_eq!(to_int8(&[-254.0, 1.0, 3.0, nan], &mut codes), 2.0);
        assert_eq!(codes, [-127, 0, 2, 0], "ties go to even");
        assert_eq!(to_int8(&[1.0, -inf, 3.0, 0.0], &mut codes), inf);
        assert_eq!(codes, [0; 4]);
    }
}
