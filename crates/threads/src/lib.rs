//! A fork-join pool for inference: [`Pool`] runs one function over a range of indices on several
//! threads, and returns when all indices are done.
//!
//! A token of gpt-oss is some 200 such regions of 5 to 100 µs each, so that what counts is how
//! soon a region begins and ends. Three decisions follow:
//!
//! - Indices are claimed one by one from a counter, and the caller claims too. A worker that is
//!   late, or whose core another process has taken, costs nothing but its help.
//! - While a forward pass is going on ([`Pool::active`]), workers spin: to wake a sleeping thread
//!   takes longer than most regions. Otherwise they sleep after a bounded time.
//! - Which thread does an index is left to chance, so a result may depend on the index only.
//!
//! Reading order: `backoff` (how to wait a short time), `region` (one region: publish, claim,
//! finish), `sleep` (who sleeps and who wakes them), `pool` (threads and the API), `chunks`
//! (one slice in pieces). Unsafe code is in `region` and `chunks` only, one block each.

#![deny(unsafe_code)]

mod backoff;
mod chunks;
mod pool;
mod region;
mod sleep;

pub use pool::{Active, Pool};
