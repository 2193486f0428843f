//! Checkpoints with random weights: the files of a model in every detail but what it learned.
//!
//! They let everyone measure speed and memory, and test programs that read such files, without
//! the published weights. The same seed gives the same weights in every layout.
//!
//! Reading order: `random` (numbers by counter), `source` (the values of one tensor), `encode`
//! (values to bytes), `tensors` and `llama_tensors` (what each layout stores), `config_files` (what
//! lies beside the weights), `safetensors_files` and `gguf_file` (headers), `write` (files, in
//! parallel and atomically).

mod config_files;
mod encode;
mod error;
mod gguf_file;
mod llama_tensors;
mod random;
mod safetensors_files;
mod source;
mod tensors;
mod write;

use std::path::Path;

use crate::config::ModelConfig;
use crate::config_json;
use crate::error::{CheckpointError, Place};

pub use error::SynthError;
pub use write::{Existing, Plan};

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Synthesis<'a> {
    /// What the model is called in its files, such as `gpt-oss-20b`.
    pub name: &'a str,
    /// The shape.
    pub config: &'a ModelConfig,
    /// Another seed gives other weights.
    pub seed: u64,
    /// How the files are laid out.
    pub target: Target<'a>,
}

/// A layout to write.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A folder for transformers: `config.json` and safetensors files of at most 5 GB.
    HuggingFace,
    /// A folder as OpenAI's `original/`: `config.json` and one safetensors file.
    Original,
    /// One GGUF file.
    Gguf {
        /// How all matrices but those of experts are stored.
        dense: DenseFormat,
        /// The tokenizer; without one the file says `no_vocab`.
        vocabulary: Option<&'a VocabularyToWrite>,
    },
}

/// The format of all matrices but those of experts in a GGUF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenseFormat {
    /// Blocks of 32 signed bytes under one scale.
    Q8_0,
    /// The values of the other layouts.
    Bf16,
    /// The values of the other layouts, widened.
    F32,
}

/// A byte-level tokenizer as a GGUF file holds it.
#[derive(Clone, Debug, Default)]
pub struct VocabularyToWrite {
    /// `tokenizer.ggml.pre`: how text is split, such as `gpt-4o`.
    pub pre: String,
    /// The tokens by id, in GPT-2's alphabet for bytes.
    pub tokens: Vec<String>,
    /// 1 normal, 3 control; one a token.
    pub token_types: Vec<i32>,
    /// Pairs in the order of their ranks, with a space between.
    pub merges: Vec<String>,
    /// The token that begins a text.
    pub bos_token_id: u32,
    /// The tokens that end an answer, the usual one first.
    pub eos_token_ids: Vec<u32>,
    /// The token that fills up a batch.
    pub padding_token_id: u32,
}

/// The configuration in a `config.json` of either dialect.
///
/// # Errors
/// If the file cannot be read, or is no configuration of a model of these architectures.
pub fn read_config(file: &Path) -> Result<ModelConfig, CheckpointError> {
    let io = |source| CheckpointError::Io { file: file.to_path_buf(), source };
    let bytes = std::fs::read(file).map_err(io)?;
    let json = serde_json::from_slice(&bytes).map_err(|error| CheckpointError::Invalid {
        file: file.to_path_buf(),
        place: Place::File,
        expected: "JSON".to_owned(),
        found: error.to_string(),
    })?;
    Ok(config_json::parse(file, &json)?.1)
}
