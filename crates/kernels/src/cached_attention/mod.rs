//! Attention of one token's query heads over the cache of their kv head, block by block.
//!
//! Source: `sdpa` of openai/gpt-oss, `gpt_oss/torch/model.py`:
//! scores are scaled by 1/√K, the head's sink takes part in the softmax unscaled, and its share is
//! dropped. The softmax is an online one (Milakov and Gimelshein 2018, arXiv:1805.02867): scores
//! are never kept for more than [`BLOCK`] positions, so the room needed does not grow with them.
//!
//! The order of every sum is in `docs/numerics.md`, "Attention over the cache". A result depends
//! on the query, the sink, the visible positions and what is cached for these, and on nothing
//! else: not on the size of a ring or of pages, on invisible rows, on other heads or on the
//! instruction set.
//!
//! Reading order: `cache` (layout), `store` (a position is written), `portable` (the definition),
//! `lanes` (sixteen numbers in registers), `online_softmax` and `vector` (the fast version).

mod cache;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod online_softmax;
mod portable;
mod store;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vector;

pub use cache::{
    BLOCK, CacheElement, CacheRows, HEAD_DIM_MAX, HeadCache, HeadPages, TILE, supports,
};
pub use store::{CacheRowsMut, HeadCacheMut};

use cache::{Element, Rows};

use crate::isa::{Isa, Level};

/// The query heads of one token that read the same kv head.
#[derive(Clone, Copy, Debug)]
pub struct Queries<'a> {
    /// `[heads, K]`, rotated.
    pub queries: &'a [f32],
    /// `[heads]`: logit of each head's sink; −∞ for a head without one.
    pub sinks: &'a [f32],
    /// 1/√K.
    pub scale: f32,
    /// The first visible position.
    pub first: usize,
    /// The position after the last visible one; all of `first..end` are in the cache.
    pub end: usize,
}

/// Writes Σ weight·value of each query head over the positions `first..end` to `out`.
///
/// | argument    | shape        | meaning                         |
/// |-------------|--------------|---------------------------------|
/// | `q.queries` | `[heads, K]` | one token, rotated              |
/// | `q.sinks`   | `[heads]`    | not scaled                      |
/// | `out`       | `[heads, K]` | 0 where there is only a sink    |
///
/// weight of position j = exp(sⱼ − m) / (Σ exp(sᵢ − m) + exp(sink − m)), sⱼ = q·kⱼ·scale, m the
/// maximum of all sᵢ and the sink. Infinities and NaN in visible rows lead to NaN, as does seeing
/// nothing without a sink; rows that are not visible are not used, whatever they hold.
///
/// # Panics
/// If the lengths do not belong together, or more positions are visible than the pages have rows.
pub fn attend_cached(isa: Isa, cache: &HeadPages<'_>, q: &Queries<'_>, out: &mut [f32]) {
    assert_eq!(q.queries.len(), q.sinks.len() * cache.head_dim(), "attend_cached: queries");
    assert_eq!(q.queries.len(), out.len(), "attend_cached: out");
    assert!(q.first <= q.end, "attend_cached: positions {}..{}", q.first, q.end);
    let (visible, capacity) = (q.end - q.first, cache.capacity());
    assert!(visible <= capacity, "attend_cached: {visible} positions in {capacity} rows");
    match cache.element() {
        CacheElement::F32 => on(isa, &Rows::<f32>::new(cache), q, out),
        CacheElement::F16 => on(isa, &Rows::<u16>::new(cache), q, out),
        CacheElement::Int8 => on(isa, &Rows::<i8>::new(cache), q, out),
    }
}

/// The version for the instruction set.
fn on<E: Element>(isa: Isa, rows: &Rows<'_, E>, q: &Queries<'_>, out: &mut [f32]) {
    match isa.level() {
        Level::Portable => portable::attend(rows, q, out),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX2, FMA and F16C.
        Level::Avx2 => vector::attend(unsafe { lanes::Avx2::new() }, rows, q, out),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has all that `new` asks for.
        Level::Avx512 => vector::attend(unsafe { lanes::Avx512::new() }, rows, q, out),
    }
}
