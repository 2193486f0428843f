//! What can go wrong, by what the caller can do about it.

use std::path::PathBuf;

/// Why an evaluation, or a part of it, cannot be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A task file is not one; the message has its line and field.
    #[error(transparent)]
    TaskFile(#[from] TaskFileError),
    /// No task has this name.
    #[error("unknown task `{name}`; known are {known}")]
    UnknownTask {
        /// What was asked for.
        name: String,
        /// Names of tasks and families, with commas between.
        known: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line of a data file is not what the task expects.
    #[error("{path}:{line}: {message}")]
    Data {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Expected and found.
        message: String,
    },
    /// A template or an expression of a task fails on a document.
    #[error("task `{task}`, document {doc}, `{field}`: {message}")]
    Document {
        /// The task.
        task: String,
        /// Counted from 0, in the order of the file.
        doc: usize,
        /// The field of the task file.
        field: &'static str,
        /// Expected and found.
        message: String,
    },
    /// What was asked for cannot be done with this task.
    #[error("{0}")]
    Refused(String),
    /// A regular expression is wrong, or costs too much on a text.
    #[error("regular expression `{pattern}`: {message}")]
    Pattern {
        /// As it stands in the task file.
        pattern: String,
        /// What is wrong.
        message: String,
    },
    /// A file of results does not fit.
    #[error("{path}: {message}")]
    Results {
        /// The file.
        path: PathBuf,
        /// Expected and found.
        message: String,
    },
    /// The caller asked to stop; what was finished before is kept.
    #[error("interrupted")]
    Interrupted,
    /// The model could not answer.
    #[error("model: {0}")]
    Model(String),
}

/// A mistake in a task file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: `{field}`: {message}")]
pub struct TaskFileError {
    /// Path, or the name of a file that is compiled in.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Path of keys, with points between.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

impl EvalError {
    /// An error of the file system at a place.
    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> EvalError {
        let path = path.to_path_buf();
        move |source| EvalError::Io { path, source }
    }

    /// A file of results that does not fit.
    pub(crate) fn results(path: &std::path::Path, message: impl Into<String>) -> EvalError {
        EvalError::Results { path: path.to_path_buf(), message: message.into() }
    }
}
