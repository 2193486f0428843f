//! Model files of gpt-oss: recognised, checked and mapped, with nothing copied.
//!
//! Reading order: [`config`] (what a model looks like), [`bytes`] (memory that someone keeps
//! alive), [`weights`] (one structure for every layout), [`locate`] (where models lie).

#![deny(unsafe_code)]

pub mod bytes;
pub mod config;
mod error;
pub mod locate;
pub mod weights;

pub use bytes::Bytes;
pub use config::{LayerType, ModelConfig, YarnScaling};
pub use error::{CheckpointError, Place};
pub use weights::{ExpertLayout, Experts, LayerWeights, Matrix, Weights};
