//! One GGUF file: metadata, and views of the tensors.
//!
//! Source: docs/gguf.md of ggml-org/ggml, versions 2 and 3, little endian. Shapes are turned
//! round, slowest axis first, as in safetensors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gptoss_kernels::Format;

use crate::bytes::Bytes;
use crate::error::{CheckpointError, Place, printable};
use crate::gguf_metadata::{Metadata, Reader};
use crate::tensors::{Dtype, Tensor};

/// The first bytes of every GGUF file.
pub(crate) const MAGIC: &[u8; 4] = b"GGUF";
const AXES_MAX: u32 = 4;
const ALIGNMENT_DEFAULT: usize = 32;

/// A parsed file.
pub(crate) struct Gguf {
    pub(crate) metadata: Metadata,
    pub(crate) tensors: BTreeMap<String, Tensor>,
}

/// A tensor as the table lists it, before its data is found.
struct Entry {
    name: String,
    dtype: Dtype,
    /// Slowest axis first.
    shape: Vec<usize>,
    bytes: u64,
    /// From the start of the data.
    offset: u64,
}

/// Reads a file. `file` is used for messages only.
///
/// # Errors
/// Everything that a damaged or hostile file can have wrong; see the tests.
pub(crate) fn read(file: &Path, bytes: &Bytes) -> Result<Gguf, CheckpointError> {
    let mut reader = Reader { file, bytes, position: 0, place: Place::File };
    if !bytes.starts_with(MAGIC) {
        let found = if bytes.is_empty() { "an empty file" } else { "other bytes" };
        return Err(reader.invalid("a GGUF file (first bytes `GGUF`)".into(), found.into()));
    }
    reader.place = Place::Header;
    reader.position = MAGIC.len();
    check_version(&mut reader)?;
    let tensor_count = reader.count("tensors", 24)?;
    let value_count = reader.count("metadata entries", 13)?;
    let metadata = read_metadata(&mut reader, value_count)?;
    let mut entries = Vec::new();
    for _ in 0..tensor_count {
        reader.place = Place::Header;
        entries.push(read_entry(&mut reader)?);
    }
    reader.place = Place::Header;
    let alignment = metadata.count("general.alignment")?.unwrap_or(ALIGNMENT_DEFAULT);
    if !alignment.is_power_of_two() || alignment > 1 << 20 {
        let expected = "a power of two up to 1048576";
        return Err(metadata.invalid("general.alignment", expected, alignment.to_string()));
    }
    // A file without data may end right after the table.
    let start = reader.position.next_multiple_of(alignment).min(bytes.len());
    let tensors = place_tensors(&reader, entries, start, alignment as u64)?;
    Ok(Gguf { metadata, tensors })
}

fn check_version(reader: &mut Reader) -> Result<(), CheckpointError> {
    match reader.u32()? {
        2 | 3 => Ok(()),
        version if matches!(version.swap_bytes(), 1..=3) => {
            Err(reader
                .unsupported("a big-endian GGUF file; convert it to little endian".to_owned()))
        }
        1 => Err(reader.unsupported("GGUF version 1; versions 2 and 3 are".to_owned())),
        other => Err(reader.unsupported(format!("GGUF version {other}; versions 2 and 3 are"))),
    }
}

fn read_metadata(reader: &mut Reader, count: u64) -> Result<Metadata, CheckpointError> {
    const KEY_BYTES_MAX: usize = 65_535;
    let mut values = BTreeMap::new();
    for _ in 0..count {
        reader.place = Place::Header;
        let key = reader.string()?;
        if key.len() > KEY_BYTES_MAX {
            let expected = format!("metadata keys of at most {KEY_BYTES_MAX} bytes");
            return Err(reader.invalid(expected, key.len().to_string()));
        }
        reader.place = Place::Field(key.clone());
        let value = reader.value()?;
        if values.insert(key, value).is_some() {
            return Err(reader.invalid("one value".to_owned(), "two".to_owned()));
        }
    }
    Ok(Metadata { file: reader.file.to_path_buf(), values })
}

fn read_entry(reader: &mut Reader) -> Result<Entry, CheckpointError> {
    let name = reader.string()?;
    reader.place = Place::Tensor(name.clone());
    let axes = reader.u32()?;
    if !(1..=AXES_MAX).contains(&axes) {
        return Err(reader.invalid(format!("1 to {AXES_MAX} axes"), axes.to_string()));
    }
    let mut shape: Vec<u64> = Vec::new();
    for _ in 0..axes {
        shape.push(reader.u64()?);
    }
    shape.reverse();
    let dtype = read_dtype(reader)?;
    let offset = reader.u64()?;
    let sizes: Option<Vec<usize>> = shape.iter().map(|&n| usize::try_from(n).ok()).collect();
    let bytes = byte_count(reader, dtype, &shape)?;
    let Some(sizes) = sizes else {
        return Err(too_large(reader, &shape));
    };
    Ok(Entry { name, dtype, shape: sizes, bytes, offset })
}

