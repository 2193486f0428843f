//! Deleting models: what belongs to them and to nothing else, and nothing beyond links.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::RepoCache;
use crate::error::HubError;
use crate::models::{Source, entries, references, repositories, snapshots};
use crate::pull::Hub;
use crate::repo::RepoId;
use crate::snapshot::Contents;
use crate::store::{is_made_of_links, remove_folder};

/// What deleting a model would delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The model as it was found.
    pub name: String,
    /// Where it lies.
    pub source: Source,
    /// Files and folders to delete, in order.
    pub paths: Vec<PathBuf>,
    /// Bytes that are free afterwards.
    pub bytes: u64,
    /// Names of the store that stand for its files and go with it.
    pub store_names: Vec<String>,
    /// Whether only a name goes and the files stay in the cache.
    pub is_name_only: bool,
}

impl Hub {
    /// Finds what belongs to a model: `NAME` of the store, `ORG/NAME` of the cache with all its
    /// revisions, or `ORG/NAME@REVISION` with a branch, a tag or the start of a commit.
    ///
    /// # Errors
    /// `HubError::UnknownModel` with names that resemble it.
    pub fn plan_removal(&self, name: &str) -> Result<Removal, HubError> {
        let settings = self.settings();
        let fits = |found: &str| found == name || found.strip_suffix(".gguf") == Some(name);
        let stored = entries(&settings.store).into_iter().find(|(found, _)| fits(found));
        if let Some((name, path)) = stored.filter(|(found, _)| !found.starts_with('.')) {
            return Ok(Removal {
                is_name_only: is_made_of_links(&path),
                bytes: disk_bytes(std::slice::from_ref(&path)),
                source: Source::Store,
                paths: vec![path],
                store_names: Vec::new(),
                name,
            });
        }
        let (wanted, revision) = match name.split_once('@') {
            Some((repo, revision)) => (repo, Some(revision)),
            None => (name, None),
        };
        let found = repositories(&settings.cache)
            .into_iter()
            .find(|(repo, _)| repo.as_str() == wanted)
            .ok_or_else(|| self.unknown(name))?;
        match revision {
            None => Ok(self.whole_repository(&found.0, found.1)),
            Some(revision) => self.one_revision(name, &found.0, found.1, revision),
        }
    }

    /// Deletes what was planned; gives the bytes freed.
    ///
    /// # Errors
    /// `HubError::Io` for the first thing that cannot be deleted; what follows it stays.
    pub fn remove(&self, removal: &Removal) -> Result<u64, HubError> {
        for path in &removal.paths {
            remove_folder(path)?;
        }
        Ok(removal.bytes)
    }

    fn whole_repository(&self, repo: &RepoId, folder: PathBuf) -> Removal {
        let store_names = self.names_into(&folder);
        let bytes = disk_bytes(std::slice::from_ref(&folder));
        let names = store_names.iter().map(|name| self.settings().store.join(name));
        let locks = RepoCache::new(&self.settings().cache, repo).locks();
        let paths = names.chain([folder, locks]).collect();
        Removal {
            name: repo.to_string(),
            source: Source::HubCache,
            paths,
            bytes,
            store_names,
            is_name_only: false,
        }
    }

    fn one_revision(
        &self,
        name: &str,
        repo: &RepoId,
        folder: PathBuf,
        revision: &str,
    ) -> Result<Removal, HubError> {
        let references = references(&folder);
        let all = snapshots(&folder);
        let named = |commit: &str| {
            references.get(commit).is_some_and(|names| names.iter().any(|n| n == revision))
        };
        let mut fitting: Vec<_> = all.iter().filter(|(commit, _)| named(commit)).collect();
        if fitting.is_empty() && revision.len() >= 4 {
            fitting = all.iter().filter(|(commit, _)| commit.starts_with(revision)).collect();
        }
        let [(commit, snapshot)] = fitting.as_slice() else {
            return Err(self.unknown(name));
        };
        if all.len() == 1 {
            return Ok(self.whole_repository(repo, folder));
        }
        let others = all.iter().filter(|(other, _)| other != commit);
        let kept: BTreeSet<PathBuf> = others.flat_map(|(_, path)| contents_of(path)).collect();
        let blobs = folder.join("blobs");
        let own = contents_of(snapshot).into_iter().filter(|content| {
            // A link may point anywhere; only a blob of this repository is one of its files.
            content.parent() == Some(blobs.as_path()) && !kept.contains(content)
        });
        let refs = references.get(commit).into_iter().flatten();
        let refs = refs.map(|name| folder.join("refs").join(name));
        let store_names = self.names_into(snapshot);
        let names = store_names.iter().map(|name| self.settings().store.join(name));
        let mut paths: Vec<PathBuf> = names.chain(refs).collect();
        paths.push(snapshot.clone());
        paths.extend(own);
        paths.push(folder.join("trees").join(format!("{commit}.json")));
        Ok(Removal {
            name: format!("{repo}@{commit}"),
            source: Source::HubCache,
            bytes: disk_bytes(&paths),
            paths,
            store_names,
            is_name_only: false,
        })
    }

