//! The metadata of a GGUF file: keys, values of thirteen types, and bounded reading.
//!
//! Source: docs/gguf.md of ggml-org/ggml. Every length is compared with the rest of the file
//! before anything is allocated for it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::bytes::Bytes;
use crate::error::{CheckpointError, Place, printable};

/// Arrays inside arrays; files of gpt-oss have none.
const NESTING_MAX: usize = 4;

/// A cursor over a file. `place` is what errors name.
pub(crate) struct Reader<'a> {
    pub(crate) file: &'a Path,
    pub(crate) bytes: &'a Bytes,
    pub(crate) position: usize,
    pub(crate) place: Place,
}

impl<'a> Reader<'a> {
    /// Bytes behind the cursor.
    pub(crate) fn rest(&self) -> u64 {
        (self.bytes.len() - self.position) as u64
    }

    pub(crate) fn invalid(&self, expected: String, found: String) -> CheckpointError {
        CheckpointError::Invalid {
            file: self.file.to_path_buf(),
            place: self.place.clone(),
            expected,
            found,
        }
    }

    pub(crate) fn unsupported(&self, what: String) -> CheckpointError {
        let (file, place) = (self.file.to_path_buf(), self.place.clone());
        CheckpointError::Unsupported { file, place, what }
    }

    /// The range of the next `len` bytes.
    pub(crate) fn take(&mut self, len: u64) -> Result<Range<usize>, CheckpointError> {
        if len > self.rest() {
            let expected = format!("{len} bytes at offset {}", self.position);
            return Err(
                self.invalid(expected, format!("{} up to the end of the file", self.rest()))
            );
        }
        let start = self.position;
        self.position += usize::try_from(len).expect("at most the length of a slice");
        Ok(start..self.position)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], CheckpointError> {
        let range = self.take(N as u64)?;
        Ok(self.bytes[range].try_into().expect("N bytes were taken"))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, CheckpointError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, CheckpointError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A number of things that take at least `bytes_each` bytes of the file.
    pub(crate) fn count(&mut self, what: &str, bytes_each: u64) -> Result<u64, CheckpointError> {
        let count = self.u64()?;
        let most = self.rest() / bytes_each;
        if count > most {
            let expected = format!("at most {most} {what}, for which the file has room");
            return Err(self.invalid(expected, count.to_string()));
        }
        Ok(count)
    }

    /// The range of a length-prefixed string, which is UTF-8.
    fn string_range(&mut self) -> Result<Range<usize>, CheckpointError> {
        let len = self.u64()?;
        let range = self.take(len)?;
        match std::str::from_utf8(&self.bytes[range.clone()]) {
            Ok(_) => Ok(range),
            Err(error) => Err(self.invalid("UTF-8".to_owned(), error.to_string())),
        }
    }

    pub(crate) fn string(&mut self) -> Result<String, CheckpointError> {
        let range = self.string_range()?;
        Ok(String::from_utf8_lossy(&self.bytes[range]).into_owned())
    }

    /// A value with its type in front.
    pub(crate) fn value(&mut self) -> Result<Value, CheckpointError> {
        match Scalar::of(self.u32()?) {
            Ok(scalar) => self.scalar(scalar),
            Err(8) => Ok(Value::String(self.string()?)),
            Err(9) => self.array_value(0),
            Err(other) => Err(self.unknown_type(other)),
        }
    }

    fn unknown_type(&self, found: u32) -> CheckpointError {
        self.invalid("a value type from 0 to 12".to_owned(), found.to_string())
    }

    fn scalar(&mut self, scalar: Scalar) -> Result<Value, CheckpointError> {
        let range = self.take(scalar.bytes())?;
        scalar
            .decode(&self.bytes[range])
            .map_err(|byte| self.invalid("0 or 1, a truth value".to_owned(), byte.to_string()))
    }

    fn array_value(&mut self, depth: usize) -> Result<Value, CheckpointError> {
        if depth == NESTING_MAX {
            let expected = format!("at most {NESTING_MAX} arrays inside each other");
            return Err(self.invalid(expected, "more".to_owned()));
        }
        match Scalar::of(self.u32()?) {
            Ok(scalar) => {
                let count = self.count("elements", scalar.bytes())?;
                let range = self.take(count * scalar.bytes())?;
                let data = self.bytes.slice(range).expect("the range was taken");
                Ok(Value::Numbers(scalar, data))
            }
            Err(8) => {
                let count = self.count("strings", 8)?;
                let mut spans = Vec::new();
                for _ in 0..count {
                    spans.push(self.string_range()?);
                }
                Ok(Value::Strings(StringArray { file: self.bytes.clone(), spans }))
            }
            Err(9) => {
                for _ in 0..self.count("arrays", 12)? {
                    self.array_value(depth + 1)?;
                }
                Ok(Value::Nested)
            }
            Err(other) => Err(self.unknown_type(other)),
        }
    }
}

/// A metadata value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    String(String),
    Strings(StringArray),
    Numbers(Scalar, Bytes),
    /// Arrays of arrays, which nothing here reads.
    Nested,
}

