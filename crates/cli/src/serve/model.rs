//! The model that is served, as the settings say.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use clap::ValueEnum as _;
use gptoss_engine::{BatchOptions, CacheElement, Engine, EngineOptions, Precision, Scheduler};
use gptoss_server::config::Settings;

use crate::model_args::{CONTEXT_DEFAULT, CacheArg, PrecisionArg};
use crate::opening_args::{check_settings, parse_date};
use crate::terminal::say;

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
    let given = [!prompt.effort.is_empty(), !prompt.date.is_empty()];
    check_settings(&engine, ["prompt.effort", "prompt.date"], given)?;
    Ok(engine)
}

/// What computes.
pub fn scheduler(engine: &Engine, settings: &Settings) -> anyhow::Result<Arc<Scheduler>> {
    let model = &settings.model;
    let own = engine.config().max_position_embeddings;
    let context_length = match model.context {
        0 => own.min(CONTEXT_DEFAULT),
        tokens => tokens,
    };
    let usual = BatchOptions::new(context_length);
    let file = &model.prefix_file;
    let scheduler = Scheduler::start(
        engine,
        BatchOptions {
            cache_positions: match model.cache_tokens {
                0 => usual.cache_positions,
                tokens => tokens,
            },
            sequences_max: model.parallel,
            waiting_max: model.queue,
            stall: Duration::from_millis(model.stall_ms),
            prefix_file: Some(file.clone()).filter(|file| !file.as_os_str().is_empty()),
            ..usual
        },
    )?;
    if let Some(error) = scheduler.cold_start() {
        say(&format!("gptoss: starting without kept prompts: {error}"));
    }
    Ok(Arc::new(scheduler))
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
