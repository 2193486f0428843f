//! What an answer is asked to be: a schema in the prompt, and a rule that enforces it.

use gptoss_harmony::ResponseFormat;
use serde_json::{Value, json};

use crate::constrain::BodyRule;
use crate::conversation::names;
use crate::error::ApiError;

/// What an answer must be, and what the prompt says of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct AnswerFormat {
    pub(crate) prompt: Option<ResponseFormat>,
    pub(crate) rule: Option<BodyRule>,
}

/// A schema with its name, from either interface.
pub(crate) struct NamedSchema {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) schema: Option<Value>,
}

impl AnswerFormat {
    /// The format of kind `text`, `json_object` or `json_schema`.
    ///
    /// # Errors
    /// 400 for another kind, or a schema without name or body.
    pub(crate) fn of_kind(
        param: &str,
        kind: &str,
        schema: Option<NamedSchema>,
    ) -> Result<AnswerFormat, ApiError> {
        match kind {
            "text" => Ok(AnswerFormat::default()),
            "json_object" => Ok(AnswerFormat {
                prompt: Some(ResponseFormat {
                    name: "json_object".to_owned(),
                    description: None,
                    schema: json!({"type": "object"}),
                }),
                rule: Some(BodyRule::JsonObject),
            }),
            "json_schema" => {
                let missing =
                    |field: &str| ApiError::field(format!("{param}.{field}"), "it is missing");
                let named = schema.ok_or_else(|| missing("json_schema"))?;
                let name = named.name.ok_or_else(|| missing("name"))?;
                names::check(&format!("{param}.name"), &name)?;
                let schema = named.schema.ok_or_else(|| missing("schema"))?;
                if !schema.is_object() && !schema.is_boolean() {
                    let message = "expected a JSON schema";
                    return Err(ApiError::field(format!("{param}.schema"), message));
                }
                let description = named.description;
                let prompt = ResponseFormat { name, description, schema: schema.clone() };
                Ok(AnswerFormat { prompt: Some(prompt), rule: Some(BodyRule::JsonSchema(schema)) })
            }
            _ => {
                let message = format!("expected text, json_object or json_schema, found `{kind}`");
                Err(ApiError::field(format!("{param}.type"), message))
            }
        }
    }

    /// The format with a grammar or a regular expression in its place.
    ///
    /// # Errors
    /// 400 if more than one is asked for.
    pub(crate) fn with_extensions(
        mut self,
        grammar: Option<String>,
        regex: Option<String>,
    ) -> Result<AnswerFormat, ApiError> {
        let rules =
            [("grammar", grammar.map(BodyRule::Lark)), ("regex", regex.map(BodyRule::Regex))];
        for (param, rule) in rules {
            if rule.is_some() && self.rule.is_some() {
                let message = "only one of response_format, grammar and regex can be enforced";
                return Err(ApiError::field(param, message));
            }
            self.rule = self.rule.or(rule);
        }
        Ok(self)
    }
}
