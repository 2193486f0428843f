//! The cache of one kv head: a ring of rows, keys side by side in tiles, values row by row.
//!
//! Position `p` lies in row `p mod capacity`. Sixteen keys stand side by side, so that the scores
//! of sixteen positions fill the lanes of a vector and are never added across lanes.
//!
//! | part           | shape                   | element `d` of the row `r`         |
//! |----------------|-------------------------|------------------------------------|
//! | keys           | `[capacity/16, K, 16]`  | `(r / 16)·16·K + 16·d + r mod 16`  |
//! | values         | `[capacity, K]`         | `r·K + d`                          |
//! | scales (Int8)  | `[capacity]` each       | of keys and of values              |

use std::ops::Range;

use crate::half::f16_to_f32;

/// Positions that are scored together; the capacity of a ring is a multiple of it.
pub const BLOCK: usize = 64;
/// Keys that stand side by side.
pub const TILE: usize = 16;
/// The widest head.
pub const HEAD_DIM_MAX: usize = 256;

/// Whether the kernels work with heads of this width: multiples of 16 up to [`HEAD_DIM_MAX`].
pub const fn supports(head_dim: usize) -> bool {
    head_dim > 0 && head_dim.is_multiple_of(TILE) && head_dim <= HEAD_DIM_MAX
}

/// How the numbers of a cache are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheElement {
    /// As they are.
    F32,
    /// Binary16, to the nearest, ties to even; beyond ±65504 it is ±65504, NaN stays NaN.
    F16,
    /// Eight bits, with one scale for a key and one for a value.
    Int8,
}

impl CacheElement {
    /// All, largest first.
    pub const ALL: [CacheElement; 3] = [CacheElement::F32, CacheElement::F16, CacheElement::Int8];

    /// Bytes of one number, scales apart.
    pub const fn bytes(self) -> usize {
        match self {
            CacheElement::F32 => 4,
            CacheElement::F16 => 2,
            CacheElement::Int8 => 1,
        }
    }

    /// Bytes of the key and the value of one position and kv head, scales included.
    pub const fn position_bytes(self, head_dim: usize) -> usize {
        let scales = match self {
            CacheElement::F32 | CacheElement::F16 => 0,
            CacheElement::Int8 => 2 * size_of::<f32>(),
        };
        2 * head_dim * self.bytes() + scales
    }
}

/// The parts of a kv head's cache, in the shapes that this file begins with.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // The fields are the table's.
pub enum CacheRows<'a> {
    F32 {
        keys: &'a [f32],
        values: &'a [f32],
    },
    /// Bits of binary16.
    F16 {
        keys: &'a [u16],
        values: &'a [u16],
    },
    Int8 {
        keys: &'a [i8],
        values: &'a [i8],
        key_scales: &'a [f32],
        value_scales: &'a [f32],
    },
}

impl CacheRows<'_> {
    /// How the numbers are stored.
    pub const fn element(&self) -> CacheElement {
        match self {
            CacheRows::F32 { .. } => CacheElement::F32,
            CacheRows::F16 { .. } => CacheElement::F16,
            CacheRows::Int8 { .. } => CacheElement::Int8,
        }
    }

    /// Numbers of the keys, of the values, and of the scales of both.
    fn lens(&self) -> (usize, usize, Option<(usize, usize)>) {
        match self {
            CacheRows::F32 { keys, values } => (keys.len(), values.len(), None),
            CacheRows::F16 { keys, values } => (keys.len(), values.len(), None),
            CacheRows::Int8 { keys, values, key_scales, value_scales } => {
                let scales = (key_scales.len(), value_scales.len());
                (keys.len(), values.len(), Some(scales))
            }
        }
    }
}

/// Keys and values of one kv head of one layer of one sequence; its shapes belong together.
#[derive(Clone, Copy, Debug)]
pub struct HeadCache<'a> {
    rows: CacheRows<'a>,
    head_dim: usize,
    capacity: usize,
}

