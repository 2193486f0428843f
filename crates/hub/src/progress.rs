//! What a pull tells while it works; how it is shown is the caller's business.

use std::time::Duration;

use crate::pull::Plan;

/// Hears of every step of a pull. `()` hears nothing.
pub trait Progress {
    /// Called for each event, in order, from the thread that pulls.
    fn event(&mut self, event: Event<'_>);
}

impl Progress for () {
    fn event(&mut self, _event: Event<'_>) {}
}

/// One step of a pull.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The files are known; nothing has been written.
    Planned(&'a Plan),
    /// Another process downloads this file; waiting for it.
    Waiting {
        /// Path in the repository.
        file: &'a str,
    },
    /// A download begins or goes on.
    FileStarted {
        /// Path in the repository.
        file: &'a str,
        /// Bytes of the whole file.
        bytes: u64,
        /// Bytes that an earlier attempt left.
        resumed: u64,
    },
    /// Bytes arrived and were written.
    Received {
        /// Count since the last event of this kind.
        bytes: u64,
    },
    /// What had arrived of the file is of no use; it begins again.
    Restarted {
        /// Path in the repository.
        file: &'a str,
        /// Bytes thrown away.
        lost: u64,
        /// Why.
        reason: &'a str,
    },
    /// An attempt failed; the next one follows after a pause.
    Retrying {
        /// File or address.
        place: &'a str,
        /// What failed.
        cause: &'a str,
        /// Length of the pause.
        pause: Duration,
    },
    /// The file is complete, checked and in the cache.
    FileDone {
        /// Path in the repository.
        file: &'a str,
    },
}
