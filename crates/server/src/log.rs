//! Logs on standard error: what happened and how long it took, never what was said.

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;

use crate::config::{ConfigError, LogFormat, LogSettings};

/// Sends the logs of this process to standard error; only the first call counts.
///
/// # Errors
/// For a level that does not exist.
pub fn install(settings: &LogSettings) -> Result<(), ConfigError> {
    let level: LevelFilter = settings.level.parse().map_err(|_| ConfigError::Value {
        setting: "log.level".to_owned(),
        expected: "off, error, warn, info, debug or trace".to_owned(),
        found: format!("`{}`", settings.level),
    })?;
    let builder = fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    // An error means that whoever embeds the server has its own logs.
    let _ = match settings.format {
        LogFormat::Text => tracing::subscriber::set_global_default(builder.finish()),
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(true);
            tracing::subscriber::set_global_default(builder.with_span_list(false).finish())
        }
    };
    Ok(())
}
