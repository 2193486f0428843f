//! The seam to constrained decoding: what a request wants enforced, and who can enforce it.
//!
//! A constraint is aware of harmony: it holds inside the body of a message only. Reasoning on
//! `analysis` and text before a call on `commentary` are free; the header is forced where a call or
//! an answer must come.

use std::sync::Arc;

use gptoss_engine::Constraint;
use gptoss_harmony::TokenId;
use serde_json::Value;

use crate::error::ApiError;

/// What the tokens of an answer must be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConstraintSpec {
    /// What the message on `final` must be; `None` leaves it free.
    pub answer: Option<BodyRule>,
    /// Tools that may be called, those with a schema with arguments that follow it.
    pub tools: Vec<ToolRule>,
    /// Whether a tool must be called.
    pub calls: CallRule,
    /// Tokens at the end of the prompt that belong to the header of the answer; the first token
    /// that a constraint sees comes after them.
    pub prefill: Vec<TokenId>,
}

/// What the body of a message must be.
#[derive(Clone, Debug, PartialEq)]
pub enum BodyRule {
    /// Any JSON object.
    JsonObject,
    /// JSON that follows a schema.
    JsonSchema(Value),
    /// What a grammar in Lark's notation derives.
    Lark(String),
    /// What a regular expression matches as a whole.
    Regex(String),
}

/// A tool that may be called.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolRule {
    /// Recipient of the call, such as `functions.get_weather`.
    pub recipient: String,
    /// Schema of the arguments; `None` for a tool whose arguments are free.
    pub schema: Option<Value>,
}

/// Whether a tool must be called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallRule {
    /// The model decides.
    #[default]
    Auto,
    /// One of the tools, and no answer on `final`.
    Required,
}

impl ConstraintSpec {
    /// Whether nothing is enforced.
    pub fn is_free(&self) -> bool {
        self.answer.is_none()
            && self.calls == CallRule::Auto
            && self.tools.iter().all(|tool| tool.schema.is_none())
    }

    /// The field of a request that asks for it.
    fn param(&self) -> &'static str {
        match (&self.answer, self.calls) {
            (_, CallRule::Required) => "tool_choice",
            (Some(BodyRule::Lark(_)), _) => "grammar",
            (Some(BodyRule::Regex(_)), _) => "regex",
            (Some(_), _) => "response_format",
            (None, CallRule::Auto) => "tools",
        }
    }
}

/// Makes constraints; an error says what of the specification cannot be enforced (400).
pub type ConstraintFactory =
    dyn Fn(&ConstraintSpec) -> Result<Box<dyn Constraint>, ApiError> + Send + Sync;

/// The constraint of a request, if it wants one.
///
/// # Errors
/// 400 if the specification cannot be enforced, or nothing here can enforce any.
pub fn constraint(
    factory: Option<&Arc<ConstraintFactory>>,
    spec: &ConstraintSpec,
) -> Result<Option<Box<dyn Constraint>>, ApiError> {
    match factory {
        _ if spec.is_free() => Ok(None),
        Some(factory) => factory(spec).map(Some),
        None => Err(ApiError::unsupported(
            spec.param(),
            "this server was built without constrained decoding",
        )),
    }
}