fn byte_count(reader: &Reader, dtype: Dtype, shape: &[u64]) -> Result<u64, CheckpointError> {
    let (block, bytes) = match dtype {
        Dtype::Weights(format) => (format.block_elements() as u64, format.block_bytes() as u64),
        Dtype::Other { bits, .. } => (1, bits as u64 / 8),
    };
    let cols = *shape.last().expect("at least one axis");
    if !cols.is_multiple_of(block) {
        let expected = format!("rows of whole blocks of {block} ({})", dtype.name());
        return Err(reader.invalid(expected, format!("rows of {cols}")));
    }
    let elements = shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n));
    let total = elements.and_then(|n| (n / block).checked_mul(bytes));
    total.ok_or_else(|| too_large(reader, shape))
}

fn too_large(reader: &Reader, shape: &[u64]) -> CheckpointError {
    reader.invalid("a shape that fits into memory".to_owned(), format!("{shape:?}"))
}

/// Element types by number: `ggml_type` of ggml.h.
fn read_dtype(reader: &mut Reader) -> Result<Dtype, CheckpointError> {
    let other = |name, bits| Ok(Dtype::Other { name, bits });
    let known = match reader.u32()? {
        0 => Format::F32,
        1 => Format::F16,
        2 => Format::Q4_0,
        3 => Format::Q4_1,
        6 => Format::Q5_0,
        7 => Format::Q5_1,
        8 => Format::Q8_0,
        12 => Format::Q4K,
        13 => Format::Q5K,
        14 => Format::Q6K,
        30 => Format::Bf16,
        39 => Format::Mxfp4Gguf,
        24 => return other("I8", 8),
        25 => return other("I16", 16),
        26 => return other("I32", 32),
        27 => return other("I64", 64),
        28 => return other("F64", 64),
        number => {
            let name = unsupported_name(number);
            let name = name.map_or_else(|| format!("number {number}"), str::to_owned);
            return Err(reader.unsupported(format!(
                "element type {name}; F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, \
                 Q6_K and MXFP4 are"
            )));
        }
    };
    Ok(Dtype::Weights(known))
}

fn unsupported_name(number: u32) -> Option<&'static str> {
    Some(match number {
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        40 => "NVFP4",
        _ => return None,
    })
}

/// Finds the data of each tensor: aligned, inside the file, and not overlapping.
fn place_tensors(
    reader: &Reader,
    mut entries: Vec<Entry>,
    start: usize,
    alignment: u64,
) -> Result<BTreeMap<String, Tensor>, CheckpointError> {
    let data_len = (reader.bytes.len() - start) as u64;
    let invalid = |name: &str, expected: String, found: String| CheckpointError::Invalid {
        file: reader.file.to_path_buf(),
        place: Place::Tensor(name.to_owned()),
        expected,
        found,
    };
    entries.sort_by_key(|entry| (entry.offset, entry.bytes));
    let (mut covered, mut previous) = (0, String::new());
    let file: Arc<PathBuf> = Arc::new(reader.file.to_path_buf());
    let mut tensors = BTreeMap::new();
    for Entry { name, dtype, shape, bytes, offset } in entries {
        if !offset.is_multiple_of(alignment) {
            let expected = format!("an offset that is a multiple of {alignment}");
            return Err(invalid(&name, expected, offset.to_string()));
        }
        if offset < covered {
            let expected =
                format!("an offset from {covered}, the end of `{}`", printable(&previous));
            return Err(invalid(&name, expected, format!("{offset} (overlapping)")));
        }
        let end = offset.checked_add(bytes).filter(|end| *end <= data_len);
        let Some(end) = end else {
            let expected = format!("{bytes} bytes at offset {offset} of the data");
            let missing = u128::from(offset) + u128::from(bytes) - u128::from(data_len);
            let found = format!("{data_len} bytes of data (truncated, {missing} are missing)");
            return Err(invalid(&name, expected, found));
        };
        (covered, previous) = (end, name.clone());
        let range = start + offset as usize..start + end as usize;
        let data = reader.bytes.slice(range).expect("the range is inside the file");
        let tensor = Tensor { file: Arc::clone(&file), dtype, shape, data };
        if tensors.insert(name.clone(), tensor).is_some() {
            return Err(invalid(&name, "one entry in the table".to_owned(), "two".to_owned()));
        }
    }
    Ok(tensors)
}
