//! Names: which repository of the hub, and which part of it.

use std::fmt;

use crate::error::HubError;

/// A model repository, `ORG/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RepoId {
    text: String,
}

impl RepoId {
    /// Reads `ORG/NAME`, by the hub's rules for names.
    ///
    /// # Errors
    /// `HubError::Name` if it is not two names of letters, digits, `-`, `_` and `.` that neither
    /// begin nor end with `-` or `.` nor contain `--` or `..`, or is longer than 96 bytes.
    pub fn parse(text: &str) -> Result<Self, HubError> {
        let refused = || HubError::Name {
            thing: "model",
            expected: "ORG/NAME of letters, digits, `-`, `_` and `.`, as in openai/gpt-oss-20b",
            found: text.escape_debug().take(200).collect(),
        };
        let (org, name) = text.split_once('/').ok_or_else(refused)?;
        let fits = |part: &str| {
            !part.is_empty()
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
                && !part.starts_with(['-', '.'])
                && !part.ends_with(['-', '.'])
                && !part.contains("--")
                && !part.contains("..")
        };
        if text.len() > 96 || !fits(org) || !fits(name) {
            return Err(refused());
        }
        Ok(Self { text: text.to_owned() })
    }

    /// `ORG/NAME`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The folder of the repository in the cache, `models--ORG--NAME`.
    pub fn folder_name(&self) -> String {
        format!("models--{}", self.text.replace('/', "--"))
    }

    /// The repository whose folder in the cache has this name, if it is one of a model.
    pub fn from_folder_name(folder: &str) -> Option<Self> {
        let (org, name) = folder.strip_prefix("models--")?.split_once("--")?;
        Self::parse(&format!("{org}/{name}")).ok()
    }
}

impl fmt::Display for RepoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Splits `ORG/NAME[:part]`; the addresses `hf.co/…` and `https://huggingface.co/…` are accepted.
///
/// # Errors
/// `HubError::Name` if the first part is no repository or the second is empty.
pub fn parse_model(text: &str) -> Result<(RepoId, Option<String>), HubError> {
    let short = ["https://huggingface.co/", "https://hf.co/", "huggingface.co/", "hf.co/"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text);
    match short.split_once(':') {
        None => Ok((RepoId::parse(short)?, None)),
        Some((_, "")) => Err(HubError::Name {
            thing: "model",
            expected: "a file name or pattern after the colon",
            found: text.escape_debug().take(200).collect(),
        }),
        Some((repo, part)) => Ok((RepoId::parse(repo)?, Some(part.to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_repositories() {
        for good in ["openai/gpt-oss-20b", "a/b", "ggml-org/gpt-oss-20b-GGUF", "x_1/y.z"] {
            let repo = RepoId::parse(good).unwrap();
            assert_eq!(RepoId::from_folder_name(&repo.folder_name()), Some(repo));
        }
        let long = format!("a/{}", "b".repeat(95));
        let bad = [
            "",
            "gpt2",
            "/",
            "a/",
            "/b",
            "a/b/c",
            "../b",
            "a/..",
            "a b/c",
            "-a/b",
            "a/b-",
            "a/b--c",
            "a/b..c",
            "a/.b",
            "ü/b",
            "a/b\n",
            "a\\b/c",
            long.as_str(),
        ];
        for text in bad {
            assert!(RepoId::parse(text).is_err(), "{text:?} was accepted");
        }
        for folder in ["datasets--a--b", "models--a", "models--a--b--c", ".locks", "models--..--b"]
        {
            assert_eq!(RepoId::from_folder_name(folder), None, "{folder}");
        }
    }

    #[test]
    fn a_part_follows_a_colon() {
        let split =
            |text| parse_model(text).map(|(repo, part)| (repo.to_string(), part)).map_err(|_| ());
        assert_eq!(split("a/b"), Ok(("a/b".into(), None)));
        assert_eq!(split("a/b:Q8_0"), Ok(("a/b".into(), Some("Q8_0".into()))));
        assert_eq!(split("hf.co/a/b:x.gguf"), Ok(("a/b".into(), Some("x.gguf".into()))));
        assert_eq!(split("https://huggingface.co/a/b"), Ok(("a/b".into(), None)));
        assert_eq!(split("a/b:"), Err(()));
        assert_eq!(split("http://elsewhere/a/b"), Err(()));
    }
}
