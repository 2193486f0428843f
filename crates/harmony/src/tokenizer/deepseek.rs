//! DeepSeek-Coder's split, for GGUF files, which only name it: `deepseek-coder`.
//!
//! Five patterns, each applied to the pieces that the one before it left, so it is no single
//! pattern of `split`; the crate of Hugging Face does it. Source: tokenizer.json of
//! deepseek-ai/deepseek-coder-6.7b-base, and the same patterns in ggml-org/llama.cpp,
//! `src/llama-vocab.cpp`.

use serde_json::{Map, Value, json};

use super::TokenizerError;
use super::pipeline::Pipeline;

/// The patterns in their order; the fourth ends at U+D7FF.
const PATTERNS: [&str; 5] =
    [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\u{D7FF}]+", r"\p{N}"];

/// The encoder over byte-level tokens with these names, and merges with a space between two.
///
/// # Errors
/// If a merge has to do with a token that is missing.
pub(super) fn encoder<'v>(
    tokens: impl Iterator<Item = (&'v str, u32)>,
    merges: &[String],
) -> Result<Pipeline, TokenizerError> {
    let split = |regex: &&str| {
        json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated",
            "invert": false})
    };
    let mut steps: Vec<Value> = PATTERNS.iter().map(split).collect();
    steps.push(json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
        "use_regex": false}));
    let vocab: Map<String, Value> = tokens.map(|(name, id)| (name.to_owned(), id.into())).collect();
    let file = json!({
        "version": "1.0",
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
        "model": {"type": "BPE", "vocab": vocab, "merges": merges},
    });
    Pipeline::new(&serde_json::to_vec(&file).map_err(TokenizerError::NotJson)?, &Default::default())
}
