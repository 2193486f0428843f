//! How a model is to be run.

use std::env;
use std::num::NonZeroUsize;

use gptoss_kernels::Isa;
use gptoss_kernels::cached_attention::CacheElement;

use crate::error::EngineError;

/// The variable that forces an instruction set.
const ISA_VARIABLE: &str = "GPTOSS_ISA";

/// Arithmetic of matrices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Weights in MXFP4 and Q8_0 meet activations of eight bits, others f32.
    #[default]
    Fast,
    /// Activations are f32 everywhere, and so is the cache.
    Exact,
}

impl Precision {
    /// `fast` or `exact`.
    pub const fn name(self) -> &'static str {
        match self {
            Precision::Fast => "fast",
            Precision::Exact => "exact",
        }
    }
}

/// Whether tokens are computed before they are asked for. Changes no bit of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speculation {
    /// What followed the same tokens before, where that is likely to pay.
    #[default]
    PromptLookup,
    /// Never.
    Off,
}

/// How a model is to be run; the default is right for most machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// Threads; by default as many as the process may run at once. Changes no bit of a result.
    pub threads: Option<NonZeroUsize>,
    /// Instructions; by default what `GPTOSS_ISA` names, else the best that the CPU has. Changes
    /// no bit of a result.
    pub isa: Option<Isa>,
    /// Arithmetic of matrices.
    pub precision: Precision,
    /// Elements of the cache; by default F16, and F32 with [`Precision::Exact`].
    pub cache: Option<CacheElement>,
    /// Whether tokens are computed before they are asked for.
    pub speculation: Speculation,
}

impl EngineOptions {
    /// Exact arithmetic, otherwise the default.
    pub fn exact() -> EngineOptions {
        EngineOptions { precision: Precision::Exact, ..EngineOptions::default() }
    }

    /// The instructions to use.
    ///
    /// # Errors
    /// [`EngineError::Isa`] if `GPTOSS_ISA` names something that this CPU does not have.
    pub(crate) fn isa(&self) -> Result<Isa, EngineError> {
        match (self.isa, env::var(ISA_VARIABLE)) {
            (Some(isa), _) => Ok(isa),
            (None, Ok(name)) if !name.is_empty() => {
                let available: Vec<_> = Isa::available().map(Isa::name).collect();
                let expected = available.join(", ");
                Isa::named(&name).ok_or(EngineError::Isa { name, expected })
            }
            (None, _) => Ok(Isa::detect()),
        }
    }

    /// Elements of the cache.
    pub(crate) fn cache(&self) -> CacheElement {
        self.cache.unwrap_or(match self.precision {
            Precision::Fast => CacheElement::F16,
            Precision::Exact => CacheElement::F32,
        })
    }
}
