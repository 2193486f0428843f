//! One slice in pieces of one length or of given lengths, each in one task.

#![allow(unsafe_code)]

use std::slice;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::Pool;

/// Calls `task(index, piece)` once for each piece; see [`Pool::chunks_mut`].
pub(crate) fn chunks_mut<T: Send>(
    pool: &Pool,
    data: &mut [T],
    piece: usize,
    task: &(dyn Fn(usize, &mut [T]) + Sync),
) {
    assert!(piece > 0, "pieces of a slice: expected at least 1 element, found 0");
    let len = data.len();
    // An atomic pointer can be shared between threads as it is; it never changes.
    let data = AtomicPtr::new(data.as_mut_ptr());
    pool.run(len.div_ceil(piece), &|index| {
        let start = index * piece;
        let data = data.load(Ordering::Relaxed);
        // SAFETY: `index` is below `len.div_ceil(piece)`, so `start` is below `len`, and the piece
        // ends at `len` at the latest. `Pool::run` gives each index to one call only, so pieces do
        // not overlap; it returns after the last call, while `data` is still borrowed for writing.
        // `T: Send` allows another thread to hold the piece.
        let piece = unsafe { slice::from_raw_parts_mut(data.add(start), piece.min(len - start)) };
        task(index, piece);
    });
}

/// Calls `task(index, piece)` once for each piece; see [`Pool::pieces_mut`].
pub(crate) fn pieces_mut<T: Send>(
    pool: &Pool,
    data: &mut [T],
    ends: &[usize],
    task: &(dyn Fn(usize, &mut [T]) + Sync),
) {
    assert!(ends.is_sorted(), "pieces of a slice: ends in ascending order");
    let last = ends.last().copied().unwrap_or(0);
    assert_eq!(last, data.len(), "pieces of a slice: the last ends with the slice");
    // An atomic pointer can be shared between threads as it is; it never changes.
    let data = AtomicPtr::new(data.as_mut_ptr());
    pool.run(ends.len(), &|index| {
        let start = if index == 0 { 0 } else { ends[index - 1] };
        let data = data.load(Ordering::Relaxed);
        // SAFETY: ends ascend up to the length of the slice, so the piece is inside of it and
        // begins where the one before ends. `Pool::run` gives each index to one call only, so
        // pieces do not overlap; it returns after the last call, while `data` is still borrowed for
        // writing. `T: Send` allows another thread to hold the piece.
        let piece = unsafe { slice::from_raw_parts_mut(data.add(start), ends[index] - start) };
        task(index, piece);
    });
}
