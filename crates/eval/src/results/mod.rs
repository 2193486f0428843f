//! Results on disk: what was run, every finished document, and whether it can be had again.
//!
//! In reading order: `manifest` (what was run), `sample` (a finished document), `store` (the file,
//! safe against crashes), `scores` (what a file adds up to), `verify` (a part of it run again).

mod manifest;
mod sample;
mod scores;
mod store;
mod verify;

pub use manifest::{GroupRecord, Manifest, ModelRecord, SamplingRecord, TaskRecord};
pub use sample::{Answer, Key, Sample, SampleLog};
pub(crate) use scores::means_by;
pub use scores::{ChatScores, chat_scores, scores};
pub use store::{Session, Store, Stored, read};
pub use verify::{Difference, Rerun, Verification, choose, compare};
