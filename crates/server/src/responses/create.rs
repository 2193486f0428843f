//! `POST /v1/responses`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tracing::Instrument as _;

use crate::auth::Client;
use crate::body::{Json, blocking};
use crate::catch::CatchPanic;
use crate::conversation::items::InputItem;
use crate::error::ApiError;
use crate::generation::choices::{Choices, Happening};
use crate::responses::background::Slot;
use crate::responses::event::{ResponseEvent, SequencedEvent};
use crate::responses::history::{before, keep, listed};
use crate::responses::object::ResponseObject;
use crate::responses::plan::{ResponsesPlan, plan};
use crate::responses::request::ResponsesRequest;
use crate::responses::scribe::Scribe;
use crate::server::Server;
use crate::sse::{self, StreamError, Writer};

/// A response that is being generated, with what is stored of it.
struct Task {
    server: Arc<Server>,
    owner: String,
    /// The items of the request itself.
    input: Vec<InputItem>,
    scribe: Scribe,
    choices: Choices,
}

/// `POST /v1/responses`.
pub(crate) async fn create(
    State(server): State<Arc<Server>>,
    Extension(client): Extension<Client>,
    Json(request): Json<ResponsesRequest>,
) -> Result<Response, ApiError> {
    let model = server.model_for(request.model.as_deref())?;
    let in_background = request.background.unwrap_or(false);
    if in_background && request.stream == Some(true) {
        return Err(ApiError::unsupported("background", "together with stream"));
    }
    if in_background && request.store == Some(false) {
        return Err(ApiError::field("background", "expected store: true beside it"));
    }
    let (shared, owner) = (server.clone(), client.owner.clone());
    let (plan, input) = blocking(move || {
        let mut items = before(&shared.store, &owner, request.previous_response_id.as_deref())?;
        let input = request.input.clone().into_items();
        items.extend(input.iter().cloned());
        Ok((plan(&shared, model, &request, &items)?, listed(input)))
    })
    .await?;
    let ResponsesPlan { answer, response, pack_reasoning, stream } = plan;
    let slot = match in_background {
        true => Some(server.background.begin(&response.id, &client.owner)?),
        false => None,
    };
    let choices = Choices::start(&server, &client.name, &answer, 1)?;
    let scribe = Scribe::new(response, pack_reasoning);
    let task = Task { server, owner: client.owner, input, scribe, choices };
    match slot {
        Some(slot) => Ok(axum::Json(task.leave(slot).await?).into_response()),
        None if stream => Ok(sse::respond(|writer| task.write(writer), error_lines)),
        None => Ok(axum::Json(task.finish().await?).into_response()),
    }
}

/// What is written if the stream itself fails.
fn error_lines(error: &ApiError) -> String {
    let event = ResponseEvent::Error {
        code: error.code.map(str::to_owned),
        message: error.message.clone(),
        param: error.param.clone(),
    };
    // The number of the last event is not known here; clients that count have lost their place.
    let event = SequencedEvent { event, sequence_number: u64::from(u32::MAX) };
    format!("event: error\n{}", sse::data_lines(&event))
}

impl Task {
    /// Writes what happens next; false when the response has ended.
    async fn step(&mut self) -> Result<bool, ApiError> {
        match self.choices.next().await? {
            Some((_, Happening::Piece(piece))) => self.scribe.push(piece),
            Some((_, Happening::Ended(outcome))) => self.scribe.close(outcome),
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Stores the response, if that was asked for. What was generated is not lost if that fails:
    /// the response then says that it is not stored.
    async fn store(&mut self) {
        let response = self.scribe.response();
        if response.store && keep(&self.server, &self.owner, response, &self.input).await.is_err() {
            self.scribe.not_stored();
        }
    }

    /// The whole response.
    async fn finish(mut self) -> Result<ResponseObject, ApiError> {
        while self.step().await? {
            // Nobody reads them.
            self.scribe.take_events();
        }
        self.store().await;
        Ok(self.scribe.response().clone())
    }

    /// The response as events.
    async fn write(mut self, writer: Writer) -> Result<(), StreamError> {
        self.scribe.begin();
        loop {
            for event in self.scribe.take_events() {
                writer.event(event.event.name(), &event).await?;
            }
            match writer.while_reading(self.step()).await? {
                Ok(true) => {}
                Ok(false) => {
                    self.store().await;
                    self.scribe.end();
                    break;
                }
                Err(error) => {
                    self.scribe.fail(&error, self.choices.counts());
                    self.store().await;
                    break;
                }
            }
        }
        for event in self.scribe.take_events() {
            writer.event(event.event.name(), &event).await?;
        }
        Ok(())
    }

    /// Leaves the response to the background, and gives what it is.
    async fn leave(self, slot: Slot) -> Result<ResponseObject, ApiError> {
        let response = self.scribe.response().clone();
        keep(&self.server, &self.owner, &response, &self.input).await?;
        let (server, owner, input) = (self.server.clone(), self.owner.clone(), self.input.clone());
        let mut lost = response.clone();
        let work = async move {
            if CatchPanic::new(self.work_alone(&slot)).await.is_err() {
                lost.status = "failed";
                let _ = keep(&server, &owner, &lost, &input).await;
            }
            drop(slot);
        };
        tokio::spawn(work.in_current_span());
        Ok(response)
    }

    /// Generates until the end, or until somebody asks to end.
    async fn work_alone(mut self, slot: &Slot) {
        self.scribe.begin();
        self.store().await;
        loop {
            let step = tokio::select! {
                step = self.step() => Some(step),
                () = slot.cancelled() => None,
            };
            self.scribe.take_events();
            match step {
                Some(Ok(true)) => continue,
                Some(Ok(false)) => {}
                Some(Err(error)) => self.scribe.fail(&error, self.choices.counts()),
                None => self.scribe.break_off("cancelled", self.choices.counts()),
            }
            return self.store().await;
        }
    }
}
