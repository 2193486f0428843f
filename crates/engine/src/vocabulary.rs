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

/// The token that the model's tokenizer puts before every text, if it puts one: as the files say,
/// else as the tokenizer's post-processor does, or what llama.cpp takes for granted in GGUF files.
pub fn text_begin(model: &Model, tokenizer: &Tokenizer) -> Option<TokenId> {
    let chat = &model.chat;
    let named = || chat.bos_token.as_deref().and_then(|name| tokenizer.special(name));
    let begin = || chat.bos_token_id.or_else(named);
    match (chat.add_bos_token, &model.tokenizer) {
        (Some(true), _) => begin(),
        (Some(false), _) => None,
        (None, TokenizerSource::Gguf(vocabulary)) => {
            let pre = vocabulary.pre.as_deref().unwrap_or_default();
            let begins =
                vocabulary.model == "llama" || matches!(pre, "llama-bpe" | "llama3" | "llama-v3");
            begin().filter(|_| begins)
        }
        (None, _) => tokenizer.begin_token(),
    }
}

/// A GGUF vocabulary as the tokenizers read it; `None` if it is of a kind that no supported model
/// has.
fn converted(model: &Model, vocabulary: &GgufVocabulary) -> Option<Vocabulary> {
    let strings = |list: &gptoss_checkpoint::StringArray| list.iter().map(str::to_owned).collect();
    let token_type = |number: &i64| {
        i32::try_from(*number).ok().and_then(TokenType::from_gguf).unwrap_or(TokenType::Normal)
    };
    let special_ids: Vec<TokenId> =
        model.chat.eos_token_ids.iter().copied().chain(model.chat.bos_token_id).collect();
    // The published vocabulary is split like this, whatever a file says; Ollama's say otherwise.
    let published = vocabulary.tokens.len() == O200K_HARMONY_TOKENS;
    let pre = vocabulary.pre.clone().filter(|_| !published);
    let kind = match vocabulary.model.as_str() {
        "gpt2" => VocabularyModel::Gpt2 {
            pre: pre.unwrap_or_else(|| "gpt-4o".to_owned()),
            merges: vocabulary.merges.as_ref().map(strings).unwrap_or_default(),
        },
        "llama" => VocabularyModel::Llama {
            scores: vocabulary.scores.clone(),
            add_space_prefix: vocabulary.add_space_prefix,
        },
        _ => return None,
    };
    Some(Vocabulary {
        model: kind,
        tokens: strings(&vocabulary.tokens),
        token_types: vocabulary.token_types.iter().map(token_type).collect(),
        special_ids,
    })
}
