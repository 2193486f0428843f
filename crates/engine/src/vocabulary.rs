//! The tokenizer that a model's files bring.

use std::sync::Arc;

use gptoss_checkpoint::{GgufVocabulary, Model, O200K_HARMONY_TOKENS, TokenizerSource};
use gptoss_harmony::tokenizer::{TokenType, Vocabulary, VocabularyModel};
use gptoss_harmony::{TokenId, Tokenizer};

use crate::error::EngineError;

/// The tokenizer of a model; `None` if it came without one.
///
/// # Errors
/// [`EngineError::Tokenizer`] if what came with it cannot be used.
pub fn tokenizer_of(model: &Model) -> Result<Option<Arc<Tokenizer>>, EngineError> {
    let failed = |source| EngineError::Tokenizer { model: model.path.clone(), source };
    match &model.tokenizer {
        TokenizerSource::Json(bytes) => {
            Ok(Some(Arc::new(Tokenizer::from_json(bytes).map_err(failed)?)))
        }
        TokenizerSource::Gguf(vocabulary) => {
            let unsupported = || EngineError::VocabularyModel {
                model: model.path.clone(),
                found: vocabulary.model.clone(),
            };
            let vocabulary = converted(model, vocabulary).ok_or_else(unsupported)?;
            Ok(Some(Arc::new(Tokenizer::from_vocabulary(vocabulary).map_err(failed)?)))
        }
        TokenizerSource::O200kHarmony => Ok(Some(Tokenizer::o200k_harmony())),
        _ => Ok(None),
    }
}

/// A GGUF vocabulary as the tokenizers read it; `None` if it is of a kind that no gpt-oss model
/// has.
fn converted(model: &Model, vocabulary: &GgufVocabulary) -> Option<Vocabulary> {
    if vocabulary.model != "gpt2" {
        return None;
    }
    let strings = |list: &gptoss_checkpoint::StringArray| list.iter().map(str::to_owned).collect();
    let token_type = |number: &i64| {
        i32::try_from(*number).ok().and_then(TokenType::from_gguf).unwrap_or(TokenType::Normal)
    };
    let special_ids: Vec<TokenId> =
        model.chat.eos_token_ids.iter().copied().chain(model.chat.bos_token_id).collect();
    // The published vocabulary is split like this, whatever a file says; Ollama's say otherwise.
    let published = vocabulary.tokens.len() == O200K_HARMONY_TOKENS;
    let pre = vocabulary.pre.clone().filter(|_| !published);
    Some(Vocabulary {
        model: VocabularyModel::Gpt2 {
            pre: pre.unwrap_or_else(|| "gpt-4o".to_owned()),
            merges: vocabulary.merges.as_ref().map(strings).unwrap_or_default(),
        },
        tokens: strings(&vocabulary.tokens),
        token_types: vocabulary.token_types.iter().map(token_type).collect(),
        special_ids,
    })
}
