//! Methods of Python's strings, lists and dictionaries, which chat templates call.
//!
//! The methods are those of minijinja's own collection for this purpose. The few that can make
//! much out of little are paid for here before they are called, so that the budget of a template
//! bounds its memory, and those that could not be bounded are refused.

use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

/// Bytes for which one unit of the budget pays.
const BYTES_PER_STEP: usize = 64;

/// Bytes that an element of a list takes beside its text.
const ELEMENT_BYTES: usize = 32;

/// The result of a method that minijinja itself does not know.
///
/// # Errors
/// If there is no such method, or the budget does not allow its result.
pub(super) fn call(
    state: &mut State,
    value: &Value,
    method: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    let refused = |why: &str| Error::new(ErrorKind::UnknownMethod, format!("{method}: {why}"));
    let Some(text) = value.as_str() else {
        return unknown_method_callback(state, value, method, arguments);
    };
    let argument = |index: usize| arguments.get(index).and_then(Value::as_str);
    match (method, argument(0)) {
        ("format", _) => return Err(refused("not supported")),
        ("replace" | "split", Some("")) => {
            return Err(refused("not supported: the empty text as what is looked for"));
        }
        ("join", _) => return join(state, text, arguments),
        ("replace", Some(old)) => {
            let added = argument(1).unwrap_or_default().len();
            pay(state, text.matches(old).count().saturating_mul(added))?;
        }
        ("split", Some(separator)) => {
            pay(state, text.matches(separator).count().saturating_mul(ELEMENT_BYTES))?;
        }
        ("split" | "splitlines", None) => {
            let blanks = text.chars().filter(|c| c.is_whitespace()).count();
            pay(state, blanks.saturating_mul(ELEMENT_BYTES))?;
        }
        _ => {}
    }
    unknown_method_callback(state, value, method, arguments)
}

/// The texts of a list with `separator` between them.
fn join(state: &State, separator: &str, arguments: &[Value]) -> Result<Value, Error> {
    let [items] = arguments else {
        return Err(Error::new(ErrorKind::MissingArgument, "join: expected one list"));
    };
    let mut joined = String::new();
    for (index, item) in items.try_iter()?.checked().enumerate() {
        let item = item?;
        let item = item.as_str().ok_or_else(|| {
            let found = format!("join: expected texts, found a {}", item.kind());
            Error::new(ErrorKind::InvalidOperation, found)
        })?;
        let separator = if index > 0 { separator } else { "" };
        pay(state, ELEMENT_BYTES + separator.len() + item.len())?;
        joined.push_str(separator);
        joined.push_str(item);
    }
    Ok(Value::from(joined))
}

/// Takes what so many bytes cost from the budget.
fn pay(state: &State, bytes: usize) -> Result<(), Error> {
    state.consume_fuel((bytes / BYTES_PER_STEP) as u64)
}
