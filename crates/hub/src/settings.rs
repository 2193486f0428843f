//! What the environment says about the hub, under the names that Python tools read as well.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use gptoss_checkpoint::locate::Places;

use crate::error::HubError;
use crate::url::Url;

/// Where the hub is when nobody says otherwise.
const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
/// A token is far shorter; a longer file is not one.
const TOKEN_BYTES_MAX: u64 = 4096;

/// A secret that shows itself to the hub only.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Accepts a token that can stand in a header line.
    ///
    /// # Errors
    /// `HubError::Setting` naming `variable`, never the token.
    pub fn parse(variable: &str, text: &str) -> Result<Self, HubError> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(HubError::Setting {
                variable: variable.to_owned(),
                expected: "a token of visible ASCII characters",
                found: "something else (not shown)".to_owned(),
            });
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(not shown)")
    }
}

/// How long to wait and how often to try.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Longest time to make a connection.
    pub connect: Duration,
    /// Longest silence of a server, before and in an answer.
    pub silence: Duration,
    /// Longest time for one answer of the hub's API; downloads of files have no such limit.
    pub api_answer: Duration,
    /// Wait after the first failure; four times as long after each further one.
    pub first_pause: Duration,
    /// Longest wait that a server may ask for with `Retry-After`.
    pub retry_after_max: Duration,
    /// Attempts in a row that may bring nothing new.
    pub attempts: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            api_answer: Duration::from_secs(120),
            first_pause: Duration::from_millis(100),
            retry_after_max: Duration::from_secs(300),
            attempts: 6,
        }
    }
}

/// Everything a [`crate::Hub`] needs to know about its surroundings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address of the hub, `HF_ENDPOINT`.
    pub endpoint: String,
    /// `HF_TOKEN`, else the content of `HF_TOKEN_PATH` or `$HF_HOME/token`.
    pub token: Option<Token>,
    /// `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE`: no request is made.
    pub offline: bool,
    /// `HF_HUB_DISABLE_PROGRESS_BARS`, for whoever shows progress.
    pub progress_bars: bool,
    /// The cache shared with Python tools, `…/huggingface/hub`.
    pub cache: PathBuf,
    /// Our own models by name, `…/models`.
    pub store: PathBuf,
    /// Timeouts and retries; `HF_HUB_DOWNLOAD_TIMEOUT` sets the longest silence, in seconds.
    pub patience: Patience,
}

impl Settings {
    /// The settings of this process's environment.
    ///
    /// # Errors
    /// `HubError::Setting` for values that cannot be used, and `HubError::Io` for a token file
    /// that exists but cannot be read.
    pub fn from_env() -> Result<Self, HubError> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// The settings that the given variables make; an empty variable counts as unset.
    ///
    /// # Errors
    /// As [`Settings::from_env`].
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, HubError> {
        let text = |name: &str| {
            let value = variable(name).filter(|value| !value.is_empty())?;
            Some(value.to_string_lossy().into_owned())
        };
        let is_true = |name: &str| {
            text(name).is_some_and(|v| {
                ["1", "ON", "YES", "TRUE"].contains(&v.to_ascii_uppercase().as_str())
            })
        };
        let places = Places::from_variables(&variable);
        let no_home = |variable: &str| HubError::Setting {
            variable: variable.to_owned(),
            expected: "a folder, as no home folder is known",
            found: "nothing".to_owned(),
        };
        let cache = places.hub_cache.ok_or_else(|| no_home("HF_HOME"))?;
        let store = places.store.ok_or_else(|| no_home("GPTOSS_HOME"))?.join("models");
        let mut patience = Patience::default();
        if let Some(seconds) = text("HF_HUB_DOWNLOAD_TIMEOUT") {
            patience.silence = parse_seconds("HF_HUB_DOWNLOAD_TIMEOUT", &seconds)?;
        }
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        parse_endpoint(&endpoint)?;
        Ok(Self {
            endpoint,
            token: find_token(&text)?,
            offline: is_true("HF_HUB_OFFLINE") || is_true("TRANSFORMERS_OFFLINE"),
            progress_bars: !is_true("HF_HUB_DISABLE_PROGRESS_BARS"),
            cache,
            store,
            patience,
        })
    }
}

