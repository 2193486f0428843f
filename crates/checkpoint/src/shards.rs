//! The safetensors files of a folder as one table of tensors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::error::{CheckpointError, Place, printable};
use crate::folder::Folder;
use crate::safetensors;
use crate::tensors::TensorTable;

const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";

/// A table of tensors and the files that they come from.
pub(crate) struct Shards {
    pub(crate) table: TensorTable,
    /// Name in the folder and bytes of each file.
    pub(crate) files: Vec<(String, u64)>,
}

/// Whether the folder holds weights in safetensors files, complete or not.
pub(crate) fn present(names: &[String]) -> bool {
    names.iter().any(|name| name == INDEX || name.ends_with(".safetensors"))
}

/// Reads all tensors of a model in a folder: the files that the index names; without an index
/// `model.safetensors`; without that the files `NAME-00001-of-0000N.safetensors`, or the only
/// safetensors file there is.
pub(crate) fn open(folder: &Folder, names: &[String]) -> Result<Shards, CheckpointError> {
    if let Some(index) = folder.read_json(INDEX)? {
        return open_indexed(folder, &index);
    }
    let has_single = names.iter().any(|name| name == SINGLE);
    let all: Vec<&String> = names.iter().filter(|n| n.ends_with(".safetensors")).collect();
    let files = match (has_single, all.as_slice()) {
        (true, _) => vec![SINGLE.to_owned()],
        (false, [only]) => complete_set(folder, only)?.unwrap_or_else(|| vec![(*only).clone()]),
        (false, [first, ..]) => {
            let Some(set) = complete_set(folder, first)? else {
                return Err(several(folder, &all));
            };
            if all.iter().any(|name| !set.contains(name)) {
                return Err(several(folder, &all));
            }
            set
        }
        (false, []) => Vec::new(),
    };
    open_files(folder, &files)
}

/// Reads the tensors of one file, or of the numbered files that it belongs to.
pub(crate) fn open_file(folder: &Folder, name: &str) -> Result<Shards, CheckpointError> {
    let files = complete_set(folder, name)?.unwrap_or_else(|| vec![name.to_owned()]);
    open_files(folder, &files)
}

fn several(folder: &Folder, names: &[&String]) -> CheckpointError {
    CheckpointError::SeveralModels {
        folder: folder.root().to_path_buf(),
        candidates: names.iter().map(|name| printable(name)).collect(),
    }
}

/// The files `NAME-00001-of-0000N.safetensors` … that `name` is one of, if its name says so.
fn complete_set(folder: &Folder, name: &str) -> Result<Option<Vec<String>>, CheckpointError> {
    let Some((stem, _, count)) = split_name(name, ".safetensors") else { return Ok(None) };
    let set: Vec<String> =
        (1..=count).map(|part| format!("{stem}-{part:05}-of-{count:05}.safetensors")).collect();
    for part in &set {
        if folder.read(part)?.is_none() {
            return Err(missing_file(folder, part, &format!("one of {count} files")));
        }
    }
    Ok(Some(set))
}

/// The parts of `STEM-PART-of-COUNT.EXTENSION` with five digits each, `1 <= PART <= COUNT`.
pub(crate) fn split_name<'a>(name: &'a str, extension: &str) -> Option<(&'a str, usize, usize)> {
    let digits = |text: &str| -> Option<usize> {
        (text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
    };
    let (rest, count) = name.strip_suffix(extension)?.rsplit_once("-of-")?;
    let (stem, part) = rest.rsplit_once('-')?;
    let (part, count) = (digits(part)?, digits(count)?);
    (1..=count).contains(&part).then_some((stem, part, count))
}

fn open_files(folder: &Folder, files: &[String]) -> Result<Shards, CheckpointError> {
    let mut shards = empty(folder, files.first().map_or(INDEX, String::as_str));
    for file in files {
        add_file(folder, file, &mut shards)?;
    }
    if files.len() > 1 {
        shards.table.file = folder.root().to_path_buf();
    }
    Ok(shards)
}

fn open_indexed(folder: &Folder, index: &Value) -> Result<Shards, CheckpointError> {
    let invalid = |field: &str, expected: &str, found: String| CheckpointError::Invalid {
        file: folder.path(INDEX),
        place: Place::Field(field.to_owned()),
        expected: expected.to_owned(),
        found,
    };
    let Some(map) = index.get("weight_map").and_then(Value::as_object) else {
        let expected = "an object from tensors to files";
        return Err(invalid("weight_map", expected, "none".to_owned()));
    };
    let mut wanted: BTreeMap<&str, &str> = BTreeMap::new();
    for (tensor, file) in map {
        let Some(file) = file.as_str() else {
            return Err(invalid("weight_map", "file names", printable(&file.to_string())));
        };
        // The folder is what the user named; an index must not lead out of it.
        let plain = Path::new(file).file_name().is_some_and(|name| name == file);
        if !plain || file.contains(['/', '\\', ':', '\0']) {
            return Err(CheckpointError::UnsafeName {
                what: format!("{}: field `weight_map`", folder.path(INDEX).display()),
                expected: "names of files in the same folder",
                found: printable(file),
            });
        }
        wanted.insert(tensor, file);
    }
    let mut shards = empty(folder, INDEX);
    let files: BTreeSet<&str> = wanted.values().copied().collect();
    for file in files {
        add_file(folder, file, &mut shards)?;
    }
    for (tensor, file) in wanted {
        let path = folder.path(file);
        let there = shards.table.tensors.get(tensor).is_some_and(|t| *t.file == path);
        if !there {
            return Err(CheckpointError::Invalid {
                file: path,
                place: Place::Tensor(tensor.to_owned()),
                expected: format!("a tensor, because {INDEX} lists it"),
                found: "no such tensor".to_owned(),
            });
        }
    }
    Ok(shards)
}

fn empty(folder: &Folder, file: &str) -> Shards {
    let table = TensorTable { file: folder.path(file), tensors: BTreeMap::new() };
    Shards { table, files: Vec::new() }
}

fn add_file(folder: &Folder, name: &str, shards: &mut Shards) -> Result<(), CheckpointError> {
    let path = folder.path(name);
    let Some(bytes) = folder.read(name)? else {
        return Err(missing_file(folder, name, &format!("a file, because {INDEX} lists it")));
    };
    for (tensor, view) in safetensors::read(&path, &bytes)? {
        if let Some(other) = shards.table.tensors.insert(tensor.clone(), view) {
            return Err(CheckpointError::Invalid {
                file: path,
                place: Place::Tensor(tensor),
                expected: "a tensor that is in one file".to_owned(),
                found: format!("it in {}, too", other.file.display()),
            });
        }
    }
    shards.files.push((name.to_owned(), bytes.len() as u64));
    Ok(())
}

fn missing_file(folder: &Folder, name: &str, expected: &str) -> CheckpointError {
    CheckpointError::Invalid {
        file: folder.path(name),
        place: Place::File,
        expected: expected.to_owned(),
        found: "no such file".to_owned(),
    }
}
