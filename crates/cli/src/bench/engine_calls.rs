//! The calls of the engine that are measured, in one place.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use gptoss_engine::{
    CacheElement, Engine, EngineOptions, Feed, Isa, LogitRows, ProfileRow, Session, Speculation,
};
use gptoss_harmony::TokenId;

use super::cost::Computing;

/// An engine, and how it computes.
pub struct Loaded {
    /// The engine.
    pub engine: Engine,
    /// Threads that it uses.
    pub threads: NonZeroUsize,
    /// Instructions that it uses.
    pub isa: Isa,
    /// What changes the cost.
    pub computing: Computing,
}

/// Loads a model. Tokens are computed when they are asked for and not before.
///
/// # Errors
/// If the model cannot be loaded, or the machine cannot compute as asked.
pub fn load(name: &str, options: EngineOptions) -> anyhow::Result<Loaded> {
    let options = EngineOptions { speculation: Speculation::Off, ..options };
    let engine = Engine::load_with(name, &options)?;
    let threads = NonZeroUsize::new(engine.threads()).unwrap_or(NonZeroUsize::MIN);
    let computing = computing(&engine);
    Ok(Loaded { threads, isa: engine.isa(), computing, engine })
}

fn computing(engine: &Engine) -> Computing {
    let head_dim = engine.config().head_dim;
    Computing {
        precision: engine.precision(),
        cache_position_bytes: position_bytes(engine.cache_element(), head_dim),
    }
}

/// Bytes of the key and the value of one position and kv head.
pub fn position_bytes(element: CacheElement, head_dim: usize) -> u64 {
    element.position_bytes(head_dim) as u64
}

/// Makes the timeline equal to `ids`; false if `stop` was set before it was.
///
/// # Errors
/// Those of the session.
pub fn sync(session: &mut Session, ids: &[TokenId], stop: &AtomicBool) -> anyhow::Result<bool> {
    let synced = session.sync_with(ids, &mut |_, _| match stop.load(Ordering::SeqCst) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    })?;
    Ok(synced.complete)
}

/// One step: each session gets its token.
///
/// # Errors
/// Those of the sessions.
pub fn decode_step(
    engine: &Engine,
    sessions: &mut [Session],
    tokens: &[TokenId],
) -> anyhow::Result<()> {
    let mut feeds: Vec<Feed<'_>> = sessions
        .iter_mut()
        .zip(tokens.chunks(1))
        .map(|(session, tokens)| Feed { session, tokens, rows: LogitRows::Last })
        .collect();
    engine.step(&mut feeds)?;
    Ok(())
}

/// Lets the engine measure itself from here on.
pub fn profile_start(engine: &Engine) {
    engine.profile_start();
}

/// What it measured: the parts that were run.
pub fn profile_take(engine: &Engine) -> Vec<ProfileRow> {
    engine.profile_take().into_iter().filter(|row| row.calls > 0).collect()
}
