//! Tasks: one file in TOML says where the documents are, how a prompt is written, and how an
//! answer is scored.
//!
//! In reading order: `file` (the format), `place` (lines of mistakes), `template` (Jinja as the
//! reference harness renders it), `definition` (a checked file), `family` (one file for many
//! subjects), `builtin` (the files that are compiled in).

mod builtin;
mod definition;
mod family;
mod file;
mod place;
mod template;

pub use builtin::{builtin_source, builtin_sources, find};
pub use definition::{Gold, Task};
pub use family::{Family, TaskGroup, TaskSet};
pub use file::{
    ChatSection, DataSection, ExactMatch, FamilySection, FilterSection, FilterStep,
    GenerationSection, Grader, GroupSection, Kind, MetricName, PromptSection, Sampler,
    ShotsSection, TaskFile, Texts,
};
