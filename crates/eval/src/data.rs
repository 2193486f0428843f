//! Documents of benchmarks: JSON lines in a folder that the user gives.
//!
//! Two layouts are read: a file for each split (`arc_easy/test.jsonl`), and for families of
//! subjects either a file for each subject (`mmlu/test/anatomy.jsonl`) or one file with the name
//! of the subject in a field (`mmlu/all_test.jsonl`). Both give the same documents and hash.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::EvalError;

/// One question with all its fields.
pub type Doc = Map<String, Value>;

/// Opens the content of a `.gz` file; given by the caller, so that this crate has no decompressor.
pub type Unpack = fn(Box<dyn Read>) -> Box<dyn Read>;

/// Bytes of one line.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// Bytes of one file, unpacked.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Where the documents of a split lie, from the folder of the data.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Folder of the benchmark.
    pub folder: &'a str,
    /// `test`, `train`, `validation` or `dev`.
    pub split: &'a str,
    /// Subject of a family and the field that names it.
    pub subset: Option<(&'a str, &'a str)>,
}

/// The documents of a split, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// The documents.
    pub docs: Vec<Doc>,
    /// sha256 of their lines, each with a line feed behind it.
    pub sha256: String,
}

/// A folder of benchmarks.
#[derive(Debug, Clone)]
pub struct Data {
    root: PathBuf,
    unpack: Option<Unpack>,
}

impl Data {
    /// The data in a folder.
    pub fn new(root: impl Into<PathBuf>) -> Data {
        Data { root: root.into(), unpack: None }
    }

    /// Reads `.jsonl.gz` too where there is no `.jsonl`.
    pub fn with_unpack(self, unpack: Unpack) -> Data {
        Data { unpack: Some(unpack), ..self }
    }

    /// The documents of a split.
    ///
    /// # Errors
    /// If there is no such file, or a line is no JSON object.
    pub fn split(&self, source: Source<'_>) -> Result<Split, EvalError> {
        let place = self.place(source)?;
        if let Some(path) = self.find(&place) {
            return self.read(&path, |_| true);
        }
        match (self.shared(source), source.subset) {
            (Some(path), Some((subset, field))) => {
                let of_subset = |doc: &Doc| doc.get(field).and_then(Value::as_str) == Some(subset);
                self.read(&path, of_subset)
            }
            _ => Err(self.missing(&place)),
        }
    }

    /// Whether there is a file with the documents of a split.
    ///
    /// # Errors
    /// If a part of the source is no name of a file.
    pub fn has(&self, source: Source<'_>) -> Result<bool, EvalError> {
        let place = self.place(source)?;
        Ok(self.find(&place).or_else(|| self.shared(source)).is_some())
    }

    /// Where the documents of a split, or of its subject, have a file of their own.
    ///
    /// # Errors
    /// If a part of the source is no name of a file.
    pub fn place(&self, source: Source<'_>) -> Result<PathBuf, EvalError> {
        for part in [Some(source.folder), Some(source.split), source.subset.map(|s| s.0)] {
            if let Some(part) = part.filter(|part| !is_plain_name(part)) {
                return Err(EvalError::Refused(format!("data: `{part}` is no name of a file")));
            }
        }
        let (folder, split) = (self.root.join(source.folder), source.split);
        Ok(match source.subset {
            Some((subset, _)) => folder.join(split).join(format!("{subset}.jsonl")),
            None => folder.join(format!("{split}.jsonl")),
        })
    }

    /// The file that has the documents of all subjects.
    fn shared(&self, source: Source<'_>) -> Option<PathBuf> {
        source.subset?;
        let (folder, split) = (self.root.join(source.folder), source.split);
        let names = [format!("all_{split}.jsonl"), format!("{split}.jsonl")];
        names.iter().find_map(|name| self.find(&folder.join(name)))
    }

    /// The file, or its packed form.
    fn find(&self, path: &Path) -> Option<PathBuf> {
        let packed = path.with_extension("jsonl.gz");
        let there = |path: &PathBuf| path.is_file();
        Some(path.to_path_buf()).filter(there).or_else(|| Some(packed).filter(there))
    }

    fn missing(&self, path: &Path) -> EvalError {
        let message = "no such data file; --data names the folder that holds the benchmarks";
        EvalError::Io {
            path: path.to_path_buf(),
            source: std::io::Error::new(std::io::ErrorKind::NotFound, message),
        }
    }

