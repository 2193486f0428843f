//! Keys and values of earlier positions.
//!
//! A full layer keeps every position, in pages of [`PAGE`] positions that several sequences may
//! share. A sliding layer keeps its window and a little more, in a ring of the sequence's own; a
//! [`CacheSnapshot`] is a copy of the window, from which another sequence can go on.
//!
//! Reading order: `shape` (which layer lies where, and bytes), `rows` (numbers of some heads),
//! `pool` (pages), `ring` (sliding layers), `cache` (all of a sequence).

mod cache;
mod pool;
mod ring;
mod rows;
mod shape;

pub use cache::KvCache;
pub use pool::KvPool;
pub use ring::CacheSnapshot;
pub use shape::cache_bytes;

pub(crate) use cache::Written;
pub(crate) use pool::Page;
pub(crate) use shape::{CacheShape, PAGE};