    /// Names of the store all of whose files are links to below the folder.
    fn names_into(&self, folder: &Path) -> Vec<String> {
        let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
        let points_there = |path: &Path| {
            let files = Contents::read(path).files;
            is_made_of_links(path)
                && !files.is_empty()
                && files.iter().all(|file| file.content.starts_with(&folder))
        };
        let stored = entries(&self.settings().store).into_iter();
        let names = stored.filter(|(name, path)| !name.starts_with('.') && points_there(path));
        names.map(|(name, _)| name).collect()
    }

    fn unknown(&self, name: &str) -> HubError {
        let known = self.cached_models().into_iter().map(|model| model.name);
        let known: BTreeSet<String> = known.collect();
        let shown: String = name.escape_debug().take(200).collect();
        HubError::UnknownModel { near: near_names(name, known.iter()), name: shown }
    }
}

/// What the links of a snapshot point to.
fn contents_of(snapshot: &Path) -> Vec<PathBuf> {
    Contents::read(snapshot).files.into_iter().map(|file| file.content).collect()
}

/// Bytes of the files below the paths; links count nothing, several names of one file once.
fn disk_bytes(paths: &[PathBuf]) -> u64 {
    let mut seen = BTreeSet::new();
    paths.iter().fold(0u64, |sum, path| sum.saturating_add(disk_bytes_below(path, &mut seen, 16)))
}

fn disk_bytes_below(path: &Path, seen: &mut BTreeSet<(u64, u64)>, depth: usize) -> u64 {
    let Ok(found) = fs::symlink_metadata(path) else { return 0 };
    if found.is_dir() && depth > 0 {
        let below = entries(path).into_iter();
        return below.fold(0, |sum, (_, path)| {
            sum.saturating_add(disk_bytes_below(&path, seen, depth - 1))
        });
    }
    let counted = found.is_file() && identity(&found).is_none_or(|file| seen.insert(file));
    if counted { found.len() } else { 0 }
}

/// What two names of one file have in common, where the system says.
#[cfg(unix)]
fn identity(found: &fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn identity(_found: &fs::Metadata) -> Option<(u64, u64)> {
    None
}

/// Up to three of the names that resemble `wanted`, nearest first.
pub fn near_names<'a>(wanted: &str, names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let wanted: Vec<char> = wanted.to_lowercase().chars().take(200).collect();
    let mut by_distance: BTreeMap<(usize, &String), ()> = BTreeMap::new();
    for name in names {
        let whole: Vec<char> = name.to_lowercase().chars().take(200).collect();
        // A name without its organisation is a usual way to be wrong.
        let last = whole.iter().rposition(|&c| c == '/').map_or(0, |i| i + 1);
        let distance = edits(&wanted, &whole).min(edits(&wanted, &whole[last..]));
        if distance <= (wanted.len() / 3).max(2) {
            by_distance.insert((distance, name), ());
        }
    }
    by_distance.into_keys().take(3).map(|(_, name)| name.clone()).collect()
}

/// Letters to insert, delete or replace to get from one text to the other (Levenshtein).
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
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
    fn near_names_are_found() {
        let known: Vec<String> =
            ["openai/gpt-oss-20b", "openai/gpt-oss-120b", "mine"].map(String::from).to_vec();
        let near = |wanted| near_names(wanted, known.iter());
        assert_eq!(near("gpt-oss-20b"), ["openai/gpt-oss-20b", "openai/gpt-oss-120b"]);
        assert_eq!(near("minr"), ["mine"]);
        assert_eq!(near("something else entirely"), Vec::<String>::new());
        let count = |a: &str, b: &str| {
            edits(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
        };
        assert_eq!((count("kitten", "sitting"), count("", "ab"), count("ab", "")), (3, 2, 2));
    }
}
