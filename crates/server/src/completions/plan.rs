//! A request to the sequences that are computed.

use std::sync::Arc;

use gptoss_engine::SamplingParams;
use gptoss_harmony::TokenId;

use crate::completions::reader::TextPlan;
use crate::completions::request::{CompletionRequest, Prompts};
use crate::constrain::ConstraintSpec;
use crate::error::ApiError;
use crate::generation::run::Order;
use crate::sampling::{choices, sampling_fields, stop_strings, token_limit, top_logprobs};
use crate::server::Server;

/// Tokens that are generated unless a request says more: what OpenAI's interface does.
const MAX_TOKENS: usize = 16;

/// Everything that is computed for a request.
pub(crate) struct CompletionPlan {
    /// One for each prompt.
    pub(crate) texts: Vec<TextPlan>,
    /// `n` for each prompt, those of one prompt beside each other.
    pub(crate) orders: Vec<Order>,
    pub(crate) n: usize,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
}

/// Reads the whole request.
///
/// # Errors
/// 400 with the field that is wrong.
pub(crate) fn plan(
    server: &Server,
    request: CompletionRequest,
) -> Result<CompletionPlan, ApiError> {
    let n = choices(request.n)?;
    let top = request.logprobs.map(|n| top_logprobs("logprobs", n)).transpose()?;
    let max_tokens = token_limit("max_tokens", request.max_tokens, 0)?.unwrap_or(MAX_TOKENS);
    let stop = stop_strings(request.stop.clone())?;
    let sampling = sampling_fields!(request).params(&server.engine, server.seed())?;
    let echo = request.echo.unwrap_or(false);
    let options = request.stream_options.clone().unwrap_or_default();
    let stop_tokens = server.engine.text_stop_tokens();
    let begins = request.add_special_tokens.unwrap_or(true);
    let prompts = token_ids(server, "prompt", request.prompt, begins)?;
    let context_length = server.batcher.context_length();
    let (mut texts, mut orders) = (Vec::new(), Vec::new());
    for PromptTokens { ids: prompt, added } in prompts {
        let room = context_length.saturating_sub(prompt.len());
        if prompt.len() > context_length || (room == 0 && max_tokens > 0) {
            return Err(ApiError::context_length(prompt.len(), context_length, "prompt"));
        }
        orders.extend((0..n as u64).map(|sequence| Order {
            prompt: prompt.clone(),
            sampling: SamplingParams { sequence, ..sampling.clone() },
            stop_tokens: stop_tokens.clone(),
            max_tokens: max_tokens.min(room),
            top_logprobs: top,
            prompt_logprobs: top.filter(|_| echo),
            embed: false,
            spec: ConstraintSpec::default(),
        }));
        texts.push(TextPlan {
            prompt: Arc::from(prompt),
            added,
            stop: stop.clone(),
            stop_tokens: stop_tokens.clone(),
            echo,
            logprobs: top.is_some(),
        });
    }
    Ok(CompletionPlan {
        texts,
        orders,
        n,
        stream: request.stream.unwrap_or(false),
        include_usage: options.include_usage.unwrap_or(false),
    })
}

/// A prompt.
pub(crate) struct PromptTokens {
    pub(crate) ids: Vec<TokenId>,
    /// How many of them, at the beginning, the text does not have.
    pub(crate) added: usize,
}

/// A text as token ids, special tokens in it by name; with `begins` the token that begins texts, if
/// the model's tokenizer has one, is put before it unless it stands there.
///
/// # Errors
/// 400 if the model came without a tokenizer.
pub(crate) fn text_tokens(
    server: &Server,
    text: &str,
    begins: bool,
) -> Result<PromptTokens, ApiError> {
    let mut ids = server.tokenizer()?.encode_with_specials(text);
    let begin = server.engine.text_begin_before(&ids).filter(|_| begins);
    ids.splice(..0, begin);
    Ok(PromptTokens { ids, added: begin.iter().count() })
}

/// The prompts as token ids; those that are strings as [`text_tokens`] gives them.
///
/// # Errors
/// 400 for an empty prompt, too many of them, and an id that is not in the vocabulary.
pub(crate) fn token_ids(
    server: &Server,
    param: &str,
    prompts: Prompts,
    begins: bool,
) -> Result<Vec<PromptTokens>, ApiError> {
    let most = server.settings.limits.prompts;
    let encode = |text: &String| text_tokens(server, text, begins);
    let given = |ids| PromptTokens { ids, added: 0 };
    let many = |found: usize| {
        let message = format!("expected at most {most}, found {found}");
        if found > most { Err(ApiError::field(param, message)) } else { Ok(()) }
    };
    let prompts: Vec<PromptTokens> = match prompts {
        Prompts::Text(text) => vec![encode(&text)?],
        Prompts::Texts(texts) => {
            many(texts.len())?;
            texts.iter().map(encode).collect::<Result<_, ApiError>>()?
        }
        Prompts::Ids(ids) => vec![given(ids)],
        Prompts::ManyIds(lists) => lists.into_iter().map(given).collect(),
    };
    many(prompts.len())?;
    if prompts.is_empty() || prompts.iter().any(|prompt| prompt.ids.is_empty()) {
        return Err(ApiError::field(param, "expected at least one token"));
    }
    let vocab_size = server.tokenizer()?.vocab_size();
    match prompts.iter().flat_map(|prompt| &prompt.ids).find(|id| **id as usize >= vocab_size) {
        None => Ok(prompts),
        Some(id) => {
            let message = format!("token id {id} is not in the vocabulary of {vocab_size}");
            Err(ApiError::field(param, message))
        }
    }
}
