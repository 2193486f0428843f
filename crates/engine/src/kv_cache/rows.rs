//! Numbers of some heads: the storage of pages, rings and snapshots.

use std::io::{self, Read, Write};
use std::ops::Range;

use gptoss_kernels::cached_attention::{
    CacheElement, CacheRows, CacheRowsMut, HeadCache, HeadCacheMut, TILE,
};

/// Bytes of a line of memory, at which the kernels like to begin.
const LINE: usize = 64;
/// Numbers that are converted to bytes at once.
const CHUNK: usize = 4096;

/// Keys and values of some heads, each with the same number of rows, one head after the other in
/// the layout of [`HeadCache`].
#[derive(Clone, Debug)]
pub(crate) struct HeadRows {
    head_dim: usize,
    /// Rows of a head.
    rows: usize,
    numbers: Numbers,
}

/// See [`CacheRows`].
#[derive(Clone, Debug)]
enum Numbers {
    F32 { keys: Lines<f32>, values: Lines<f32> },
    F16 { keys: Lines<u16>, values: Lines<u16> },
    Int8 { keys: Lines<i8>, values: Lines<i8>, scales: [Lines<f32>; 2] },
}

/// Numbers that begin at a line of memory.
#[derive(Debug)]
struct Lines<T> {
    numbers: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Lines<T> {
    /// Zeros; memory that is not written takes no room.
    fn zeros(len: usize) -> Lines<T> {
        let numbers = vec![T::default(); len + LINE / size_of::<T>()];
        let start = numbers.as_ptr().align_offset(LINE).min(LINE / size_of::<T>());
        Lines { numbers, start, len }
    }

    fn all(&self) -> &[T] {
        &self.numbers[self.start..][..self.len]
    }

    fn all_mut(&mut self) -> &mut [T] {
        &mut self.numbers[self.start..][..self.len]
    }

    /// The numbers `width·i..width·(i + 1)`.
    fn piece(&self, i: usize, width: usize) -> &[T] {
        &self.all()[i * width..][..width]
    }

    /// Copies pieces of `width` numbers: `(from, to)` are their indices.
    fn copy_pieces(&mut self, from: &Lines<T>, width: usize, pieces: &[(usize, usize)]) {
        for &(source, target) in pieces {
            let target = &mut self.all_mut()[target * width..][..width];
            target.copy_from_slice(from.piece(source, width));
        }
    }
}

impl<T: Copy + Default> Lines<T> {
    fn write_to<const N: usize>(
        &self,
        out: &mut dyn Write,
        bytes: fn(T) -> [u8; N],
    ) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(CHUNK * N);
        for chunk in self.all().chunks(CHUNK) {
            buffer.clear();
            buffer.extend(chunk.iter().flat_map(|x| bytes(*x)));
            out.write_all(&buffer)?;
        }
        Ok(())
    }

    fn read_from<const N: usize>(
        &mut self,
        from: &mut dyn Read,
        number: fn([u8; N]) -> T,
    ) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK * N];
        for chunk in self.all_mut().chunks_mut(CHUNK) {
            let bytes = &mut buffer[..chunk.len() * N];
            from.read_exact(bytes)?;
            for (x, bytes) in chunk.iter_mut().zip(bytes.as_chunks().0) {
                *x = number(*bytes);
            }
        }
        Ok(())
    }
}

impl<T: Copy + Default> Clone for Lines<T> {
    fn clone(&self) -> Lines<T> {
        // A vector's copy may begin elsewhere in a line.
        let mut lines = Lines::zeros(self.len);
        lines.all_mut().copy_from_slice(self.all());
        lines
    }
}

impl HeadRows {
    /// Zeros for `heads` heads of `rows` rows, which are a multiple of [`TILE`].
    pub(crate) fn new(
        element: CacheElement,
        head_dim: usize,
        heads: usize,
        rows: usize,
    ) -> HeadRows {
        let (n, scales) = (heads * rows * head_dim, heads * rows);
        let numbers = match element {
            CacheElement::F32 => Numbers::F32 { keys: Lines::zeros(n), values: Lines::zeros(n) },
            CacheElement::F16 => Numbers::F16 { keys: Lines::zeros(n), values: Lines::zeros(n) },
            CacheElement::Int8 => Numbers::Int8 {
                keys: Lines::zeros(n),
                values: Lines::zeros(n),
                scales: [Lines::zeros(scales), Lines::zeros(scales)],
            },
        };
        HeadRows { head_dim, rows, numbers }
    }

    /// Nothing.
    pub(crate) fn none() -> HeadRows {
        HeadRows::new(CacheElement::F32, TILE, 0, 0)
    }

