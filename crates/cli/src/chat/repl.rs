//! The loop of the chat: read a line, answer it, and again.

use std::io::{ErrorKind, IsTerminal};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use gptoss_engine::{ChatEvent, ChatStream, FinishReason, TextKind};
use gptoss_harmony::{Message, Role};
use rustyline::error::ReadlineError;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Completer, Editor, Helper, Highlighter, Hinter};

use super::ChatArgs;
use super::saved;
use super::slash::{self, Next};
use super::state::ChatState;
use super::view::View;

/// A line of this opens and closes a block of lines.
const FENCE: &str = "\"\"\"";

/// Runs the chat until it is left.
pub fn run(args: &ChatArgs) -> anyhow::Result<ExitCode> {
    let mut state = ChatState::new(args)?;
    let mut view = View::new();
    if let Some(path) = &args.load {
        let given = saved::Given {
            effort: args.opening.effort,
            instructions: args.opening.system.clone(),
            date: args.opening.date.clone(),
            seed: args.sampling.seed,
        };
        let said = saved::load(&mut state, path, &given)?;
        view.note(&said);
    }
    let interactive = std::io::stdin().is_terminal();
    let (stop, answering) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    handle_interrupts(interactive, &stop, &answering)?;
    let mut editor: Editor<MultiLine, _> = Editor::new()?;
    editor.set_helper(Some(MultiLine));
    let history = if args.no_history || !interactive { None } else { history_file() };
    if let Some(file) = &history {
        // There is none before the first chat.
        let _ = editor.load_history(file);
    }
    if interactive {
        view.note(&format!("{} · /help for commands, Ctrl-D to leave", state.model));
    }
    loop {
        match editor.readline(if interactive { "> " } else { "" }) {
            Ok(line) => {
                let text = unfold(&line);
                if text.trim().is_empty() {
                    continue;
                }
                if interactive {
                    editor.add_history_entry(line.as_str())?;
                }
                // A block of lines is always a message, even if it begins with a path.
                let is_command = line.starts_with('/') && !line.starts_with("//");
                if is_command {
                    if slash::run(text.trim_end(), &mut state, &mut view) == Next::Leave {
                        break;
                    }
                    continue;
                }
                stop.store(false, Ordering::SeqCst);
                let text = text.strip_prefix('/').filter(|t| t.starts_with('/')).unwrap_or(&text);
                answering.store(true, Ordering::SeqCst);
                turn(text, &mut state, &mut view, &stop)?;
                answering.store(false, Ordering::SeqCst);
            }
            Err(ReadlineError::Interrupted) => view.note("(Ctrl-D or /exit to leave)"),
            Err(ReadlineError::Eof) => break,
            Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
                view.problem("a line of the input is not UTF-8 and was left out");
            }
            Err(error) => return Err(error).context("standard input"),
        }
    }
    if let Some(file) = &history
        && let Err(error) = editor.save_history(file)
    {
        view.problem(&format!("{}: history not written: {error}", file.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes Ctrl-C stop an answer and not the program.
fn handle_interrupts(
    interactive: bool,
    stop: &Arc<AtomicBool>,
    answering: &Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let (stop, answering) = (Arc::clone(stop), Arc::clone(answering));
    ctrlc::set_handler(move || {
        stop.store(true, Ordering::SeqCst);
        // Without a terminal there is no prompt to go back to.
        if !interactive && !answering.load(Ordering::SeqCst) {
            std::process::exit(130);
        }
    })
    .context("Ctrl-C")
}

/// Answers one message. Errors of the engine are shown and the chat goes on.
fn turn(
    text: &str,
    state: &mut ChatState,
    view: &mut View,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    state.turns.push(Message::new(Role::User, text));
    let (request, dropped) = match state.request() {
        Ok(request) => request,
        Err(error) => {
            state.drop_unanswered();
            view.problem(&format!("{error}"));
            return Ok(());
        }
    };
    if dropped > 0 {
        let turns = if dropped == 1 { "turn" } else { "turns" };
        view.note(&format!("(the oldest {dropped} {turns} no longer fit and were dropped)"));
    }
    let mut progress = |_, _| match stop.load(Ordering::SeqCst) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let stream = match ChatStream::with_progress(&mut state.session, request, &mut progress) {
        Ok(stream) => stream,
        Err(error) => {
            state.turns.pop();
            view.problem(&format!("{error}"));
            return Ok(());
        }
    };
    let answer = show(stream, state.show_reasoning, view, stop)?;
    state.last_reasoning = answer.reasoning;
    state.last = Some(answer.done);
    // A message that was stopped before its first word says nothing to later answers.
    state.turns.extend(answer.messages.into_iter().filter(|message| !message.text().is_empty()));
    state.drop_unanswered();
    Ok(())
}

/// What came of an answer.
struct Answer {
    messages: Vec<Message>,
    reasoning: String,
    done: gptoss_engine::ChatDone,
}

/// Shows an answer as it comes; Ctrl-C stops it.
fn show(
    mut stream: ChatStream<'_>,
    show_reasoning: bool,
    view: &mut View,
    stop: &AtomicBool,
) -> anyhow::Result<Answer> {
    let (mut messages, mut reasoning) = (Vec::new(), String::new());
    loop {
        if stop.load(Ordering::SeqCst) {
            stream.cancel();
        }
        let event = stream.next().expect("a stream ends with Done or an error")?;
        match event {
            ChatEvent::Delta { kind: TextKind::Reasoning, text } => {
                if show_reasoning {
                    view.reasoning(&text);
                } else if reasoning.is_empty() {
                    view.reasoning("▸ reasoning …");
                }
                reasoning += &text;
            }
            ChatEvent::Delta { kind: TextKind::Answer | TextKind::Preamble, text } => {
                view.answer(&text)?;
            }
            ChatEvent::Message { message, .. } => {
                if message.channel.as_deref() == Some("analysis") {
                    view.end_line();
                } else {
                    view.end_answer()?;
                }
                if let Some(tool) = message.called_tool() {
                    let call = serde_json::to_string(&message.content)?;
                    view.note(&format!("(calls {tool}, which nothing here answers: {call})"));
                }
                messages.push(message);
            }
            ChatEvent::Done(done) => {
                view.end_answer()?;
                match done.reason {
                    FinishReason::Cancelled => view.note("(stopped)"),
                    FinishReason::MaxTokens => view.note("(cut off at --max-tokens)"),
                    FinishReason::ContextFull => view.note("(cut off: the context is full)"),
                    FinishReason::Stop | FinishReason::ToolCall => {}
                }
                return Ok(Answer { messages, reasoning, done });
            }
            _ => {}
        }
    }
}

/// The file of earlier inputs, in our own folder.
fn history_file() -> Option<PathBuf> {
    let folder = gptoss_checkpoint::locate::store_dir()?;
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("chat_history"))
}

/// The text of an input: continued lines joined, fences removed.
fn unfold(input: &str) -> String {
    let lines: Vec<&str> = input.lines().collect();
    if lines.first().is_some_and(|line| line.trim() == FENCE) {
        let end = lines.iter().skip(1).position(|line| line.trim() == FENCE);
        return lines[1..end.map_or(lines.len(), |end| end + 1)].join("\n");
    }
    input.replace("\\\n", "\n")
}

/// Whether an input needs more lines.
fn is_open(input: &str) -> bool {
    let mut lines = input.lines();
    if lines.next().is_some_and(|line| line.trim() == FENCE) {
        return !lines.any(|line| line.trim() == FENCE);
    }
    input.ends_with('\\')
}

/// Lets the editor read on while an input is open.
#[derive(Completer, Helper, Highlighter, Hinter)]
struct MultiLine;

impl Validator for MultiLine {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        Ok(match is_open(context.input()) {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Valid(None),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_of_several_lines_are_read_whole() {
        for open in ["a \\", "\"\"\"", "\"\"\"\nx\n\ny"] {
            assert!(is_open(open), "{open}");
        }
        for closed in ["a", "", "a \\\nb", "\"\"\"\nx\n\"\"\"", "say \"\"\""] {
            assert!(!is_open(closed), "{closed}");
        }
        assert_eq!(unfold("a\\\nb"), "a\nb");
        assert_eq!(unfold("\"\"\"\nx\n\ny\n\"\"\""), "x\n\ny");
        assert_eq!(unfold("plain"), "plain");
    }
}
