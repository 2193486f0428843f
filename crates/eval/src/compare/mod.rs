//! Runs side by side: who is better, and whether that is more than chance.
//!
//! In reading order: `chance` (random numbers), `mcnemar` and `bootstrap` (tests of pairs),
//! `published` (scores of others), `comparison` (all figures), `plots`, `svg`, `markdown` and
//! `html` (reports).

mod bootstrap;
mod chance;
mod comparison;
mod html;
mod markdown;
mod mcnemar;
mod plots;
mod published;
mod svg;

pub use bootstrap::{Interval, paired_bootstrap};
pub use comparison::{
    BrowsedAnswer, BrowsedSample, CompareOptions, Comparison, Pairing, RunSummary, ScoreCell,
    TaskRow, compare,
};
pub use html::html;
pub use markdown::markdown;
pub use mcnemar::{Discordant, mcnemar};
pub use published::{PublishedScore, published};