    /// Rows of a head.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// A head, to read.
    pub(crate) fn head(&self, head: usize) -> HeadCache<'_> {
        let width = self.rows * self.head_dim;
        let rows = match &self.numbers {
            Numbers::F32 { keys, values } => {
                CacheRows::F32 { keys: keys.piece(head, width), values: values.piece(head, width) }
            }
            Numbers::F16 { keys, values } => {
                CacheRows::F16 { keys: keys.piece(head, width), values: values.piece(head, width) }
            }
            Numbers::Int8 { keys, values, scales: [key_scales, value_scales] } => CacheRows::Int8 {
                keys: keys.piece(head, width),
                values: values.piece(head, width),
                key_scales: key_scales.piece(head, self.rows),
                value_scales: value_scales.piece(head, self.rows),
            },
        };
        HeadCache::new(self.head_dim, rows)
    }

    /// Some heads, to write.
    pub(crate) fn heads_mut(&mut self, heads: Range<usize>) -> Vec<HeadCacheMut<'_>> {
        let (rows, head_dim) = (self.rows, self.head_dim);
        let width = rows * head_dim;
        let all = heads.start * width..heads.end * width;
        let new = |rows| HeadCacheMut::new(head_dim, rows);
        match &mut self.numbers {
            Numbers::F32 { keys, values } => {
                let keys = keys.all_mut()[all.clone()].chunks_mut(width);
                let both = keys.zip(values.all_mut()[all].chunks_mut(width));
                both.map(|(keys, values)| new(CacheRowsMut::F32 { keys, values })).collect()
            }
            Numbers::F16 { keys, values } => {
                let keys = keys.all_mut()[all.clone()].chunks_mut(width);
                let both = keys.zip(values.all_mut()[all].chunks_mut(width));
                both.map(|(keys, values)| new(CacheRowsMut::F16 { keys, values })).collect()
            }
            Numbers::Int8 { keys, values, scales } => {
                let keys = keys.all_mut()[all.clone()].chunks_mut(width);
                let both = keys.zip(values.all_mut()[all].chunks_mut(width));
                let of_heads = heads.start * rows..heads.end * rows;
                let [key_scales, value_scales] = scales
                    .each_mut()
                    .map(|scales| scales.all_mut()[of_heads.clone()].chunks_mut(rows));
                both.zip(key_scales.zip(value_scales))
                    .map(|((keys, values), (key_scales, value_scales))| {
                        new(CacheRowsMut::Int8 { keys, values, key_scales, value_scales })
                    })
                    .collect()
            }
        }
    }

    /// Copies tiles of sixteen rows of every head: `(from, to)` are their indices in a head.
    ///
    /// # Panics
    /// If the two differ in element, in the width or number of heads, or a tile is not there.
    pub(crate) fn copy_tiles(&mut self, from: &HeadRows, tiles: &[(usize, usize)]) {
        assert_eq!(self.head_dim, from.head_dim, "cache: heads of another width");
        let (sources, targets) = (from.rows / TILE, self.rows / TILE);
        assert!(tiles.iter().all(|&(s, t)| s < sources && t < targets), "cache: tiles");
        let heads = self.heads();
        assert_eq!(heads, from.heads(), "cache: heads");
        let pieces: Vec<(usize, usize)> = (0..heads)
            .flat_map(|h| tiles.iter().map(move |&(s, t)| (h * sources + s, h * targets + t)))
            .collect();
        // A tile of keys has as many numbers as sixteen values.
        let width = TILE * self.head_dim;
        match (&mut self.numbers, &from.numbers) {
            (Numbers::F32 { keys, values }, Numbers::F32 { keys: k, values: v }) => {
                keys.copy_pieces(k, width, &pieces);
                values.copy_pieces(v, width, &pieces);
            }
            (Numbers::F16 { keys, values }, Numbers::F16 { keys: k, values: v }) => {
                keys.copy_pieces(k, width, &pieces);
                values.copy_pieces(v, width, &pieces);
            }
            (
                Numbers::Int8 { keys, values, scales },
                Numbers::Int8 { keys: k, values: v, scales: s },
            ) => {
                keys.copy_pieces(k, width, &pieces);
                values.copy_pieces(v, width, &pieces);
                for (scales, s) in scales.iter_mut().zip(s) {
                    scales.copy_pieces(s, TILE, &pieces);
                }
            }
            _ => panic!("cache: another element"),
        }
    }

    /// Copies everything of rows of the same shape.
    pub(crate) fn copy_all(&mut self, from: &HeadRows) {
        let tiles: Vec<_> = (0..self.rows / TILE).map(|tile| (tile, tile)).collect();
        self.copy_tiles(from, &tiles);
    }

    /// Writes all numbers, little-endian: keys, values, then scales of both.
    pub(crate) fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.numbers {
            Numbers::F32 { keys, values } => {
                keys.write_to(out, |x| x.to_le_bytes())?;
                values.write_to(out, |x| x.to_le_bytes())
            }
            Numbers::F16 { keys, values } => {
                keys.write_to(out, |x| x.to_le_bytes())?;
                values.write_to(out, |x| x.to_le_bytes())
            }
            Numbers::Int8 { keys, values, scales: [key_scales, value_scales] } => {
                keys.write_to(out, |x| x.to_le_bytes())?;
                values.write_to(out, |x| x.to_le_bytes())?;
                key_scales.write_to(out, |x| x.to_le_bytes())?;
                value_scales.write_to(out, |x| x.to_le_bytes())
            }
        }
    }

    /// Reads what [`HeadRows::write_to`] writes for the same shape.
    pub(crate) fn read_from(&mut self, from: &mut dyn Read) -> io::Result<()> {
        match &mut self.numbers {
            Numbers::F32 { keys, values } => {
                keys.read_from(from, f32::from_le_bytes)?;
                values.read_from(from, f32::from_le_bytes)
            }
            Numbers::F16 { keys, values } => {
                keys.read_from(from, u16::from_le_bytes)?;
                values.read_from(from, u16::from_le_bytes)
            }
            Numbers::Int8 { keys, values, scales: [key_scales, value_scales] } => {
                keys.read_from(from, i8::from_le_bytes)?;
                values.read_from(from, i8::from_le_bytes)?;
                key_scales.read_from(from, f32::from_le_bytes)?;
                value_scales.read_from(from, f32::from_le_bytes)
            }
        }
    }

    /// Number of heads.
    fn heads(&self) -> usize {
        let numbers = match &self.numbers {
            Numbers::F32 { keys, .. } => keys.len,
            Numbers::F16 { keys, .. } => keys.len,
            Numbers::Int8 { keys, .. } => keys.len,
        };
        numbers.checked_div(self.rows * self.head_dim).unwrap_or(0)
    }
}
