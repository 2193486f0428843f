//! Which field of a request is honoured, which is harmless, and which is refused.
//!
//! Every field that clients are known to send stands in a table. One that is honoured is a field of
//! the request's type; one that is harmless cannot change the answer and is ignored; one that would
//! change the answer and is not supported is refused by name, unless its value asks for nothing.
//! Fields that are in no table are ignored, as clients send new ones every month.

use serde_json::{Map, Value};

use crate::error::ApiError;

/// What is done with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A field of the request's type.
    Honoured,
    /// Cannot change the answer.
    Harmless,
    /// Refused unless its value is neutral; with advice.
    Refused(Neutral, &'static str),
}

/// Values of a refused field that ask for nothing; `null` always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neutral {
    /// No other value.
    Null,
    /// `false`.
    False,
    /// A number up to this.
    UpTo(i64),
    /// This word.
    Word(&'static str),
    /// `["text"]`.
    TextOnly,
    /// An empty object or list.
    Empty,
}

use Neutral::{Empty, False, Null, TextOnly, UpTo, Word};
use Rule::{Harmless, Honoured, Refused};

const FORMAT: &str = "use response_format, grammar or regex";
const SAMPLER: &str = "this sampler does not exist here";
const EFFORT: &str = "use reasoning_effort: low, medium or high";
const FRAME: &str = "the prompt is always written in the model's own format";
const TOKENS: &str = "use /v1/completions for token ids";

/// Fields of `POST /v1/chat/completions`.
pub const CHAT: &[(&str, Rule)] = &[
    ("model", Honoured),
    ("messages", Honoured),
    ("stream", Honoured),
    ("stream_options", Honoured),
    ("max_tokens", Honoured),
    ("max_completion_tokens", Honoured),
    ("temperature", Honoured),
    ("top_p", Honoured),
    ("top_k", Honoured),
    ("min_p", Honoured),
    ("repetition_penalty", Honoured),
    ("frequency_penalty", Honoured),
    ("presence_penalty", Honoured),
    ("logit_bias", Honoured),
    ("logprobs", Honoured),
    ("top_logprobs", Honoured),
    ("n", Honoured),
    ("seed", Honoured),
    ("stop", Honoured),
    ("response_format", Honoured),
    ("grammar", Honoured),
    ("regex", Honoured),
    ("tools", Honoured),
    ("tool_choice", Honoured),
    ("parallel_tool_calls", Honoured),
    ("reasoning_effort", Honoured),
    ("reasoning", Honoured),
    ("include_reasoning", Honoured),
    ("chat_template_kwargs", Honoured),
    ("verbosity", Refused(Word("medium"), "say in the instructions how long an answer should be")),
    ("functions", Refused(Empty, "use tools")),
    ("function_call", Refused(Null, "use tool_choice")),
    ("modalities", Refused(TextOnly, "only text is generated")),
    ("audio", Refused(Null, "only text is generated")),
    ("web_search_options", Refused(Null, "there is no web search; offer one as a tool")),
    ("best_of", Refused(UpTo(1), "use n")),
    ("echo", Refused(False, TOKENS)),
    ("prompt_logprobs", Refused(Null, TOKENS)),
    ("return_token_ids", Refused(False, TOKENS)),
    ("return_tokens_as_token_ids", Refused(False, TOKENS)),
    ("ignore_eos", Refused(False, "an answer ends where the model ends it")),
    ("min_tokens", Refused(UpTo(0), "an answer ends where the model ends it")),
    ("stop_token_ids", Refused(Empty, "use stop")),
    ("include_stop_str_in_output", Refused(False, "a stop string is never part of the answer")),
    ("skip_special_tokens", Refused(Null, "special tokens are never part of the answer")),
    ("truncate_prompt_tokens", Refused(Null, "shorten the messages")),
    ("length_penalty", Refused(UpTo(1), SAMPLER)),
    ("use_beam_search", Refused(False, SAMPLER)),
    ("typical_p", Refused(UpTo(1), SAMPLER)),
    ("tfs_z", Refused(UpTo(1), SAMPLER)),
    ("mirostat", Refused(UpTo(0), SAMPLER)),
    ("dry_multiplier", Refused(UpTo(0), SAMPLER)),
    ("xtc_probability", Refused(UpTo(0), SAMPLER)),
    ("dynatemp_range", Refused(UpTo(0), SAMPLER)),
    ("guided_json", Refused(Null, FORMAT)),
    ("guided_regex", Refused(Null, FORMAT)),
    ("guided_choice", Refused(Null, FORMAT)),
    ("guided_grammar", Refused(Null, FORMAT)),
    ("structured_outputs", Refused(Null, FORMAT)),
    ("json_schema", Refused(Null, FORMAT)),
    ("format", Refused(Null, FORMAT)),
    ("think", Refused(Null, EFFORT)),
    ("thinking", Refused(Null, EFFORT)),
    ("enable_thinking", Refused(Null, EFFORT)),
    ("chat_template", Refused(Null, FRAME)),
    ("add_generation_prompt", Refused(Null, FRAME)),
    ("continue_final_message", Refused(False, FRAME)),
    ("documents", Refused(Empty, FRAME)),
    ("prediction", Harmless),
    ("user", Harmless),
    ("safety_identifier", Harmless),
    ("metadata", Harmless),
    ("store", Harmless),
    ("service_tier", Harmless),
    ("prompt_cache_key", Harmless),
    ("prompt_cache_retention", Harmless),
    ("cache_prompt", Harmless),
];

