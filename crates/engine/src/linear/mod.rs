//! Matrices times activations, on all threads.
//!
//! [`Weight`] is a matrix as a file stores it, [`Input`] the activations of some tokens, a
//! [`Job`] some rows of one times some tokens of the other. [`run`] does any number of jobs.
//! A token's result does not depend on what else is computed, nor in which order.

mod float;
mod input;
mod int8;
mod job;
mod weight;

pub(crate) use input::Input;
pub(crate) use job::{Epilogue, Gate, JOB_ROWS, Job, Product, run, work};
pub(crate) use weight::Weight;
pub(crate) use weight::{expert_rows, matrix_row};