/// The endpoint as an address; what was found is not repeated, as it may hold a password.
pub(crate) fn parse_endpoint(endpoint: &str) -> Result<Url, HubError> {
    Url::parse(endpoint).ok_or_else(|| HubError::Setting {
        variable: "HF_ENDPOINT".to_owned(),
        expected: "http(s)://host[:port][/path] without a user name",
        found: "something else".to_owned(),
    })
}

fn parse_seconds(variable: &str, text: &str) -> Result<Duration, HubError> {
    text.trim()
        .parse::<f64>()
        .ok()
        .filter(|&seconds| seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| HubError::Setting {
            variable: variable.to_owned(),
            expected: "a positive number of seconds",
            found: format!("`{}`", text.escape_debug()),
        })
}

/// The token of the environment, else of the file that `hf auth login` writes.
fn find_token(text: &impl Fn(&str) -> Option<String>) -> Result<Option<Token>, HubError> {
    for variable in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
        if let Some(token) = text(variable) {
            return Token::parse(variable, &token).map(Some);
        }
    }
    // The file is a neighbour of the cache, but does not move with the cache's own variables.
    let without_cache = |name: &str| {
        let moves_cache = ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"].contains(&name);
        if moves_cache { None } else { text(name).map(OsString::from) }
    };
    let path = match (text("HF_TOKEN_PATH"), Places::from_variables(without_cache).hub_cache) {
        (Some(path), _) => PathBuf::from(path),
        (None, Some(cache)) => cache.with_file_name("token"),
        (None, None) => return Ok(None),
    };
    let Ok(metadata) = std::fs::metadata(&path) else { return Ok(None) };
    if !metadata.is_file() || metadata.len() > TOKEN_BYTES_MAX {
        return Ok(None);
    }
    let content = std::fs::read_to_string(&path).map_err(HubError::io(&path, "read the token"))?;
    match content.trim() {
        "" => Ok(None),
        token => Token::parse(&path.display().to_string(), token).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, HubError> {
        Settings::from_variables(|name| {
            let (_, value) = variables.iter().find(|(n, _)| *n == name)?;
            Some(OsString::from(value))
        })
    }

    #[test]
    fn defaults_need_a_home_folder_only() {
        let found = settings(&[("HOME", "/nowhere")]).unwrap();
        assert_eq!(found.endpoint, DEFAULT_ENDPOINT);
        assert_eq!((found.token, found.offline, found.progress_bars), (None, false, true));
        assert_eq!(found.cache, PathBuf::from("/nowhere/.cache/huggingface/hub"));
        assert!(settings(&[]).is_err());
    }

    #[test]
    fn variables_of_python_tools_are_read() {
        let found = settings(&[
            ("HOME", "/nowhere"),
            ("HF_HUB_OFFLINE", "yes"),
            ("HF_HUB_DISABLE_PROGRESS_BARS", "1"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "2.5"),
            ("HF_ENDPOINT", "https://mirror.example/hub/"),
            ("GPTOSS_HOME", "/models"),
        ])
        .unwrap();
        assert_eq!((found.offline, found.progress_bars), (true, false));
        assert_eq!(found.patience.silence, Duration::from_millis(2500));
        assert_eq!(found.store, PathBuf::from("/models/models"));
        for (name, value) in [
            ("HF_ENDPOINT", "mirror"),
            ("HF_ENDPOINT", "https://me:secret@h"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "-1"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "1e400"),
            ("HF_TOKEN", "secret\nX: y"),
        ] {
            let message = settings(&[("HOME", "/n"), (name, value)]).unwrap_err().to_string();
            assert!(message.starts_with(name) && !message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn the_token_comes_from_variable_or_file_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        std::fs::write(folder.path().join("other"), "hf_other").unwrap();
        let other = folder.path().join("other");
        let secret = |variables: &[(&str, &str)]| {
            settings(variables).unwrap().token.map(|t| t.secret().to_owned())
        };
        let in_home = ("HF_HOME", home);
        let elsewhere = ("HF_TOKEN_PATH", other.to_str().unwrap());
        assert_eq!(secret(&[("HOME", "/n"), in_home]).as_deref(), Some("hf_file"));
        assert_eq!(secret(&[("HOME", "/n"), in_home, elsewhere]).as_deref(), Some("hf_other"));
        let all = [("HOME", "/n"), in_home, elsewhere, ("HF_TOKEN", "hf_variable")];
        assert_eq!(secret(&all).as_deref(), Some("hf_variable"));
        assert!(!format!("{:?}", settings(&all).unwrap()).contains("hf_"));
    }
}
