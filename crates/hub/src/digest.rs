//! Checksums by which the hub names the content of files.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The checksum of a file, which is also the name of its blob in the cache.
///
/// Large files have the sha256 of git LFS; small ones are git blobs, whose name is the sha1 of
/// `blob LENGTH\0` and the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checksum {
    /// 64 lower-case hexadecimal digits.
    Sha256(String),
    /// 40 lower-case hexadecimal digits.
    GitSha1(String),
}

impl Checksum {
    /// The sha256 of git LFS, if the text is one.
    pub fn sha256(text: &str) -> Option<Self> {
        is_hex(text, 64).then(|| Self::Sha256(text.to_ascii_lowercase()))
    }

    /// The name of a git object, if the text is one.
    pub fn git_sha1(text: &str) -> Option<Self> {
        is_hex(text, 40).then(|| Self::GitSha1(text.to_ascii_lowercase()))
    }

    /// The digits, safe as a file name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::GitSha1(digits) => digits,
        }
    }

    /// The kind, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::GitSha1(_) => "git sha1",
        }
    }
}

/// Whether the text is a commit: 40 lower-case hexadecimal digits.
pub fn is_commit(text: &str) -> bool {
    is_hex(text, 40) && !text.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A checksum in the making.
pub(crate) enum Hasher {
    Sha256(Sha256),
    GitSha1(Sha1),
}

impl Hasher {
    /// Begins the kind of checksum that is expected of a file of `len` bytes.
    pub fn new(expected: &Checksum, len: u64) -> Self {
        match expected {
            Checksum::Sha256(_) => Self::Sha256(Sha256::new()),
            Checksum::GitSha1(_) => {
                let mut sha1 = Sha1::new();
                sha1.update(format!("blob {len}\0"));
                Self::GitSha1(sha1)
            }
        }
    }

    /// Takes the next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(sha256) => sha256.update(bytes),
            Self::GitSha1(sha1) => sha1.update(bytes),
        }
    }

    /// The digits of everything taken.
    pub fn finish(self) -> String {
        match self {
            Self::Sha256(sha256) => to_hex(&sha256.finalize()),
            Self::GitSha1(sha1) => to_hex(&sha1.finalize()),
        }
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_git_and_sha256sum() {
        // printf 'hello\n' | git hash-object --stdin; printf 'hello\n' | sha256sum
        let git = Checksum::git_sha1("ce013625030ba8dba906f756967f9e9ca394464a").unwrap();
        let sha256 =
            Checksum::sha256("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03")
                .unwrap();
        for expected in [git, sha256] {
            let mut hasher = Hasher::new(&expected, 6);
            hasher.update(b"hel");
            hasher.update(b"lo\n");
            assert_eq!(hasher.finish(), expected.as_str(), "{}", expected.kind());
        }
    }

    #[test]
    fn only_digits_become_names() {
        assert_eq!(Checksum::sha256("../x"), None);
        assert_eq!(Checksum::git_sha1(&"g".repeat(40)), None);
        assert_eq!(Checksum::git_sha1(&"a".repeat(64)), None);
        assert_eq!(Checksum::sha256(&"A".repeat(64)).unwrap().as_str(), "a".repeat(64));
        assert!(is_commit(&"0".repeat(40)));
        assert!(!is_commit("main") && !is_commit(&"A".repeat(40)));
    }
}
