//! Jinja as transformers sets it up for chat templates, with a budget.
//!
//! Source: `_compile_jinja_template` in transformers 5.23, `utils/chat_template_utils.py`: Jinja's
//! sandbox with `trim_blocks`, `lstrip_blocks` and loop controls, an own `tojson`, and the
//! functions `raise_exception` and `strftime_now`.

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};

use super::error::TemplateError;
use super::generation_tags::without_generation;
use super::strftime::Date;
use super::{methods, tojson};

/// Steps that a template may take for one conversation. A step pays for 64 bytes, so its texts take
/// at most 128 MB.
const FUEL_MAX: u64 = 2_000_000;

/// Calls and includes inside each other: stacks of threads are small.
const RECURSION_MAX: usize = 64;

/// Characters of a reason that is passed on.
const REASON_CHARS_MAX: usize = 400;

/// The name under which the one template is known.
const NAME: &str = "chat template";

/// A compiled template.
pub(super) struct Compiled(Environment<'static>);

/// What a template said with `raise_exception`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

impl Compiled {
    /// The template of `source`.
    ///
    /// # Errors
    /// [`TemplateError::Syntax`].
    pub(super) fn new(source: &str) -> Result<Compiled, TemplateError> {
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        let mut environment = Environment::new();
        environment.set_syntax(syntax.expect("the usual delimiters are valid"));
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL_MAX));
        environment.set_recursion_limit(RECURSION_MAX);
        environment.set_unknown_method_callback(methods::call);
        environment.add_filter("tojson", tojson::tojson);
        environment.add_function("raise_exception", |message: Value| -> Result<String, Error> {
            let raised = Raised(shortened(&message.to_string()));
            Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(raised))
        });
        environment.add_template_owned(NAME, without_generation(source)).map_err(|error| {
            TemplateError::Syntax { line: error.line().unwrap_or(1), reason: reason(&error) }
        })?;
        Ok(Compiled(environment))
    }

    /// What the template writes with these variables; `today` for `strftime_now`, which is not
    /// defined without it.
    ///
    /// # Errors
    /// If the template refuses, cannot be carried out, or takes too much.
    pub(super) fn render(
        &self,
        variables: Vec<(&'static str, Value)>,
        today: Option<Date>,
    ) -> Result<String, TemplateError> {
        let strftime_now = today.map(|date| {
            Value::from_function(move |format: String| {
                date.format(&format).map_err(|directive| {
                    let why = format!("strftime_now: not supported: `{directive}`");
                    Error::new(ErrorKind::InvalidOperation, why)
                })
            })
        });
        let functions = strftime_now.map(|function| ("strftime_now", function));
        let variables = Value::from_pairs(variables.into_iter().chain(functions));
        let template = self.0.get_template(NAME).map_err(|error| failed(&error))?;
        template.render(variables).map_err(|error| failed(&error))
    }
}

fn failed(error: &Error) -> TemplateError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(Raised(message)) = cause.downcast_ref() {
            return TemplateError::Refused { message: message.clone() };
        }
        let kind = cause.downcast_ref::<Error>().map(Error::kind);
        if kind == Some(ErrorKind::OutOfFuel) {
            return TemplateError::TooMuch { fuel_max: FUEL_MAX };
        }
        source = cause.source();
    }
    TemplateError::Render { line: error.line().unwrap_or(1), reason: reason(error) }
}

fn reason(error: &Error) -> String {
    let kind = error.kind().to_string();
    shortened(&error.detail().map_or(kind.clone(), |detail| format!("{kind}: {detail}")))
}

/// The beginning of a text that may be long, on one line.
fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(REASON_CHARS_MAX).collect()
}
