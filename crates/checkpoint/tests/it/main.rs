//! Tests over whole files: layouts that must open alike, and files that must not open.

mod bad_config;
mod bad_folders;
mod bad_gguf;
mod bad_safetensors;
mod dense;
mod dequantise;
mod fuzz_corpus;
mod gguf_file;
mod layouts;
mod locating;
mod mutations;

use std::path::{Path, PathBuf};

use gptoss_checkpoint::{CheckpointError, Model};

/// A tiny model in `testdata/models`.
fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/models").join(name)
}

/// The error chain in one line as the program prints it, with `folder` left out of paths.
fn message(folder: &Path, error: &CheckpointError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text.replace(&format!("{}/", folder.display()), "").replace(&folder.display().to_string(), ".")
}

/// Messages that must be, one a line, what `messages/NAME.txt` beside this file holds.
struct Messages {
    name: &'static str,
    lines: String,
}

impl Messages {
    fn of(name: &'static str) -> Messages {
        Messages { name, lines: String::new() }
    }

    fn push(&mut self, message: String) {
        assert!(!message.contains('\n'), "{}: more than one line: {message}", self.name);
        self.lines += &message;
        self.lines.push('\n');
    }

    fn check(self) {
        assert!(!self.lines.is_empty(), "{} checked nothing", self.name);
        expect_test::expect_file![format!("messages/{}.txt", self.name)].assert_eq(&self.lines);
    }
}

/// The message of the error that opening `path` below `folder` gives.
fn open_error(folder: &Path, path: &str) -> String {
    let full = if path.is_empty() { folder.to_owned() } else { folder.join(path) };
    match Model::open(&full) {
        Ok(model) => panic!("{path} opened with {} layers", model.config.num_hidden_layers),
        Err(error) => message(folder, &error),
    }
}

/// A temporary folder with a copy of a tiny model's files.
fn copy_of(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(testdata(name)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}