/// Fields of `POST /v1/responses`.
pub const RESPONSES: &[(&str, Rule)] = &[
    ("model", Honoured),
    ("input", Honoured),
    ("instructions", Honoured),
    ("stream", Honoured),
    ("background", Honoured),
    ("store", Honoured),
    ("previous_response_id", Honoured),
    ("max_output_tokens", Honoured),
    ("temperature", Honoured),
    ("top_p", Honoured),
    ("top_k", Honoured),
    ("min_p", Honoured),
    ("repetition_penalty", Honoured),
    ("frequency_penalty", Honoured),
    ("presence_penalty", Honoured),
    ("logit_bias", Honoured),
    ("top_logprobs", Honoured),
    ("seed", Honoured),
    ("stop", Honoured),
    ("text", Honoured),
    ("grammar", Honoured),
    ("regex", Honoured),
    ("tools", Honoured),
    ("tool_choice", Honoured),
    ("parallel_tool_calls", Honoured),
    ("reasoning", Honoured),
    ("include", Honoured),
    ("truncation", Honoured),
    ("metadata", Honoured),
    ("user", Honoured),
    ("max_tool_calls", Honoured),
    ("conversation", Refused(Null, "use previous_response_id")),
    ("prompt", Refused(Null, "there are no stored prompts; use input and instructions")),
    ("context_management", Refused(Empty, "use truncation")),
    ("ignore_eos", Refused(False, "an answer ends where the model ends it")),
    ("stream_options", Harmless),
    ("safety_identifier", Harmless),
    ("service_tier", Harmless),
    ("prompt_cache_key", Harmless),
    ("prompt_cache_retention", Harmless),
];

/// Fields of `POST /v1/completions`.
pub const COMPLETIONS: &[(&str, Rule)] = &[
    ("model", Honoured),
    ("prompt", Honoured),
    ("stream", Honoured),
    ("stream_options", Honoured),
    ("max_tokens", Honoured),
    ("temperature", Honoured),
    ("top_p", Honoured),
    ("top_k", Honoured),
    ("min_p", Honoured),
    ("repetition_penalty", Honoured),
    ("frequency_penalty", Honoured),
    ("presence_penalty", Honoured),
    ("logit_bias", Honoured),
    ("logprobs", Honoured),
    ("n", Honoured),
    ("seed", Honoured),
    ("stop", Honoured),
    ("echo", Honoured),
    ("add_special_tokens", Honoured),
    ("suffix", Refused(Word(""), "the models only continue a text")),
    ("best_of", Refused(UpTo(1), "use n")),
    ("response_format", Refused(Null, "use /v1/chat/completions")),
    ("grammar", Refused(Null, "use /v1/chat/completions")),
    ("regex", Refused(Null, "use /v1/chat/completions")),
    ("guided_json", Refused(Null, "use /v1/chat/completions")),
    ("guided_regex", Refused(Null, "use /v1/chat/completions")),
    ("guided_choice", Refused(Null, "use /v1/chat/completions")),
    ("guided_grammar", Refused(Null, "use /v1/chat/completions")),
    ("structured_outputs", Refused(Null, "use /v1/chat/completions")),
    ("ignore_eos", Refused(False, "a text ends where the model ends it")),
    ("min_tokens", Refused(UpTo(0), "a text ends where the model ends it")),
    ("stop_token_ids", Refused(Empty, "use stop")),
    ("include_stop_str_in_output", Refused(False, "a stop string is never part of the text")),
    ("prompt_logprobs", Refused(Null, "use echo with logprobs")),
    ("return_token_ids", Refused(False, "use echo with logprobs")),
    ("return_tokens_as_token_ids", Refused(False, "use echo with logprobs")),
    ("truncate_prompt_tokens", Refused(Null, "shorten the prompt")),
    ("length_penalty", Refused(UpTo(1), SAMPLER)),
    ("use_beam_search", Refused(False, SAMPLER)),
    ("typical_p", Refused(UpTo(1), SAMPLER)),
    ("mirostat", Refused(UpTo(0), SAMPLER)),
    ("user", Harmless),
    ("cache_prompt", Harmless),
];

