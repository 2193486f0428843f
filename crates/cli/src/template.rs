//! `gptoss template`: conversations through a model's chat template.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use gptoss_engine::{ChatOpening, chat_format_of};
use gptoss_harmony::{ChatFormat, TemplateEncoding};

use crate::opening_args::parse_date;
use crate::rendered_args::{RenderedArgs, read_conversation};
use crate::tokenizer_args::tokenizer_of_model;

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

    #[command(flatten)]
    rendered: RenderedArgs,

    /// Print the template itself; no conversation is read
    #[arg(long, conflicts_with_all = ["file", "date", "ids", "text", "json"])]
    source: bool,
}

/// Runs the command.
pub fn run(args: &TemplateArgs) -> anyhow::Result<ExitCode> {
    let encoding = encoding(&args.model)?;
    if args.source {
        writeln!(io::stdout().lock(), "{}", encoding.template().source)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (mut conversation, place) = read_conversation(args.file.as_deref())?;
    if args.date.is_some() && !encoding.takes_date() {
        bail!("{}: not supported: --date: the chat template has no place for it", args.model);
    }
    let opening = ChatOpening { date: args.date.clone(), ..ChatOpening::default() };
    conversation.messages.splice(0..0, opening.bare_settings());
    let ids = encoding.render_for_completion(&conversation).context(place)?;
    args.rendered.print(encoding.tokenizer(), &ids)?;
    Ok(ExitCode::SUCCESS)
}

/// The template of a model over its tokenizer.
fn encoding(name: &str) -> anyhow::Result<TemplateEncoding> {
    let model = gptoss_checkpoint::locate(name)?.open()?;
    let tokenizer = tokenizer_of_model(&model, name)?;
    match chat_format_of(&model, &tokenizer)? {
        ChatFormat::Template(template) => Ok(template),
        ChatFormat::Harmony(_) => {
            bail!("{name}: the model speaks harmony; see `gptoss harmony render`")
        }
    }
}
