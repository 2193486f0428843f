//! A model in one GGUF file or in several (`NAME-00001-of-0000N.gguf`).

use std::path::Path;

use crate::bytes::Bytes;
use crate::error::{CheckpointError, Place};
use crate::folder::Folder;
use crate::gguf::{self, Gguf};
use crate::shards::split_name;

/// Opens a file, or all files of the set that it is one of. The metadata is the first file's.
pub(crate) fn open(
    folder: &Folder,
    name: &str,
) -> Result<(Gguf, Vec<(String, u64)>), CheckpointError> {
    let Some((stem, _, count)) = split_name(name, ".gguf") else {
        let (gguf, bytes) = read(folder, name)?;
        if let Some(count) = gguf.metadata.count("split.count")?.filter(|count| *count > 1) {
            let expected = format!("a name that ends in -00001-of-{count:05}.gguf");
            return Err(invalid(&folder.path(name), Place::File, &expected, "another name"));
        }
        return Ok((gguf, vec![(name.to_owned(), bytes)]));
    };
    let mut whole: Option<Gguf> = None;
    let mut files = Vec::new();
    for part in 1..=count {
        let name = format!("{stem}-{part:05}-of-{count:05}.gguf");
        let (gguf, bytes) = read(folder, &name)?;
        check_part(&gguf, part, count)?;
        match &mut whole {
            None => whole = Some(gguf),
            Some(whole) => merge(whole, gguf)?,
        }
        files.push((name, bytes));
    }
    let whole = whole.expect("a set has at least one file");
    let tensors = whole.tensors.len();
    if let Some(n) = whole.metadata.count("split.tensors.count")?.filter(|n| *n != tensors) {
        let expected = format!("{tensors}, the tensors in all files");
        return Err(whole.metadata.invalid("split.tensors.count", &expected, n.to_string()));
    }
    Ok((whole, files))
}

fn read(folder: &Folder, name: &str) -> Result<(Gguf, u64), CheckpointError> {
    let path = folder.path(name);
    let Some(bytes): Option<Bytes> = folder.read(name)? else {
        return Err(invalid(&path, Place::File, "a part of a split model", "no such file"));
    };
    Ok((gguf::read(&path, &bytes)?, bytes.len() as u64))
}

fn check_part(gguf: &Gguf, part: usize, count: usize) -> Result<(), CheckpointError> {
    for (key, expected) in [("split.no", part - 1), ("split.count", count)] {
        let found = gguf.metadata.required_count(key)?;
        if found != expected {
            let expected = format!("{expected}, as in the file name");
            return Err(gguf.metadata.invalid(key, &expected, found.to_string()));
        }
    }
    Ok(())
}

fn merge(whole: &mut Gguf, part: Gguf) -> Result<(), CheckpointError> {
    for (name, tensor) in part.tensors {
        let file = tensor.file.to_path_buf();
        if let Some(other) = whole.tensors.insert(name.clone(), tensor) {
            let found = format!("it in {}, too", other.file.display());
            let expected = "a tensor that is in one file";
            return Err(invalid(&file, Place::Tensor(name), expected, &found));
        }
    }
    Ok(())
}

fn invalid(file: &Path, place: Place, expected: &str, found: &str) -> CheckpointError {
    CheckpointError::Invalid {
        file: file.to_path_buf(),
        place,
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}
