//! Which model a command runs, and with how much context.

use clap::Args;
use gptoss_engine::{Engine, Session};

/// Longest context that is reserved unless more is asked for.
const CONTEXT_DEFAULT: usize = 8192;

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
}

/// The name of a model; an empty variable of the environment counts as unset.
fn model_name(name: &str) -> Result<String, std::convert::Infallible> {
    Ok(if name.is_empty() { "nano" } else { name }.to_owned())
}

impl ModelArgs {
    /// Opens the model.
    pub fn engine(&self) -> anyhow::Result<Engine> {
        Ok(Engine::load(&self.model)?)
    }

    /// An empty session of the asked length.
    pub fn session(&self, engine: &Engine) -> anyhow::Result<Session> {
        let own = engine.config().max_position_embeddings;
        Ok(engine.session(self.context.unwrap_or(own.min(CONTEXT_DEFAULT)))?)
    }
}
