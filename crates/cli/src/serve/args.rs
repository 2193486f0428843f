//! One flag for each setting.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use gptoss_server::config::{
    AccessPartial, LimitsPartial, LogFormat, LogPartial, ModelPartial, PromptPartial,
    ServerPartial, SettingsPartial, StorePartial,
};

use crate::opening_args::parse_date;

/// Flags and variables of the settings. A flag that is not given leaves it to the file.
#[derive(Args)]
pub struct SettingsArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    prompt: PromptArgs,
    #[command(flatten)]
    limits: LimitsArgs,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// See [`ServerPartial`].
#[derive(Args)]
struct ServerArgs {
    /// Address to listen on; one that others can reach needs API keys [default: 127.0.0.1]
    #[arg(long, env = "GPTOSS_HOST", value_name = "ADDRESS")]
    host: Option<IpAddr>,
    /// Port to listen on; 0 takes a free one [default: 8080]
    #[arg(short, long, env = "GPTOSS_PORT", value_name = "PORT")]
    port: Option<u16>,
    /// Seconds that running requests have to finish at the end [default: 30]
    #[arg(long, env = "GPTOSS_SHUTDOWN_SECONDS", value_name = "SECONDS")]
    shutdown_seconds: Option<u64>,
}

/// See [`ModelPartial`].
#[derive(Args)]
#[command(next_help_heading = "Model")]
struct ModelArgs {
    /// Model, as for `gptoss generate` [default: nano]
    #[arg(short, long, env = "GPTOSS_MODEL", value_name = "MODEL")]
    model: Option<String>,
    /// Name under which clients may ask for it; may be repeated, the first is shown
    #[arg(long, env = "GPTOSS_SERVED_NAMES", value_name = "NAME", value_delimiter = ',')]
    served_name: Option<Vec<String>>,
    /// Answer requests for any other model too
    #[arg(long, env = "GPTOSS_ANY_NAME", num_args = 0..=1, default_missing_value = "true")]
    any_name: Option<bool>,
    /// Tokens of context [default: the model's own, at most 8192]
    #[arg(short, long, env = "GPTOSS_CONTEXT", value_name = "TOKENS")]
    context: Option<usize>,
    /// Threads [default: as many as this process may run at once]
    #[arg(long, env = "GPTOSS_THREADS", value_name = "N")]
    threads: Option<usize>,
    /// fast or exact [default: fast]
    #[arg(long, env = "GPTOSS_PRECISION", value_name = "HOW")]
    precision: Option<String>,
    /// f32, f16 or int8 [default: f16; f32 with --precision exact]
    #[arg(long, env = "GPTOSS_KV_CACHE", value_name = "TYPE")]
    kv_cache: Option<String>,
    /// Requests that may wait; those beyond are answered with 429 [default: 256]
    #[arg(long, env = "GPTOSS_QUEUE", value_name = "N")]
    queue: Option<usize>,
    /// Requests that are computed together [default: 32]
    #[arg(long, env = "GPTOSS_PARALLEL", value_name = "N")]
    parallel: Option<usize>,
    /// Tokens kept for all requests and earlier ones together [default: four times the context]
    #[arg(long, env = "GPTOSS_CACHE_TOKENS", value_name = "TOKENS")]
    cache_tokens: Option<usize>,
    /// File in which computed prompts outlive the program; it holds what users wrote
    #[arg(long, env = "GPTOSS_PREFIX_FILE", value_name = "FILE")]
    prefix_file: Option<PathBuf>,
}

/// See [`PromptPartial`].
#[derive(Args)]
#[command(next_help_heading = "Prompts")]
struct PromptArgs {
    /// Effort of requests that do not say: low, medium or high [default: medium]
    #[arg(short, long, env = "GPTOSS_EFFORT", value_name = "EFFORT")]
    effort: Option<String>,
    /// Date that the model is told; left out by default so that an answer can be repeated
    #[arg(long, env = "GPTOSS_DATE", value_name = "YYYY-MM-DD|today", value_parser = parse_date)]
    date: Option<String>,
    /// Seed of requests that bring none; -1 draws one for each [default: -1]
    #[arg(long, env = "GPTOSS_SEED", value_name = "N", allow_negative_numbers = true)]
    seed: Option<i64>,
}

/// See [`LimitsPartial`].
#[derive(Args)]
#[command(next_help_heading = "Limits")]
struct LimitsArgs {
    /// Bytes of a request's body [default: 16777216]
    #[arg(long, env = "GPTOSS_BODY_BYTES", value_name = "BYTES")]
    body_bytes: Option<usize>,
    /// Seconds to send the headers [default: 30]
    #[arg(long, env = "GPTOSS_HEADER_SECONDS", value_name = "SECONDS")]
    header_seconds: Option<u64>,
    /// Seconds to send the body [default: 60]
    #[arg(long, env = "GPTOSS_BODY_SECONDS", value_name = "SECONDS")]
    body_seconds: Option<u64>,
    /// Seconds without reading after which a client counts as gone [default: 60]
    #[arg(long, env = "GPTOSS_WRITE_SECONDS", value_name = "SECONDS")]
    write_seconds: Option<u64>,
    /// Seconds that a request may take [default: 3600]
    #[arg(long, env = "GPTOSS_REQUEST_SECONDS", value_name = "SECONDS")]
    request_seconds: Option<u64>,
    /// Connections at once [default: 1024]
    #[arg(long, env = "GPTOSS_CONNECTIONS", value_name = "N")]
    connections: Option<usize>,
    /// Requests of one key (or address) at once; 0 sets no limit [default: 256]
    #[arg(long, env = "GPTOSS_CONCURRENT_REQUESTS", value_name = "N")]
    concurrent_requests: Option<usize>,
    /// Requests of one key (or address) a minute; 0 sets no limit [default: 0]
    #[arg(long, env = "GPTOSS_REQUESTS_PER_MINUTE", value_name = "N")]
    requests_per_minute: Option<usize>,
    /// Prompts or inputs of one request [default: 2048]
    #[arg(long, env = "GPTOSS_PROMPTS", value_name = "N")]
    prompts: Option<usize>,
    /// Answers in the background at once [default: 64]
    #[arg(long, env = "GPTOSS_BACKGROUND", value_name = "N")]
    background: Option<usize>,
}

