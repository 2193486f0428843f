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
    /// The file is not JSON, or nested too deeply.
    #[error("expected the format of tokenizer.json")]
    NotJson(#[source] serde_json::Error),
    /// The description contradicts itself or lacks something.
    #[error("{place}: expected {expected}, found {found}")]
    Invalid {
        /// The field, such as `tokenizer.json: model.vocab`.
        place: &'static str,
        /// What belongs there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The description is sound, but of a kind that this program does not know.
    #[error("{place}: not supported: expected {expected}, found {found}")]
    Unsupported {
        /// The field, such as `tokenizer.ggml.pre`.
        place: &'static str,
        /// The kinds that are known.
        expected: &'static str,
        /// What is there.
        found: String,
    },
}

impl TokenizerError {
    /// An [`TokenizerError::Invalid`].
    pub(super) fn invalid(
        place: &'static str,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> TokenizerError {
        TokenizerError::Invalid { place, expected: expected.into(), found: excerpt(&found) }
    }

    /// An [`TokenizerError::Unsupported`].
    pub(super) fn unsupported(
        place: &'static str,
        expected: &'static str,
        found: impl std::fmt::Display,
    ) -> TokenizerError {
        TokenizerError::Unsupported { place, expected, found: excerpt(&found) }
    }
}

/// The beginning of what was found: it comes from a file and may be of any length.
fn excerpt(found: &impl std::fmt::Display) -> String {
    const CHARS_MAX: usize = 100;
    let found = found.to_string();
    match found.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &found[..end]),
        None => found,
    }
}
