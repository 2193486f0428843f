//! Templates of prompts: Jinja as the reference harness renders it.
//!
//! Jinja, because task files of the harness are written in it and a user can carry them over.
//! Undefined names are errors, the last line feed stays, and texts have the methods of Python
//! that such files use. Fuel bounds what one rendering may cost.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value};

use crate::data::Doc;
use crate::python::regex::Regex;
use crate::python::text;

/// Instructions of one rendering.
const FUEL: u64 = 1_000_000;
/// Bytes of a text that a template makes.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// Templates and expressions of a task, by the name of their field.
pub struct Templates {
    environment: Environment<'static>,
    expressions: BTreeMap<String, String>,
}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Templates").finish_non_exhaustive()
    }
}

impl Default for Templates {
    fn default() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        environment.set_syntax(syntax.expect("the usual delimiters do not contradict each other"));
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(python_method);
        let last = Mutex::new(None);
        environment.add_filter("regex_replace", move |own: &str, pattern: &str, by: &str| {
            regex_replace(&last, own, pattern, by)
        });
        Templates { environment, expressions: BTreeMap::new() }
    }
}

impl Templates {
    /// Adds a template under the name of its field.
    ///
    /// # Errors
    /// If its syntax is wrong.
    pub fn add(&mut self, field: &str, source: &str) -> Result<(), String> {
        let added = self.environment.add_template_owned(field.to_string(), source.to_string());
        added.map_err(|error| error.to_string())
    }

    /// Adds an expression under the name of its field.
    ///
    /// # Errors
    /// If its syntax is wrong.
    pub fn add_expression(&mut self, field: &str, source: &str) -> Result<(), String> {
        self.environment.compile_expression(source).map_err(|error| error.to_string())?;
        self.expressions.insert(field.to_string(), source.to_string());
        Ok(())
    }

    /// The text of a template.
    ///
    /// # Errors
    /// If a name is missing, a method fails or it costs too much.
    pub fn render(&self, field: &str, fields: &Value) -> Result<String, String> {
        let template = self.environment.get_template(field).map_err(|error| error.to_string())?;
        let text = template.render(fields).map_err(|error| error.to_string())?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("{} bytes, at most {TEXT_BYTES_MAX}", text.len()));
        }
        Ok(text)
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// If a name is missing, a method fails or it costs too much.
    pub fn evaluate(&self, field: &str, fields: &Value) -> Result<Value, String> {
        let source = self.expressions.get(field).ok_or("no such expression")?;
        let expression = self.environment.compile_expression(source);
        let value = expression.and_then(|expression| expression.eval(fields));
        let value = value.map_err(|error| error.to_string())?;
        if value.is_undefined() {
            return Err(format!("`{source}` is undefined"));
        }
        Ok(value)
    }
}

/// The fields of a document, and further ones.
pub fn fields_of(doc: &Doc, more: &[(&str, &str)]) -> Value {
    let own = doc.iter().map(|(name, value)| (name.clone(), value_of(value)));
    let more = more.iter().map(|(name, value)| (name.to_string(), Value::from(*value)));
    Value::from(own.chain(more).collect::<BTreeMap<String, Value>>())
}

/// A JSON value as templates see it.
fn value_of(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(value) => Value::from(*value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::from(value),
            (_, Some(value)) => Value::from(value),
            _ => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(values) => {
            Value::from(values.iter().map(value_of).collect::<Vec<_>>())
        }
        serde_json::Value::Object(doc) => fields_of(doc, &[]),
    }
}

/// Methods of Python's `str` and `list` that templates of the harness call.
fn python_method(
    _: &mut State,
    value: &Value,
    name: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    if let Some(own) = value.as_str() {
        return text_method(own, name, arguments);
    }
    if let ("index", [wanted]) = (name, arguments)
        && let Ok(mut items) = value.try_iter()
    {
        return items.position(|item| item == *wanted).map(Value::from).ok_or_else(|| {
            Error::new(ErrorKind::InvalidOperation, format!("{wanted} is not in the list"))
        });
    }
    Err(unknown_method(name, arguments))
}

fn unknown_method(name: &str, arguments: &[Value]) -> Error {
    let message = format!("not supported: method `{name}` with {} arguments", arguments.len());
    Error::new(ErrorKind::UnknownMethod, message)
}

