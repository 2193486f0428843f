//! Our own names for models: a folder each, whose files are links into the cache.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::cache::scratch_name;
use crate::error::HubError;
use crate::snapshot::Contents;

/// The name of the model that is part of the program.
pub const BUILT_IN: &str = "nano";

/// Accepts names that are one folder, on every system, and cannot be mistaken for an option.
///
/// # Errors
/// `HubError::Name`.
pub fn check_name(name: &str) -> Result<(), HubError> {
    let fits = !name.is_empty()
        && name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !name.ends_with('.')
        // These are read as paths.
        && !name.ends_with(".gguf")
        && !name.ends_with(".safetensors")
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && name != BUILT_IN;
    let portable = || {
        let path = crate::remote_path::RemotePath::parse("name", name);
        path.and_then(|path| path.check_portable("name"))
    };
    if fits && portable().is_ok() {
        return Ok(());
    }
    Err(HubError::Name {
        thing: "name",
        expected: "up to 64 letters, digits, `-`, `_` and `.`, not a file's name and not `nano`",
        found: name.escape_debug().take(100).collect(),
    })
}

/// Gives the files of a snapshot a name in the store; an earlier name of the same kind is replaced.
///
/// # Errors
/// `HubError::Name` for a bad name or one that stands for other files, `HubError::Io` otherwise.
pub(crate) fn add(
    store: &Path,
    name: &str,
    snapshot: &Path,
    files: &[&str],
) -> Result<PathBuf, HubError> {
    check_name(name)?;
    let entry = store.join(name);
    if fs::symlink_metadata(&entry).is_ok() && !is_made_of_links(&entry) {
        return Err(HubError::Name {
            thing: "name",
            expected: "one that is free: `gptoss rm` frees it",
            found: name.to_owned(),
        });
    }
    let snapshot = fs::canonicalize(snapshot).map_err(HubError::io(snapshot, "find"))?;
    let part = store.join(scratch_name(name));
    remove_folder(&part)?;
    for file in files {
        let (from, to) = (snapshot.join(file), part.join(file));
        let folder = to.parent().unwrap_or(&part);
        fs::create_dir_all(folder).map_err(HubError::io(folder, "create the folder"))?;
        link(&from, &to).map_err(HubError::io(&to, "create"))?;
    }
    remove_folder(&entry)?;
    fs::rename(&part, &entry).map_err(HubError::io(&entry, "create"))?;
    Ok(entry)
}

/// Deletes a folder and what is in it; links are deleted, not followed.
pub(crate) fn remove_folder(path: &Path) -> Result<(), HubError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Ok(found) if !found.is_dir() => fs::remove_file(path),
        _ => fs::remove_dir_all(path),
    }
    .map_err(HubError::io(path, "delete"))
}

/// Whether the entry is one that [`add`] made: nothing is lost with it.
pub(crate) fn is_made_of_links(entry: &Path) -> bool {
    let is_folder = fs::symlink_metadata(entry).is_ok_and(|m| m.is_dir());
    let contents = Contents::read(entry);
    is_folder && contents.files.iter().all(|file| file.content != entry.join(&file.path))
}

/// A link to the cache, else the same file under another name, else a copy.
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    let linked = std::os::unix::fs::symlink(from, to);
    #[cfg(windows)]
    let linked = std::os::windows::fs::symlink_file(from, to);
    #[cfg(not(any(unix, windows)))]
    let linked: std::io::Result<()> = Err(ErrorKind::Unsupported.into());
    linked.or_else(|_| fs::hard_link(from, to)).or_else(|_| fs::copy(from, to).map(|_| ()))
}
