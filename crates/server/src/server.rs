//! What all requests share: the engine, the settings, counters, the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use gptoss_engine::{Batcher, Engine};
use gptoss_harmony::{ChatFormat, Tokenizer};

use crate::auth::Keys;
use crate::config::{ConfigError, Settings};
use crate::constrain::ConstraintFactory;
use crate::error::ApiError;
use crate::guests::Guests;
use crate::hosts::Hosts;
use crate::metrics::Metrics;
use crate::responses::background::Background;
use crate::store::{Store, StoreError};

/// What a server is made of.
pub struct Parts {
    /// For tokenizer, chat format and what the model's files say.
    pub engine: Engine,
    /// What computes.
    pub batcher: Arc<dyn Batcher>,
    /// What enforces grammars; `None` refuses requests that need it.
    pub constraints: Option<Arc<ConstraintFactory>>,
    /// The settings.
    pub settings: Settings,
    /// Keys of those who may ask.
    pub keys: Keys,
}

/// Why a server cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store cannot be opened.
    #[error("store")]
    Store(#[from] StoreError),
    /// The network cannot be used.
    #[error("{address}")]
    Listen {
        /// Where it was to listen.
        address: String,
        /// Why it cannot.
        source: std::io::Error,
    },
    /// The runtime cannot be started.
    #[error("runtime")]
    Runtime(#[source] std::io::Error),
}

/// What all requests share.
pub struct Server {
    pub(crate) engine: Engine,
    pub(crate) batcher: Arc<dyn Batcher>,
    pub(crate) constraints: Option<Arc<ConstraintFactory>>,
    pub(crate) settings: Settings,
    pub(crate) keys: Keys,
    pub(crate) hosts: Hosts,
    pub(crate) guests: Arc<Guests>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) store: Arc<Store>,
    pub(crate) background: Arc<Background>,
    /// Names of the model, the one that is shown first.
    pub(crate) names: Vec<String>,
    /// Seconds since 1970 at the start.
    pub(crate) started: u64,
    is_closing: AtomicBool,
}

impl Server {
    /// A server of these parts.
    ///
    /// # Errors
    /// If a setting is wrong, the address is public and anybody could ask, or the store cannot be
    /// opened.
    pub fn new(parts: Parts) -> Result<Arc<Server>, ServerError> {
        let Parts { engine, batcher, constraints, settings, keys } = parts;
        Server::check(&settings, &keys)?;
        let store = Store::open(&settings.store)?;
        Ok(Arc::new(Server {
            engine,
            batcher,
            constraints,
            keys,
            hosts: Hosts::new(&settings),
            guests: Arc::new(Guests::new(&settings.limits)),
            metrics: Arc::new(Metrics::new()),
            store: Arc::new(store),
            background: Arc::new(Background::new(settings.limits.background)),
            names: settings.served_names(),
            settings,
            started: now(),
            is_closing: AtomicBool::new(false),
        }))
    }

    /// Checks what no type can say.
    ///
    /// # Errors
    /// If a setting is out of its range, or the address is public and anybody could ask.
    pub fn check(settings: &Settings, keys: &Keys) -> Result<(), ConfigError> {
        let host = settings.server.host;
        if !host.is_loopback() && keys.is_empty() && !settings.access.allow_unauthenticated {
            return Err(ConfigError::Unauthenticated { host });
        }
        check_ranges(settings)
    }

    /// The name of the model that is shown.
    pub fn model(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// Takes no more requests; those that run go on.
    pub(crate) fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
        self.batcher.close();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    /// The name that is shown of the model that a request asks for; none means the only one.
    ///
    /// # Errors
    /// 404 for a model that is not here.
    pub(crate) fn model_for(&self, asked: Option<&str>) -> Result<String, ApiError> {
        let asked = asked.filter(|name| !name.is_empty());
        let short = |name: &str| name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
        let is_known = asked.is_none_or(|asked| {
            self.names.iter().any(|name| name == asked || short(name) == short(asked))
        });
        if is_known || self.settings.model.any_name {
            return Ok(self.model().to_owned());
        }
        let asked: String = asked.unwrap_or_default().chars().take(200).collect();
        let names = self.names.join("`, `");
        let message = format!("the model `{asked}` is not here; there is `{names}`");
        let error = ApiError::not_found("model_not_found", message);
        Err(ApiError { param: Some("model".to_owned()), ..error })
    }

    /// The model's tokenizer.
    ///
    /// # Errors
    /// 400 if the model came without one.
    pub(crate) fn tokenizer(&self) -> Result<&Arc<Tokenizer>, ApiError> {
        self.engine.tokenizer().map_err(|error| ApiError::invalid(error.to_string()))
    }

    /// How the model talks.
    ///
    /// # Errors
    /// 400 if it cannot.
    pub(crate) fn chat_format(&self) -> Result<&ChatFormat, ApiError> {
        self.engine.chat_format().map_err(|error| ApiError::invalid(error.to_string()))
    }

    /// The seed of requests that bring none; `None` draws one.
    pub(crate) fn seed(&self) -> Option<u64> {
        u64::try_from(self.settings.prompt.seed).ok()
    }

    /// The date that the model is told.
    pub(crate) fn date(&self) -> Option<String> {
        Some(self.settings.prompt.date.clone()).filter(|date| !date.is_empty())
    }
}

fn check_ranges(settings: &Settings) -> Result<(), ConfigError> {
    let limits = &settings.limits;
    let effort = settings.prompt.effort.as_str();
    let seconds = [
        ("limits.header_seconds", limits.header_seconds),
        ("limits.body_seconds", limits.body_seconds),
        ("limits.write_seconds", limits.write_seconds),
        ("limits.request_seconds", limits.request_seconds),
    ];
    let wrong = |setting: &str, expected: &str, found: String| ConfigError::Value {
        setting: setting.to_owned(),
        expected: expected.to_owned(),
        found,
    };
    for (setting, found) in seconds {
        if found == 0 || found > 1 << 30 {
            return Err(wrong(setting, "1 or more, at most 2^30", found.to_string()));
        }
    }
    if limits.connections == 0 {
        return Err(wrong("limits.connections", "1 or more", "0".to_owned()));
    }
    if !["", "low", "medium", "high"].contains(&effort) {
        return Err(wrong("prompt.effort", "low, medium or high", format!("`{effort}`")));
    }
    Ok(())
}

/// Seconds since 1970: what answers carry as the time of their creation.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
