//! `gptoss template`: conversations through a model's chat template.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use gptoss_engine::{ChatOpening, chat_format_of, tokenizer_of};
use gptoss_harmony::{ChatFormat, Conversation, TemplateEncoding, TokenId};
use serde_json::json;

use crate::opening_args::parse_date;
use crate::tokenizer_args::read_stdin;

/// Write a conversation with a model's chat template
///
/// For models that do not speak harmony. The JSON of the conversation is that of `gptoss harmony
/// render`. The ids are printed on the first line and the text after them, unless --ids, --text,
/// --json or --source says otherwise. Names of special tokens in a message are ordinary text.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  gptoss template --model SmolLM2.gguf --source
  echo '[{\"role\": \"user\", \"content\": \"hi\"}]' | gptoss template --model ./llama-3 --text
  gptoss template chat.json --model ./llama-3.1 --date today --json")]
pub struct TemplateArgs {
    /// The conversation; standard input if it is missing
    file: Option<PathBuf>,

    /// Model: a file or folder, a name in the local store, or a repository in the cache
    #[arg(short, long, value_name = "MODEL")]
    model: String,

    /// Date that the template is told
    #[arg(long, value_name = "YYYY-MM-DD|today", value_parser = parse_date)]
    date: Option<String>,

    /// Print the ids only
    #[arg(long, conflicts_with_all = ["text", "json"])]
    ids: bool,

    /// Print the text only, exactly as it is
    #[arg(long, conflicts_with = "json")]
    text: bool,

    /// Print one JSON object with "ids" and "text"
    #[arg(long)]
    json: bool,

    /// Print the template itself; no conversation is read
    #[arg(long, conflicts_with_all = ["file", "date", "ids", "text", "json"])]
    source: bool,
}

/// Runs the command.
pub fn run(args: &TemplateArgs) -> anyhow::Result<ExitCode> {
    let encoding = encoding(&args.model)?;
    let mut out = io::stdout().lock();
    if args.source {
        writeln!(out, "{}", encoding.template().source)?;
        return Ok(ExitCode::SUCCESS);
    }
    let place = args.file.as_deref().unwrap_or(Path::new("standard input")).display().to_string();
    let source = match &args.file {
        Some(path) => std::fs::read(path).with_context(|| place.clone())?,
        None => read_stdin()?,
    };
    let mut conversation: Conversation =
        serde_json::from_slice(&source).with_context(|| place.clone())?;
    if args.date.is_some() && !encoding.takes_date() {
        bail!("{}: not supported: --date: the chat template has no place for it", args.model);
    }
    let opening = ChatOpening { date: args.date.clone(), ..ChatOpening::default() };
    conversation.messages.splice(0..0, opening.bare_settings());
    let ids = encoding.render_for_completion(&conversation).context(place)?;
    let text = encoding.tokenizer().decode(&ids)?;
    let numbers: Vec<String> = ids.iter().map(TokenId::to_string).collect();
    let numbers = numbers.join(" ");
    if args.json {
        writeln!(out, "{}", json!({"ids": ids, "text": text}))?;
    } else if args.text {
        out.write_all(text.as_bytes())?;
    } else if args.ids {
        writeln!(out, "{numbers}")?;
    } else {
        writeln!(out, "{numbers}\n{text}")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The template of a model over its tokenizer.
fn encoding(name: &str) -> anyhow::Result<TemplateEncoding> {
    let model = gptoss_checkpoint::locate(name)?.open()?;
    model.require_tokenizer()?;
    let Some(tokenizer) = tokenizer_of(&model)? else { bail!("{name}: no tokenizer") };
    match chat_format_of(&model, &tokenizer)? {
        ChatFormat::Template(template) => Ok(template),
        ChatFormat::Harmony(_) => {
            bail!("{name}: the model speaks harmony; see `gptoss harmony render`")
        }
    }
}