    fn read(&self, path: &Path, is_wanted: impl Fn(&Doc) -> bool) -> Result<Split, EvalError> {
        let file: Box<dyn Read> = Box::new(File::open(path).map_err(EvalError::io(path))?);
        let content = if path.extension().is_some_and(|extension| extension == "gz") {
            let unpack = self.unpack.ok_or_else(|| {
                EvalError::Refused(format!("{}: not supported: unpack it first", path.display()))
            })?;
            unpack(file)
        } else {
            file
        };
        let mut reader = BufReader::new(content.take(FILE_BYTES_MAX));
        let mut split = Split { docs: Vec::new(), sha256: String::new() };
        let mut hash = Sha256::new();
        let (mut text, mut line) = (Vec::new(), 0);
        loop {
            text.clear();
            let mut limited = (&mut reader).take(LINE_BYTES_MAX);
            if limited.read_until(b'\n', &mut text).map_err(EvalError::io(path))? == 0 {
                break;
            }
            line += 1;
            let bytes = text.strip_suffix(b"\n").unwrap_or(&text);
            let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            if bytes.is_empty() {
                continue;
            }
            let fail = |message| EvalError::Data { path: path.to_path_buf(), line, message };
            let doc: Doc = serde_json::from_slice(bytes)
                .map_err(|error| fail(format!("expected a JSON object: {error}")))?;
            if is_wanted(&doc) {
                hash.update(bytes);
                hash.update(b"\n");
                split.docs.push(doc);
            }
        }
        if split.docs.is_empty() {
            let message = "no documents".to_string();
            return Err(EvalError::Data { path: path.to_path_buf(), line: 1, message });
        }
        split.sha256 = to_hex(&hash.finalize());
        Ok(split)
    }
}

/// Lower-case hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// sha256 of a text in hexadecimal digits.
pub fn sha256_hex(text: &str) -> String {
    to_hex(&Sha256::digest(text.as_bytes()))
}

/// One component of a path, nothing that leads elsewhere.
fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-. ".contains(c);
    !name.is_empty() && name.len() <= 100 && name.chars().all(plain) && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SOURCE: Source<'_> = Source { folder: "set", split: "test", subset: None };

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, Data) {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let data = Data::new(root.path());
        (root, data)
    }

    #[test]
    fn both_layouts_of_subjects_are_the_same() {
        let (a, b) = (r#"{"s": "a", "x": 1}"#, r#"{"s": "b", "x": 2}"#);
        let (_one, by_field) = folder(&[("set/all_test.jsonl", &format!("{a}\n{b}\r\n\n{a}"))]);
        let (_two, by_file) = folder(&[
            ("set/test/a.jsonl", &format!("{a}\n{a}\n")),
            ("set/test/b.jsonl", &format!("{b}\n")),
        ]);
        for (subject, count) in [("a", 2), ("b", 1)] {
            let source = Source { subset: Some((subject, "s")), ..SOURCE };
            let found = by_field.split(source).unwrap();
            assert_eq!(found, by_file.split(source).unwrap());
            assert_eq!(found.docs.len(), count);
        }
    }

    #[test]
    fn mistakes_name_file_and_line() {
        let (_root, data) = folder(&[("set/test.jsonl", "{}\n\n[1]\n"), ("set/train.jsonl", "")]);
        let error = data.split(SOURCE).unwrap_err().to_string();
        assert!(error.contains("test.jsonl:3: expected a JSON object"), "{error}");
        let error = data.split(Source { split: "train", ..SOURCE }).unwrap_err().to_string();
        assert!(error.contains("no documents"), "{error}");
        let error = data.split(Source { split: "dev", ..SOURCE }).unwrap_err().to_string();
        assert!(error.contains("dev.jsonl: no such data file"), "{error}");
        for folder in ["..", "a/b", "", ".x"] {
            let error = data.split(Source { folder, ..SOURCE }).unwrap_err().to_string();
            assert!(error.contains("is no name of a file"), "{error}");
        }
    }

    #[test]
    fn packed_files_need_an_unpacker() {
        let (_root, data) = folder(&[("set/test.jsonl.gz", "{\"a\": 1}\n")]);
        let error = data.split(SOURCE).unwrap_err().to_string();
        assert!(error.contains("unpack it first"), "{error}");
        // The content is not packed at all here: what counts is that the function is called.
        let split = data.with_unpack(|content| content).split(SOURCE).unwrap();
        assert_eq!(split.docs.len(), 1);
    }
}
