//! The calls of the engine that are measured, in one place.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use gptoss_checkpoint::KV_ELEMENT_BYTES;
use gptoss_engine::{Engine, Session};
use gptoss_harmony::TokenId;
use gptoss_kernels::Isa;

use super::cost::{Computing, Precision};

/// What a user asked for; `None` leaves it to the engine.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Threads.
    pub threads: Option<NonZeroUsize>,
    /// Instructions.
    pub isa: Option<Isa>,
    /// How products are computed.
    pub precision: Option<Precision>,
}

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

/// One part of what an engine did, as it measured itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileRow {
    /// The part.
    pub name: &'static str,
    /// How often.
    pub calls: u64,
    /// All calls together.
    pub seconds: f64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Multiplications and additions.
    pub operations: u64,
}

/// Loads a model.
///
/// # Errors
/// If the model cannot be loaded, or the engine does not compute as asked.
pub fn load(name: &str, asked: &Asked) -> anyhow::Result<Loaded> {
    if let Some(threads) = asked.threads.filter(|threads| threads.get() != 1) {
        bail!("--threads {threads}: not supported: the engine computes on one thread");
    }
    if let Some(isa) = asked.isa.filter(|isa| *isa != Isa::PORTABLE) {
        bail!("--isa {}: not supported: the engine computes with plain Rust", isa.name());
    }
    if asked.precision == Some(Precision::Fast) {
        bail!("--precision fast: not supported: the engine computes exactly");
    }
    Ok(Loaded {
        engine: Engine::load(name)?,
        threads: NonZeroUsize::MIN,
        isa: Isa::PORTABLE,
        computing: Computing { precision: Precision::Exact, cache_element_bytes: KV_ELEMENT_BYTES },
    })
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
/// Those of the session.
pub fn decode_step(
    _engine: &Engine,
    sessions: &mut [Session],
    tokens: &[TokenId],
) -> anyhow::Result<()> {
    for (session, token) in sessions.iter_mut().zip(tokens) {
        session.push(*token)?;
    }
    Ok(())
}

/// Lets the engine measure itself from here on.
///
/// # Errors
/// If it cannot.
pub fn profile_start(_engine: &Engine) -> anyhow::Result<()> {
    bail!("--profile: not supported: the engine does not measure itself")
}

/// What it measured.
pub fn profile_take(_engine: &Engine) -> Vec<ProfileRow> {
    Vec::new()
}
