//! Model files of gpt-oss: recognised, checked and mapped, with nothing copied.
//!
//! Reading order: [`config`] (what a model looks like), [`bytes`] (memory that someone keeps
//! alive), [`weights`] (one structure for every layout).

pub mod bytes;
pub mod config;
pub mod weights;

pub use bytes::Bytes;
pub use config::{LayerType, ModelConfig, YarnScaling};
pub use weights::{ExpertLayout, Experts, LayerWeights, Matrix, Weights};
