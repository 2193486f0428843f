//! A folder of files: on disk, or compiled into the program.

use std::path::{Path, PathBuf};

use crate::bytes::Bytes;
use crate::error::{CheckpointError, Place, printable};
use crate::map;

/// Where the files of one model lie.
pub(crate) enum Folder<'a> {
    /// A folder of the file system.
    Disk(&'a Path),
    /// Files in the program, under a name that stands for the folder in messages.
    Memory { name: &'a str, files: &'a [(&'a str, &'static [u8])] },
}

impl Folder<'_> {
    /// The path of a file in this folder, as messages show it.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.root().join(file)
    }

    /// The path of the folder itself, as messages show it.
    pub(crate) fn root(&self) -> &Path {
        match self {
            Folder::Disk(path) => path,
            Folder::Memory { name, .. } => Path::new(name),
        }
    }

    /// The names of the files and folders in this folder, sorted.
    pub(crate) fn names(&self) -> Result<Vec<String>, CheckpointError> {
        let mut names = match self {
            Folder::Disk(path) => {
                let io = |source| CheckpointError::Io { file: path.to_path_buf(), source };
                let mut names = Vec::new();
                for entry in std::fs::read_dir(path).map_err(io)? {
                    names.push(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
                }
                names
            }
            Folder::Memory { files, .. } => files.iter().map(|(n, _)| (*n).to_owned()).collect(),
        };
        names.sort();
        Ok(names)
    }

    /// The bytes of a file, or `None` if there is no such file.
    pub(crate) fn read(&self, file: &str) -> Result<Option<Bytes>, CheckpointError> {
        match self {
            Folder::Disk(_) => {
                let path = self.path(file);
                match map::map(&path) {
                    Ok(bytes) => Ok(Some(bytes)),
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(source) => Err(CheckpointError::Io { file: path, source }),
                }
            }
            Folder::Memory { files, .. } => {
                let found = files.iter().find(|(name, _)| *name == file);
                Ok(found.map(|(_, bytes)| Bytes::from(*bytes)))
            }
        }
    }

    /// A JSON file of this folder, or `None` if there is no such file.
    ///
    /// # Errors
    /// A file above 64 MiB, or one that is not JSON.
    pub(crate) fn read_json(
        &self,
        file: &str,
    ) -> Result<Option<serde_json::Value>, CheckpointError> {
        let Some(bytes) = self.read(file)? else { return Ok(None) };
        parse_json(&self.path(file), &bytes).map(Some)
    }
}

/// The value of a small JSON file.
pub(crate) fn parse_json(file: &Path, bytes: &[u8]) -> Result<serde_json::Value, CheckpointError> {
    // The index of gpt-oss-120b has 90 kB; a file far above that is not one of these.
    const JSON_BYTES_MAX: usize = 64 << 20;
    let invalid = |expected: &str, found: String| CheckpointError::Invalid {
        file: file.to_path_buf(),
        place: Place::File,
        expected: expected.to_owned(),
        found,
    };
    if bytes.is_empty() {
        return Err(invalid("JSON", "an empty file".to_owned()));
    }
    if bytes.len() > JSON_BYTES_MAX {
        return Err(invalid("at most 67108864 bytes", bytes.len().to_string()));
    }
    serde_json::from_slice(bytes).map_err(|e| invalid("JSON", printable(&e.to_string())))
}
