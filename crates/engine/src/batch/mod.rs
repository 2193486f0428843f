//! Many requests at once: what can be asked, what comes back, and the thread that computes.
//!
//! Reading order: `request` (the seam), `options` (bounds), `queue` (whose turn it is), `prefix`
//! (what need not be computed again), `prefix_file` (the same on disk), `pace` (how much of a
//! prompt goes beside a token), `sequence` (one request), `worker` (the loop) with `admission`
//! (who gets in) and `step` (what is computed), `scheduler` (the handle).

mod admission;
mod options;
mod pace;
mod prefix;
mod prefix_file;
mod queue;
mod request;
mod scheduler;
mod sequence;
mod step;
mod worker;

pub use options::BatchOptions;
pub use prefix_file::PrefixFileError;
pub use request::{
    BatchDone, BatchEvent, BatchRequest, BatchStatus, BatchStop, Batcher, Constraint, Refused, Sink,
};
pub use scheduler::Scheduler;
