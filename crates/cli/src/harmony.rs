//! `gptoss harmony render` and `gptoss harmony parse`: conversations to token ids and back.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use gptoss_harmony::parse::{MessageEnd, ParseEvent, ParseOptions, StopReason, StreamParser};
use gptoss_harmony::{AnalysisRule, RecipientPosition, RenderOptions, Role, TokenId};
use serde_json::{Value, json};

use crate::rendered_args::{RenderedArgs, read_conversation};
use crate::tokenizer_args::{TokenizerArgs, parse_ids, read_stdin};

/// Turn conversations into harmony's token ids and back.
#[derive(clap::Args)]
pub struct HarmonyArgs {
    #[command(subcommand)]
    command: HarmonyCommand,
}

#[derive(clap::Subcommand)]
enum HarmonyCommand {
    Render(RenderArgs),
    Parse(ParseArgs),
}

/// Turn a conversation in JSON into token ids and text.
///
/// The JSON is that of openai-harmony's `to_dict`; shorter forms are read, too: a list of
/// messages, and a string as content. The ids are printed on the first line and the text after
/// them, unless --ids, --text or --json says otherwise.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  gptoss harmony render chat.json
  echo '[{\"role\": \"user\", \"content\": \"hi\"}]' | gptoss harmony render --text
  gptoss harmony render chat.json --for training --json
  gptoss harmony render chat.json --drop-rule library    the ids of openai-harmony
  gptoss harmony render chat.json --tokenizer models/nano --ids")]
struct RenderArgs {
    /// The conversation; standard input if it is missing
    file: Option<PathBuf>,

    /// completion ends with the beginning of the next message, training with <|return|>
    #[arg(long = "for", value_name = "PURPOSE", default_value = "completion")]
    purpose: Purpose,

    /// Who speaks next in a completion: system, developer, user, assistant or tool
    #[arg(long, value_name = "ROLE", default_value = "assistant", value_parser = role)]
    next_role: Role,

    /// Keep all earlier reasoning
    #[arg(long)]
    keep_analysis: bool,

    /// Which earlier reasoning is dropped
    #[arg(
        long,
        value_name = "RULE",
        default_value = "last-final",
        conflicts_with = "keep_analysis"
    )]
    drop_rule: DropRule,

    /// Where the recipient of a call is written
    #[arg(long, value_name = "PLACE", default_value = "role")]
    recipient: RecipientPlace,

    #[command(flatten)]
    tokenizer: TokenizerArgs,

    #[command(flatten)]
    rendered: RenderedArgs,
}

/// Turn token ids that a model has generated into messages in JSON.
///
/// Whatever the ids are, they become messages; "repairs" says what was not as the format has it
/// and how it was read, "ends" what ended each message, "stops" where generation had to stop.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  gptoss harmony parse 200005 17196 200008 19 200002
  gptoss tokenize --special '<|channel|>final<|message|>4<|return|>' | gptoss harmony parse
  gptoss harmony parse --role assistant --tool functions.get_weather < ids.txt
  gptoss harmony parse --tokenizer models/nano 4 289 7 517 8")]
struct ParseArgs {
    /// The ids; standard input if there are none
    ids: Vec<TokenId>,

    /// The role with which the prompt ended; if it is missing, assistant, or none if the ids
    /// begin with <|start|>
    #[arg(long, value_parser = role)]
    role: Option<Role>,

    /// Full name of a declared tool, may be repeated; without it no recipient is doubted
    #[arg(long = "tool", value_name = "NAME")]
    tools: Vec<String>,

    /// What ended the ids, if it was no token
    #[arg(long, value_name = "REASON", default_value = "eos")]
    end: EndReason,

    #[command(flatten)]
    tokenizer: TokenizerArgs,

    /// Print the object on one line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Purpose {
    Completion,
    Conversation,
    Training,
}

#[derive(Clone, Copy, ValueEnum)]
enum DropRule {
    /// Everything before the last final message of the assistant
    LastFinal,
    /// As openai-harmony: before the first final message, if the last is final
    Library,
}

