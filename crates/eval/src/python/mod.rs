//! What CPython does where the reference harness relies on it: random choice, text, regular
//! expressions and sums.
//!
//! The oracle is CPython 3.11, and numpy where the harness calls it.

pub mod float;
pub mod random;
pub mod regex;
pub mod text;
