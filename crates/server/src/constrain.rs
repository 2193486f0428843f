//! Constrained decoding: what a request wants enforced, and who enforces it.
//!
//! A constraint is aware of harmony: it holds inside the body of a message only. Reasoning on
//! `analysis` and text before a call on `commentary` are free; the header is forced where a call or
//! an answer must come. With a chat template it holds for all that is generated.

use std::sync::{Arc, OnceLock};

use gptoss_engine::Constraint;
pub use gptoss_grammar::{BodyRule, CallRule, ConstraintSpec, ToolRule};
use gptoss_grammar::{GrammarError, Grammars};
use gptoss_harmony::ChatFormat;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::error::ApiError;

/// Makes constraints; an error says what of the specification cannot be enforced (400).
pub type ConstraintFactory =
    dyn Fn(&ConstraintSpec) -> Result<Box<dyn Constraint>, ApiError> + Send + Sync;

/// Enforces grammars over a model's vocabulary, which is read when the first request needs it.
pub fn grammars(format: &ChatFormat) -> Arc<ConstraintFactory> {
    let format = format.clone();
    let grammars: OnceLock<Result<Grammars, GrammarError>> = OnceLock::new();
    Arc::new(move |spec| {
        let made = grammars.get_or_init(|| Grammars::new(&format));
        let grammars = made.as_ref().map_err(|error| refused(error, spec))?;
        grammars.constraint(spec).map_err(|error| refused(&error, spec))
    })
}

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
        Some(factory) => beside_connections(|| factory(spec)).map(Some),
        None => Err(ApiError::unsupported(
            param(spec),
            "this server was built without constrained decoding",
        )),
    }
}

/// Calls what may take long without holding up connections of the same thread.
fn beside_connections<T>(call: impl FnOnce() -> T) -> T {
    let handle = Handle::try_current();
    match handle.is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread) {
        true => tokio::task::block_in_place(call),
        false => call(),
    }
}

/// The field of a request that asks for it.
fn param(spec: &ConstraintSpec) -> &'static str {
    match (&spec.answer, spec.calls) {
        (_, CallRule::Required) => "tool_choice",
        (Some(BodyRule::Lark(_)), _) => "grammar",
        (Some(BodyRule::Regex(_)), _) => "regex",
        (Some(_), _) => "response_format",
        (None, CallRule::Auto) => "tools",
    }
}

fn refused(error: &GrammarError, spec: &ConstraintSpec) -> ApiError {
    let code = match error {
        GrammarError::Keyword { .. }
        | GrammarError::Prefill { .. }
        | GrammarError::NoEnd
        | GrammarError::ToolsWithoutHarmony => "unsupported_parameter",
        _ => "invalid_value",
    };
    let invalid = ApiError::invalid(error.to_string());
    ApiError { param: Some(param(spec).to_owned()), code: Some(code), ..invalid }
}

#[cfg(test)]
mod tests {
    use gptoss_harmony::{HarmonyEncoding, Tokenizer};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_enforced_is_refused_with_the_field_that_asks_for_it() {
        let harmony = HarmonyEncoding::new(Tokenizer::o200k_harmony()).unwrap();
        let factory = grammars(&ChatFormat::Harmony(harmony));
        let refusal = |spec: &ConstraintSpec| constraint(Some(&factory), spec).err().unwrap();
        let schema = json!({"patternProperties": {}});
        let answer = Some(BodyRule::JsonSchema(schema));
        let error = refusal(&ConstraintSpec { answer, ..ConstraintSpec::default() });
        assert_eq!(error.param.as_deref(), Some("response_format"));
        assert_eq!(error.code, Some("unsupported_parameter"));
        let answer = Some(BodyRule::Regex("(".to_owned()));
        let error = refusal(&ConstraintSpec { answer, ..ConstraintSpec::default() });
        assert_eq!((error.param.as_deref(), error.code), (Some("regex"), Some("invalid_value")));
        let free = ConstraintSpec::default();
        assert!(constraint(None, &free).unwrap().is_none());
    }
}
