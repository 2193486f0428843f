//! The models on this machine, in the store and in the shared cache.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::digest::is_commit;
use crate::pull::Hub;
use crate::remote_path::RemotePath;
use crate::repo::RepoId;
use crate::snapshot::Contents;

/// Where a model lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Our own store.
    Store,
    /// The cache shared with Python tools.
    HubCache,
}

/// One model, or one revision of it, on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedModel {
    /// `ORG/NAME` in the cache, a plain name in the store.
    pub name: String,
    /// Where it lies.
    pub source: Source,
    /// The commit, for models of the cache.
    pub commit: Option<String>,
    /// Branches and tags that stand for the commit, sorted.
    pub references: Vec<String>,
    /// `model_type` of its `config.json`.
    pub model_type: Option<String>,
    /// Number of files.
    pub files: usize,
    /// Bytes of its files and of what has arrived of further ones.
    pub bytes: u64,
    /// When its youngest file was written.
    pub modified: Option<SystemTime>,
    /// Files without which it does not load, sorted; empty if it is complete.
    pub missing: Vec<String>,
    /// Its folder.
    pub path: PathBuf,
}

impl CachedModel {
    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

impl Hub {
    /// All folders of store and cache that look like models, by source, name and commit.
    ///
    /// What cannot be read is left out.
    pub fn cached_models(&self) -> Vec<CachedModel> {
        let settings = self.settings();
        let mut models = stored_models(&settings.store);
        for (repo, folder) in repositories(&settings.cache) {
            models.extend(revisions(&repo, &folder));
        }
        models.sort_by(|a, b| (a.source, &a.name, &a.commit).cmp(&(b.source, &b.name, &b.commit)));
        models
    }
}

fn stored_models(store: &Path) -> Vec<CachedModel> {
    let mut models = Vec::new();
    for (name, path) in entries(store) {
        let is_file = path.is_file() && name.ends_with(".gguf");
        if name.starts_with('.') || !(path.is_dir() || is_file) {
            continue;
        }
        // A single file is found without its extension.
        let name = if is_file { name.trim_end_matches(".gguf").to_owned() } else { name };
        let mut model = CachedModel {
            name,
            source: Source::Store,
            commit: None,
            references: Vec::new(),
            model_type: None,
            files: 1,
            bytes: fs::metadata(&path).map_or(0, |m| m.len()),
            modified: fs::metadata(&path).and_then(|m| m.modified()).ok(),
            missing: Vec::new(),
            path: path.clone(),
        };
        if !is_file {
            let contents = Contents::read(&path);
            if !contents.looks_like_model() {
                continue;
            }
            model.describe(&contents);
        }
        models.push(model);
    }
    models
}

impl CachedModel {
    fn describe(&mut self, contents: &Contents) {
        self.model_type = contents.model_type();
        self.files = contents.files.len();
        self.bytes = contents.blobs().values().fold(0, |sum, bytes| sum.saturating_add(*bytes));
        self.modified = contents.modified();
        self.missing = contents.missing();
    }
}

/// The folders of model repositories in the cache.
pub(crate) fn repositories(cache: &Path) -> Vec<(RepoId, PathBuf)> {
    let known = |(name, path): (String, PathBuf)| Some((RepoId::from_folder_name(&name)?, path));
    let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|m| m.is_dir());
    entries(cache).into_iter().filter_map(known).filter(|(_, path)| is_folder(path)).collect()
}

/// The snapshots of one repository that look like models, or may become one.
fn revisions(repo: &RepoId, folder: &Path) -> Vec<CachedModel> {
    let references = references(folder);
    let partial_bytes = partial_bytes(folder);
    let mut models = Vec::new();
    for (commit, path) in snapshots(folder) {
        let contents = Contents::read(&path);
        if !contents.looks_like_model() && partial_bytes == 0 {
            continue;
        }
        let mut model = CachedModel {
            name: repo.to_string(),
            source: Source::HubCache,
            references: references.get(&commit).cloned().unwrap_or_default(),
            commit: Some(commit),
            model_type: None,
            files: 0,
            bytes: 0,
            modified: None,
            missing: Vec::new(),
            path: path.clone(),
        };
        model.describe(&contents);
        if !model.is_complete() {
            model.bytes = model.bytes.saturating_add(partial_bytes);
        }
        if model.modified.is_none() {
            model.modified = fs::metadata(&path).and_then(|m| m.modified()).ok();
        }
        models.push(model);
    }
    models
}

/// Commits and folders of a repository's snapshots.
pub(crate) fn snapshots(folder: &Path) -> Vec<(String, PathBuf)> {
    let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|m| m.is_dir());
    let found = entries(&folder.join("snapshots")).into_iter();
    found.filter(|(name, path)| is_commit(name) && is_folder(path)).collect()
}

/// Names of branches and tags by commit.
pub(crate) fn references(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let refs = Contents::read(&folder.join("refs"));
    let mut by_commit: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in refs.files {
        let path = folder.join("refs").join(&file.path);
        let small = file.bytes.is_some_and(|bytes| bytes <= 64);
        let plain = RemotePath::parse("reference", &file.path).is_ok();
        if let (true, true, Ok(commit)) = (small, plain, fs::read_to_string(path)) {
            by_commit.entry(commit.trim().to_owned()).or_default().push(file.path);
        }
    }
    by_commit
}

/// Bytes of unfinished downloads, ours and those of Python tools.
fn partial_bytes(folder: &Path) -> u64 {
    let partial = entries(&folder.join("blobs")).into_iter();
    partial
        .filter(|(name, _)| name.ends_with(".incomplete"))
        .filter_map(|(_, path)| fs::symlink_metadata(path).ok())
        .fold(0, |sum, found| sum.saturating_add(found.len()))
}

/// Names and paths in a folder, sorted; empty if it cannot be read.
pub(crate) fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<(String, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect();
    found.sort();
    found
}