/// See [`AccessPartial`].
#[derive(Args)]
#[command(next_help_heading = "Access")]
struct AccessArgs {
    /// File of API keys: a line is `sha256:` and the hash of a key, or a key
    #[arg(long, env = "GPTOSS_KEYS_FILE", value_name = "FILE")]
    keys_file: Option<PathBuf>,
    /// Let anybody who can reach a public address use it
    #[arg(long, env = "GPTOSS_ALLOW_UNAUTHENTICATED", num_args = 0..=1,
        default_missing_value = "true")]
    allow_unauthenticated: Option<bool>,
    /// Name beside localhost that the header Host may say; may be repeated
    #[arg(long, env = "GPTOSS_ALLOWED_HOSTS", value_name = "NAME", value_delimiter = ',')]
    allowed_host: Option<Vec<String>>,
    /// Origin of web pages that may call (CORS), or *; may be repeated
    #[arg(long, env = "GPTOSS_ALLOWED_ORIGINS", value_name = "ORIGIN", value_delimiter = ',')]
    allowed_origin: Option<Vec<String>>,
}

/// See [`StorePartial`].
#[derive(Args)]
#[command(next_help_heading = "Stored responses")]
struct StoreArgs {
    /// Database of responses [default: kept in memory]
    #[arg(long, env = "GPTOSS_STORE", value_name = "FILE")]
    store: Option<PathBuf>,
    /// Days after which a response is forgotten [default: 30]
    #[arg(long, env = "GPTOSS_STORE_DAYS", value_name = "DAYS")]
    store_days: Option<u64>,
    /// Responses that are kept [default: 10000]
    #[arg(long, env = "GPTOSS_STORE_RESPONSES", value_name = "N")]
    store_responses: Option<u64>,
    /// Bytes that they may take together [default: 268435456]
    #[arg(long, env = "GPTOSS_STORE_BYTES", value_name = "BYTES")]
    store_bytes: Option<u64>,
}

/// See [`LogPartial`].
#[derive(Args)]
#[command(next_help_heading = "Logs")]
struct LogArgs {
    /// How logs are written on standard error [default: text]
    #[arg(long, env = "GPTOSS_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<LogFormatArg>,
    /// off, error, warn, info, debug or trace [default: info]
    #[arg(long, env = "GPTOSS_LOG", value_name = "LEVEL")]
    log: Option<String>,
}

/// See [`LogFormat`].
#[derive(Clone, Copy, ValueEnum)]
enum LogFormatArg {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

impl SettingsArgs {
    /// What flags and environment set.
    pub fn partial(&self) -> SettingsPartial {
        let SettingsArgs { server, model, prompt, limits, access, store, log } = self;
        let format = |format| match format {
            LogFormatArg::Text => LogFormat::Text,
            LogFormatArg::Json => LogFormat::Json,
        };
        SettingsPartial {
            server: ServerPartial {
                host: server.host,
                port: server.port,
                shutdown_seconds: server.shutdown_seconds,
            },
            model: ModelPartial {
                // An empty variable of the environment counts as unset.
                name: model.model.clone().filter(|name| !name.is_empty()),
                served_names: model.served_name.clone(),
                any_name: model.any_name,
                context: model.context,
                threads: model.threads,
                precision: model.precision.clone(),
                kv_cache: model.kv_cache.clone(),
                queue: model.queue,
                parallel: model.parallel,
                cache_tokens: model.cache_tokens,
                prefix_file: model.prefix_file.clone(),
            },
            prompt: PromptPartial {
                effort: prompt.effort.clone(),
                date: prompt.date.clone(),
                seed: prompt.seed,
            },
            limits: limits.partial(),
            access: AccessPartial {
                keys_file: access.keys_file.clone(),
                allow_unauthenticated: access.allow_unauthenticated,
                hosts: access.allowed_host.clone(),
                origins: access.allowed_origin.clone(),
            },
            store: StorePartial {
                path: store.store.clone(),
                days: store.store_days,
                responses: store.store_responses,
                bytes: store.store_bytes,
            },
            log: LogPartial { format: log.log_format.map(format), level: log.log.clone() },
        }
    }
}

impl LimitsArgs {
    fn partial(&self) -> LimitsPartial {
        LimitsPartial {
            body_bytes: self.body_bytes,
            header_seconds: self.header_seconds,
            body_seconds: self.body_seconds,
            write_seconds: self.write_seconds,
            request_seconds: self.request_seconds,
            connections: self.connections,
            concurrent_requests: self.concurrent_requests,
            requests_per_minute: self.requests_per_minute,
            prompts: self.prompts,
            background: self.background,
        }
    }
}
