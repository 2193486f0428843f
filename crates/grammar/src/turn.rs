//! The grammar of a whole turn, in Lark's notation as the matcher reads it; of a harmony turn:
//!
//! ```text
//! turn:      (reasoning | preamble)* (call | final)
//! reasoning: <|channel|>analysis<|message|> TEXT <|end|><|start|>assistant
//! preamble:  <|channel|>commentary<|message|> TEXT <|end|><|start|>assistant
//! call:      <|channel|>commentary to=NAME <|constrain|>json<|message|> ARGUMENTS <|call|>
//! final:     <|channel|>final<|message|> ANSWER <|return|>
//! ```
//!
//! With a chat template the turn is the answer and one of the tokens that end it.

use gptoss_harmony::{SpecialTokens, TokenId};
use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use serde_json::{Value, json};

use crate::schema;
use crate::spec::{BodyRule, CallRule, ConstraintSpec, GrammarError, ToolRule};

/// Space between the elements of JSON: a space, or a new line with its indentation. A model that
/// may write more of it, a small one at least, writes nothing else.
const JSON_SPACE: &str = r" |\n[ \t]{0,32}";

/// The grammar of a turn that follows `spec`.
pub(crate) fn grammar(
    spec: &ConstraintSpec,
    special: SpecialTokens,
) -> Result<TopLevelGrammar, GrammarError> {
    let must_call = spec.calls == CallRule::Required;
    if must_call && spec.tools.is_empty() {
        return Err(GrammarError::NoTools);
    }
    let mut lines = vec![
        format!("start: free* ({})", endings(spec).join(" | ")),
        format!(
            "free: <[{}]> (\"analysis\" | \"commentary\") <[{}]> TEXT <[{}]> <[{}]> \"assistant\"",
            special.channel, special.message, special.end, special.start
        ),
        "TEXT: /(?s:.*)/".to_owned(),
    ];
    let mut grammars = Vec::new();
    if !must_call {
        let body = match &spec.answer {
            Some(rule) => {
                grammars.push(named("answer", body(rule)?));
                "@answer"
            }
            None => "TEXT",
        };
        lines.push(format!(
            "final: <[{}]> \"final\" <[{}]> {body} <[{}]>",
            special.channel, special.message, special.return_
        ));
    }
    for (i, tool) in spec.tools.iter().enumerate() {
        lines.push(call(i, tool, special)?);
        grammars.push(named(&format!("tool_{i}"), arguments(tool)?));
    }
    grammars.insert(0, GrammarWithLexer::from_lark(lines.join("\n")));
    Ok(TopLevelGrammar { grammars, max_tokens: None })
}

/// The grammar of an answer that is the whole turn and ends with one of `stop_tokens`.
pub(crate) fn plain_grammar(
    spec: &ConstraintSpec,
    stop_tokens: &[TokenId],
) -> Result<TopLevelGrammar, GrammarError> {
    if !spec.tools.is_empty() || spec.calls == CallRule::Required {
        return Err(GrammarError::ToolsWithoutHarmony);
    }
    if stop_tokens.is_empty() {
        return Err(GrammarError::NoEnd);
    }
    let answer = match &spec.answer {
        Some(rule) => body(rule)?,
        None => GrammarWithLexer::from_lark("start: /(?s:.*)/".to_owned()),
    };
    let ends: Vec<String> = stop_tokens.iter().map(|id| format!("<[{id}]>")).collect();
    let turn = GrammarWithLexer::from_lark(format!("start: @answer ({})", ends.join(" | ")));
    Ok(TopLevelGrammar { grammars: vec![turn, named("answer", answer)], max_tokens: None })
}

/// The rules with which a turn may end.
fn endings(spec: &ConstraintSpec) -> Vec<String> {
    let calls = (0..spec.tools.len()).map(|i| format!("call_{i}"));
    let answer = (spec.calls == CallRule::Auto).then(|| "final".to_owned());
    calls.chain(answer).collect()
}

/// A call, with the recipient where models write it: behind the channel, or before it.
fn call(i: usize, tool: &ToolRule, special: SpecialTokens) -> Result<String, GrammarError> {
    let name = &tool.recipient;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(GrammarError::ToolName { name: name.clone() });
    }
    let SpecialTokens { channel, message, constrain, call, .. } = special;
    Ok(format!(
        "call_{i}: (<[{channel}]> \"commentary to={name} \" \
         | \" to={name}\" <[{channel}]> \"commentary \") \
         <[{constrain}]> \"json\" <[{message}]> @tool_{i} <[{call}]>"
    ))
}

fn named(name: &str, grammar: GrammarWithLexer) -> GrammarWithLexer {
    GrammarWithLexer { name: Some(name.to_owned()), ..grammar }
}

fn body(rule: &BodyRule) -> Result<GrammarWithLexer, GrammarError> {
    Ok(match rule {
        BodyRule::JsonObject => json_grammar(&json!({"type": "object"})),
        BodyRule::JsonSchema(schema) => {
            schema::check(schema)?;
            json_grammar(schema)
        }
        BodyRule::Lark(grammar) => GrammarWithLexer::from_lark(grammar.clone()),
        BodyRule::Regex(regex) => GrammarWithLexer::from_regex(regex),
    })
}

fn arguments(tool: &ToolRule) -> Result<GrammarWithLexer, GrammarError> {
    match &tool.schema {
        Some(schema) => body(&BodyRule::JsonSchema(schema.clone())),
        None => body(&BodyRule::JsonObject),
    }
}

/// Options of the matcher stand in the schema; those of a user are replaced.
fn json_grammar(schema: &Value) -> GrammarWithLexer {
    let mut schema = match schema {
        Value::Bool(true) => json!({}),
        schema => schema.clone(),
    };
    if let Value::Object(map) = &mut schema {
        map.insert("x-guidance".to_owned(), json!({"whitespace_pattern": JSON_SPACE}));
    }
    GrammarWithLexer::from_json_schema(schema)
}
