//! The tokenizer that a model's files bring.

use std::sync::Arc;

use gptoss_checkpoint::{Model, TokenizerSource};
use gptoss_harmony::Tokenizer;

use crate::error::EngineError;

/// The tokenizer of a model; `None` if it came without one.
pub(crate) fn tokenizer(model: &Model) -> Result<Option<Arc<Tokenizer>>, EngineError> {
    let failed = |source| EngineError::Tokenizer { model: model.path.clone(), source };
    Ok(match &model.tokenizer {
        TokenizerSource::Json(bytes) => {
            Some(Arc::new(Tokenizer::from_json(bytes).map_err(failed)?))
        }
        TokenizerSource::O200kHarmony => Some(Tokenizer::o200k_harmony()),
        TokenizerSource::Missing => None,
        _ => None,
    })
}
