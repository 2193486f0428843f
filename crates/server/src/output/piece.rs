//! What happens in an answer, whatever interface it goes out on.

use gptoss_engine::BatchStop;

use crate::error::ApiError;
use crate::output::logprobs::TokenLogprob;
use crate::output::usage::Counts;

/// One thing that happens in an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    /// A message begins: the one before has ended.
    Begin(Kind),
    /// More text of it, whole code points, never empty, with the tokens that brought it if they
    /// were asked for and the text is for the user.
    Text { text: String, tokens: Vec<TokenLogprob> },
    /// It has ended; not `is_complete` if it was cut off.
    End { is_complete: bool },
}

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The chain of thought.
    Reasoning,
    /// Said to the user before a call.
    Preamble,
    /// Said to the user.
    Answer,
    /// A call of this tool; the text is its arguments.
    Call(String),
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) reason: Finish,
    pub(crate) counts: Counts,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The model was done, or a stop string came.
    Stop,
    /// The limit of tokens, or of the context.
    Length,
    /// A tool has to answer.
    ToolCalls,
}

impl Finish {
    /// How a sequence ended that the engine has finished.
    ///
    /// # Errors
    /// If it failed, or the program is going to end.
    pub(crate) fn of(stop: BatchStop) -> Result<Finish, ApiError> {
        match stop {
            BatchStop::StopToken(_) => Ok(Finish::Stop),
            BatchStop::MaxTokens | BatchStop::ContextFull => Ok(Finish::Length),
            BatchStop::ShuttingDown => Err(ApiError::shutting_down()),
            BatchStop::Failed(message) => Err(ApiError::internal(message)),
        }
    }

    /// The name in Chat Completions, Completions and the metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::ToolCalls => "tool_calls",
        }
    }
}
