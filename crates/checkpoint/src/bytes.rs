//! A range of bytes that someone keeps alive: a mapped file, the program itself, or memory.

use std::ops::{Deref, Range};
use std::sync::Arc;

/// A cheaply cloned view of bytes. Cutting a part out of it copies nothing.
#[derive(Clone)]
pub struct Bytes {
    owner: Owner,
    range: Range<usize>,
}

#[derive(Clone)]
enum Owner {
    Mapped(Arc<memmap2::Mmap>),
    Static(&'static [u8]),
    Memory(Arc<[u8]>),
}

impl Bytes {
    /// The part `range` of these bytes, or `None` if it reaches outside of them.
    pub fn slice(&self, range: Range<usize>) -> Option<Bytes> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        let start = self.range.start;
        Some(Bytes { owner: self.owner.clone(), range: start + range.start..start + range.end })
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let whole: &[u8] = match &self.owner {
            Owner::Mapped(map) => map,
            Owner::Static(bytes) => bytes,
            Owner::Memory(bytes) => bytes,
        };
        &whole[self.range.clone()]
    }
}

impl From<memmap2::Mmap> for Bytes {
    fn from(map: memmap2::Mmap) -> Bytes {
        let range = 0..map.len();
        Bytes { owner: Owner::Mapped(Arc::new(map)), range }
    }
}

impl From<&'static [u8]> for Bytes {
    fn from(bytes: &'static [u8]) -> Bytes {
        Bytes { owner: Owner::Static(bytes), range: 0..bytes.len() }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        let range = 0..bytes.len();
        Bytes { owner: Owner::Memory(bytes.into()), range }
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bytes({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_part_is_the_right_part() {
        let whole = Bytes::from(vec![0, 1, 2, 3, 4, 5]);
        let part = whole.slice(1..5).and_then(|b| b.slice(1..3));
        assert_eq!(part.as_deref(), Some(&[2, 3][..]));
        assert!(whole.slice(3..7).is_none());
    }
}
