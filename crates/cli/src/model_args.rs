//! Which model a command runs, and with how much context.

use std::num::NonZeroUsize;

use clap::{Args, ValueEnum};
use gptoss_engine::{CacheElement, Engine, EngineOptions, Precision, Session, Speculation};

/// Longest context that is reserved unless more is asked for.
pub const CONTEXT_DEFAULT: usize = 8192;

/// Flags of every command that runs a model.
#[derive(Args)]
pub struct ModelArgs {
    /// Model: nano (built in), a file or folder, a name in the local store, or a Hugging Face
    /// repository in the local cache
    #[arg(short, long, env = "GPTOSS_MODEL", value_name = "MODEL", value_parser = model_name,
        default_value = "nano")]
    pub model: String,

    /// Tokens of context to reserve memory for [default: the model's own, at most 8192]
    #[arg(short, long, value_name = "TOKENS")]
    pub context: Option<usize>,

    /// How it is computed.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Flags of how a model is computed. Threads and speculation change no bit of a result.
#[derive(Args)]
#[command(next_help_heading = "Computing")]
pub struct ComputeArgs {
    /// Threads [default: as many as this process may run at once]
    #[arg(long, env = "GPTOSS_THREADS", value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// Activations that MXFP4, Q8_0, Q4_0 and Q4_1 weights meet: eight bits, or f32 (for research
    /// and audits; slower)
    #[arg(long, value_name = "HOW", default_value = "fast")]
    pub precision: PrecisionArg,

    /// Numbers of the KV cache [default: f16; f32 with --precision exact]
    #[arg(long, value_name = "TYPE")]
    pub kv_cache: Option<CacheArg>,

    /// Compute what followed the same words before along with the next token, where that pays
    #[arg(long, value_name = "HOW", default_value = "lookup")]
    pub speculation: SpeculationArg,
}

/// See [`Precision`].
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PrecisionArg {
    /// Eight bits
    Fast,
    /// f32
    Exact,
}

/// See [`CacheElement`].
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum CacheArg {
    /// As computed
    F32,
    /// Half precision
    F16,
    /// Eight bits, with a scale for each key and value
    Int8,
}

impl From<PrecisionArg> for Precision {
    fn from(precision: PrecisionArg) -> Precision {
        match precision {
            PrecisionArg::Fast => Precision::Fast,
            PrecisionArg::Exact => Precision::Exact,
        }
    }
}

impl From<CacheArg> for CacheElement {
    fn from(cache: CacheArg) -> CacheElement {
        match cache {
            CacheArg::F32 => CacheElement::F32,
            CacheArg::F16 => CacheElement::F16,
            CacheArg::Int8 => CacheElement::Int8,
        }
    }
}

/// See [`Speculation`].
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SpeculationArg {
    /// What followed the same tokens before
    Lookup,
    /// Never
    Off,
}

impl ComputeArgs {
    /// What the engine is to be told.
    pub fn options(&self) -> EngineOptions {
        EngineOptions {
            threads: self.threads,
            isa: None,
            precision: self.precision.into(),
            cache: self.kv_cache.map(Into::into),
            speculation: match self.speculation {
                SpeculationArg::Lookup => Speculation::PromptLookup,
                SpeculationArg::Off => Speculation::Off,
            },
        }
    }
}

/// The name of a model; an empty variable of the environment counts as unset.
pub fn model_name(name: &str) -> Result<String, std::convert::Infallible> {
    Ok(if name.is_empty() { "nano" } else { name }.to_owned())
}

impl ModelArgs {
    /// Opens the model.
    pub fn engine(&self) -> anyhow::Result<Engine> {
        Ok(Engine::load_with(&self.model, &self.compute.options())?)
    }

    /// An empty session of the asked length.
    pub fn session(&self, engine: &Engine) -> anyhow::Result<Session> {
        let own = engine.config().max_position_embeddings;
        Ok(engine.session(self.context.unwrap_or(own.min(CONTEXT_DEFAULT)))?)
    }
}
