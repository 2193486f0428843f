//! Speculative decoding without a second model: what followed the same tokens before is computed
//! together with the next token, and kept if it is what the sampler then chooses.
//!
//! Source: prompt lookup decoding (A. Saxena, 2023); verification as in Leviathan et al. 2022
//! (arXiv:2211.17192), which is exact here without any correction, because a token's logits have
//! the same bits in a batch and alone.
//!
//! `lookup` finds candidates, `payoff` decides how many are worth their time.

mod lookup;
mod payoff;

pub(crate) use lookup::Lookup;
pub(crate) use payoff::Payoff;