impl<'a> HeadCache<'a> {
    /// A view of these parts; the capacity follows from their lengths.
    ///
    /// # Panics
    /// If `head_dim` is not one that [`supports`] knows, the capacity is no multiple of [`BLOCK`]
    /// or 0, or a part has another length than the keys ask for.
    pub fn new(head_dim: usize, rows: CacheRows<'a>) -> HeadCache<'a> {
        assert!(supports(head_dim), "cache: head_dim {head_dim}");
        let (keys, values, scales) = rows.lens();
        let capacity = keys / head_dim;
        assert!(capacity > 0, "cache: no rows");
        assert_eq!(keys % (head_dim * BLOCK), 0, "cache: whole blocks of keys");
        assert_eq!(values, keys, "cache: values and keys");
        let (key_scales, value_scales) = scales.unwrap_or((capacity, capacity));
        assert_eq!(key_scales, capacity, "cache: scales of keys");
        assert_eq!(value_scales, capacity, "cache: scales of values");
        HeadCache { rows, head_dim, capacity }
    }

    /// Rows of the ring.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// K.
    pub const fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// The parts.
    pub const fn rows(&self) -> CacheRows<'a> {
        self.rows
    }
}

/// A number of a cache, widened without rounding.
pub(super) trait Element: Copy {
    fn to_f32(self) -> f32;

    /// Sixteen of them in registers.
    #[cfg(target_arch = "x86_64")]
    fn widen<L: super::lanes::Lanes>(lanes: L, x: &[Self; TILE]) -> L::Vector;
}

impl Element for f32 {
    fn to_f32(self) -> f32 {
        self
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn widen<L: super::lanes::Lanes>(lanes: L, x: &[f32; TILE]) -> L::Vector {
        lanes.load(x)
    }
}

/// Bits of binary16.
impl Element for u16 {
    fn to_f32(self) -> f32 {
        f16_to_f32(self)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn widen<L: super::lanes::Lanes>(lanes: L, x: &[u16; TILE]) -> L::Vector {
        lanes.widen_f16(x)
    }
}

/// Codes; the scale is multiplied in later.
impl Element for i8 {
    fn to_f32(self) -> f32 {
        f32::from(self)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn widen<L: super::lanes::Lanes>(lanes: L, x: &[i8; TILE]) -> L::Vector {
        lanes.widen_i8(x)
    }
}

/// A cache whose element type is known, in groups of sixteen.
pub(super) struct Rows<'a, E> {
    pub(super) head_dim: usize,
    keys: &'a [[E; TILE]],
    values: &'a [[E; TILE]],
    /// Of Int8.
    key_scales: Option<&'a [PerPosition]>,
    value_scales: Option<&'a [PerPosition]>,
}

/// One number for each position of a block.
pub(super) type PerPosition = [[f32; TILE]; BLOCK / TILE];

/// One block of positions, in groups of sixteen.
pub(super) struct Block<'a, E> {
    /// `[4 tiles, K]`, each sixteen keys wide.
    pub(super) keys: &'a [[E; TILE]],
    /// `[64, K / 16]`.
    pub(super) values: &'a [[E; TILE]],
    /// Of Int8.
    pub(super) key_scales: Option<&'a PerPosition>,
    pub(super) value_scales: Option<&'a PerPosition>,
    /// Positions of the block that the query sees.
    pub(super) visible: Range<usize>,
}

impl<'a, E> Rows<'a, E> {
    /// The parts of a [`HeadCache`], which has checked their lengths.
    pub(super) fn new(
        head_dim: usize,
        keys: &'a [E],
        values: &'a [E],
        scales: Option<(&'a [f32], &'a [f32])>,
    ) -> Self {
        Rows {
            head_dim,
            keys: keys.as_chunks().0,
            values: values.as_chunks().0,
            key_scales: scales.map(|(keys, _)| keys.as_chunks().0.as_chunks().0),
            value_scales: scales.map(|(_, values)| values.as_chunks().0.as_chunks().0),
        }
    }

    /// The blocks that hold any of the positions `first..end`, in order: indices of
    /// [`Rows::block`].
    pub(super) fn blocks(first: usize, end: usize) -> Range<usize> {
        if first == end { 0..0 } else { first / BLOCK..end.div_ceil(BLOCK) }
    }

    /// The positions `64·index..64·(index + 1)`, of which `first..end` are visible.
    ///
    /// A block never wraps, because the capacity is a multiple of its length. Where the ring is
    /// full, the first and the last block may be the same rows, with different rows visible.
    pub(super) fn block(&self, index: usize, first: usize, end: usize) -> Block<'a, E> {
        let groups = BLOCK * self.head_dim / TILE;
        let place = index % (self.keys.len() / groups);
        let start = index * BLOCK;
        Block {
            keys: &self.keys[place * groups..][..groups],
            values: &self.values[place * groups..][..groups],
            key_scales: self.key_scales.map(|scales| &scales[place]),
            value_scales: self.value_scales.map(|scales| &scales[place]),
            visible: first.saturating_sub(start)..(end - start).min(BLOCK),
        }
    }
}
