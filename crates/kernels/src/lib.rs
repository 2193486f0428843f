//! Arithmetic of gpt-oss on slices: what a forward pass is made of, without models or files.
//!
//! Reading order: [`format`](Format) (how weights are stored).

mod format;

pub use format::Format;
