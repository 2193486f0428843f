//! Benchmarks as lm-evaluation-harness 0.4.13 scores them, to the digit, on any model.
//!
//! In reading order: [`error`]; [`python`] (what CPython does where scores depend on it);
//! [`data`] (documents); [`task`] (task files); [`shots`] (examples); [`request`] (prompts);
//! [`tokens`] (ids of prompts); [`plan`] (what is computed once); [`model`] (what a model must
//! do) and [`engine_model`] (one that runs here); [`filter`] and [`grade`] (answers in texts);
//! [`metric`] and [`aggregate`] (scores); [`results`] (files); [`run`] (all of it together);
//! [`table`] and [`compare`] (reports).

#![forbid(unsafe_code)]

pub mod aggregate;
pub mod compare;
pub mod data;
pub mod engine_model;
pub mod error;
pub mod filter;
pub mod grade;
pub mod metric;
pub mod model;
pub mod plan;
pub mod python;
pub mod request;
pub mod results;
pub mod run;
pub mod shots;
pub mod table;
pub mod task;
pub mod tokens;

pub use error::{EvalError, TaskFileError};
