//! From a name to a model on this machine: embedded, a path, the local store, the Hugging Face
//! cache.
//!
//! Layout of the cache (huggingface_hub): `models--ORG--NAME/refs/REVISION` holds a commit, and
//! `snapshots/COMMIT/` the files of it.

use std::path::{Path, PathBuf};

use crate::embedded;
use crate::error::{CheckpointError, printable};
use crate::model::Model;
pub use crate::places::{Places, hub_cache_dir, store_dir};
use crate::presets;

/// Names that stand for a repository.
const SHORT_NAMES: [(&str, &str); 2] =
    [("gpt-oss-20b", "openai/gpt-oss-20b"), ("gpt-oss-120b", "openai/gpt-oss-120b")];

/// Where a model was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Located {
    /// In the program.
    Embedded,
    /// A file or folder that the name is the path of.
    Path(PathBuf),
    /// In the local store.
    Store {
        /// Its name there.
        name: String,
        /// The file or folder.
        path: PathBuf,
    },
    /// In the Hugging Face cache.
    Hub {
        /// Organisation and name.
        repository: String,
        /// The commit of the snapshot.
        commit: String,
        /// The folder of the snapshot.
        path: PathBuf,
    },
}

impl Located {
    /// Opens the model.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open(&self) -> Result<Model, CheckpointError> {
        match self {
            Located::Embedded => embedded::nano(),
            Located::Path(path) | Located::Store { path, .. } | Located::Hub { path, .. } => {
                Model::open(path)
            }
        }
    }
}

/// Finds a model by name: `nano`, a path, a name in the local store, a repository `ORG/NAME` or
/// `ORG/NAME@REVISION` in the Hugging Face cache, `gpt-oss-20b` or `gpt-oss-120b`.
///
/// # Errors
/// [`CheckpointError::NotFound`] says what was looked for and where, and how to get it;
/// [`CheckpointError::UnsafeName`] refuses names that could lead out of these folders.
pub fn locate(name: &str) -> Result<Located, CheckpointError> {
    locate_in(&Places::from_env(), name)
}

/// [`locate`] with the folders given.
///
/// # Errors
/// As [`locate`].
pub fn locate_in(places: &Places, name: &str) -> Result<Located, CheckpointError> {
    if name == embedded::NANO {
        return Ok(Located::Embedded);
    }
    let mut looked = Vec::new();
    if !name.is_empty() && Path::new(name).exists() {
        return Ok(Located::Path(PathBuf::from(name)));
    }
    looked.push(format!("a file or folder `{}`", printable(name)));
    if is_path(name) {
        return Err(not_found(places, name, looked));
    }
    if let Some(store) = places.store.as_ref().filter(|_| !name.contains('/')) {
        let folder = store.join("models");
        check_component(name)?;
        for file in [name.to_owned(), format!("{name}.gguf")] {
            let path = folder.join(file);
            if path.exists() {
                return Ok(Located::Store { name: name.to_owned(), path });
            }
        }
        looked.push(format!("`{}` in {}", printable(name), folder.display()));
    }
    if let (Some(repository), Some(cache)) = (repository_of(name), &places.hub_cache) {
        if let Some(located) = find_in_cache(cache, repository)? {
            return Ok(located);
        }
        looked.push(format!("`{}` in {}", printable(repository), cache.display()));
    }
    Err(not_found(places, name, looked))
}

/// Whether a name can only be meant as a path.
fn is_path(name: &str) -> bool {
    name.is_empty()
        || name.starts_with(['.', '/', '~'])
        || name.contains('\\')
        || name.ends_with(".gguf")
        || name.ends_with(".safetensors")
        || name.matches('/').count() > 1
}

/// The repository that a name stands for, with its revision if one is given.
fn repository_of(name: &str) -> Option<&str> {
    let short = SHORT_NAMES.iter().find(|(short, _)| *short == name);
    short.map(|(_, repository)| *repository).or_else(|| name.contains('/').then_some(name))
}

/// Refuses what is not a plain file name: letters, digits, `-`, `_` and `.`, the last not first.
fn check_component(text: &str) -> Result<(), CheckpointError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.is_empty() && text.chars().all(allowed) && !text.starts_with('.') {
        return Ok(());
    }
    Err(CheckpointError::UnsafeName {
        what: "model name".to_owned(),
        expected: "letters, digits, `-`, `_` and `.`, not beginning with `.`",
        found: printable(text),
    })
}