fn text_method(own: &str, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let texts: Vec<&str> = arguments.iter().filter_map(Value::as_str).collect();
    if texts.len() != arguments.len() {
        return Err(unknown_method(name, arguments));
    }
    let one_of = |characters: &str| {
        let characters: Vec<char> = characters.chars().collect();
        move |c: char| characters.contains(&c)
    };
    Ok(match (name, texts.as_slice()) {
        ("strip", []) => Value::from(text::strip(own)),
        ("strip", [characters]) => Value::from(own.trim_matches(one_of(characters))),
        ("lstrip", []) => Value::from(own.trim_start_matches(text::is_space)),
        ("lstrip", [characters]) => Value::from(own.trim_start_matches(one_of(characters))),
        ("rstrip", []) => Value::from(text::strip_end(own)),
        ("rstrip", [characters]) => Value::from(own.trim_end_matches(one_of(characters))),
        ("split", []) => Value::from(
            own.split(text::is_space)
                .filter(|part| !part.is_empty())
                .map(str::to_string)
                .collect::<Vec<_>>(),
        ),
        ("split", [separator]) if !separator.is_empty() => {
            Value::from(own.split(separator).map(str::to_string).collect::<Vec<_>>())
        }
        ("replace", [from, to]) if !from.is_empty() => Value::from(own.replace(from, to)),
        ("capitalize", []) => Value::from(text::capitalize(own)),
        ("lower", []) => Value::from(own.to_lowercase()),
        ("upper", []) => Value::from(own.to_uppercase()),
        ("startswith", [start]) => Value::from(own.starts_with(start)),
        ("endswith", [end]) => Value::from(own.ends_with(end)),
        ("index", [part]) => {
            let at = own.find(part).ok_or_else(|| {
                Error::new(ErrorKind::InvalidOperation, format!("{part:?} is not in {own:?}"))
            })?;
            Value::from(own[..at].chars().count())
        }
        _ => return Err(unknown_method(name, arguments)),
    })
}

/// `re.sub(pattern, replacement, text)`, a filter that the harness adds to Jinja; `last` is the
/// pattern of the call before, which mostly is the same.
fn regex_replace(
    last: &Mutex<Option<(String, Regex)>>,
    own: &str,
    pattern: &str,
    replacement: &str,
) -> Result<String, Error> {
    let fail = |message: String| Error::new(ErrorKind::InvalidOperation, message);
    if replacement.contains('\\') {
        return Err(fail("not supported: a backslash in the replacement".into()));
    }
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let regex = match last.take().filter(|(known, _)| known == pattern) {
        Some((_, regex)) => Ok(regex),
        None => Regex::new(pattern),
    };
    let regex = regex.map_err(|error| fail(error.to_string()))?;
    let replaced = regex.replace(own, replacement).map_err(|error| fail(error.to_string()));
    *last = Some((pattern.to_owned(), regex));
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, doc: &str) -> Result<String, String> {
        let mut templates = Templates::default();
        templates.add("text", source)?;
        templates.render("text", &fields_of(&serde_json::from_str(doc).unwrap(), &[]))
    }

    #[test]
    fn renders_as_the_harness_does() {
        for (source, doc, expected) in [
            ("{{q.strip()}}\nA:\n", r#"{"q": " x\u001c "}"#, "x\nA:\n"),
            ("{{c.text[1]}}{{c.text|length > 1}}", r#"{"c": {"text": ["a", "b"]}}"#, "bTrue"),
            ("{{ 'ABCD'[k|int - 1] if k|string in '1234' else k }}", r#"{"k": "2"}"#, "B"),
            ("{{ 'ABCD'[k|int - 1] if k|string in '1234' else k }}", r#"{"k": "C"}"#, "C"),
            ("{{a.split('####')[-1].strip()}}", r#"{"a": "x #### 3 #### 4 "}"#, "4"),
            ("{{a if a is defined else b}}", r#"{"b": "t"}"#, "t"),
            ("{{l.index('b')}}{{s.index('é')}}", r#"{"l": ["a", "b"], "s": "aéb"}"#, "11"),
            (
                "{{x.replace('[t]', '.')|regex_replace('\\\\[.*?\\\\]', '')}}",
                r#"{"x": "a[t] [b]c"}"#,
                "a. c",
            ),
            ("{% set p = 'x' %}{{p + '\n' + q}}", r#"{"q": "<&>"}"#, "x\n<&>"),
        ] {
            assert_eq!(render(source, doc).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn mistakes_are_errors() {
        assert!(render("{{nothing}}", "{}").unwrap_err().contains("undefined"));
        assert!(render("{{q.fly()}}", r#"{"q": "a"}"#).unwrap_err().contains("not supported"));
        assert!(render("{{", "{}").is_err());
        assert!(
            render(
                "{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}\
                        {% endfor %}",
                "{}"
            )
            .is_err()
        );
    }
}
