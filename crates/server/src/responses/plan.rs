//! A request to what is generated, and to the response that is written.

use crate::constrain::ConstraintSpec;
use crate::conversation::dialogue::Opening;
use crate::conversation::effort;
use crate::conversation::format::{AnswerFormat, NamedSchema};
use crate::conversation::items::{InputItem, dialogue};
use crate::conversation::prompt::{Prompt, Truncation};
use crate::conversation::tools::{Choice, FunctionTool, Toolbox};
use crate::error::ApiError;
use crate::generation::plan::Plan;
use crate::ids;
use crate::output::reader::Reading;
use crate::responses::object::{ReasoningEcho, ResponseObject};
use crate::responses::request::{
    ReasoningRequest, ResponsesRequest, ResponsesTool, ResponsesToolChoice, TextFormat, TextParam,
};
use crate::sampling::{sampling_fields, stop_strings, token_limit, top_logprobs};
use crate::server::{Server, now};

/// Value of `include` that asks for log-probabilities.
const INCLUDE_LOGPROBS: &str = "message.output_text.logprobs";
/// Value of `include` that asks for reasoning in a form that clients carry.
const INCLUDE_REASONING: &str = "reasoning.encrypted_content";

/// What is generated, and the response without its output.
pub(crate) struct ResponsesPlan {
    pub(crate) answer: Plan,
    pub(crate) response: ResponseObject,
    pub(crate) pack_reasoning: bool,
    pub(crate) stream: bool,
}

/// Reads the whole request; `items` are the conversation so far and the input.
///
/// # Errors
/// 400 with the field that is wrong.
pub(crate) fn plan(
    server: &Server,
    model: String,
    request: &ResponsesRequest,
    items: &[InputItem],
) -> Result<ResponsesPlan, ApiError> {
    let includes = |what: &str| request.include.iter().flatten().any(|name| name == what);
    let top = top_logprobs("top_logprobs", request.top_logprobs.unwrap_or(0))?;
    let wants_logprobs = top > 0 || includes(INCLUDE_LOGPROBS);
    let max_tokens = token_limit("max_output_tokens", request.max_output_tokens, 1)?;
    let stop = stop_strings(request.stop.clone())?;
    let sampling = sampling_fields!(request).params(&server.engine, server.seed())?;
    let toolbox = toolbox(request)?;
    let format = format(request)?;
    let reasoning = request.reasoning.clone().unwrap_or_default();
    let (tools, calls) = toolbox.rules();
    let opening = Opening {
        engine: &server.engine,
        effort: effort::chosen(server, "reasoning.effort", reasoning.effort.as_deref())?,
        date: server.date(),
        toolbox: &toolbox,
        format: format.prompt,
    };
    let turns = dialogue(request.instructions.clone(), items, &toolbox)?;
    let context_length = server.batcher.context_length();
    let truncation = match request.truncation.as_deref() {
        None | Some("disabled") => Truncation::Disabled,
        // Without a limit half of the context is for the answer.
        Some("auto") => Truncation::Auto(max_tokens.unwrap_or(context_length / 2)),
        Some(word) => {
            let message = format!("expected auto or disabled, found `{word}`");
            return Err(ApiError::field("truncation", message));
        }
    };
    let conversation = turns.into_conversation(opening);
    let prompt = Prompt::render(&server.engine, conversation, context_length, truncation)?;
    let response = response(model, request, reasoning, (&sampling.temperature, &sampling.top_p));
    let reading = Reading {
        stop,
        parallel_calls: request.parallel_tool_calls.unwrap_or(true),
        has_tools: !toolbox.is_empty(),
    };
    let spec = ConstraintSpec { answer: format.rule, tools, calls, prefill: Vec::new() };
    let top_logprobs = wants_logprobs.then_some(top);
    Ok(ResponsesPlan {
        answer: Plan { prompt, sampling, max_tokens, top_logprobs, reading, spec },
        response,
        pack_reasoning: includes(INCLUDE_REASONING),
        stream: request.stream.unwrap_or(false),
    })
}

