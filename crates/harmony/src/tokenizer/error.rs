//! What can go wrong with a tokenizer: a file that is none, or an id that is no token.

/// Why a tokenizer could not be built or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// An id that the vocabulary does not have.
    #[error("token id {id}: expected an id of {tokenizer} below {vocab_size}, found none")]
    UnknownToken {
        /// The id in question.
        id: u32,
        /// Name of the tokenizer.
        tokenizer: String,
        /// The largest id plus one; ids below it may be unused, too.
        vocab_size: usize,
    },
}
