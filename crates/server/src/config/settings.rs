//! The settings, section by section as in the file.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::section::section;

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

section! {
    /// Where the server listens.
    ServerSettings, ServerPartial {
        /// Address; one that is not of this machine alone needs API keys.
        host: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
        /// Port; 0 takes a free one.
        port: u16 = 8080;
        /// Seconds that running requests have to finish when the server is to end.
        shutdown_seconds: u64 = 30;
    }
}

section! {
    /// Which model, and how it is computed. Empty and zero leave it to the engine.
    ModelSettings, ModelPartial {
        /// A model as `gptoss generate --model` takes it.
        name: String = "nano".to_owned();
        /// Names under which clients may ask for it, the first is the one that is shown; by default
        /// the last part of `name`.
        served_names: Vec<String> = Vec::new();
        /// Whether any other name means the model too.
        any_name: bool = false;
        /// Tokens of context; 0 takes the model's own, at most 8192.
        context: usize = 0;
        /// Threads; 0 takes as many as the process may run at once.
        threads: usize = 0;
        /// `fast` or `exact`.
        precision: String = "fast".to_owned();
        /// `f32`, `f16` or `int8`; empty takes what fits the precision.
        kv_cache: String = String::new();
        /// Requests that may wait; those beyond are answered with 429.
        queue: usize = 256;
        /// Requests that are computed together.
        parallel: usize = 32;
        /// Tokens whose keys and values are kept, for all requests and earlier ones together; 0
        /// takes four times the context.
        cache_tokens: usize = 0;
        /// Where keys and values of prompts outlive the program, if anywhere; the file holds what
        /// users wrote, in a form from which it can be found out.
        prefix_file: PathBuf = PathBuf::new();
    }
}

section! {
    /// What every prompt says.
    PromptSettings, PromptPartial {
        /// `low`, `medium` or `high` where a request does not say; empty leaves medium.
        effort: String = String::new();
        /// Date that the model is told, YYYY-MM-DD; empty leaves the line out, so that a prompt can
        /// be repeated and stays in the cache.
        date: String = String::new();
        /// Seed of requests that bring none; -1 draws one for each.
        seed: i64 = -1;
    }
}

section! {
    /// What a client may take.
    LimitsSettings, LimitsPartial {
        /// Bytes of a request's body.
        body_bytes: usize = 16 << 20;
        /// Seconds to send the headers, also of the next request on a connection.
        header_seconds: u64 = 30;
        /// Seconds to send the body.
        body_seconds: u64 = 60;
        /// Seconds without reading after which a client counts as gone.
        write_seconds: u64 = 60;
        /// Seconds that a request may take.
        request_seconds: u64 = 3600;
        /// Connections at once.
        connections: usize = 1024;
        /// Requests of one key (or address, without keys) at once; 0 sets no limit.
        concurrent_requests: usize = 256;
        /// Requests of one key (or address) a minute; 0 sets no limit.
        requests_per_minute: usize = 0;
        /// Prompts or inputs of one request.
        prompts: usize = 2048;
        /// Answers in the background at once.
        background: usize = 64;
    }
}

section! {
    /// Who may ask.
    AccessSettings, AccessPartial {
        /// File of API keys: a line is `sha256:` and 64 hexadecimal digits, or a key; empty for
        /// none.
        keys_file: PathBuf = PathBuf::new();
        /// Whether a public address may go without keys.
        allow_unauthenticated: bool = false;
        /// Names beside localhost that the header Host may say; on a public address none means
        /// that any is taken.
        hosts: Vec<String> = Vec::new();
        /// Origins of web pages that may call, or `*`; none switches CORS off.
        origins: Vec<String> = Vec::new();
    }
}

section! {
    /// Where responses are kept.
    StoreSettings, StorePartial {
        /// File of the database; empty keeps them in memory.
        path: PathBuf = PathBuf::new();
        /// Days after which a response is forgotten.
        days: u64 = 30;
        /// Responses that are kept.
        responses: u64 = 10_000;
        /// Bytes that they may take together.
        bytes: u64 = 256 << 20;
    }
}

section! {
    /// What is logged, on standard error.
    LogSettings, LogPartial {
        /// How.
        format: LogFormat = LogFormat::Text;
        /// `error`, `warn`, `info`, `debug`, `trace` or `off`.
        level: String = "info".to_owned();
    }
}

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Settings {
    /// Where the server listens.
    pub server: ServerSettings,
    /// Which model.
    pub model: ModelSettings,
    /// What every prompt says.
    pub prompt: PromptSettings,
    /// What a client may take.
    pub limits: LimitsSettings,
    /// Who may ask.
    pub access: AccessSettings,
    /// Where responses are kept.
    pub store: StoreSettings,
    /// What is logged.
    pub log: LogSettings,
}

/// What one place says of the settings.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SettingsPartial {
    /// Where the server listens.
    pub server: ServerPartial,
    /// Which model.
    pub model: ModelPartial,
    /// What every prompt says.
    pub prompt: PromptPartial,
    /// What a client may take.
    pub limits: LimitsPartial,
    /// Who may ask.
    pub access: AccessPartial,
    /// Where responses are kept.
    pub store: StorePartial,
    /// What is logged.
    pub log: LogPartial,
}

impl SettingsPartial {
    /// What this place says, else what `other` says.
    #[must_use]
    pub fn or(self, other: SettingsPartial) -> SettingsPartial {
        SettingsPartial {
            server: self.server.or(other.server),
            model: self.model.or(other.model),
            prompt: self.prompt.or(other.prompt),
            limits: self.limits.or(other.limits),
            access: self.access.or(other.access),
            store: self.store.or(other.store),
            log: self.log.or(other.log),
        }
    }

    /// All settings, with the defaults of what nobody has set.
    pub fn or_default(self) -> Settings {
        Settings {
            server: self.server.or_default(),
            model: self.model.or_default(),
            prompt: self.prompt.or_default(),
            limits: self.limits.or_default(),
            access: self.access.or_default(),
            store: self.store.or_default(),
            log: self.log.or_default(),
        }
    }
}

impl Settings {
    /// The settings in the form of the file; they hold no secrets.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("the settings are tables of plain values")
    }

    /// Names under which clients may ask for the model, the first is the one that is shown.
    pub fn served_names(&self) -> Vec<String> {
        if !self.model.served_names.is_empty() {
            return self.model.served_names.clone();
        }
        let name = self.model.name.trim_end_matches('/');
        let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
        vec![last.to_owned()]
    }
}
