//! The model against its oracles, and what must hold for any way of running it.

mod models;
mod properties;
mod support;
