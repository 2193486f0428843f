//! The files of a model's folder as they lie on this machine, and which of them are missing.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use crate::select::{gguf_models, is_weights};

/// Folders below a model's folder that are looked into.
const DEPTH_MAX: usize = 8;
/// Files of one folder that are looked at.
const FILES_MAX: usize = 100_000;
/// Largest JSON file that is read; the index of gpt-oss-120b has 90 kB.
const JSON_BYTES_MAX: u64 = 16 << 20;

/// One file of a model's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalFile {
    /// Path below the folder, names joined by `/`.
    pub path: String,
    /// Where the content lies: the target of a link, else the file itself.
    pub content: PathBuf,
    /// Length, `None` for a link to nothing.
    pub bytes: Option<u64>,
    /// When the content was last written.
    pub modified: Option<SystemTime>,
}

/// The files of one model's folder.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    folder: PathBuf,
    /// By path.
    pub files: Vec<LocalFile>,
}

/// The part of `model.safetensors.index.json` that names the shards.
#[derive(Deserialize)]
struct ShardIndex {
    weight_map: std::collections::BTreeMap<String, String>,
}

/// The part of `config.json` that says what kind of model it is.
#[derive(Deserialize)]
struct ModelKind {
    model_type: Option<String>,
}

impl Contents {
    /// Lists a folder; links to folders are not followed. What cannot be read is not listed.
    pub fn read(folder: &Path) -> Self {
        let mut files = Vec::new();
        collect(folder, "", DEPTH_MAX, &mut files);
        files.sort_by(|a: &LocalFile, b| a.path.cmp(&b.path));
        Self { folder: folder.to_path_buf(), files }
    }

    /// Whether there are weights, or a configuration that weights belong to.
    pub fn looks_like_model(&self) -> bool {
        self.files.iter().any(|f| is_weights(&f.path)) || self.model_type().is_some()
    }

    /// Files that must be there for the model to load, but are not.
    pub fn missing(&self) -> Vec<String> {
        let there: BTreeSet<&str> =
            self.files.iter().filter(|f| f.bytes.is_some()).map(|f| f.path.as_str()).collect();
        let mut missing: BTreeSet<String> =
            self.files.iter().filter(|f| f.bytes.is_none()).map(|f| f.path.clone()).collect();
        for index in there.iter().filter(|path| path.ends_with(".safetensors.index.json")) {
            let folder = &index[..index.rfind('/').map_or(0, |i| i + 1)];
            let Some(shards) = self.read_json::<ShardIndex>(index) else { continue };
            let paths = shards.weight_map.into_values().map(|shard| format!("{folder}{shard}"));
            missing.extend(paths.filter(|path| !there.contains(path.as_str())));
        }
        let paths: Vec<&str> = there.iter().copied().collect();
        for (name, parts) in gguf_models(&paths) {
            missing.extend(missing_parts(&name, &parts));
        }
        if !there.iter().any(|path| is_weights(path)) && missing.is_empty() {
            missing.insert("its weights".to_owned());
        }
        missing.into_iter().map(|path| path.escape_debug().to_string()).collect()
    }

    /// `model_type` of `config.json`.
    pub fn model_type(&self) -> Option<String> {
        let kind = self.read_json::<ModelKind>("config.json")?.model_type?;
        let plain = kind.len() <= 64 && kind.chars().all(|c| c.is_ascii_graphic());
        plain.then_some(kind)
    }

    /// Distinct contents with their lengths: what the files take on disk.
    pub fn blobs(&self) -> std::collections::BTreeMap<&Path, u64> {
        self.files.iter().map(|f| (f.content.as_path(), f.bytes.unwrap_or(0))).collect()
    }

    /// When the youngest file was written.
    pub fn modified(&self) -> Option<SystemTime> {
        self.files.iter().filter_map(|f| f.modified).max()
    }

    fn read_json<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Option<T> {
        let file = fs::File::open(self.folder.join(path)).ok()?;
        let mut text = Vec::new();
        file.take(JSON_BYTES_MAX).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

fn collect(folder: &Path, prefix: &str, depth: usize, files: &mut Vec<LocalFile>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{prefix}{name}");
        if kind.is_dir() && depth > 0 {
            collect(&entry.path(), &format!("{path}/"), depth - 1, files);
        } else if !kind.is_dir() && files.len() < FILES_MAX {
            let found = fs::metadata(entry.path()).ok();
            if found.as_ref().is_some_and(|m| !m.is_file()) {
                continue;
            }
            files.push(LocalFile {
                path,
                content: content_of(&entry.path()),
                bytes: found.as_ref().map(fs::Metadata::len),
                modified: found.and_then(|m| m.modified().ok()),
            });
        }
    }
}

/// What a link points to in the first step, without `..`; a file is its own content.
pub(crate) fn content_of(path: &Path) -> PathBuf {
    let Ok(target) = fs::read_link(path) else { return path.to_path_buf() };
    let mut content = path.parent().map(Path::to_path_buf).unwrap_or_default();
    for part in target.components() {
        match part {
            std::path::Component::ParentDir => {
                content.pop();
            }
            std::path::Component::CurDir => {}
            other => content.push(other),
        }
    }
    content
}

/// Parts of a divided GGUF file, `NAME-00001-of-00003.gguf`, that are not among `parts`.
fn missing_parts(name: &str, parts: &[&str]) -> Vec<String> {
    let total = |path: &str| {
        let (number, total) = path.strip_prefix(name)?.strip_suffix(".gguf")?.split_once("-of-")?;
        number.starts_with('-').then(|| total.parse::<u32>().ok())?
    };
    let Some(total) = parts.iter().find_map(|path| total(path)) else { return Vec::new() };
    // No model is divided into thousands; a name that says so is not believed.
    (1..=total.min(1000))
        .map(|number| format!("{name}-{number:05}-of-{total:05}.gguf"))
        .filter(|path| !parts.contains(&path.as_str()))
        .collect()
}
