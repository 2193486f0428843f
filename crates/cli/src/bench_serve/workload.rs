//! What is asked.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::arrivals::Random;
use super::client::Api;

/// Largest dataset that is read.
const DATASET_BYTES_MAX: u64 = 1 << 30;

/// Words of random prompts: common ones, so that tokenizers make about one token of each.
const WORDS: [&str; 32] = [
    "time", "water", "light", "house", "north", "paper", "green", "seven", "river", "stone",
    "music", "plant", "early", "table", "cloud", "glass", "point", "world", "train", "bread",
    "field", "night", "sound", "story", "money", "horse", "metal", "ocean", "smile", "south",
    "chair", "woods",
];

/// Prompts of some kind.
pub enum Workload {
    /// Words by chance, of which the first `shared` are the same in all prompts.
    Random { words: u32, shared: u32, output_tokens: u32 },
    /// Lines of a file, in turn.
    Dataset(Vec<Entry>),
}

/// A line of a dataset.
pub struct Entry {
    messages: Value,
    prompt: String,
    max_tokens: u64,
}

impl Workload {
    /// Prompts of random words, a share of which is the same in all.
    pub fn random(words: u32, output_tokens: u32, shared: f64) -> Workload {
        let shared = (f64::from(words) * shared) as u32;
        Workload::Random { words, shared, output_tokens }
    }

    /// The prompts of a file.
    ///
    /// # Errors
    /// If it cannot be read, or a line is not what it should be.
    pub fn read(path: &Path, output_tokens: u32) -> anyhow::Result<Workload> {
        let name = path.display();
        let bytes = fs::metadata(path).with_context(|| format!("{name}: cannot be read"))?.len();
        if bytes > DATASET_BYTES_MAX {
            bail!("{name}: {bytes} bytes, at most {DATASET_BYTES_MAX} are read");
        }
        let text = fs::read_to_string(path).with_context(|| format!("{name}: cannot be read"))?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let entries: Vec<Entry> = lines
            .map(|(i, line)| {
                entry(line, output_tokens).with_context(|| format!("{name}, line {}", i + 1))
            })
            .collect::<anyhow::Result<_>>()?;
        if entries.is_empty() {
            bail!("{name}: no line has a prompt");
        }
        Ok(Workload::Dataset(entries))
    }

    /// The body of request `number`.
    pub fn body(&self, api: Api, model: &str, seed: u64, number: u64) -> Value {
        let (prompt, messages, max_tokens) = match self {
            Workload::Random { words, shared, output_tokens } => {
                let prompt = random_prompt(seed, number, *words, *shared);
                let messages = json!([{"role": "user", "content": prompt}]);
                (prompt, messages, u64::from(*output_tokens))
            }
            Workload::Dataset(entries) => {
                let entry = &entries[(number % entries.len() as u64) as usize];
                (entry.prompt.clone(), entry.messages.clone(), entry.max_tokens)
            }
        };
        let mut body = json!({
            "model": model,
            "stream": true,
            "stream_options": {"include_usage": true},
            "max_tokens": max_tokens,
            "temperature": 0,
        });
        match api {
            Api::Chat => body["messages"] = messages,
            Api::Completions => body["prompt"] = json!(prompt),
        }
        body
    }
}

fn random_prompt(seed: u64, number: u64, words: u32, shared: u32) -> String {
    let (mut same, mut own) = (Random::new(seed, u64::MAX / 2), Random::new(seed, number));
    let words: Vec<&str> = (0..words)
        .map(|i| {
            let random = if i < shared { same.next() } else { own.next() };
            WORDS[(random % WORDS.len() as u64) as usize]
        })
        .collect();
    words.join(" ")
}

fn entry(line: &str, output_tokens: u32) -> anyhow::Result<Entry> {
    let value: Value = serde_json::from_str(line).context("not JSON")?;
    let max_tokens = match value.get("max_tokens") {
        None => u64::from(output_tokens),
        Some(number) => number.as_u64().context("\"max_tokens\" is not a whole number")?,
    };
    match (value.get("prompt"), value.get("messages")) {
        (Some(Value::String(prompt)), None) => Ok(Entry {
            messages: json!([{"role": "user", "content": prompt}]),
            prompt: prompt.clone(),
            max_tokens,
        }),
        (None, Some(Value::Array(list))) => {
            let texts = list.iter().filter_map(|message| message["content"].as_str());
            let prompt = texts.collect::<Vec<_>>().join("\n");
            Ok(Entry { messages: Value::Array(list.clone()), prompt, max_tokens })
        }
        _ => bail!("expected either \"prompt\" (a text) or \"messages\" (a list)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_share_as_much_as_asked() {
        let workload = Workload::random(100, 5, 0.3);
        let prompt = |number| {
            let body = workload.body(Api::Completions, "m", 1, number);
            body["prompt"].as_str().unwrap().to_owned()
        };
        let (a, b) = (prompt(0), prompt(1));
        let common = a.split(' ').zip(b.split(' ')).take_while(|(a, b)| a == b).count();
        assert!((30..40).contains(&common), "{common} words");
        assert_eq!(a.split(' ').count(), 100);
        assert_eq!(prompt(0), a);
    }

    #[test]
    fn lines_of_a_dataset_are_either_a_prompt_or_messages() {
        let line = entry(r#"{"prompt": "Hi", "max_tokens": 3}"#, 9).unwrap();
        assert_eq!((line.prompt.as_str(), line.max_tokens), ("Hi", 3));
        let line = entry(r#"{"messages": [{"role": "user", "content": "Yo"}]}"#, 9).unwrap();
        assert_eq!((line.prompt.as_str(), line.max_tokens), ("Yo", 9));
        for wrong in ["{}", "7", "{", r#"{"prompt": 1}"#, r#"{"prompt": "a", "max_tokens": -1}"#] {
            assert!(entry(wrong, 9).is_err(), "{wrong}");
        }
    }
}
