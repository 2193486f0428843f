//! Fields of a JSON object, with errors that name the file and the field.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{CheckpointError, Place, printable};

/// A JSON object of a file. A field that is `null` counts as missing.
pub(crate) struct Fields<'a> {
    pub(crate) file: &'a Path,
    /// Path to the object inside the file, with a trailing dot, or empty.
    prefix: String,
    object: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The fields of a file's outermost value.
    ///
    /// # Errors
    /// If that is not an object.
    pub(crate) fn of(file: &'a Path, json: &'a Value) -> Result<Fields<'a>, CheckpointError> {
        match json.as_object() {
            Some(object) => Ok(Fields { file, prefix: String::new(), object }),
            None => Err(CheckpointError::Invalid {
                file: file.to_path_buf(),
                place: Place::File,
                expected: "a JSON object".to_owned(),
                found: Fields::describe(json),
            }),
        }
    }

    pub(crate) fn get(&self, field: &str) -> Option<&'a Value> {
        self.object.get(field).filter(|value| !value.is_null())
    }

    /// Whether the field is there, be it as `null`.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.object.contains_key(field)
    }

    /// A whole number that is not negative.
    pub(crate) fn count(&self, field: &str) -> Result<Option<usize>, CheckpointError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        // Python writes whole numbers as floats where they went through a division.
        let whole = |x: f64| (x.fract() == 0.0 && (0.0..9e15).contains(&x)).then_some(x as u64);
        let number = value.as_u64().or_else(|| value.as_f64().and_then(whole));
        match number.and_then(|n| usize::try_from(n).ok()) {
            Some(n) => Ok(Some(n)),
            None => Err(self.invalid(field, "a whole number", &Fields::describe(value))),
        }
    }

    pub(crate) fn required_count(&self, field: &str) -> Result<usize, CheckpointError> {
        self.count(field)?.ok_or_else(|| self.invalid(field, "a whole number", "nothing"))
    }

    pub(crate) fn number(&self, field: &str) -> Result<Option<f64>, CheckpointError> {
        self.typed(field, "a number", Value::as_f64)
    }

    pub(crate) fn flag(&self, field: &str) -> Result<Option<bool>, CheckpointError> {
        self.typed(field, "true or false", Value::as_bool)
    }

    pub(crate) fn string(&self, field: &str) -> Result<Option<&'a str>, CheckpointError> {
        self.typed(field, "a string", Value::as_str)
    }

    pub(crate) fn object(&self, field: &str) -> Result<Option<Fields<'a>>, CheckpointError> {
        let object = self.typed(field, "an object", Value::as_object)?;
        let prefix = format!("{}{field}.", self.prefix);
        Ok(object.map(|object| Fields { file: self.file, prefix, object }))
    }

    /// Token ids: one number or a list of them.
    pub(crate) fn token_ids(&self, field: &str) -> Result<Vec<u32>, CheckpointError> {
        let Some(value) = self.get(field) else { return Ok(Vec::new()) };
        let values = match value {
            Value::Array(values) => values.as_slice(),
            single => std::slice::from_ref(single),
        };
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let ids: Option<Vec<u32>> = values.iter().map(id).collect();
        ids.ok_or_else(|| self.invalid(field, "token ids", &Fields::describe(value)))
    }

    pub(crate) fn invalid(&self, field: &str, expected: &str, found: &str) -> CheckpointError {
        CheckpointError::Invalid {
            file: self.file.to_path_buf(),
            place: Place::Field(format!("{}{field}", self.prefix)),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }

    pub(crate) fn unsupported(&self, field: &str, what: String) -> CheckpointError {
        CheckpointError::Unsupported {
            file: self.file.to_path_buf(),
            place: Place::Field(format!("{}{field}", self.prefix)),
            what,
        }
    }

    /// A value for messages: short values as they are written, long ones by their kind.
    pub(crate) fn describe(value: &Value) -> String {
        match value {
            Value::Array(values) => format!("a list of {}", values.len()),
            Value::Object(_) => "an object".to_owned(),
            Value::String(text) => format!("\"{}\"", printable(text)),
            other => other.to_string(),
        }
    }

    fn typed<T>(
        &self,
        field: &str,
        expected: &str,
        as_type: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, CheckpointError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        match as_type(value) {
            Some(typed) => Ok(Some(typed)),
            None => Err(self.invalid(field, expected, &Fields::describe(value))),
        }
    }
}
