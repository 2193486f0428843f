//! File names that a hub sends, held to what may be created below a folder of ours.

use std::fmt;
use std::path::PathBuf;

use crate::error::HubError;

/// Longest path accepted, in bytes; longer ones do not fit every file system.
const PATH_BYTES_MAX: usize = 1024;
/// Longest single name, in bytes: the limit of common file systems.
const NAME_BYTES_MAX: usize = 255;

/// A path inside a repository: names joined by `/`, none of which leaves the folder.
///
/// The same rules hold for revisions, because they become paths below `refs/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RemotePath(String);

impl RemotePath {
    /// Accepts a path whose every name stays below the folder it is put into.
    ///
    /// # Errors
    /// `HubError::Name` for empty names, `.`, `..`, absolute paths, backslashes, control
    /// characters, or excessive length.
    pub fn parse(thing: &'static str, path: &str) -> Result<Self, HubError> {
        let refuse = |expected| {
            let shown: String = path.escape_debug().take(200).collect();
            Err(HubError::Name { thing, expected, found: shown })
        };
        if path.len() > PATH_BYTES_MAX {
            return refuse("at most 1024 bytes");
        }
        if path.contains('\\') || path.chars().any(char::is_control) {
            return refuse("no backslashes and no control characters");
        }
        for name in path.split('/') {
            if name.is_empty() || name == "." || name == ".." {
                return refuse("names joined by single `/`, none of them `.` or `..`");
            }
            if name.len() > NAME_BYTES_MAX {
                return refuse("names of at most 255 bytes");
            }
        }
        Ok(Self(path.to_owned()))
    }

    /// Refuses names that some operating system reads as something other than a file.
    ///
    /// # Errors
    /// `HubError::Name` for the characters `<>:"|?*`, names that end in a dot or space, and
    /// devices of Windows such as `CON` or `nul.txt`.
    pub fn check_portable(&self, thing: &'static str) -> Result<(), HubError> {
        let refuse = |expected| Err(HubError::Name { thing, expected, found: self.0.clone() });
        for name in self.0.split('/') {
            if name.contains(['<', '>', ':', '"', '|', '?', '*']) {
                return refuse("a name without any of < > : \" | ? *");
            }
            if name.ends_with(['.', ' ']) {
                return refuse("a name that does not end in a dot or space");
            }
            if is_device(name) {
                return refuse("a name that is no device of Windows");
            }
        }
        Ok(())
    }

    /// The text as the hub spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last name of the path.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The path in the manner of this machine, relative.
    pub fn to_local(&self) -> PathBuf {
        self.0.split('/').collect()
    }

    /// Number of folders above the file.
    pub fn depth(&self) -> usize {
        self.0.matches('/').count()
    }
}

impl fmt::Display for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether Windows opens a device under this name, whatever follows the first dot.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix).is_some_and(|rest| {
            let mut chars = rest.chars();
            let digit = chars.next().is_some_and(|c| "123456789¹²³".contains(c));
            digit && chars.next().is_none()
        })
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || numbered("COM")
        || numbered("LPT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_pass() {
        for path in ["config.json", "original/model.safetensors", "a b/ü.gguf", "refs/pr/1"] {
            let parsed = RemotePath::parse("file name", path).unwrap();
            parsed.check_portable("file name").unwrap();
            assert_eq!(parsed.as_str(), path);
        }
        let deep = RemotePath::parse("file name", "a/b/c.json").unwrap();
        assert_eq!((deep.depth(), deep.file_name()), (2, "c.json"));
        assert_eq!(deep.to_local(), PathBuf::from("a").join("b").join("c.json"));
    }

    #[test]
    fn paths_that_leave_the_folder_are_refused() {
        let long_name = "x".repeat(256);
        let long_path = "x/".repeat(600) + "x";
        let hostile = [
            "",
            "/etc/passwd",
            "..",
            "../x",
            "a/../b",
            "a/./b",
            "a//b",
            "a/",
            "a\\b",
            "..\\x",
            "C:\\x",
            "a\0b",
            "a\nb",
            "a\u{1b}[2Jb",
            long_name.as_str(),
            long_path.as_str(),
        ];
        for path in hostile {
            let error = RemotePath::parse("file name", path).unwrap_err().to_string();
            assert!(error.starts_with("file name `"), "{error}");
            assert!(!error.chars().any(char::is_control), "{error:?}");
        }
    }

    #[test]
    fn names_of_devices_are_refused() {
        let devices = [
            "CON",
            "con.json",
            "a/nul",
            "Aux.safetensors",
            "COM1",
            "lpt9.txt",
            "com².x",
            "x:y",
            "x:stream",
            "a?",
            "a*",
            "dot.",
            "space ",
            "prn .txt",
            "conin$",
        ];
        for path in devices {
            let parsed = RemotePath::parse("file name", path).unwrap();
            assert!(parsed.check_portable("file name").is_err(), "{path} was accepted");
        }
        for path in ["console", "com10", "comb", "null", "lpt", "COM0"] {
            let parsed = RemotePath::parse("file name", path).unwrap();
            assert!(parsed.check_portable("file name").is_ok(), "{path} was refused");
        }
    }
}
