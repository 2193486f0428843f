//! Many requests at once: what can be asked, and what comes back.

mod request;

pub use request::{
    BatchDone, BatchEvent, BatchRequest, BatchStatus, BatchStop, Batcher, Constraint, Refused, Sink,
};
