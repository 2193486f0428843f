//! How a model's files say that it talks.

use std::sync::Arc;

use gptoss_checkpoint::{ChatDefaults, Model};
use gptoss_harmony::{ChatFormat, ChatTemplate, HarmonyEncoding, TemplateEncoding, Tokenizer};

use crate::error::EngineError;

/// The chat format of a model: harmony if `tokenizer` has the special tokens of it, else the chat
/// template of the model's files.
///
/// # Errors
/// [`EngineError::NoChatFormat`] if there is neither, and [`EngineError::Template`] if the template
/// cannot be used.
pub fn chat_format_of(
    model: &Model,
    tokenizer: &Arc<Tokenizer>,
) -> Result<ChatFormat, EngineError> {
    if let Ok(harmony) = HarmonyEncoding::new(tokenizer.clone()) {
        return Ok(ChatFormat::Harmony(harmony));
    }
    let Some(template) = template(&model.chat, tokenizer) else {
        return Err(EngineError::NoChatFormat { model: model.path.clone() });
    };
    Ok(ChatFormat::Template(TemplateEncoding::new(tokenizer.clone(), template)?))
}

/// The chat template with its tokens; the one that it calls `eos_token` ends an answer as well.
fn template(chat: &ChatDefaults, tokenizer: &Tokenizer) -> Option<ChatTemplate> {
    let mut stop_tokens = chat.eos_token_ids.clone();
    let eos_token = chat.eos_token.as_deref().and_then(|name| tokenizer.special(name));
    stop_tokens.extend(eos_token.filter(|id| !chat.eos_token_ids.contains(id)));
    Some(ChatTemplate {
        source: chat.chat_template.clone()?,
        bos_token: chat.bos_token.clone(),
        eos_token: chat.eos_token.clone(),
        unk_token: chat.unk_token.clone(),
        stop_tokens,
    })
}
