//! `gptoss tokenize` and `gptoss detokenize`: text to token ids and back.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use gptoss_harmony::{TokenId, Tokenizer};
use serde_json::{Map, Value, json};

use crate::tokenizer_args::{TokenizerArgs, parse_ids, read_stdin};

/// Turn text into token ids.
///
/// Without TEXT the text is read from standard input, exactly as it is: a line feed at its end
/// counts, and bytes that are not UTF-8 are encoded too. The ids are printed on one line.
/// Names of special tokens such as <|end|> are ordinary text unless --special is given.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  gptoss tokenize 'Hello, world!'                13225 11 2375 0
  gptoss tokenize --special '<|start|>user'      200006 1428
  printf '{\"text\":\"Hi\"}\\n' | gptoss tokenize --jsonl")]
pub struct TokenizeArgs {
    /// The text; standard input if it is missing
    text: Option<String>,

    #[command(flatten)]
    tokenizer: TokenizerArgs,

    /// Recognise special tokens by name, as in a raw prompt
    #[arg(long)]
    special: bool,

    /// Read lines of JSON with "text" and print each with "ids" added; "hex" is also read
    #[arg(long, conflicts_with_all = ["text", "json"])]
    jsonl: bool,

    /// Print one JSON object with "text", "ids" and the text of each token
    #[arg(long)]
    json: bool,
}

/// Turn token ids into text.
///
/// Without IDS they are read from standard input, separated by blanks or commas. The bytes of the
/// tokens are written exactly as they are, without a line feed at the end.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  gptoss detokenize 13225 11 2375 0              Hello, world!
  gptoss tokenize < in.txt | gptoss detokenize > out.txt
  printf '{\"ids\":[12194]}\\n' | gptoss detokenize --jsonl")]
pub struct DetokenizeArgs {
    /// The ids; standard input if there are none
    ids: Vec<TokenId>,

    #[command(flatten)]
    tokenizer: TokenizerArgs,

    /// Read lines of JSON with "ids" and print each with "text" added, and with "hex" if its
    /// bytes are not UTF-8
    #[arg(long, conflicts_with = "ids")]
    jsonl: bool,
}

/// Runs `gptoss tokenize`.
pub fn tokenize(args: &TokenizeArgs) -> anyhow::Result<ExitCode> {
    let tokenizer = args.tokenizer.tokenizer()?;
    if args.jsonl {
        return each_line(|row| {
            let source = bytes_of_row(row)?;
            let ids = encode(&tokenizer, &source, args.special)?;
            row.insert("ids".to_owned(), json!(ids));
            Ok(())
        });
    }
    let source = match &args.text {
        Some(text) => text.as_bytes().to_vec(),
        None => read_stdin()?,
    };
    let ids = encode(&tokenizer, &source, args.special)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        let tokens: Result<Vec<String>, _> =
            ids.iter().map(|id| tokenizer.decode(std::slice::from_ref(id))).collect();
        let text = String::from_utf8_lossy(&source);
        let row = json!({
            "tokenizer": tokenizer.name(), "text": text, "ids": ids, "tokens": tokens?,
        });
        writeln!(out, "{row}")?;
    } else {
        for (index, id) in ids.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(out, "{space}{id}")?;
        }
        writeln!(out)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `gptoss detokenize`.
pub fn detokenize(args: &DetokenizeArgs) -> anyhow::Result<ExitCode> {
    let tokenizer = args.tokenizer.tokenizer()?;
    if args.jsonl {
        return each_line(|row| {
            let bytes = tokenizer.decode_bytes(&ids_of_row(row)?)?;
            row.insert("text".to_owned(), json!(String::from_utf8_lossy(&bytes)));
            if std::str::from_utf8(&bytes).is_err() {
                row.insert("hex".to_owned(), json!(to_hex(&bytes)));
            }
            Ok(())
        });
    }
    let ids = match args.ids.is_empty() {
        true => parse_ids(&read_stdin()?, "standard input")?,
        false => args.ids.clone(),
    };
    let mut out = io::stdout().lock();
    out.write_all(&tokenizer.decode_bytes(&ids)?)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The ids of a text that need not be UTF-8 unless special tokens are looked for in it.
fn encode(tokenizer: &Tokenizer, source: &[u8], special: bool) -> anyhow::Result<Vec<TokenId>> {
    if !special {
        return Ok(tokenizer.encode_bytes(source));
    }
    let text = std::str::from_utf8(source).context("with --special the text must be UTF-8")?;
    Ok(tokenizer.encode_with_specials(text))
}

/// Reads an object from each line, lets `complete` add to it and prints it at once.
fn each_line(
    mut complete: impl FnMut(&mut Map<String, Value>) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let (mut input, mut out) = (io::stdin().lock(), io::stdout().lock());
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line).context("standard input")? == 0 {
            break;
        }
        let place = || format!("standard input: line {number}");
        let mut row: Map<String, Value> = serde_json::from_slice(&line)
            .context("expected an object in JSON")
            .with_context(place)?;
        complete(&mut row).with_context(place)?;
        let mut text = Value::Object(row).to_string();
        text.push('\n');
        out.write_all(text.as_bytes())?;
        out.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a line gives to encode: "text", or "hex" for bytes that are not UTF-8.
fn bytes_of_row(row: &Map<String, Value>) -> anyhow::Result<Vec<u8>> {
    match (row.get("text"), row.get("hex")) {
        // Beside the exact bytes, a text may have lost some.
        (_, Some(Value::String(hex))) => from_hex(hex),
        (Some(Value::String(text)), None) => Ok(text.clone().into_bytes()),
        (None, None) => bail!("expected a string \"text\", found none"),
        (_, Some(other)) | (Some(other), None) => {
            bail!("expected a string in \"text\" or \"hex\", found {}", kind_of(other))
        }
    }
}

/// The ids that a line gives to decode.
fn ids_of_row(row: &Map<String, Value>) -> anyhow::Result<Vec<TokenId>> {
    let ids = match row.get("ids") {
        Some(Value::Array(ids)) => ids,
        Some(other) => bail!("expected an array \"ids\", found {}", kind_of(other)),
        None => bail!("expected an array \"ids\", found none"),
    };
    let id = |value: &Value| value.as_u64().and_then(|id| TokenId::try_from(id).ok());
    let mut numbers = Vec::with_capacity(ids.len());
    for (index, value) in ids.iter().enumerate() {
        let Some(id) = id(value) else {
            bail!("ids[{index}]: expected a token id, found {}", kind_of(value));
        };
        numbers.push(id);
    }
    Ok(numbers)
}

/// What kind of value was found, for messages.
fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Bytes as pairs of hexadecimal digits.
fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of pairs of hexadecimal digits.
fn from_hex(hex: &str) -> anyhow::Result<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => {
            Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
        _ => bail!("expected pairs of hexadecimal digits in \"hex\""),
    }
}
