//! The text of a message, which clients send as one string or as a list of parts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;

/// A string, or a list of parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or a list of content parts")]
pub enum MessageContent {
    /// The whole text.
    Text(String),
    /// Its parts.
    Parts(Vec<ContentPart>),
}

/// A part of a message; only text is understood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContentPart {
    /// `text`, `input_text`, `output_text`, `reasoning_text`, `summary_text` or `refusal`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The text of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// Kinds of parts that are text.
const TEXT_KINDS: [&str; 5] =
    ["text", "input_text", "output_text", "reasoning_text", "summary_text"];

impl MessageContent {
    /// The text of all parts, with `separator` between them.
    ///
    /// # Errors
    /// 400 for a part that is no text; `param` says where.
    pub(crate) fn text(&self, param: &str, separator: &str) -> Result<String, ApiError> {
        match self {
            MessageContent::Text(text) => Ok(text.clone()),
            MessageContent::Parts(parts) => {
                let texts = parts.iter().enumerate().map(|(i, part)| part.text(param, i));
                Ok(texts.collect::<Result<Vec<_>, _>>()?.join(separator))
            }
        }
    }
}

impl ContentPart {
    fn text(&self, param: &str, index: usize) -> Result<&str, ApiError> {
        let text = match self.kind.as_str() {
            "refusal" => &self.refusal,
            kind if TEXT_KINDS.contains(&kind) => &self.text,
            kind => {
                let message = format!("parts of type `{kind}`; the model reads text only");
                return Err(ApiError::unsupported(format!("{param}[{index}]"), message));
            }
        };
        text.as_deref().ok_or_else(|| {
            let message = format!("a part of type `{}` has no text", self.kind);
            ApiError::field(format!("{param}[{index}]"), message)
        })
    }
}
