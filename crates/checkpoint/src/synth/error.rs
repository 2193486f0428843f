//! Why a checkpoint cannot be made.

use std::path::PathBuf;

/// Why a checkpoint cannot be made. Nothing is left where it was to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SynthError {
    /// The layout cannot store a model of this shape.
    #[error("{layout}: field `{field}`: expected {expected}, found {found}")]
    Shape {
        /// The layout.
        layout: &'static str,
        /// The field, as spelled in `config.json`.
        field: &'static str,
        /// What the layout can store.
        expected: String,
        /// The value.
        found: String,
    },
    /// Something is there already.
    #[error("{}: expected a path where nothing is, found {found}", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// Something is there that is not replaced, because nobody could get it back.
    #[error(
        "{}: expected a synthetic checkpoint to replace, found {found}",
        path.display()
    )]
    NotSynthetic {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// Another process writes to the same path.
    #[error("{}: expected no other writer, found one that is at work", path.display())]
    Busy {
        /// The file that both would write.
        path: PathBuf,
    },
    /// The operating system could not write; `source` says why.
    #[error("{}: cannot be written", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}
