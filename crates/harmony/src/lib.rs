//! harmony

#![forbid(unsafe_code)]

pub mod tokenizer;

pub use tokenizer::{TokenId, Tokenizer, TokenizerError, Utf8Stream};