impl Value {
    /// The value for messages.
    fn describe(&self) -> String {
        match self {
            Value::Unsigned(n) => n.to_string(),
            Value::Signed(n) => n.to_string(),
            Value::Float(x) => x.to_string(),
            Value::Bool(b) => b.to_string(),
            Value::String(text) => format!("\"{}\"", printable(text)),
            Value::Strings(strings) => format!("a list of {} strings", strings.len()),
            Value::Numbers(..) => "a list of numbers".to_owned(),
            Value::Nested => "a list of lists".to_owned(),
        }
    }
}

/// The types of fixed size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    U64,
    I64,
    F64,
}

impl Scalar {
    /// The type with this number, or the number if it is a string, an array or unknown.
    fn of(number: u32) -> Result<Scalar, u32> {
        Ok(match number {
            0 => Scalar::U8,
            1 => Scalar::I8,
            2 => Scalar::U16,
            3 => Scalar::I16,
            4 => Scalar::U32,
            5 => Scalar::I32,
            6 => Scalar::F32,
            7 => Scalar::Bool,
            10 => Scalar::U64,
            11 => Scalar::I64,
            12 => Scalar::F64,
            other => return Err(other),
        })
    }

    fn bytes(self) -> u64 {
        match self {
            Scalar::U8 | Scalar::I8 | Scalar::Bool => 1,
            Scalar::U16 | Scalar::I16 => 2,
            Scalar::U32 | Scalar::I32 | Scalar::F32 => 4,
            Scalar::U64 | Scalar::I64 | Scalar::F64 => 8,
        }
    }

    /// The value of `self.bytes()` bytes, or the byte that is not a truth value.
    fn decode(self, bytes: &[u8]) -> Result<Value, u8> {
        let mut wide = [0; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        let word = u64::from_le_bytes(wide);
        Ok(match self {
            Scalar::U8 | Scalar::U16 | Scalar::U32 | Scalar::U64 => Value::Unsigned(word),
            Scalar::I8 => Value::Signed(i64::from(word as i8)),
            Scalar::I16 => Value::Signed(i64::from(word as i16)),
            Scalar::I32 => Value::Signed(i64::from(word as i32)),
            Scalar::I64 => Value::Signed(word as i64),
            Scalar::F32 => Value::Float(shortest(f32::from_bits(word as u32))),
            Scalar::F64 => Value::Float(f64::from_bits(word)),
            Scalar::Bool => match bytes[0] {
                byte @ (0 | 1) => Value::Bool(byte == 1),
                other => return Err(other),
            },
        })
    }
}

/// The number with the fewest digits that rounds to this f32: GGUF files keep 1e-5 as f32, while
/// `config.json` says 1e-05, and both must give the same model.
fn shortest(x: f32) -> f64 {
    x.to_string().parse().expect("Rust reads the numbers that it writes")
}

/// Strings of a file, in place.
#[derive(Clone, Debug)]
pub struct StringArray {
    file: Bytes,
    spans: Vec<Range<usize>>,
}

impl StringArray {
    /// Number of strings.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The strings in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.spans.iter().map(|span| self.text(span))
    }

    /// The string at a place, if there are so many.
    pub fn get(&self, index: usize) -> Option<&str> {
        self.spans.get(index).map(|span| self.text(span))
    }

    fn text(&self, span: &Range<usize>) -> &str {
        std::str::from_utf8(&self.file[span.clone()]).expect("checked when the file was read")
    }
}

