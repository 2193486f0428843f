//! What can go wrong in the engine.

use gptoss_harmony::TokenId;

/// An error of loading or running a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The model's files cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] gptoss_checkpoint::CheckpointError),
    /// The tokenizer that came with a model cannot be used.
    #[error("{}: tokenizer", model.display())]
    Tokenizer {
        /// The model.
        model: std::path::PathBuf,
        /// What is wrong with it.
        source: gptoss_harmony::TokenizerError,
    },
    /// The vocabulary in a GGUF file is of another kind.
    #[error(
        "{}: tokenizer.ggml.model: not supported: `{found}`; supported are `gpt2` and `llama`",
        model.display()
    )]
    VocabularyModel {
        /// The model.
        model: std::path::PathBuf,
        /// The kind.
        found: String,
    },
    /// The model has no format of conversations.
    #[error(
        "{}: not supported: chat: its files have neither harmony's special tokens nor a chat \
         template; plain text can be continued (`gptoss generate --raw`, /v1/completions)",
        model.display()
    )]
    NoChatFormat {
        /// The model.
        model: std::path::PathBuf,
    },
    /// The model's chat template cannot be used, or refuses a conversation.
    #[error(transparent)]
    Template(#[from] gptoss_harmony::TemplateError),
    /// Tools and their calls, in a conversation with a model whose calls cannot be read.
    #[error(
        "not supported: tools: the model talks with a chat template of its own, and there is no \
         form in which its calls could be read"
    )]
    ToolsWithoutHarmony,
    /// The model cannot be talked to in harmony, or a conversation cannot be written in it.
    #[error(transparent)]
    Harmony(#[from] gptoss_harmony::HarmonyError),
    /// A parameter of sampling is out of its range.
    #[error(transparent)]
    Sampling(#[from] crate::sampler::SamplingError),
    /// Instructions that this CPU does not have.
    #[error("GPTOSS_ISA: expected one of {expected} (what this machine has), found `{name}`")]
    Isa {
        /// What was asked for.
        name: String,
        /// What there is.
        expected: String,
    },
    /// More threads than a pool can have.
    #[error("threads: expected 1 to {max}, found {threads}")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// The most there can be.
        max: usize,
    },
    /// Attention heads that the kernels do not know.
    #[error("head_dim {head_dim}: not supported: heads are 16, 32, 48, … or 256 wide")]
    HeadDim {
        /// Width of a head.
        head_dim: usize,
    },
    /// There is no room for the cache.
    #[error(
        "no memory for a context of {context_length} tokens: its cache needs {bytes} bytes; \
         choose a shorter context"
    )]
    Memory {
        /// Positions asked for.
        context_length: usize,
        /// Bytes that they need.
        bytes: u64,
    },
    /// A bound of a batch that leaves no room for a single request.
    #[error("{name}: expected {min} or more, found {found}")]
    BatchOption {
        /// Field of [`BatchOptions`](crate::BatchOptions).
        name: &'static str,
        /// The least that it can be.
        min: usize,
        /// What was given.
        found: usize,
    },
    /// There is no room for the caches of a batch.
    #[error(
        "no memory for the cache: {bytes} bytes; choose fewer positions, sequences or snapshots"
    )]
    BatchMemory {
        /// Bytes that are needed when all is in use.
        bytes: u64,
    },
    /// Nothing to continue.
    #[error("the prompt has no tokens")]
    EmptyPrompt,
    /// A context that no session can have.
    #[error("context length {context_length}: expected 1 to {max} (max_position_embeddings)")]
    ContextLength {
        /// Positions asked for.
        context_length: usize,
        /// Positions the model is configured for.
        max: usize,
    },
    /// A sequence that does not fit.
    #[error("the sequence of {tokens} tokens does not fit into the context of {context_length}")]
    ContextFull {
        /// Tokens of the sequence.
        tokens: usize,
        /// Room of the session.
        context_length: usize,
    },
    /// An id outside of the model's vocabulary.
    #[error("token id {id} is not in the vocabulary of {vocab_size}")]
    TokenId {
        /// The id.
        id: TokenId,
        /// Rows of the embedding.
        vocab_size: usize,
    },
}
