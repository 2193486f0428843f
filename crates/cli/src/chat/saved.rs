//! A conversation as a file.

use std::path::Path;

use anyhow::Context as _;
use gptoss_checkpoint::write_private_atomically;
use gptoss_engine::{PromptSetting, prompt_tokens};
use gptoss_harmony::{Conversation, Message, ReasoningEffort, Role};
use serde::{Deserialize, Serialize};

use super::state::ChatState;

/// What a file holds: the turns, and the settings that an answer depends on.
#[derive(Serialize, Deserialize)]
struct Saved {
    model: Option<String>,
    effort: Option<ReasoningEffort>,
    instructions: Option<String>,
    date: Option<String>,
    seed: Option<u64>,
    messages: Vec<Message>,
}

/// Settings that were asked for on the command line.
#[derive(Clone, Default)]
pub struct Given {
    /// `--effort`.
    pub effort: Option<ReasoningEffort>,
    /// `--system`.
    pub instructions: Option<String>,
    /// `--date`.
    pub date: Option<String>,
    /// `--seed`.
    pub seed: Option<u64>,
}

/// Writes the conversation to `path`; a file that is there is replaced.
pub fn save(state: &ChatState, path: &Path) -> anyhow::Result<()> {
    let saved = Saved {
        model: Some(state.model.clone()),
        effort: state.opening.effort,
        instructions: state.opening.instructions.clone(),
        date: state.opening.date.clone(),
        seed: Some(state.sampling.seed),
        messages: state.turns.clone(),
    };
    let mut json = serde_json::to_vec_pretty(&saved)?;
    json.push(b'\n');
    write_private_atomically(path, |out| out.write_all(&json))
        .with_context(|| format!("{}: cannot be written", path.display()))
}

/// Replaces the conversation by that of `path`: a file of [`save`], or a conversation in
/// harmony's JSON. Nothing changes if the file cannot be used. Gives what is to be said about it.
///
/// The file's settings hold unless `given` ones were asked for on the command line.
pub fn load(state: &mut ChatState, path: &Path, given: &Given) -> anyhow::Result<String> {
    let file = || path.display().to_string();
    let bytes = std::fs::read(path).with_context(|| format!("{}: cannot be read", file()))?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).with_context(file)?;
    let is_ours = value.get("model").is_some();
    let saved: Saved = if is_ours {
        serde_json::from_value(value).with_context(file)?
    } else {
        let conversation: Conversation = serde_json::from_value(value).with_context(file)?;
        Saved {
            model: None,
            effort: None,
            instructions: None,
            date: None,
            seed: None,
            messages: conversation.messages,
        }
    };
    let is_turn = |message: &Message| !matches!(message.role, Role::System | Role::Developer);
    if let Some(message) = saved.messages.iter().find(|message| !is_turn(message)) {
        anyhow::bail!(
            "{}: expected messages of users, assistants and tools, found one of role {}",
            file(),
            message.role
        );
    }
    // A conversation that cannot be rendered would fail at every later turn.
    if !saved.messages.is_empty() {
        let conversation = Conversation::new(saved.messages.clone());
        prompt_tokens(&state.engine, &conversation).with_context(file)?;
    }
    let mut said = format!("loaded {} messages from {}", saved.messages.len(), path.display());
    if is_ours {
        let applies = |setting: PromptSetting| setting.why_not(&state.engine).is_none();
        let (takes_effort, takes_date) =
            (applies(PromptSetting::Effort), applies(PromptSetting::Date));
        if saved.effort.is_some() && !takes_effort {
            said += &format!("; its effort does not apply to {}", state.model);
        }
        if saved.date.is_some() && !takes_date {
            said += &format!("; its date does not apply to {}", state.model);
        }
        state.opening.effort = given.effort.or(saved.effort.filter(|_| takes_effort));
        state.opening.date = given.date.clone().or(saved.date.filter(|_| takes_date));
        state.opening.instructions = given.instructions.clone().or(saved.instructions);
        state.sampling.seed = given.seed.or(saved.seed).unwrap_or(state.sampling.seed);
    }
    state.turns = saved.messages;
    state.last_reasoning.clear();
    let before = state.turns.len();
    state.drop_unanswered();
    let unanswered = before - state.turns.len();
    if unanswered > 0 {
        said += &format!("; {unanswered} at the end had no answer and were left out");
    }
    Ok(said)
}
