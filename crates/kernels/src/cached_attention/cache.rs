//! The cache of one kv head: rows, keys side by side in tiles, values row by row.
//!
//! Position `p` lies in row `p mod capacity` of one [`HeadCache`], or in a list of pages of equal
//! size in row `p mod capacity` of page `p / capacity`. Sixteen keys stand side by side, so that
//! the scores of sixteen positions fill the lanes of a vector and are never added across lanes.
//!
//! | part           | shape                   | element `d` of the row `r`         |
//! |----------------|-------------------------|------------------------------------|
//! | keys           | `[capacity/16, K, 16]`  | `(r / 16)·16·K + 16·d + r mod 16`  |
//! | values         | `[capacity, K]`         | `r·K + d`                          |
//! | scales (Int8)  | `[capacity]` each       | of keys and of values              |

use std::marker::PhantomData;
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

/// Pages of one kv head that follow each other, of one size and element; a ring is a single page.
#[derive(Clone, Copy, Debug)]
pub struct HeadPages<'a> {
    pages: &'a [HeadCache<'a>],
}

impl<'a> HeadPages<'a> {
    /// Position `p` lies in page `p / capacity`, modulo their number.
    ///
    /// # Panics
    /// If there is no page, or they differ in capacity, `head_dim` or element.
    pub fn new(pages: &'a [HeadCache<'a>]) -> HeadPages<'a> {
        let kind = |page: &HeadCache<'_>| (page.head_dim, page.capacity, page.rows.element());
        let first = pages.first().map(kind).expect("cache: no pages");
        assert!(pages.iter().all(|page| kind(page) == first), "cache: pages of different shapes");
        HeadPages { pages }
    }

    /// Rows of all pages.
    pub const fn capacity(&self) -> usize {
        self.pages.len() * self.pages[0].capacity
    }

    /// K.
    pub const fn head_dim(&self) -> usize {
        self.pages[0].head_dim
    }

    /// How the numbers are stored.
    pub const fn element(&self) -> CacheElement {
        self.pages[0].rows.element()
    }
}

/// A number of a cache, widened without rounding.
pub(super) trait Element: Copy {
    fn to_f32(self) -> f32;

    /// The parts of a cache of this element.
    fn parts(rows: CacheRows<'_>) -> Parts<'_, Self>;

    /// Sixteen of them in registers.
    #[cfg(target_arch = "x86_64")]
    fn widen<L: super::lanes::Lanes>(lanes: L, x: &[Self; TILE]) -> L::Vector;
}

impl Element for f32 {
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn parts(rows: CacheRows<'_>) -> Parts<'_, Self> {
        match rows {
            CacheRows::F32 { keys, values } => Parts { keys, values, scales: None },
            _ => unreachable!("pages of one element, by which this version was chosen"),
        }
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

    #[inline(always)]
    fn parts(rows: CacheRows<'_>) -> Parts<'_, Self> {
        match rows {
            CacheRows::F16 { keys, values } => Parts { keys, values, scales: None },
            _ => unreachable!("pages of one element, by which this version was chosen"),
        }
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

    #[inline(always)]
    fn parts(rows: CacheRows<'_>) -> Parts<'_, Self> {
        match rows {
            CacheRows::Int8 { keys, values, key_scales, value_scales } => {
                Parts { keys, values, scales: Some((key_scales, value_scales)) }
            }
            _ => unreachable!("pages of one element, by which this version was chosen"),
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn widen<L: super::lanes::Lanes>(lanes: L, x: &[i8; TILE]) -> L::Vector {
        lanes.widen_i8(x)
    }
}

/// The parts of a [`HeadCache`] whose element is known.
pub(super) struct Parts<'a, E> {
    keys: &'a [E],
    values: &'a [E],
    /// Of keys and of values, of Int8.
    scales: Option<(&'a [f32], &'a [f32])>,
}

/// Pages whose element type is known, read in blocks.
pub(super) struct Rows<'a, E> {
    pages: &'a [HeadCache<'a>],
    blocks_of_page: usize,
    pub(super) head_dim: usize,
    element: PhantomData<E>,
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

impl<'a, E: Element> Rows<'a, E> {
    /// The rows of pages of this element.
    pub(super) fn new(pages: &HeadPages<'a>) -> Self {
        let HeadCache { head_dim, capacity, .. } = pages.pages[0];
        let blocks_of_page = capacity / BLOCK;
        Rows { pages: pages.pages, blocks_of_page, head_dim, element: PhantomData }
    }

    /// The blocks that hold any of the positions `first..end`, in order: indices of
    /// [`Rows::block`].
    pub(super) fn blocks(first: usize, end: usize) -> Range<usize> {
        if first == end { 0..0 } else { first / BLOCK..end.div_ceil(BLOCK) }
    }

    /// The positions `64·index..64·(index + 1)`, of which `first..end` are visible.
    ///
    /// A block lies in one page, because the capacity is a multiple of its length. Where a ring is
    /// full, the first and the last block may be the same rows, with different rows visible.
    #[inline(always)]
    pub(super) fn block(&self, index: usize, first: usize, end: usize) -> Block<'a, E> {
        let groups = BLOCK * self.head_dim / TILE;
        let page = &self.pages[index / self.blocks_of_page % self.pages.len()];
        let place = index % self.blocks_of_page;
        let Parts { keys, values, scales } = E::parts(page.rows);
        let start = index * BLOCK;
        Block {
            keys: &keys.as_chunks().0[place * groups..][..groups],
            values: &values.as_chunks().0[place * groups..][..groups],
            key_scales: scales.map(|(keys, _)| &keys.as_chunks().0.as_chunks().0[place]),
            value_scales: scales.map(|(_, values)| &values.as_chunks().0.as_chunks().0[place]),
            visible: first.saturating_sub(start)..(end - start).min(BLOCK),
        }
    }
}
