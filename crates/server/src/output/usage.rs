//! How many tokens a request took.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tokens of one or several answers to one prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) prompt: usize,
    /// Those of the prompt that need not be computed.
    pub(crate) cached: usize,
    pub(crate) completion: usize,
    /// Those of the completion that were thought.
    pub(crate) reasoning: usize,
}

impl Counts {
    /// The counts with another answer to the same prompt.
    pub(crate) fn with_choice(self, other: Counts) -> Counts {
        Counts {
            prompt: self.prompt.max(other.prompt),
            // What later choices find is what the first one computed.
            cached: if self.prompt == 0 { other.cached } else { self.cached },
            completion: self.completion + other.completion,
            reasoning: self.reasoning + other.reasoning,
        }
    }

    /// The counts with another prompt and its answer.
    pub(crate) fn with_prompt(self, other: Counts) -> Counts {
        Counts {
            prompt: self.prompt + other.prompt,
            cached: self.cached + other.cached,
            completion: self.completion + other.completion,
            reasoning: self.reasoning + other.reasoning,
        }
    }
}

/// Tokens of a request, as Chat Completions and Completions say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Usage {
    /// Of the prompt.
    pub prompt_tokens: usize,
    /// Generated.
    pub completion_tokens: usize,
    /// Both.
    pub total_tokens: usize,
    /// More on the prompt.
    pub prompt_tokens_details: PromptTokensDetails,
    /// More on what was generated.
    pub completion_tokens_details: CompletionTokensDetails,
}

/// More on the prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptTokensDetails {
    /// Tokens that need not be computed.
    pub cached_tokens: usize,
}

/// More on what was generated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CompletionTokensDetails {
    /// Tokens that were thought.
    pub reasoning_tokens: usize,
}

/// Tokens of a request, as Responses says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ResponsesUsage {
    /// Of the prompt.
    pub input_tokens: usize,
    /// More on the prompt.
    pub input_tokens_details: PromptTokensDetails,
    /// Generated.
    pub output_tokens: usize,
    /// More on what was generated.
    pub output_tokens_details: CompletionTokensDetails,
    /// Both.
    pub total_tokens: usize,
}

impl From<Counts> for Usage {
    fn from(counts: Counts) -> Usage {
        Usage {
            prompt_tokens: counts.prompt,
            completion_tokens: counts.completion,
            total_tokens: counts.prompt + counts.completion,
            prompt_tokens_details: PromptTokensDetails { cached_tokens: counts.cached },
            completion_tokens_details: CompletionTokensDetails {
                reasoning_tokens: counts.reasoning,
            },
        }
    }
}

impl From<Counts> for ResponsesUsage {
    fn from(counts: Counts) -> ResponsesUsage {
        let usage = Usage::from(counts);
        ResponsesUsage {
            input_tokens: usage.prompt_tokens,
            input_tokens_details: usage.prompt_tokens_details,
            output_tokens: usage.completion_tokens,
            output_tokens_details: usage.completion_tokens_details,
            total_tokens: usage.total_tokens,
        }
    }
}
