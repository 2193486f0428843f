//! Where in a task file a mistake is: the line of a path of keys, and the path of a byte.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::TaskFileError;

/// The text of a task file and what it is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

impl Place<'_> {
    /// A mistake in the value behind a path of keys such as `prompt.choices`, or in the place
    /// where it should be.
    pub fn at(&self, field: &str, message: impl Into<String>) -> TaskFileError {
        let offset = self.offset_of(field);
        self.error(offset, field.to_string(), message.into())
    }

    /// A mistake that the reader of TOML has found.
    pub fn of_toml(&self, error: &toml::de::Error) -> TaskFileError {
        let span = error.span().unwrap_or(0..0);
        let field = self.field_at(&span).unwrap_or_else(|| self.key_on_line(span.start));
        self.error(span.start, field, error.message().to_string())
    }

    fn error(&self, offset: usize, field: String, message: String) -> TaskFileError {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        TaskFileError { file: self.file.into(), line, field, message }
    }

    /// The beginning of the deepest key on the path that exists. A number stands for an element.
    fn offset_of(&self, field: &str) -> usize {
        let Ok(root) = DeTable::parse(self.text) else { return 0 };
        let mut offset = 0;
        let mut table = Some(root.get_ref());
        let mut value: Option<&Spanned<DeValue<'_>>> = None;
        for part in field.split('.') {
            let child = match (table, part.parse::<usize>()) {
                (Some(table), _) => table
                    .iter()
                    .find(|(key, _)| key.get_ref().as_ref() == part)
                    .map(|(key, child)| (key.span().start, child)),
                (None, Ok(index)) => value
                    .and_then(|value| value.get_ref().as_array()?.get(index))
                    .map(|child| (child.span().start, child)),
                _ => None,
            };
            let Some((start, child)) = child else { break };
            offset = start;
            table = child.get_ref().as_table();
            value = Some(child);
        }
        offset
    }

    /// What stands before the first `=` of a line whose syntax is wrong.
    fn key_on_line(&self, offset: usize) -> String {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = self.text.lines().nth(before.matches('\n').count()).unwrap_or_default();
        line.split('=').next().unwrap_or_default().trim().chars().take(60).collect()
    }

    /// The path of the innermost value that covers a place.
    fn field_at(&self, span: &Range<usize>) -> Option<String> {
        let root = DeTable::parse(self.text).ok()?;
        let mut path = Vec::new();
        descend(root.get_ref(), span, &mut path);
        (!path.is_empty()).then(|| path.join("."))
    }
}

fn descend(table: &DeTable<'_>, span: &Range<usize>, path: &mut Vec<String>) {
    for (key, value) in table.iter() {
        let covers = |range: Range<usize>| range.start <= span.start && span.end <= range.end;
        let inner = value.get_ref().as_table();
        // The header of a table is not part of what its values span.
        let within = |child: &Spanned<DeValue<'_>>| covers(child.span());
        let below = inner.is_some_and(|inner| {
            inner.iter().any(|(key, child)| covers(key.span()) || within(child))
        });
        if covers(key.span()) || covers(value.span()) || below {
            path.push(key.get_ref().to_string());
            if let Some(inner) = inner {
                descend(inner, span, path);
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name = 1\n\n[prompt]\ntext = \"a\"\nchoices = [\n  \"x\",\n  \"y\",\n]\n\
                        [[filters]]\nname = \"f\"\n[[filters]]\nname = \"g\"\n";

    #[test]
    fn finds_the_line_of_a_field() {
        let place = Place { file: "f.toml", text: TEXT };
        for (field, line) in [
            ("name", 1),
            ("prompt", 3),
            ("prompt.text", 4),
            ("prompt.choices", 5),
            ("prompt.choices.1", 7),
            ("filters.1.name", 12),
            ("prompt.gold", 3),
            ("nothing", 1),
        ] {
            assert_eq!(place.at(field, "wrong").line, line, "{field}");
        }
        let message = place.at("prompt.text", "wrong").to_string();
        assert_eq!(message, "f.toml:4: `prompt.text`: wrong");
    }

    #[test]
    fn finds_the_field_of_a_place() {
        let place = Place { file: "f.toml", text: TEXT };
        let at = |needle: &str| {
            let start = TEXT.find(needle).unwrap();
            place.field_at(&(start..start + needle.len()))
        };
        assert_eq!(at("1").unwrap(), "name");
        assert_eq!(at("\"a\"").unwrap(), "prompt.text");
        assert_eq!(at("\"y\"").unwrap(), "prompt.choices");
    }
}