/// The metadata of a file by key.
pub(crate) struct Metadata {
    pub(crate) file: PathBuf,
    pub(crate) values: BTreeMap<String, Value>,
}

impl Metadata {
    pub(crate) fn invalid(&self, key: &str, expected: &str, found: String) -> CheckpointError {
        CheckpointError::Invalid {
            file: self.file.clone(),
            place: Place::Field(key.to_owned()),
            expected: expected.to_owned(),
            found,
        }
    }

    pub(crate) fn unsupported(&self, key: &str, what: String) -> CheckpointError {
        let place = Place::Field(key.to_owned());
        CheckpointError::Unsupported { file: self.file.clone(), place, what }
    }

    /// A whole number that is not negative. A list with one entry a layer counts as a number if
    /// all entries are the same.
    pub(crate) fn count(&self, key: &str) -> Result<Option<usize>, CheckpointError> {
        let Some(value) = self.values.get(key) else { return Ok(None) };
        let (count, expected) = match value {
            Value::Numbers(scalar, data) => {
                (uniform(*scalar, data), "a whole number, the same for all layers")
            }
            other => (whole(other), "a whole number"),
        };
        match count {
            Some(n) => Ok(Some(n)),
            None => Err(self.invalid(key, expected, value.describe())),
        }
    }

    pub(crate) fn required_count(&self, key: &str) -> Result<usize, CheckpointError> {
        let missing = || self.invalid(key, "a whole number", "nothing".to_owned());
        self.count(key)?.ok_or_else(missing)
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, CheckpointError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Float(x)) => Ok(Some(*x)),
            Some(Value::Unsigned(n)) => Ok(Some(*n as f64)),
            Some(Value::Signed(n)) => Ok(Some(*n as f64)),
            Some(other) => Err(self.invalid(key, "a number", other.describe())),
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, CheckpointError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.invalid(key, "true or false", other.describe())),
        }
    }

    pub(crate) fn string(&self, key: &str) -> Result<Option<&str>, CheckpointError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.invalid(key, "a string", other.describe())),
        }
    }

    pub(crate) fn strings(&self, key: &str) -> Result<Option<&StringArray>, CheckpointError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Strings(strings)) => Ok(Some(strings)),
            Some(other) => Err(self.invalid(key, "a list of strings", other.describe())),
        }
    }

    /// A list of f32.
    pub(crate) fn floats(&self, key: &str) -> Result<Option<Vec<f32>>, CheckpointError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Numbers(Scalar::F32, data)) => {
                let (floats, _) = data.as_chunks();
                Ok(Some(floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()))
            }
            Some(other) => Err(self.invalid(key, "a list of f32", other.describe())),
        }
    }

    /// A list of whole numbers or truth values, or one of them.
    pub(crate) fn integers(&self, key: &str) -> Result<Option<Vec<i64>>, CheckpointError> {
        let Some(value) = self.values.get(key) else { return Ok(None) };
        let integer = |value: &Value| match value {
            Value::Unsigned(n) => i64::try_from(*n).ok(),
            Value::Signed(n) => Some(*n),
            Value::Bool(b) => Some(i64::from(*b)),
            _ => None,
        };
        let list = match value {
            Value::Numbers(scalar, data) => {
                elements(*scalar, data).map(|value| integer(&value?)).collect()
            }
            single => integer(single).map(|n| vec![n]),
        };
        match list {
            Some(list) => Ok(Some(list)),
            None => Err(self.invalid(key, "whole numbers", value.describe())),
        }
    }
}

fn elements(scalar: Scalar, data: &Bytes) -> impl Iterator<Item = Option<Value>> {
    data.chunks_exact(scalar.bytes() as usize).map(move |bytes| scalar.decode(bytes).ok())
}

fn whole(value: &Value) -> Option<usize> {
    match value {
        Value::Unsigned(n) => usize::try_from(*n).ok(),
        Value::Signed(n) => usize::try_from(*n).ok(),
        _ => None,
    }
}

fn uniform(scalar: Scalar, data: &Bytes) -> Option<usize> {
    let mut all = elements(scalar, data).map(|value| whole(&value?));
    let first = all.next()??;
    all.all(|n| n == Some(first)).then_some(first)
}
