//! Pieces of an answer to the items of a response and the events that tell of them.
//!
//! There is one way only: the whole response is what the events have built up.

use crate::conversation::items::pack;
use crate::error::ApiError;
use crate::ids;
use crate::output::logprobs::TokenLogprob;
use crate::output::piece::{Finish, Kind, Outcome, Piece};
use crate::output::usage::Counts;
use crate::responses::event::{ContentPart, ResponseEvent, SequencedEvent};
use crate::responses::object::{
    IncompleteDetails, OutputItem, OutputText, ReasoningText, ResponseError, ResponseObject,
};

/// Writes a response.
pub(crate) struct Scribe {
    response: ResponseObject,
    /// Whether reasoning is also given in a form that clients carry.
    pack_reasoning: bool,
    sequence_number: u64,
    events: Vec<SequencedEvent>,
}

impl Scribe {
    /// A scribe of a response that has no output yet.
    pub(crate) fn new(response: ResponseObject, pack_reasoning: bool) -> Scribe {
        Scribe { response, pack_reasoning, sequence_number: 0, events: Vec::new() }
    }

    /// The response as far as it is written.
    pub(crate) fn response(&self) -> &ResponseObject {
        &self.response
    }

    /// Says that it could not be stored.
    pub(crate) fn not_stored(&mut self) {
        self.response.store = false;
    }

