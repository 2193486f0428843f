//! Models on the engine: the same bits as the plain way, in fewer tokens.

#![forbid(unsafe_code)]

mod generating;
mod plain;
mod scoring;
