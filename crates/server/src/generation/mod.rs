//! Requests to the engine, and what comes back.
//!
//! In reading order: `sink` (from the thread that computes to the tasks that write), `run` (several
//! sequences of one request), `plan` (an answer that is to be generated), `choices` (its choices as
//! pieces).

pub(crate) mod choices;
pub(crate) mod plan;
pub(crate) mod run;
pub(crate) mod sink;