    /// The events since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<SequencedEvent> {
        std::mem::take(&mut self.events)
    }

    /// The beginning.
    pub(crate) fn begin(&mut self) {
        self.response.status = "in_progress";
        self.tell(ResponseEvent::Created { response: self.copy() });
        self.tell(ResponseEvent::InProgress { response: self.copy() });
    }

    /// What a piece adds.
    pub(crate) fn push(&mut self, piece: Piece) {
        match piece {
            Piece::Begin(kind) => self.begin_item(kind),
            Piece::Text { text, tokens } => self.text(text, tokens),
            Piece::End { is_complete } => self.end_item(is_complete),
        }
    }

    /// How the answer ended; [`Scribe::end`] says it.
    pub(crate) fn close(&mut self, outcome: Outcome) {
        self.response.usage = Some(outcome.counts.into());
        self.response.status = match outcome.reason {
            Finish::Stop | Finish::ToolCalls => "completed",
            Finish::Length => {
                let reason = "max_output_tokens";
                self.response.incomplete_details = Some(IncompleteDetails { reason });
                "incomplete"
            }
        };
    }

    /// The last event of a response that did not fail.
    pub(crate) fn end(&mut self) {
        let response = self.copy();
        self.tell(match response.status {
            "incomplete" => ResponseEvent::Incomplete { response },
            _ => ResponseEvent::Completed { response },
        });
    }

    /// The last events of one that failed; what it has so far stays.
    pub(crate) fn fail(&mut self, error: &ApiError, counts: Counts) {
        let code = error.code.unwrap_or("server_error").to_owned();
        let (message, param) = (error.message.clone(), error.param.clone());
        self.tell(ResponseEvent::Error { code: Some(code), message: message.clone(), param });
        self.break_off("failed", counts);
        self.response.error = Some(ResponseError { code: "server_error".to_owned(), message });
        let response = self.copy();
        self.tell(ResponseEvent::Failed { response });
    }

    /// Ends the response where it is.
    pub(crate) fn break_off(&mut self, status: &'static str, counts: Counts) {
        self.response.status = status;
        self.response.usage = Some(counts.into());
        for item in &mut self.response.output {
            let status = item.status_mut();
            if *status == "in_progress" {
                *status = "incomplete";
            }
        }
    }

    fn copy(&self) -> Box<ResponseObject> {
        Box::new(self.response.clone())
    }

    fn tell(&mut self, event: ResponseEvent) {
        let sequence_number = self.sequence_number;
        self.sequence_number += 1;
        self.events.push(SequencedEvent { event, sequence_number });
    }

    /// Index and id of the item that is being written.
    fn current(&self) -> (usize, String) {
        let output_index = self.response.output.len().saturating_sub(1);
        let item = self.response.output.last();
        (output_index, item.map(|item| item.id().to_owned()).unwrap_or_default())
    }

    fn begin_item(&mut self, kind: Kind) {
        let status = "in_progress";
        let (item, part) = match kind {
            Kind::Reasoning => {
                let (id, summary, content) = (ids::fresh("rs_"), Vec::new(), Vec::new());
                let encrypted_content = None;
                let part = ContentPart::Reasoning(ReasoningText::new(String::new()));
                let item =
                    OutputItem::Reasoning { id, summary, content, encrypted_content, status };
                (item, Some(part))
            }
            Kind::Preamble | Kind::Answer => {
                let phase = if kind == Kind::Answer { "final_answer" } else { "commentary" };
                let (id, role, content) = (ids::fresh("msg_"), "assistant", Vec::new());
                let part = ContentPart::Output(OutputText::new(String::new(), Vec::new()));
                (OutputItem::Message { id, status, role, content, phase }, Some(part))
            }
            Kind::Call(name) => {
                let (id, call_id) = (ids::fresh("fc_"), ids::fresh("call_"));
                let arguments = String::new();
                (OutputItem::FunctionCall { id, call_id, name, arguments, status }, None)
            }
        };
        self.response.output.push(item.clone());
        let (output_index, item_id) = self.current();
        self.tell(ResponseEvent::ItemAdded { output_index, item });
        if let Some(part) = part {
            match (self.response.output.last_mut(), &part) {
                (Some(OutputItem::Message { content, .. }), ContentPart::Output(part)) => {
                    content.push(part.clone());
                }
                (Some(OutputItem::Reasoning { content, .. }), ContentPart::Reasoning(part)) => {
                    content.push(part.clone());
                }
                _ => {}
            }
            self.tell(ResponseEvent::PartAdded { item_id, output_index, content_index: 0, part });
        }
    }

    fn text(&mut self, delta: String, tokens: Vec<TokenLogprob>) {
        let (output_index, item_id) = self.current();
        let content_index = 0;
        let event = match self.response.output.last_mut() {
            Some(OutputItem::Reasoning { content, .. }) => {
                content.iter_mut().for_each(|part| part.text.push_str(&delta));
                ResponseEvent::ReasoningDelta { item_id, output_index, content_index, delta }
            }
            Some(OutputItem::Message { content, .. }) => {
                for part in content {
                    part.text.push_str(&delta);
                    part.logprobs.extend(tokens.iter().cloned());
                }
                let logprobs = tokens;
                ResponseEvent::TextDelta { item_id, output_index, content_index, delta, logprobs }
            }
            Some(OutputItem::FunctionCall { arguments, .. }) => {
                arguments.push_str(&delta);
                ResponseEvent::ArgumentsDelta { item_id, output_index, delta }
            }
            None => return,
        };
        self.tell(event);
    }

    fn end_item(&mut self, is_complete: bool) {
        let (output_index, item_id) = self.current();
        let content_index = 0;
        let Some(item) = self.response.output.last_mut() else { return };
        *item.status_mut() = if is_complete { "completed" } else { "incomplete" };
        let mut events = Vec::new();
        match item {
            OutputItem::Reasoning { content, encrypted_content, .. } => {
                let text: String = content.iter().map(|part| part.text.as_str()).collect();
                *encrypted_content = self.pack_reasoning.then(|| pack(&text));
                let part = ContentPart::Reasoning(ReasoningText::new(text.clone()));
                let id = item_id.clone();
                events.push(ResponseEvent::ReasoningDone {
                    item_id: id,
                    output_index,
                    content_index,
                    text,
                });
                events.push(ResponseEvent::PartDone { item_id, output_index, content_index, part });
            }
            OutputItem::Message { content, .. } => {
                for part in content {
                    events.push(ResponseEvent::TextDone {
                        item_id: item_id.clone(),
                        output_index,
                        content_index,
                        text: part.text.clone(),
                        logprobs: part.logprobs.clone(),
                    });
                    events.push(ResponseEvent::PartDone {
                        item_id: item_id.clone(),
                        output_index,
                        content_index,
                        part: ContentPart::Output(part.clone()),
                    });
                }
            }
            OutputItem::FunctionCall { name, arguments, .. } => {
                let (name, arguments) = (name.clone(), arguments.clone());
                events.push(ResponseEvent::ArgumentsDone {
                    item_id,
                    output_index,
                    name,
                    arguments,
                });
            }
        }
        events.push(ResponseEvent::ItemDone { output_index, item: item.clone() });
        events.into_iter().for_each(|event| self.tell(event));
    }
}
