//! The model that is served, as the settings say.

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::bail;
use clap::ValueEnum as _;
use gptoss_engine::{Batcher, CacheElement, Engine, EngineOptions, Precision};
use gptoss_server::config::Settings;
use gptoss_server::one_by_one::OneByOne;

use crate::model_args::{CONTEXT_DEFAULT, CacheArg, PrecisionArg};
use crate::opening_args::{has_own_frame, parse_date};

/// Checks what the server's own settings leave to the engine.
pub fn check(settings: &Settings) -> anyhow::Result<()> {
    options(settings)?;
    let date = &settings.prompt.date;
    if !date.is_empty() && parse_date(date).as_ref() != Ok(date) {
        bail!("prompt.date: expected YYYY-MM-DD, found `{date}`");
    }
    Ok(())
}

/// Loads the model.
pub fn engine(settings: &Settings) -> anyhow::Result<Engine> {
    let engine = Engine::load_with(&settings.model.name, &options(settings)?)?;
    let prompt = &settings.prompt;
    if has_own_frame(&engine) && !(prompt.effort.is_empty() && prompt.date.is_empty()) {
        bail!(
            "{}: not supported: prompt.effort and prompt.date; the model was trained without the \
             system message that carries them",
            engine.model().path.display()
        );
    }
    Ok(engine)
}

/// What computes.
pub fn batcher(engine: &Engine, settings: &Settings) -> anyhow::Result<Arc<dyn Batcher>> {
    let own = engine.config().max_position_embeddings;
    let context_length = match settings.model.context {
        0 => own.min(CONTEXT_DEFAULT),
        tokens => tokens,
    };
    Ok(Arc::new(OneByOne::new(engine, context_length, settings.model.queue)?))
}

fn options(settings: &Settings) -> anyhow::Result<EngineOptions> {
    let model = &settings.model;
    let Ok(precision) = PrecisionArg::from_str(&model.precision, false) else {
        bail!("model.precision: expected fast or exact, found `{}`", model.precision);
    };
    let cache = match (model.kv_cache.as_str(), CacheArg::from_str(&model.kv_cache, false)) {
        ("", _) => None,
        (_, Ok(cache)) => Some(CacheElement::from(cache)),
        (found, Err(_)) => bail!("model.kv_cache: expected f32, f16 or int8, found `{found}`"),
    };
    Ok(EngineOptions {
        threads: NonZeroUsize::new(model.threads),
        precision: Precision::from(precision),
        cache,
        ..EngineOptions::default()
    })
}