/// Fields of `POST /v1/embeddings`.
pub const EMBEDDINGS: &[(&str, Rule)] = &[
    ("model", Honoured),
    ("input", Honoured),
    ("encoding_format", Honoured),
    ("dimensions", Honoured),
    ("truncate_prompt_tokens", Refused(Null, "shorten the input")),
    ("user", Harmless),
];

/// Refuses the fields of `object` that would change the answer and are not supported.
///
/// # Errors
/// The first of them, by name.
pub fn check(object: &Map<String, Value>, table: &[(&str, Rule)]) -> Result<(), ApiError> {
    for (name, value) in object {
        let rule = table.iter().find(|(field, _)| field == name).map(|(_, rule)| *rule);
        if let Some(Refused(neutral, advice)) = rule
            && !is_neutral(value, neutral)
        {
            return Err(ApiError::unsupported(name, advice));
        }
    }
    Ok(())
}

fn is_neutral(value: &Value, neutral: Neutral) -> bool {
    match (neutral, value) {
        (_, Value::Null) => true,
        (False, Value::Bool(value)) => !value,
        (UpTo(most), Value::Number(number)) => number.as_f64().is_some_and(|n| n <= most as f64),
        (Word(word), Value::String(text)) => text == word,
        (TextOnly, Value::Array(items)) => items.iter().all(|item| item == "text"),
        (Empty, Value::Array(items)) => items.is_empty(),
        (Empty, Value::Object(fields)) => fields.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::{JsonSchema, schema_for};
    use serde_json::json;

    /// The fields of a type are those that its table calls honoured.
    fn agree<T: JsonSchema>(table: &[(&str, Rule)]) {
        let schema = schema_for!(T);
        let properties = schema.get("properties").and_then(Value::as_object).unwrap();
        let mut of_type: Vec<&str> = properties.keys().map(String::as_str).collect();
        let mut of_table: Vec<&str> =
            table.iter().filter_map(|(name, rule)| (*rule == Honoured).then_some(*name)).collect();
        of_type.sort_unstable();
        of_table.sort_unstable();
        assert_eq!(of_type, of_table);
    }

    #[test]
    fn what_a_table_calls_honoured_is_a_field_of_the_type() {
        agree::<crate::chat_completions::ChatRequest>(CHAT);
        agree::<crate::responses::ResponsesRequest>(RESPONSES);
        agree::<crate::completions::CompletionRequest>(COMPLETIONS);
        agree::<crate::embeddings::EmbeddingRequest>(EMBEDDINGS);
    }

    #[test]
    fn no_field_stands_twice_in_a_table() {
        for table in [CHAT, RESPONSES, COMPLETIONS, EMBEDDINGS] {
            for (i, (name, _)) in table.iter().enumerate() {
                assert!(!table[..i].iter().any(|(other, _)| other == name), "{name}");
            }
        }
    }

    #[test]
    fn known_fields_that_would_change_the_answer_are_refused_by_name() {
        let refused = [
            json!({"audio": {"voice": "a"}}),
            json!({"functions": [{}]}),
            json!({"best_of": 2}),
            json!({"ignore_eos": true}),
            json!({"think": true}),
            json!({"verbosity": "low"}),
            json!({"modalities": ["text", "audio"]}),
        ];
        for object in refused {
            let object = object.as_object().unwrap();
            let error = check(object, CHAT).unwrap_err();
            assert_eq!(error.param.as_ref(), object.keys().next());
            assert_eq!(error.code, Some("unsupported_parameter"));
        }
        let harmless = json!({
            "audio": null, "functions": [], "best_of": 1, "ignore_eos": false, "user": "u",
            "verbosity": "medium", "modalities": ["text"], "never_heard_of": {"a": 1}
        });
        assert_eq!(check(harmless.as_object().unwrap(), CHAT), Ok(()));
    }
}
