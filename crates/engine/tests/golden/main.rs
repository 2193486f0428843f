//! The model against its oracles, and what must hold for any way of running it.

mod accuracy;
mod dense;
mod models;
mod properties;
mod same_bits;
mod support;
