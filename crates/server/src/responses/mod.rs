//! `/v1/responses`.
//!
//! In reading order: `request`, `object` (what a response is), `event` (what its stream says),
//! `plan` (a request to what is generated), `scribe` (pieces to items and events), `history`
//! (responses before this one, and the store), `background`, `create` and `stored` (the handlers).

pub(crate) mod background;
mod create;
mod event;
mod history;
mod object;
mod plan;
mod request;
mod scribe;
mod stored;

pub(crate) use create::create;
pub use event::{ContentPart, ResponseEvent, SequencedEvent};
pub use object::{
    IncompleteDetails, OutputItem, OutputText, ReasoningEcho, ReasoningText, ResponseError,
    ResponseObject, SummaryText,
};
pub use request::{
    ReasoningRequest, ResponsesRequest, ResponsesTool, ResponsesToolChoice, TextFormat, TextParam,
};
pub use stored::{DeletedResponse, ItemList};
pub(crate) use stored::{cancel, delete, input_items, show};
