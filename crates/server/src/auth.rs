//! API keys: hashed at rest, compared in constant time.

use std::path::Path;

use axum::http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::ConfigError;
use crate::error::ApiError;

/// The variable of the environment that holds keys, with commas between them.
pub const KEYS_VARIABLE: &str = "GPTOSS_API_KEYS";
/// A longer file is none of keys.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a hash that name a client in logs and in the store.
const NAME_BYTES: usize = 8;

/// Hashes of the keys that are accepted; none lets everybody in.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<[u8; 32]>);

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    /// The beginning of the key's hash, or the address of somebody without a key.
    pub(crate) name: String,
    /// Whose responses they may see: their key's, or everybody's where there are no keys.
    pub(crate) owner: String,
}

impl Keys {
    /// The keys of a file and of a list with commas; an empty path and list have none.
    ///
    /// # Errors
    /// If the file cannot be read or a line is no key.
    pub fn load(file: &Path, list: &str) -> Result<Keys, ConfigError> {
        let mut keys = Keys::default();
        keys.add("GPTOSS_API_KEYS", list.split(','))?;
        if file != Path::new("") {
            let failed = |source| ConfigError::Read { path: file.to_owned(), source };
            if std::fs::metadata(file).map_err(failed)?.len() > FILE_BYTES_MAX {
                let message = format!("expected at most {FILE_BYTES_MAX} bytes");
                return Err(ConfigError::Syntax { path: file.to_owned(), message });
            }
            let text = std::fs::read_to_string(file).map_err(failed)?;
            keys.add(&file.display().to_string(), text.lines())?;
        }
        Ok(keys)
    }

    fn add<'a>(
        &mut self,
        place: &str,
        lines: impl Iterator<Item = &'a str>,
    ) -> Result<(), ConfigError> {
        for (i, line) in lines.enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let hash = match line.strip_prefix("sha256:") {
                Some(digits) => hash_of_digits(digits.trim()),
                None if line.len() == 64 => hash_of_digits(line).or(Some(hash(line))),
                None => Some(hash(line)),
            };
            let wrong = || ConfigError::Value {
                setting: format!("{place}: entry {}", i + 1),
                expected: "sha256: and 64 hexadecimal digits".to_owned(),
                found: "something else (not shown)".to_owned(),
            };
            self.0.push(hash.ok_or_else(wrong)?);
        }
        Ok(())
    }

    /// Whether everybody is let in.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Who asks with these headers from this address.
    ///
    /// # Errors
    /// 401 without a key that is accepted.
    pub(crate) fn client(&self, headers: &HeaderMap, address: &str) -> Result<Client, ApiError> {
        if self.is_empty() {
            return Ok(Client { name: address.to_owned(), owner: String::new() });
        }
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.split_once(' '));
        let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, key)) = bearer else {
            return Err(refused("no API key: send the header `Authorization: Bearer KEY`"));
        };
        let given = hash(key.trim());
        // Every key is compared, so that the time says nothing about which one is near.
        let known = self.0.iter().fold(Choice::from(0), |any, key| any | key.ct_eq(&given));
        if !bool::from(known) {
            return Err(refused("the API key is not accepted"));
        }
        let name: String = given[..NAME_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Client { owner: name.clone(), name })
    }
}

fn refused(message: &str) -> ApiError {
    let error = ApiError::new(StatusCode::UNAUTHORIZED, "authentication_error", message);
    ApiError { code: Some("invalid_api_key"), ..error }
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

fn hash_of_digits(digits: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (i, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn ask(keys: &Keys, authorization: &str) -> Result<Client, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        keys.client(&headers, "127.0.0.1")
    }

    #[test]
    fn plain_and_hashed_keys_are_accepted_and_others_are_not() {
        // sha256 of `second`.
        let second = "16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        std::fs::write(&file, format!("# ours\n\nfirst\nsha256:{second}\n")).unwrap();
        let keys = Keys::load(&file, "third, fourth").unwrap();
        assert_eq!(keys.len(), 4);
        for key in ["first", "second", "third", "fourth"] {
            assert!(ask(&keys, &format!("Bearer {key}")).is_ok(), "{key}");
        }
        for wrong in ["Bearer fifth", "Bearer ", "Basic first", second, "first"] {
            assert_eq!(ask(&keys, wrong).unwrap_err().status, StatusCode::UNAUTHORIZED, "{wrong}");
        }
        let names = ["first", "second"].map(|key| ask(&keys, &format!("bearer {key}")).unwrap());
        assert_ne!(names[0].owner, names[1].owner);
    }

    #[test]
    fn a_damaged_hash_is_an_error_that_does_not_show_it() {
        let error = Keys::load(Path::new(""), "sha256:xyz").unwrap_err().to_string();
        assert!(error.contains("entry 1") && !error.contains("xyz"), "{error}");
    }
}