/// The response before anything is generated.
fn response(
    model: String,
    request: &ResponsesRequest,
    reasoning: ReasoningRequest,
    (temperature, top_p): (&f32, &f32),
) -> ResponseObject {
    let text = TextFormat {
        kind: "text".to_owned(),
        name: None,
        description: None,
        schema: None,
        strict: None,
    };
    let given = request.text.clone().unwrap_or_default();
    let auto = || ResponsesToolChoice::Word("auto".to_owned());
    ResponseObject {
        id: ids::fresh("resp_"),
        object: "response",
        created_at: now(),
        status: "queued",
        background: request.background.unwrap_or(false),
        error: None,
        incomplete_details: None,
        instructions: request.instructions.clone(),
        max_output_tokens: request.max_output_tokens,
        max_tool_calls: request.max_tool_calls,
        model,
        output: Vec::new(),
        parallel_tool_calls: request.parallel_tool_calls.unwrap_or(true),
        previous_response_id: request.previous_response_id.clone(),
        reasoning: ReasoningEcho { effort: reasoning.effort, summary: reasoning.summary },
        service_tier: "default",
        store: request.store.unwrap_or(true),
        temperature: request.temperature.unwrap_or_else(|| f64::from(*temperature)),
        text: TextParam { format: given.format.or(Some(text)), verbosity: given.verbosity },
        tool_choice: request.tool_choice.clone().unwrap_or_else(auto),
        tools: request.tools.clone().unwrap_or_default(),
        top_logprobs: request.top_logprobs.unwrap_or(0),
        top_p: request.top_p.unwrap_or_else(|| f64::from(*top_p)),
        truncation: request.truncation.clone().unwrap_or_else(|| "disabled".to_owned()),
        usage: None,
        user: request.user.clone(),
        metadata: request.metadata.clone().unwrap_or_default(),
    }
}

fn toolbox(request: &ResponsesRequest) -> Result<Toolbox, ApiError> {
    let tools = request.tools.iter().flatten().enumerate();
    let functions = tools.map(|(i, tool)| function(i, tool)).collect::<Result<_, _>>()?;
    let choice = match &request.tool_choice {
        None => Choice::Auto,
        Some(ResponsesToolChoice::Word(word)) => Choice::of_word(word)?,
        Some(ResponsesToolChoice::Named { kind, name: Some(name) }) if kind == "function" => {
            Choice::Named(name.clone())
        }
        Some(ResponsesToolChoice::Named { kind, .. }) => {
            return Err(ApiError::unsupported("tool_choice", format!("type `{kind}`")));
        }
    };
    Toolbox::new(functions, choice)
}

fn function(index: usize, tool: &ResponsesTool) -> Result<FunctionTool, ApiError> {
    if tool.kind != "function" {
        let message = format!("tools of type `{}`; only functions are called", tool.kind);
        return Err(ApiError::unsupported(format!("tools[{index}].type"), message));
    }
    let missing = || ApiError::field(format!("tools[{index}].name"), "it is missing");
    Ok(FunctionTool {
        name: tool.name.clone().ok_or_else(missing)?,
        description: tool.description.clone(),
        parameters: tool.parameters.clone().filter(|schema| !schema.is_null()),
        strict: tool.strict,
    })
}

fn format(request: &ResponsesRequest) -> Result<AnswerFormat, ApiError> {
    let text = request.text.clone().unwrap_or_default();
    if text.verbosity.as_deref().is_some_and(|word| word != "medium") {
        let advice = "say in the instructions how long an answer should be";
        return Err(ApiError::unsupported("text.verbosity", advice));
    }
    let format = match text.format {
        None => AnswerFormat::default(),
        Some(TextFormat { kind, name, description, schema, .. }) => {
            let schema = NamedSchema { name, description, schema };
            AnswerFormat::of_kind("text.format", &kind, Some(schema))?
        }
    };
    format.with_extensions(request.grammar.clone(), request.regex.clone())
}
