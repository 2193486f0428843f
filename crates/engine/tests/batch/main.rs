//! Many requests at once: the same bits as alone, and the rules of the queue.
//!
//! Reading order: `asking` (requests, what they get, and the same computed alone), then the tests:
//! `company` (any company gives the same bits), `prefixes` (what is kept), `rules` (who is refused,
//! cancelled, or fails).

mod asking;
mod company;
mod prefixes;
mod rules;