#[derive(Clone, Copy, ValueEnum)]
enum RecipientPlace {
    /// <|start|>assistant to=functions.f<|channel|>commentary
    Role,
    /// <|start|>assistant<|channel|>commentary to=functions.f
    Channel,
}

#[derive(Clone, Copy, ValueEnum)]
enum EndReason {
    /// The stream was over
    Eos,
    /// The limit of tokens
    Length,
}

/// Runs `gptoss harmony`.
pub fn run(args: &HarmonyArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        HarmonyCommand::Render(args) => render(args),
        HarmonyCommand::Parse(args) => parse(args),
    }
}

fn render(args: &RenderArgs) -> anyhow::Result<ExitCode> {
    let encoding = args.tokenizer.harmony()?;
    let (conversation, place) = read_conversation(args.file.as_deref())?;
    let analysis = match (args.keep_analysis, args.drop_rule) {
        (true, _) => AnalysisRule::KeepAll,
        (false, DropRule::LastFinal) => AnalysisRule::BeforeLastFinal,
        (false, DropRule::Library) => AnalysisRule::Library,
    };
    let recipient = match args.recipient {
        RecipientPlace::Role => RecipientPosition::Role,
        RecipientPlace::Channel => RecipientPosition::Channel,
    };
    let options = RenderOptions { analysis, recipient };
    let ids = match args.purpose {
        Purpose::Completion => {
            encoding.render_for_completion(&conversation, args.next_role, &options)
        }
        Purpose::Conversation => encoding.render_conversation(&conversation, &options),
        Purpose::Training => encoding.render_for_training(&conversation, &options),
    }
    .context(place)?;
    args.rendered.print(encoding.tokenizer(), &ids)?;
    Ok(ExitCode::SUCCESS)
}

fn parse(args: &ParseArgs) -> anyhow::Result<ExitCode> {
    let encoding = args.tokenizer.harmony()?;
    let ids = match args.ids.is_empty() {
        true => parse_ids(&read_stdin()?, "standard input")?,
        false => args.ids.clone(),
    };
    let begins_with_start = ids.first() == Some(&encoding.special().start);
    let role = args.role.or((!begins_with_start).then_some(Role::Assistant));
    let tools = (!args.tools.is_empty()).then(|| args.tools.clone());
    let mut parser = StreamParser::new(&encoding, ParseOptions { role, tools });
    let mut events: Vec<(usize, ParseEvent)> = Vec::new();
    for (i, id) in ids.iter().enumerate() {
        events.extend(parser.push(*id).into_iter().map(|event| (i, event)));
    }
    let end = match args.end {
        EndReason::Eos => MessageEnd::Eos,
        EndReason::Length => MessageEnd::Length,
    };
    events.extend(parser.finish(end).into_iter().map(|event| (ids.len(), event)));
    let report = report(events);
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{report}")?;
    } else {
        writeln!(out, "{report:#}")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The messages, and what else is known of them; `at` counts ids from 0.
fn report(events: Vec<(usize, ParseEvent)>) -> Value {
    let (mut messages, mut ends, mut repairs, mut stops) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (at, event) in events {
        match event {
            ParseEvent::MessageEnd { message, end } => {
                messages.push(json!(message));
                ends.push(end.as_str());
            }
            ParseEvent::Repaired(repair) => repairs.push(json!({
                "at": at, "kind": repair.kind(), "description": repair.to_string(),
            })),
            ParseEvent::Stop(reason) => stops.push(json!({"at": at, "reason": stop_name(reason)})),
            _ => {}
        }
    }
    json!({"messages": messages, "ends": ends, "repairs": repairs, "stops": stops})
}

fn stop_name(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Return => "return",
        StopReason::Call => "call",
        _ => "end_of_text",
    }
}

fn role(word: &str) -> Result<Role, String> {
    let known = Role::ALL.map(Role::as_str).join(", ");
    Role::from_word(word).ok_or_else(|| format!("expected one of {known}"))
}
