//! Which tokenizer a command uses, and token ids as text.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use gptoss_checkpoint::Model;
use gptoss_engine::tokenizer_of;
use gptoss_harmony::{HarmonyEncoding, TokenId, Tokenizer};

/// Flags of every command that needs a tokenizer and no model.
#[derive(clap::Args)]
pub struct TokenizerArgs {
    /// o200k_harmony, a tokenizer.json, or a model: nano, a folder or file, a name in the local
    /// store, a repository in the cache
    #[arg(
        long,
        visible_alias = "model",
        value_name = "NAME_OR_PATH",
        default_value = "o200k_harmony"
    )]
    tokenizer: String,
}

impl TokenizerArgs {
    /// The tokenizer.
    pub fn tokenizer(&self) -> anyhow::Result<Arc<Tokenizer>> {
        let name = self.tokenizer.as_str();
        if name == "o200k_harmony" {
            return Ok(Tokenizer::o200k_harmony());
        }
        // A tokenizer does not need the weights beside it.
        let path = Path::new(name);
        let in_folder = path.join("tokenizer.json");
        if in_folder.is_file() {
            return from_json(&in_folder);
        }
        if path.extension().is_some_and(|extension| extension == "json") {
            return from_json(path);
        }
        let model = gptoss_checkpoint::locate(name)
            .and_then(|located| located.open())
            .with_context(|| format!("neither o200k_harmony nor a tokenizer.json: `{name}`"))?;
        tokenizer_of_model(&model, name)
    }

    /// Harmony over the tokenizer.
    pub fn harmony(&self) -> anyhow::Result<HarmonyEncoding> {
        HarmonyEncoding::new(self.tokenizer()?).with_context(|| self.tokenizer.clone())
    }
}

/// The tokenizer of a model of this name.
pub fn tokenizer_of_model(model: &Model, name: &str) -> anyhow::Result<Arc<Tokenizer>> {
    model.require_tokenizer()?;
    match tokenizer_of(model)? {
        Some(tokenizer) => Ok(tokenizer),
        None => bail!("{name}: no tokenizer"),
    }
}

fn from_json(path: &Path) -> anyhow::Result<Arc<Tokenizer>> {
    let place = || path.display().to_string();
    let bytes = std::fs::read(path).with_context(place)?;
    Ok(Arc::new(Tokenizer::from_json(&bytes).with_context(place)?))
}

/// All of standard input.
pub fn read_stdin() -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).context("standard input")?;
    Ok(bytes)
}

/// Token ids in decimal with blanks or commas between them, also in the brackets of a JSON list;
/// `place` stands before what is wrong.
pub fn parse_ids(source: &[u8], place: &str) -> anyhow::Result<Vec<TokenId>> {
    let text = std::str::from_utf8(source).with_context(|| format!("{place}: expected ids"))?;
    let text = text.trim();
    let list = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let words = list.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
    let id = |(number, word): (usize, &str)| {
        word.parse().with_context(|| {
            let word: String = word.chars().take(40).collect();
            format!("{place}: id {}: expected a token id, found `{word}`", number + 1)
        })
    };
    words.enumerate().map(id).collect()
}
