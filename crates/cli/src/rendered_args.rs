//! A conversation that is read, and its ids and text as they are printed.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use gptoss_harmony::{Conversation, TokenId, Tokenizer};
use serde_json::json;

use crate::tokenizer_args::read_stdin;

/// Flags of what is printed of a conversation; without any the ids and below them the text.
#[derive(clap::Args)]
pub struct RenderedArgs {
    /// Print the ids only
    #[arg(long, conflicts_with_all = ["text", "json"])]
    ids: bool,

    /// Print the text only, exactly as it is
    #[arg(long, conflicts_with = "json")]
    text: bool,

    /// Print one JSON object with "ids" and "text"
    #[arg(long)]
    json: bool,
}

impl RenderedArgs {
    /// Prints ids of this tokenizer.
    pub fn print(&self, tokenizer: &Tokenizer, ids: &[TokenId]) -> anyhow::Result<()> {
        let text = tokenizer.decode(ids)?;
        let numbers: Vec<String> = ids.iter().map(TokenId::to_string).collect();
        let numbers = numbers.join(" ");
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", json!({"ids": ids, "text": text}))?;
        } else if self.text {
            out.write_all(text.as_bytes())?;
        } else if self.ids {
            writeln!(out, "{numbers}")?;
        } else {
            writeln!(out, "{numbers}\n{text}")?;
        }
        Ok(out.flush()?)
    }
}

/// The conversation in a file or in standard input, and where it was read.
pub fn read_conversation(file: Option<&Path>) -> anyhow::Result<(Conversation, String)> {
    let place = file.unwrap_or(Path::new("standard input")).display().to_string();
    let source = match file {
        Some(path) => std::fs::read(path).with_context(|| place.clone())?,
        None => read_stdin()?,
    };
    let conversation = serde_json::from_slice(&source).with_context(|| place.clone())?;
    Ok((conversation, place))
}
