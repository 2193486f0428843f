//! Where the tokenizer of a model comes from. What it means is not known here.

use crate::bytes::Bytes;
pub use crate::gguf_metadata::StringArray;

/// Tokens in o200k_harmony, the vocabulary of the published models.
pub const O200K_HARMONY_TOKENS: usize = 201_088;

/// The tokenizer that came with a model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TokenizerSource {
    /// The bytes of a `tokenizer.json`.
    Json(Bytes),
    /// The vocabulary in a GGUF file.
    Gguf(GgufVocabulary),
    /// None came with it, but the vocabulary has the size of o200k_harmony's.
    O200kHarmony,
    /// None came with it. Such a model can be run on token ids.
    Missing,
}

/// A vocabulary as GGUF files hold it.
#[derive(Clone, Debug)]
pub struct GgufVocabulary {
    /// `tokenizer.ggml.model`: the kind of tokenizer; `gpt2` means byte-level BPE, `llama`
    /// SentencePiece.
    pub model: String,
    /// `tokenizer.ggml.pre`: how text is split before merging; Ollama's files say it wrongly, all
    /// gpt-oss models have `gpt-4o`.
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`: the tokens, in GPT-2's alphabet for bytes if `model` is `gpt2`.
    pub tokens: StringArray,
    /// `tokenizer.ggml.token_type`: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused,
    /// 6 byte; empty if the file has none.
    pub token_types: Vec<i64>,
    /// `tokenizer.ggml.merges`: pairs in the order of their ranks, with a space between.
    pub merges: Option<StringArray>,
    /// `tokenizer.ggml.scores`: one for each token, or none; what SentencePiece merges by.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.add_space_prefix`: whether SentencePiece puts a space before a text; true
    /// if the file does not say.
    pub add_space_prefix: bool,
}
