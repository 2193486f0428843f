//! JSON as Python's `json.dumps` writes it, for the filter `tojson` of chat templates.
//!
//! transformers replaces Jinja's own filter by `json.dumps(x, ensure_ascii=False, …)`: nothing is
//! escaped for HTML, and there is a space behind `,` and `:` unless a template says otherwise.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// Levels of a value, so that recursion over it ends.
const DEPTH_MAX: usize = 128;

/// How it is written.
struct Style {
    ensure_ascii: bool,
    sort_keys: bool,
    /// Spaces for each level; `None` for one line.
    indent: Option<usize>,
    /// Between two elements, and between a key and its value.
    separators: (String, String),
}

/// The filter `tojson`, with the named arguments that transformers gives it.
///
/// # Errors
/// For a value that JSON has no form for, as in Python, and an argument that is not known.
pub(super) fn tojson(value: &Value, kwargs: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = kwargs.get::<Option<usize>>("indent")?.map(|n| n.min(64));
    let separators = match kwargs.get::<Option<Value>>("separators")? {
        Some(pair) => separators(&pair)?,
        None => ((if indent.is_some() { "," } else { ", " }).to_owned(), ": ".to_owned()),
    };
    let flag = |name: &str| kwargs.get::<Option<bool>>(name).map(|flag| flag.unwrap_or(false));
    let style = Style {
        ensure_ascii: flag("ensure_ascii")?,
        sort_keys: flag("sort_keys")?,
        indent,
        separators,
    };
    kwargs.assert_all_used()?;
    let mut out = String::new();
    style.write(value, 0, &mut out)?;
    Ok(out)
}

/// The two texts of the argument `separators`.
fn separators(pair: &Value) -> Result<(String, String), Error> {
    let text =
        |index| pair.get_item_by_index(index).ok().and_then(|v| Some(v.as_str()?.to_owned()));
    text(0).zip(text(1)).ok_or_else(|| {
        Error::new(ErrorKind::InvalidOperation, "tojson: separators: expected two texts")
    })
}

impl Style {
    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(wrong(format!("more than {DEPTH_MAX} levels")));
        }
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number if value.is_integer() => out.push_str(&value.to_string()),
            ValueKind::Number => write_float(f64::try_from(value.clone())?, out),
            ValueKind::String => self.write_string(value.as_str().unwrap_or_default(), out),
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?.collect::<Vec<Value>>();
                self.write_items(('[', ']'), items.len(), depth, out, |i, out| {
                    self.write(&items[i], depth + 1, out)
                })?;
            }
            ValueKind::Map => self.write_map(value, depth, out)?,
            kind => return Err(wrong(format!("a value of kind {kind}"))),
        }
        Ok(())
    }

    fn write_map(&self, map: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        let mut keys = Vec::new();
        for key in map.try_iter()? {
            let Some(name) = key.as_str() else {
                return Err(wrong("a map with a key that is no string".to_owned()));
            };
            keys.push((name.to_owned(), map.get_item(&key)?));
        }
        if self.sort_keys {
            keys.sort_by(|a, b| a.0.cmp(&b.0));
        }
        self.write_items(('{', '}'), keys.len(), depth, out, |i, out| {
            let (name, value) = &keys[i];
            self.write_string(name, out);
            out.push_str(&self.separators.1);
            self.write(value, depth + 1, out)
        })
    }

    /// Writes `count` elements between brackets.
    fn write_items(
        &self,
        brackets: (char, char),
        count: usize,
        depth: usize,
        out: &mut String,
        mut item: impl FnMut(usize, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let line = |depth: usize, out: &mut String| {
            if let Some(indent) = self.indent {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', indent * depth));
            }
        };
        out.push(brackets.0);
        for i in 0..count {
            if i > 0 {
                out.push_str(&self.separators.0);
            }
            line(depth + 1, out);
            item(i, out)?;
        }
        if count > 0 {
            line(depth, out);
        }
        out.push(brackets.1);
        Ok(())
    }

    fn write_string(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || self.ensure_ascii && c > '~' => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

fn wrong(found: String) -> Error {
    Error::new(ErrorKind::BadSerialization, format!("tojson: JSON has no form for {found}"))
}

/// A float as Python's `repr` has it: the fewest digits that read back the same, with an exponent
/// below 1e-4 and from 1e16 on.
fn write_float(x: f64, out: &mut String) {
    if x.is_nan() || x.is_infinite() {
        out.push_str(match x {
            x if x.is_nan() => "NaN",
            x if x > 0.0 => "Infinity",
            _ => "-Infinity",
        });
        return;
    }
    let magnitude = x.abs();
    if magnitude == 0.0 || (1e-4..1e16).contains(&magnitude) {
        out.push_str(&format!("{x:?}"));
        return;
    }
    let text = format!("{x:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    out.push_str(&format!("{digits}e{sign}{exponent:0>2}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_those_of_python() {
        for (x, expected) in [
            (0.1, "0.1"),
            (-2.0, "-2.0"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1e16, "1e+16"),
            (9007199254740993.0, "9007199254740992.0"),
            (1.5e300, "1.5e+300"),
            (-2.5e-310, "-2.5e-310"),
            (f64::INFINITY, "Infinity"),
            (f64::NAN, "NaN"),
        ] {
            let mut out = String::new();
            write_float(x, &mut out);
            assert_eq!(out, expected);
        }
    }
}
