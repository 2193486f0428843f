//! What can be wrong with a model, said in one line.

use std::fmt;
use std::path::PathBuf;

/// Why a model could not be found or opened.
///
/// The message names the file, the place in it, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The operating system could not read the file; `source` says why.
    #[error("{}: cannot be read", file.display())]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is damaged, or two of its parts contradict each other.
    #[error("{}{place}: expected {expected}, found {found}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Where in the file.
        place: Place,
        /// What the format or the rest of the model asks for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The file is well formed, but asks for something that this program cannot do.
    #[error("{}{place}: not supported: {what}", file.display())]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// Where in the file.
        place: Place,
        /// The thing that is not supported, and what is.
        what: String,
    },
    /// A model of another family.
    #[error(
        "{}{place}: unknown architecture `{found}`: only gpt-oss, LLaMA and Mistral models are \
         supported ({known})",
        file.display()
    )]
    UnknownArchitecture {
        /// The file.
        file: PathBuf,
        /// The field that names the architecture.
        place: Place,
        /// The architecture.
        found: String,
        /// The spellings of the supported architectures in this kind of file.
        known: &'static str,
    },
    /// The folder holds no model.
    #[error(
        "{}: no model in this folder: expected a .gguf file, or config.json with .safetensors \
         files, found {found}",
        folder.display()
    )]
    NoModel {
        /// The folder.
        folder: PathBuf,
        /// What is there.
        found: String,
    },
    /// The folder holds more than one model.
    #[error(
        "{}: several models in this folder, name one of them: {}",
        folder.display(),
        candidates.join(", ")
    )]
    SeveralModels {
        /// The folder.
        folder: PathBuf,
        /// File names, sorted.
        candidates: Vec<String>,
    },
    /// The model came without a tokenizer and its vocabulary is not o200k_harmony's.
    #[error(
        "{}: no tokenizer: expected tokenizer.json beside the weights or a vocabulary in the GGUF \
         file, found neither, and the vocabulary of {vocab_size} is not o200k_harmony's 201088",
        model.display()
    )]
    NoTokenizer {
        /// The model.
        model: PathBuf,
        /// Rows of the embedding.
        vocab_size: usize,
    },
    /// No model has this name.
    #[error("no model `{name}`: looked for {}{hint}", looked.join(", "))]
    NotFound {
        /// The name.
        name: String,
        /// What was looked for and where.
        looked: Vec<String>,
        /// How to get the model, or which names are near.
        hint: String,
    },
    /// The name could lead out of the folders in which models are looked for.
    #[error("{}: expected {expected}, found `{found}`", what)]
    UnsafeName {
        /// The kind of name, with the file that holds it if there is one.
        what: String,
        /// What is allowed.
        expected: &'static str,
        /// The name.
        found: String,
    },
}

/// Where in a file something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The file as a whole.
    File,
    /// The part before the data.
    Header,
    /// A tensor, by name.
    Tensor(String),
    /// A field of the configuration or a metadata key.
    Field(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File => Ok(()),
            Place::Header => f.write_str(": header"),
            Place::Tensor(name) => write!(f, ": tensor `{}`", printable(name)),
            Place::Field(name) => write!(f, ": field `{}`", printable(name)),
        }
    }
}

/// The text, cut to 100 characters and without control characters: names come from files that
/// anyone can make, and end on a terminal.
pub(crate) fn printable(text: &str) -> String {
    printable_up_to(text, 100)
}

/// [`printable`] with another length, in characters.
pub(crate) fn printable_up_to(text: &str, chars_max: usize) -> String {
    let mut out = String::new();
    for c in text.chars().take(chars_max) {
        // Controls, line separators and marks that reverse the direction of writing.
        if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    if text.chars().nth(chars_max).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_reach_the_terminal_without_control_characters() {
        assert_eq!(printable("blk.0.\x1b[2J"), "blk.0.\\u{1b}[2J");
        assert_eq!(printable(&"x".repeat(200)).chars().count(), 101);
    }
}
