//! A request to what is generated.

use serde_json::Value;

use crate::chat_completions::request::{ChatRequest, ToolChoiceParam, ToolParam};
use crate::constrain::ConstraintSpec;
use crate::conversation::chat::dialogue;
use crate::conversation::dialogue::Opening;
use crate::conversation::effort;
use crate::conversation::format::{AnswerFormat, NamedSchema};
use crate::conversation::prompt::{Prompt, Truncation};
use crate::conversation::tools::{Choice, FunctionTool, Toolbox};
use crate::error::ApiError;
use crate::generation::plan::Plan;
use crate::output::reader::Reading;
use crate::sampling::{choices, sampling_fields, stop_strings, token_limit, top_logprobs};
use crate::server::Server;

/// What is generated, and how it is given out.
pub(crate) struct ChatPlan {
    pub(crate) answer: Plan,
    pub(crate) n: usize,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) show_reasoning: bool,
    pub(crate) logprobs: bool,
}

/// Reads the whole request.
///
/// # Errors
/// 400 with the field that is wrong.
pub(crate) fn plan(server: &Server, request: ChatRequest) -> Result<ChatPlan, ApiError> {
    let n = choices(request.n)?;
    let logprobs = request.logprobs.unwrap_or(false);
    let top = match (logprobs, request.top_logprobs) {
        (true, top) => Some(top_logprobs("top_logprobs", top.unwrap_or(0))?),
        (false, None | Some(0)) => None,
        (false, Some(_)) => {
            return Err(ApiError::field("top_logprobs", "expected logprobs: true beside it"));
        }
    };
    let max_tokens = match request.max_completion_tokens {
        Some(_) => token_limit("max_completion_tokens", request.max_completion_tokens, 1)?,
        None => token_limit("max_tokens", request.max_tokens, 1)?,
    };
    let options = request.stream_options.clone().unwrap_or_default();
    let exclude = request.reasoning.as_ref().and_then(|reasoning| reasoning.exclude);
    let show_reasoning = request.include_reasoning != Some(false) && exclude != Some(true);
    let stream = request.stream.unwrap_or(false);
    let parallel_calls = request.parallel_tool_calls.unwrap_or(true);
    let stop = stop_strings(request.stop.clone())?;
    let sampling = sampling_fields!(request).params(&server.engine, server.seed())?;
    let toolbox = toolbox(&request)?;
    let format = format(&request)?;
    let (tools, calls) = toolbox.rules();
    let spec = ConstraintSpec { answer: format.rule, tools, calls, prefill: Vec::new() };
    let opening = Opening {
        engine: &server.engine,
        effort: effort(server, &request)?,
        date: server.date(),
        toolbox: &toolbox,
        format: format.prompt,
    };
    let conversation = dialogue(request.messages, &toolbox)?.into_conversation(opening);
    let context_length = server.batcher.context_length();
    let prompt =
        Prompt::render(&server.engine, conversation, context_length, Truncation::Disabled)?;
    let reading = Reading { stop, parallel_calls, has_tools: !toolbox.is_empty() };
    Ok(ChatPlan {
        answer: Plan { prompt, sampling, max_tokens, top_logprobs: top, reading, spec },
        n,
        stream,
        include_usage: options.include_usage.unwrap_or(false),
        show_reasoning,
        logprobs,
    })
}

fn toolbox(request: &ChatRequest) -> Result<Toolbox, ApiError> {
    let tools = request.tools.iter().flatten().enumerate();
    let functions = tools.map(|(i, tool)| function(i, tool)).collect::<Result<_, _>>()?;
    let choice = match &request.tool_choice {
        None => Choice::Auto,
        Some(ToolChoiceParam::Word(word)) => Choice::of_word(word)?,
        Some(ToolChoiceParam::Named { kind, function }) if kind == "function" => {
            Choice::Named(function.name.clone())
        }
        Some(ToolChoiceParam::Named { kind, .. }) => {
            return Err(ApiError::unsupported("tool_choice", format!("type `{kind}`")));
        }
    };
    Toolbox::new(functions, choice)
}

fn function(index: usize, tool: &ToolParam) -> Result<FunctionTool, ApiError> {
    match &tool.function {
        Some(function) if tool.kind == "function" => Ok(function.clone()),
        None if tool.kind == "function" => {
            Err(ApiError::field(format!("tools[{index}].function"), "it is missing"))
        }
        _ => {
            let message = format!("tools of type `{}`; only functions are called", tool.kind);
            Err(ApiError::unsupported(format!("tools[{index}].type"), message))
        }
    }
}

fn format(request: &ChatRequest) -> Result<AnswerFormat, ApiError> {
    let format = match &request.response_format {
        None => AnswerFormat::default(),
        Some(format) => {
            let schema = format.json_schema.clone().map(|named| NamedSchema {
                name: Some(named.name),
                description: named.description,
                schema: named.schema,
            });
            AnswerFormat::of_kind("response_format", &format.kind, schema)?
        }
    };
    format.with_extensions(request.grammar.clone(), request.regex.clone())
}

/// The effort from any of the places where clients put it.
fn effort(
    server: &Server,
    request: &ChatRequest,
) -> Result<Option<gptoss_harmony::ReasoningEffort>, ApiError> {
    let mut of_template = None;
    for (key, value) in request.chat_template_kwargs.iter().flatten() {
        let param = format!("chat_template_kwargs.{key}");
        match (key.as_str(), value) {
            (_, Value::Null) => {}
            ("reasoning_effort", Value::String(word)) => of_template = Some(word.as_str()),
            _ => return Err(ApiError::unsupported(param, "only reasoning_effort is known")),
        }
    }
    let of_reasoning = request.reasoning.as_ref().and_then(|param| param.effort.as_deref());
    let word = request.reasoning_effort.as_deref().or(of_reasoning).or(of_template);
    effort::chosen(server, "reasoning_effort", word)
}
