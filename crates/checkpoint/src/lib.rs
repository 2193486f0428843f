//! Model files of gpt-oss and of the dense Llama family: recognised, checked and mapped, with
//! nothing copied.
//!
//! Reading order: [`config`] (what a model looks like), [`bytes`] (memory that someone keeps
//! alive), [`weights`] (one structure for every layout), `tensors` (tensors by name);
//! [`safetensors`], `shards`, `config_json`, `hf` and `original` (two layouts); `gguf_metadata`,
//! `gguf`, `gguf_split`, `gguf_config` and `gguf_model` (the third); `config_llama`, `gguf_llama`
//! and `llama_model` (dense models in two of them); `chat`, `tokenizer` and `licence` (what else
//! lies beside the weights); `model` (a path becomes a [`Model`]);
//! `parameters`, `formats` and [`presets`] (how large a model is, how it is stored, and the known
//! shapes); [`embedded`] (the model in the program); `places` and [`mod@locate`] (a name becomes a
//! path); `write` (safetensors files, written whole or not at all); [`synth`] (checkpoints with
//! random weights).

#![deny(unsafe_code)]

pub mod bytes;
mod chat;
pub mod config;
mod config_json;
mod config_llama;
pub mod embedded;
mod error;
mod fields;
mod folder;
mod formats;
#[doc(hidden)]
pub mod fuzz;
mod gguf;
mod gguf_config;
mod gguf_llama;
mod gguf_metadata;
mod gguf_model;
mod gguf_split;
mod hf;
mod licence;
mod llama_model;
pub mod locate;
mod map;
mod model;
mod original;
mod parameters;
mod places;
pub mod presets;
pub mod safetensors;
mod shards;
pub mod synth;
mod tensors;
mod tokenizer;
pub mod weights;
mod write;

pub use bytes::Bytes;
pub use chat::{ChatDefaults, HarmonyDefaults};
pub use config::{Architecture, LayerType, Llama3Scaling, ModelConfig, RopeScaling, YarnScaling};
pub use error::{CheckpointError, Place};
pub use formats::{FormatUse, Part};
pub use locate::{Located, locate};
pub use model::{Layout, Model, ModelFile, TensorInfo};
pub use parameters::Parameters;
pub use presets::Preset;
pub use tensors::{Dtype, Tensor};
pub use tokenizer::{GgufVocabulary, O200K_HARMONY_TOKENS, StringArray, TokenizerSource};
pub use weights::{ExpertLayout, Experts, LayerWeights, Matrix, RotaryPairs, Weights};
pub use write::{
    TensorToWrite, private_options, write_atomically, write_private_atomically, write_safetensors,
};
