//! One safetensors file: the header, checked, and views of the tensors.
//!
//! Format (huggingface/safetensors, README): eight bytes with the length of the header, little
//! endian; the header, a JSON object from tensor names to type, shape and offsets; the data,
//! without holes. The header is parsed here so that every error names the tensor and the numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use gptoss_kernels::Format;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::bytes::Bytes;
use crate::error::{CheckpointError, Place, printable};
use crate::tensors::{Dtype, Tensor};

/// Bound of the header that the format's own library sets, too.
const HEADER_BYTES_MAX: u64 = 100_000_000;
/// Bound of the number of axes; the files of gpt-oss have four.
const AXES_MAX: usize = 8;

/// The tensors of a file by name. `file` is used for messages only.
///
/// # Errors
/// [`CheckpointError::Invalid`] if the header is longer than the file, is not UTF-8 or JSON,
/// names a tensor twice, or if a tensor's offsets run out of the file, overlap another tensor,
/// leave a hole, or differ in length from shape × type.
pub fn read(file: &Path, bytes: &Bytes) -> Result<BTreeMap<String, Tensor>, CheckpointError> {
    let invalid = |place, expected: &str, found: String| CheckpointError::Invalid {
        file: file.to_path_buf(),
        place,
        expected: expected.to_owned(),
        found,
    };
    let total = bytes.len() as u64;
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        let found =
            if bytes.is_empty() { "an empty file".to_owned() } else { format!("{total} bytes") };
        return Err(invalid(Place::File, "a safetensors file", found));
    };
    let header_len = u64::from_le_bytes(*length);
    if header_len > HEADER_BYTES_MAX {
        let found = header_len.to_string();
        return Err(invalid(Place::Header, "a length of at most 100000000 bytes", found));
    }
    if header_len > total - 8 {
        let expected = format!("at most the {} bytes that follow its length", total - 8);
        return Err(invalid(Place::Header, &expected, header_len.to_string()));
    }
    let header_len = usize::try_from(header_len).expect("at most the length of a slice");
    let header = std::str::from_utf8(&rest[..header_len])
        .map_err(|e| invalid(Place::Header, "UTF-8", e.to_string()))?;
    let Header(entries) = serde_json::from_str(header).map_err(|e| {
        invalid(Place::Header, "a JSON object of tensors", printable(&e.to_string()))
    })?;
    let mut names = BTreeSet::new();
    for (name, _) in &entries {
        if !names.insert(name.as_str()) {
            let place = Place::Tensor(name.clone());
            return Err(invalid(place, "one entry in the header", "two".to_owned()));
        }
    }
    check_data(file, &entries, rest.len() - header_len)?;

    let file_name = Arc::new(file.to_path_buf());
    let mut tensors = BTreeMap::new();
    for (name, entry) in entries {
        let (dtype, shape) = check_entry(file, &name, &entry)?;
        let [start, end] = entry.data_offsets.map(|offset| offset as usize + 8 + header_len);
        let data = bytes.slice(start..end).expect("offsets were checked against the data");
        let tensor = Tensor { file: Arc::clone(&file_name), dtype, shape, data };
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// Checks that the tensors fill `data_len` bytes in some order.
fn check_data(
    file: &Path,
    entries: &[(String, Entry)],
    data_len: usize,
) -> Result<(), CheckpointError> {
    let invalid = |name: &str, expected: String, found: String| CheckpointError::Invalid {
        file: file.to_path_buf(),
        place: Place::Tensor(name.to_owned()),
        expected,
        found,
    };
    let data_len = data_len as u64;
    let last = entries.iter().map(|(_, entry)| entry.data_offsets[1]).max().unwrap_or(0);
    if last != data_len {
        let found = match last.checked_sub(data_len) {
            Some(missing) => format!("{data_len} (truncated, {missing} bytes are missing)"),
            None => format!("{data_len} ({} more than its tensors)", data_len - last),
        };
        return Err(CheckpointError::Invalid {
            file: file.to_path_buf(),
            place: Place::File,
            expected: format!("{last} bytes of data"),
            found,
        });
    }
    let mut order: Vec<&(String, Entry)> = entries.iter().collect();
    order.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut covered = 0;
    let mut previous = "";
    for (name, Entry { data_offsets: [start, end], .. }) in order {
        if start > end {
            let expected = "a start that is not behind the end".to_owned();
            return Err(invalid(name, expected, format!("offsets {start} to {end}")));
        }
        if *start < covered {
            let expected = format!("offsets from {covered}, the end of `{}`", printable(previous));
            return Err(invalid(name, expected, format!("{start} (overlapping)")));
        }
        if *start > covered {
            let expected = format!("offsets from {covered}");
            return Err(invalid(name, expected, format!("{start} (a hole in the data)")));
        }
        covered = *end;
        previous = name;
    }
    Ok(())
}

/// The type and shape of an entry, which must give the number of bytes between its offsets.
fn check_entry(
    file: &Path,
    name: &str,
    entry: &Entry,
) -> Result<(Dtype, Vec<usize>), CheckpointError> {
    let invalid = |expected: String, found: String| CheckpointError::Invalid {
        file: file.to_path_buf(),
        place: Place::Tensor(name.to_owned()),
        expected,
        found,
    };
    let Some((dtype, bits)) = dtype(&entry.dtype) else {
        let expected = "a type of the safetensors format, such as BF16".to_owned();
        return Err(invalid(expected, format!("`{}`", printable(&entry.dtype))));
    };
    let shape: Option<Vec<usize>> =
        entry.shape.0.iter().map(|&n| usize::try_from(n).ok()).collect();
    let elements = entry.shape.0.iter().try_fold(1u64, |product, &n| product.checked_mul(n));
    let bits_total = elements.and_then(|n| n.checked_mul(bits));
    let (Some(shape), Some(bits_total)) = (shape, bits_total) else {
        let found = format!("{:?}", entry.shape.0);
        return Err(invalid("a shape that fits into memory".to_owned(), found));
    };
    let [start, end] = entry.data_offsets;
    if bits_total % 8 != 0 || bits_total / 8 != end - start {
        let expected = format!("{} bytes ({} {shape:?})", bits_total.div_ceil(8), dtype.name());
        return Err(invalid(expected, (end - start).to_string()));
    }
    Ok((dtype, shape))
}

/// A type by its name in the file, and its bits.
fn dtype(name: &str) -> Option<(Dtype, u64)> {
    let other = |name, bits: u64| (Dtype::Other { name, bits: bits as usize }, bits);
    Some(match name {
        "F32" => (Dtype::Weights(Format::F32), 32),
        "F16" => (Dtype::Weights(Format::F16), 16),
        "BF16" => (Dtype::Weights(Format::Bf16), 16),
        "U8" => (Dtype::U8, 8),
        "BOOL" => other("BOOL", 8),
        "I8" => other("I8", 8),
        "F8_E4M3" => other("F8_E4M3", 8),
        "F8_E5M2" => other("F8_E5M2", 8),
        "F8_E8M0" => other("F8_E8M0", 8),
        "F8_E4M3FNUZ" => other("F8_E4M3FNUZ", 8),
        "F8_E5M2FNUZ" => other("F8_E5M2FNUZ", 8),
        "F4" => other("F4", 4),
        "F6_E2M3" => other("F6_E2M3", 6),
        "F6_E3M2" => other("F6_E3M2", 6),
        "I16" => other("I16", 16),
        "U16" => other("U16", 16),
        "I32" => other("I32", 32),
        "U32" => other("U32", 32),
        "I64" => other("I64", 64),
        "U64" => other("U64", 64),
        "F64" => other("F64", 64),
        "C64" => other("C64", 64),
        _ => return None,
    })
}

/// The header's entries in file order; `__metadata__` is left out.
struct Header(Vec<(String, Entry)>);

#[derive(serde::Deserialize)]
struct Entry {
    dtype: String,
    shape: Shape,
    data_offsets: [u64; 2],
}

struct Shape(Vec<u64>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Header, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let entry = map.next_value().map_err(|e| {
                        A::Error::custom(format_args!("tensor `{}`: {e}", printable(&name)))
                    })?;
                    entries.push((name, entry));
                }
                Ok(Header(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shape, D::Error> {
        struct Axes;
        impl<'de> Visitor<'de> for Axes {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a shape of at most {AXES_MAX} axes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
                let mut axes = Vec::new();
                while let Some(n) = seq.next_element()? {
                    if axes.len() == AXES_MAX {
                        return Err(A::Error::invalid_length(AXES_MAX + 1, &self));
                    }
                    axes.push(n);
                }
                Ok(Shape(axes))
            }
        }
        deserializer.deserialize_seq(Axes)
    }
}
