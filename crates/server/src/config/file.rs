//! The configuration file.

use std::path::{Path, PathBuf};

use crate::config::settings::SettingsPartial;

/// A longer file is no configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is wrong; the message shows the line.
    #[error("{}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What and where.
        message: String,
    },
    /// A setting has a value that it cannot have.
    #[error("{setting}: expected {expected}, found {found}")]
    Value {
        /// Name of the setting as in the file, with its section.
        setting: String,
        /// What it can be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A server that anybody can reach, and use.
    #[error(
        "server.host: {host} can be reached from other machines, and there are no API keys; give \
         access.keys_file or GPTOSS_API_KEYS, or say access.allow_unauthenticated"
    )]
    Unauthenticated {
        /// The address.
        host: std::net::IpAddr,
    },
}

/// What the file at `path` sets.
///
/// # Errors
/// [`ConfigError::Read`] and [`ConfigError::Syntax`]; an unknown key is an error with its line.
pub fn read(path: &Path) -> Result<SettingsPartial, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > FILE_BYTES_MAX {
        let message = format!("expected at most {FILE_BYTES_MAX} bytes, found {bytes}");
        return Err(ConfigError::Syntax { path: path.to_owned(), message });
    }
    parse(path, &std::fs::read_to_string(path).map_err(failed)?)
}

/// What `text` sets; `path` is named in errors.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, text: &str) -> Result<SettingsPartial, ConfigError> {
    let syntax = |error: toml::de::Error| {
        let message = error.to_string().trim_end().to_owned();
        ConfigError::Syntax { path: path.to_owned(), message }
    };
    toml::from_str(text).map_err(syntax)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_an_error_with_its_line() {
        let text = "[server]\nport = 1\n\n[limits]\nbody_byts = 3\n";
        let error = parse(Path::new("a.toml"), text).unwrap_err().to_string();
        assert!(error.contains("line 5") && error.contains("body_byts"), "{error}");
        let error = parse(Path::new("a.toml"), "[servr]\n").unwrap_err().to_string();
        assert!(error.contains("line 1") && error.contains("servr"), "{error}");
    }

    #[test]
    fn flags_count_more_than_the_file_and_the_file_more_than_defaults() {
        let file = parse(Path::new("a"), "[server]\nport = 1\nhost = \"::1\"\n").unwrap();
        let mut flags = SettingsPartial::default();
        flags.server.port = Some(2);
        let settings = flags.or(file).or_default();
        assert_eq!((settings.server.port, settings.server.host.to_string()), (2, "::1".into()));
        assert_eq!(settings.limits, Default::default());
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let settings = SettingsPartial::default().or_default();
        let again = parse(Path::new("a"), &settings.to_toml()).unwrap().or_default();
        assert_eq!(again, settings);
    }
}
