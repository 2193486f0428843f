//! `gptoss generate`: one prompt, one answer.

use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use gptoss_engine::{
    ChatDone, ChatEvent, ChatRequest, ChatStream, Engine, GenerateParams, TextKind,
};
use gptoss_harmony::{Conversation, Message, Role};
use serde_json::{Value, json};

use crate::generate_json::chat_answer;
use crate::generate_raw::{RawRequest, continue_raw};
use crate::model_args::ModelArgs;
use crate::opening_args::OpeningArgs;
use crate::sampling_args::SamplingArgs;
use crate::terminal::{harmless, say, say_part};

/// Answer one prompt and exit
///
/// The prompt is the argument, or standard input if there is none. The answer is written to
/// standard output as it comes; reasoning is left out unless --show-reasoning puts it on standard
/// error.
#[derive(Args)]
#[command(after_help = "Examples:
  gptoss generate 'Tell me a story.'
  echo 'What is 2 plus 3?' | gptoss generate --temperature 0
  gptoss generate --model gpt-oss-20b --effort high --show-reasoning 'Why is the sky blue?'
  gptoss generate --json --logprobs 3 'Hello!'
  gptoss generate --raw --max-tokens 40 'Once upon a time'")]
pub struct GenerateArgs {
    /// The prompt; standard input if it is missing
    prompt: Option<String>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    opening: OpeningArgs,
    /// Continue the prompt as plain text; special tokens in it are recognised by name
    #[arg(long, conflicts_with_all = ["system", "effort", "date", "show_reasoning"])]
    raw: bool,
    /// Print one JSON object: text, reasoning, counts, times
    #[arg(long)]
    json: bool,
    /// Write reasoning to standard error
    #[arg(long)]
    show_reasoning: bool,
    /// Add the log-probabilities of the N most likely tokens at each position to the JSON
    #[arg(long, value_name = "N", requires = "json")]
    logprobs: Option<usize>,
}

/// Runs the command.
pub fn run(args: &GenerateArgs) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let prompt = read_prompt(args.prompt.as_deref())?;
    let engine = args.model.engine()?;
    let load = started.elapsed();
    match args.raw {
        true => run_raw(args, &engine, &prompt, load)?,
        false => run_chat(args, &engine, &prompt, load)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn read_prompt(argument: Option<&str>) -> anyhow::Result<String> {
    let prompt = match argument {
        Some(prompt) => prompt.to_owned(),
        None if io::stdin().is_terminal() => {
            bail!("no prompt: give one as an argument or on standard input, or try `gptoss chat`")
        }
        None => {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes).context("standard input")?;
            let text = String::from_utf8(bytes).context("standard input")?;
            // `echo` ends its line; that is not part of what was said.
            text.strip_suffix('\n').map_or(text.clone(), str::to_owned)
        }
    };
    match prompt.is_empty() {
        true => bail!("the prompt is empty"),
        false => Ok(prompt),
    }
}

fn run_chat(
    args: &GenerateArgs,
    engine: &Engine,
    prompt: &str,
    load: Duration,
) -> anyhow::Result<()> {
    let mut messages = args.opening.opening(engine)?.messages(engine);
    messages.push(Message::new(Role::User, prompt));
    let request = ChatRequest {
        max_tokens: args.sampling.max_tokens,
        stop: args.sampling.stop.clone(),
        top_logprobs: args.logprobs,
        ..ChatRequest::new(Conversation::new(messages), args.sampling.params(engine)?)
    };
    let mut session = args.model.session(engine)?;
    let stream = ChatStream::new(&mut session, request)?;
    if args.json {
        let mut answer = chat_answer(engine, stream)?;
        answer["model"] = json!(args.model.model);
        answer["seed"] = json!(args.sampling.seed.unwrap_or(0));
        answer["timings"]["load_seconds"] = json!(load.as_secs_f64());
        return print_json(&answer);
    }
    print_chat(stream, args.show_reasoning)
}

/// Streams the answer to standard output.
fn print_chat(stream: ChatStream<'_>, show_reasoning: bool) -> anyhow::Result<()> {
    let (mut out, mut ends_line) = (io::stdout().lock(), true);
    let mut reason_open = false;
    for event in stream {
        match event? {
            ChatEvent::Delta { kind: TextKind::Reasoning, text } if show_reasoning => {
                say_part(&text);
                reason_open = true;
            }
            ChatEvent::Delta { kind: TextKind::Answer | TextKind::Preamble, text } => {
                if std::mem::take(&mut reason_open) {
                    say("");
                }
                write_answer(&mut out, &text)?;
                ends_line = text.ends_with('\n');
            }
            // What is said before a tool call is not glued to what follows.
            ChatEvent::Message { message, .. }
                if message.channel.as_deref() == Some("commentary") && !ends_line =>
            {
                writeln!(out)?;
                ends_line = true;
            }
            ChatEvent::Message { message, .. } if message.called_tool().is_some() => {
                let call = serde_json::to_string(&message)?;
                say(&format!("gptoss: the model calls a tool, which nothing here answers: {call}"));
            }
            ChatEvent::Done(ChatDone { reason, .. }) => {
                if !ends_line {
                    writeln!(out)?;
                }
                crate::notices::cut_short(reason);
            }
            _ => {}
        }
    }
    Ok(())
}

fn run_raw(
    args: &GenerateArgs,
    engine: &Engine,
    prompt: &str,
    load: Duration,
) -> anyhow::Result<()> {
    let mut session = args.model.session(engine)?;
    let request = RawRequest {
        prompt,
        params: GenerateParams {
            sampling: args.sampling.params(engine)?,
            stop_tokens: engine.model().chat.eos_token_ids.clone(),
            max_tokens: args.sampling.max_tokens.unwrap_or(usize::MAX),
            top_logprobs: args.logprobs,
        },
        stop: args.sampling.stop.clone(),
    };
    let mut out = io::stdout().lock();
    let answer = continue_raw(&mut session, request, |piece| match args.json {
        true => Ok(()),
        false => write_answer(&mut out, piece),
    })?;
    if args.json {
        drop(out);
        let mut json = answer.json(engine.tokenizer()?);
        json["model"] = json!(args.model.model);
        json["seed"] = json!(args.sampling.seed.unwrap_or(0));
        json["timings"]["load_seconds"] = json!(load.as_secs_f64());
        return print_json(&json);
    }
    if !answer.text.ends_with('\n') {
        writeln!(out)?;
    }
    crate::notices::cut_short(answer.reason);
    Ok(())
}

/// Writes a piece of the answer at once; a terminal is not sent control characters.
fn write_answer(out: &mut io::StdoutLock<'_>, text: &str) -> io::Result<()> {
    match out.is_terminal() {
        true => out.write_all(harmless(text).as_bytes())?,
        false => out.write_all(text.as_bytes())?,
    }
    out.flush()
}

fn print_json(value: &Value) -> anyhow::Result<()> {
    let text = value.to_string();
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(())
}
