//! The commands of the chat: lines that begin with a slash.

use std::path::Path;

use gptoss_engine::{PromptSetting, cache_bytes};

use super::saved;
use super::state::ChatState;
use super::view::View;
use crate::opening_args::parse_effort;

/// What the loop does next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Reads another line.
    Read,
    /// Ends the chat.
    Leave,
}

/// The text of /help.
pub const HELP: &str = "\
/reasoning               show or fold away the model's reasoning
/effort low|medium|high  how long it thinks
/system [TEXT]           instructions for the model; without TEXT, none
/save FILE               write the conversation to a file
/load FILE               go on with a saved conversation
/clear                   forget the conversation
/stats                   tokens, speed and memory
/exit                    leave (or Ctrl-D)
Ctrl-C stops an answer. A line that ends with \\ goes on in the next one,
and so does everything between two lines of \"\"\".";

/// Carries out one command.
pub fn run(line: &str, state: &mut ChatState, view: &mut View) -> Next {
    let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    match command {
        "/help" | "/?" => view.note(HELP),
        "/reasoning" => reasoning(state, view),
        "/effort" => effort(rest, state, view),
        "/system" => system(rest, state, view),
        "/save" | "/load" if rest.is_empty() => {
            view.problem(&format!("{command}: expected the name of a file"));
        }
        "/save" => match saved::save(state, Path::new(rest)) {
            Ok(()) => view.note(&format!("saved {} messages to {rest}", state.turns.len())),
            Err(error) => view.problem(&format!("{error:#}")),
        },
        "/load" => match saved::load(state, Path::new(rest), &saved::Given::default()) {
            Ok(said) => view.note(&said),
            Err(error) => view.problem(&format!("{error:#}")),
        },
        "/clear" => {
            state.turns.clear();
            state.last_reasoning.clear();
            view.note("the conversation is forgotten");
        }
        "/stats" => stats(state, view),
        "/exit" | "/quit" | "/bye" => return Next::Leave,
        _ => view.problem(&format!("{command}: no such command; /help lists them")),
    }
    Next::Read
}

fn reasoning(state: &mut ChatState, view: &mut View) {
    state.show_reasoning = !state.show_reasoning;
    if !state.show_reasoning {
        return view.note("reasoning is folded away");
    }
    view.note("reasoning is shown");
    if !state.last_reasoning.is_empty() {
        view.note("that of the last answer:");
        view.reasoning(&state.last_reasoning);
        view.end_line();
    }
}

fn effort(word: &str, state: &mut ChatState, view: &mut View) {
    if let Some(why) = PromptSetting::Effort.why_not(&state.engine) {
        return view.problem(&format!("/effort: not supported by {}: {why}", state.model));
    }
    match parse_effort(word) {
        Ok(effort) => {
            state.opening.effort = Some(effort);
            view.note(&format!("reasoning effort: {}", effort.as_str()));
        }
        Err(problem) => view.problem(&format!("/effort: {problem}")),
    }
}

fn system(text: &str, state: &mut ChatState, view: &mut View) {
    state.opening.instructions = (!text.is_empty()).then(|| text.to_owned());
    match text.is_empty() {
        true => view.note("no instructions"),
        false => view.note("instructions set; they hold from the next answer on"),
    }
    if state.engine.model().chat.harmony.is_some() && !text.is_empty() {
        view.note(&format!(
            "({} was trained without instructions and may ignore them)",
            state.model
        ));
    }
}

fn stats(state: &ChatState, view: &mut View) {
    let context = state.session.context_length();
    let mebibytes = cache_bytes(state.engine.config(), context, state.engine.cache_element())
        as f64
        / f64::from(1 << 20);
    let used = state.session.tokens().len();
    view.note(&format!(
        "model {}, seed {}, temperature {}",
        state.model, state.sampling.seed, state.sampling.temperature
    ));
    view.note(&format!(
        "context: {used} of {context} tokens used; cache {mebibytes:.0} MiB reserved"
    ));
    let Some(last) = state.last else { return };
    let rate =
        |tokens: usize, time: std::time::Duration| crate::generate_json::per_second(tokens, time);
    view.note(&format!(
        "last prompt: {} tokens, {} of them cached, {:.1} tok/s",
        last.prompt_tokens,
        last.cached_tokens,
        rate(last.prompt_tokens - last.cached_tokens, last.prefill)
    ));
    view.note(&format!(
        "last answer: {} tokens, {} of them reasoning, {:.1} tok/s",
        last.completion_tokens,
        last.reasoning_tokens,
        rate(last.completion_tokens, last.decode)
    ));
}