fn find_in_cache(cache: &Path, name: &str) -> Result<Option<Located>, CheckpointError> {
    let (repository, revision) = name.split_once('@').unwrap_or((name, "main"));
    let Some((organisation, model)) = repository.split_once('/') else { return Ok(None) };
    for part in [organisation, model, revision] {
        check_component(part)?;
    }
    let folder = cache.join(format!("models--{organisation}--{model}"));
    let Some(commit) = commit_of(&folder, revision)? else { return Ok(None) };
    let path = folder.join("snapshots").join(&commit);
    let found = path.is_dir();
    let repository = repository.to_owned();
    Ok(found.then_some(Located::Hub { repository, commit, path }))
}

/// The commit that a revision names in a repository's folder of the cache.
fn commit_of(folder: &Path, revision: &str) -> Result<Option<String>, CheckpointError> {
    let file = folder.join("refs").join(revision);
    match std::fs::read_to_string(&file) {
        Ok(text) => {
            let commit = text.trim();
            let hex = !commit.is_empty() && commit.chars().all(|c| c.is_ascii_hexdigit());
            if !hex {
                return Err(CheckpointError::UnsafeName {
                    what: file.display().to_string(),
                    expected: "a commit in hexadecimal digits",
                    found: printable(commit),
                });
            }
            Ok(Some(commit.to_owned()))
        }
        Err(_) if folder.join("snapshots").join(revision).is_dir() => Ok(Some(revision.to_owned())),
        // A download of one commit writes no reference; if there is one snapshot, it is meant.
        Err(_) if revision == "main" => {
            let snapshots = entries(&folder.join("snapshots"));
            Ok(<[String; 1]>::try_from(snapshots).ok().map(|[only]| only))
        }
        Err(_) => Ok(None),
    }
}

/// The names in a folder, sorted; none if it cannot be read.
fn entries(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn not_found(places: &Places, name: &str, looked: Vec<String>) -> CheckpointError {
    let near: Vec<String> = known_names(places)
        .into_iter()
        .filter(|known| known != name && Some(known.as_str()) != repository_of(name))
        .filter(|known| is_near(&known.to_lowercase(), &name.to_lowercase()))
        .collect();
    let mut hint = String::new();
    if let Some(repository) = repository_of(name).filter(|_| !is_path(name)) {
        hint = format!("; get it with `gptoss pull {}`", printable(repository));
    } else if presets::find(name).is_some() {
        hint = "; this preset is a shape without published weights".to_owned();
    }
    if !near.is_empty() {
        hint += &format!("; did you mean {}?", near.join(" or "));
    } else if hint.is_empty() {
        hint = "; try `nano`, which is always there, or `gptoss pull openai/gpt-oss-20b`".into();
    }
    CheckpointError::NotFound { name: printable(name), looked, hint }
}

/// Every name that can be asked for on this machine.
fn known_names(places: &Places) -> Vec<String> {
    let mut names = vec![embedded::NANO.to_owned()];
    names.extend(SHORT_NAMES.iter().map(|(short, _)| (*short).to_owned()));
    if let Some(store) = &places.store {
        let names_in_store = entries(&store.join("models"));
        // Hidden entries are downloads that have not finished.
        names.extend(names_in_store.into_iter().filter(|name| !name.starts_with('.')));
    }
    if let Some(cache) = &places.hub_cache {
        let repositories = entries(cache).into_iter().filter_map(|folder| {
            let (organisation, name) = folder.strip_prefix("models--")?.split_once("--")?;
            Some(format!("{organisation}/{name}"))
        });
        names.extend(repositories);
    }
    names.iter().map(|name| printable(name)).collect()
}

/// Whether a name is a slip of the other: at most two changed letters, or a part of it.
fn is_near(known: &str, name: &str) -> bool {
    let part = name.len() >= 3 && known.len() <= 100 && known.contains(name);
    part || (name.len() >= 3 && name.len() <= 100 && known.len() <= 100 && edits(known, name) <= 2)
}

/// Levenshtein's distance, in letters.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert!(is_near("nano", "nan"));
        assert!(is_near("gpt-oss-20b", "gpt-oss-2b"));
        assert!(is_near("openai/gpt-oss-20b", "oss-20b"));
        assert!(!is_near("nano", "llama"));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", "..", ".hidden", "a/b", "a\\b", "a:b", "a\0", "ä"] {
            assert!(check_component(name).is_err(), "{name}");
        }
        assert!(check_component("gpt-oss_20b.v2").is_ok());
    }
}
