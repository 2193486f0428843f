//! What can go wrong between a model's name and its files on disk, by what the caller can do.

use std::path::PathBuf;

/// An error of the hub client; the text is one line without secrets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// An environment variable or setting that cannot be used.
    #[error("{variable}: expected {expected}, found {found}")]
    Setting {
        /// Name of the variable.
        variable: String,
        /// What would have been accepted.
        expected: &'static str,
        /// What was there, or a description of it where it may be secret.
        found: String,
    },
    /// A model name, revision or pattern that the hub could not have.
    #[error("{thing} `{found}`: expected {expected}")]
    Name {
        /// Which argument.
        thing: &'static str,
        /// What would have been accepted.
        expected: &'static str,
        /// What was given, control characters escaped.
        found: String,
    },
    /// The hub has no such repository, revision or file, or hides it from strangers.
    #[error("{place}: {problem}")]
    NotFound {
        /// Model name, with revision or file.
        place: String,
        /// What is missing and what to try.
        problem: String,
    },
    /// The hub refuses access: 401 or 403.
    #[error("{repo}: {problem}")]
    Denied {
        /// Model name.
        repo: String,
        /// Why, and how access is obtained.
        problem: String,
    },
    /// No connection to the hub or its file server.
    #[error("cannot reach {host}: {cause}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// What the network said.
        cause: String,
    },
    /// The connection broke or the server failed, more often than was worth trying.
    #[error("{place}: {cause} (gave up after {attempts} attempts; run it again to go on)")]
    GaveUp {
        /// File or address.
        place: String,
        /// The last failure.
        cause: String,
        /// Attempts in a row that brought nothing new.
        attempts: u32,
    },
    /// The server answered what the protocol does not allow.
    #[error("{place}: {problem}")]
    BadAnswer {
        /// Address or file.
        place: String,
        /// What was expected and found.
        problem: String,
    },
    /// A downloaded file is not the one that the hub listed; its partial file was deleted.
    #[error("{file}: expected {expected}, found {found}; the partial file was deleted")]
    Mismatch {
        /// Path in the repository.
        file: String,
        /// Listed size or checksum.
        expected: String,
        /// Received size or checksum.
        found: String,
    },
    /// The disk cannot hold the files.
    #[error("{}: {needed} bytes are needed, {free} are free", path.display())]
    DiskFull {
        /// Folder on the full disk.
        path: PathBuf,
        /// Bytes still to be written.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// The request picks no file, or does not say which of several models is meant.
    #[error("{repo}: {problem}")]
    Selection {
        /// Model name.
        repo: String,
        /// What was asked, and what there is.
        problem: String,
    },
    /// Offline mode is on and the cache does not hold the files.
    #[error("{repo}: {problem}, and HF_HUB_OFFLINE forbids to ask the hub")]
    Offline {
        /// Model name and revision.
        repo: String,
        /// What is missing.
        problem: String,
    },
    /// No model of this name is in the store or the cache.
    #[error("{name}: no such model on this machine{}", hint(near))]
    UnknownModel {
        /// The name that was given.
        name: String,
        /// Names that resemble it, nearest first.
        near: Vec<String>,
    },
    /// A file or folder of this machine cannot be used.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl HubError {
    /// The error of an operation on a local path; a full disk gets its own variant.
    pub(crate) fn io(
        path: &std::path::Path,
        action: &'static str,
    ) -> impl FnOnce(std::io::Error) -> HubError {
        let path = path.to_path_buf();
        move |source| HubError::Io { path, action, source }
    }
}

fn hint(near: &[String]) -> String {
    match near {
        [] => "; `gptoss list` shows what there is".to_owned(),
        names => format!("; did you mean {}?", names.join(" or ")),
    }
}
