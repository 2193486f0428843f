//! The answer, as a whole and as events.

use std::sync::Arc;

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use crate::completions::logprobs::CompletionLogprobs;
use crate::completions::plan::CompletionPlan;
use crate::completions::reader::{TextPiece, TextReader};
use crate::error::ApiError;
use crate::generation::run::Run;
use crate::output::usage::{Counts, Usage};
use crate::server::Server;
use crate::sse::{self, StreamError, Writer};

/// What ends the stream.
const DONE: &str = "data: [DONE]\n\n";

/// The answer of `POST /v1/completions`, and each event of its stream.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Completion {
    /// Its id.
    pub id: String,
    /// `text_completion`.
    pub object: &'static str,
    /// Seconds since 1970.
    pub created: u64,
    /// The model that answered.
    pub model: String,
    /// The texts.
    pub choices: Vec<CompletionChoice>,
    /// Tokens that they took; in a stream only if it was asked for, null but in the last event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Usage>>,
}

/// One text, or more of it.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct CompletionChoice {
    /// Its place: those of one prompt beside each other, in the order of the prompts.
    pub index: usize,
    /// The text.
    pub text: String,
    /// Log-probabilities of its tokens, if they were asked for.
    pub logprobs: Option<CompletionLogprobs>,
    /// `stop` or `length`; null in a stream until the end.
    pub finish_reason: Option<&'static str>,
}

/// What all events say alike.
pub(crate) struct Heading {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) model: String,
}

/// Texts that are being generated.
pub(crate) struct Texts {
    server: Arc<Server>,
    run: Run,
    readers: Vec<TextReader>,
    n: usize,
    logprobs: bool,
    ended: usize,
}

impl Texts {
    /// Begins to generate.
    ///
    /// # Errors
    /// If the engine refuses the first text.
    pub(crate) fn start(
        server: &Arc<Server>,
        client: &str,
        plan: CompletionPlan,
    ) -> Result<Texts, ApiError> {
        let tokenizer = server.tokenizer()?;
        let logprobs = plan.texts.iter().any(|text| text.logprobs);
        let texts = plan.texts.iter().flat_map(|text| vec![text.clone(); plan.n]);
        let readers = texts.map(|text| TextReader::new(tokenizer, text)).collect();
        let run = Run::start(server, client, plan.orders)?;
        Ok(Texts { server: server.clone(), run, readers, n: plan.n, logprobs, ended: 0 })
    }

    /// What comes next of any text, and why it ended if it did; `None` when all have.
    async fn next(&mut self) -> Result<Option<CompletionChoice>, ApiError> {
        while let Some((index, event)) = self.run.next().await? {
            let reader = &mut self.readers[index];
            let TextPiece { text, logprobs } = reader.push(event)?;
            let outcome = reader.outcome();
            if outcome.is_some() {
                self.run.cancel(index);
                self.ended += 1;
            }
            let finish_reason = outcome.map(|outcome| outcome.reason.as_str());
            if let Some(reason) = finish_reason {
                self.server.metrics.finished(reason);
            }
            if text.is_empty() && logprobs.tokens.is_empty() && finish_reason.is_none() {
                continue;
            }
            let logprobs = self.logprobs.then_some(logprobs);
            return Ok(Some(CompletionChoice { index, text, logprobs, finish_reason }));
        }
        Ok(None)
    }

    /// Tokens of all texts: each prompt counts once.
    fn usage(&self) -> Usage {
        let of_prompt = |readers: &[TextReader]| {
            readers.iter().map(TextReader::counts).fold(Counts::default(), Counts::with_choice)
        };
        let prompts = self.readers.chunks(self.n).map(of_prompt);
        prompts.fold(Counts::default(), Counts::with_prompt).into()
    }
}

impl Drop for Texts {
    /// Counts what was broken off.
    fn drop(&mut self) {
        for _ in self.ended..self.readers.len() {
            self.server.metrics.finished("abort");
        }
        let Usage { prompt_tokens, completion_tokens, .. } = self.usage();
        tracing::info!(prompt = prompt_tokens, completion = completion_tokens, "completed");
    }
}

/// Waits for all texts.
///
/// # Errors
/// If the engine failed, is going to end, or takes too long.
pub(crate) async fn whole(heading: Heading, mut texts: Texts) -> Result<Completion, ApiError> {
    let empty = |index| CompletionChoice { index, ..CompletionChoice::default() };
    let mut choices: Vec<CompletionChoice> = (0..texts.readers.len()).map(empty).collect();
    while let Some(more) = texts.next().await? {
        let choice = &mut choices[more.index];
        choice.text += &more.text;
        choice.finish_reason = more.finish_reason;
        if let Some(logprobs) = more.logprobs {
            choice.logprobs.get_or_insert_default().extend(logprobs);
        }
    }
    Ok(heading.completion(choices, Some(Some(texts.usage()))))
}

/// The texts as events.
pub(crate) fn stream(heading: Heading, texts: Texts, include_usage: bool) -> Response {
    let on_error = |error: &ApiError| sse::data_lines(&error.body()) + DONE;
    sse::respond(move |writer| write(heading, texts, include_usage, writer), on_error)
}

async fn write(
    heading: Heading,
    mut texts: Texts,
    include_usage: bool,
    writer: Writer,
) -> Result<(), StreamError> {
    while let Some(choice) = writer.while_reading(texts.next()).await?? {
        let usage = include_usage.then_some(None);
        writer.data(&heading.completion(vec![choice], usage)).await?;
    }
    if include_usage {
        let usage = Some(Some(texts.usage()));
        writer.data(&heading.completion(Vec::new(), usage)).await?;
    }
    writer.text(DONE.to_owned()).await?;
    Ok(())
}

impl Heading {
    fn completion(
        &self,
        choices: Vec<CompletionChoice>,
        usage: Option<Option<Usage>>,
    ) -> Completion {
        Completion {
            id: self.id.clone(),
            object: "text_completion",
            created: self.created,
            model: self.model.clone(),
            choices,
            usage,
        }
    }
}
