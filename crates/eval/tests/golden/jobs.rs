//! The golden requests of lm-evaluation-harness 0.4.13, and ours held against them.

use std::collections::BTreeMap;

use gptoss_eval::data::{Data, sha256_hex};
use gptoss_eval::request::{Prompt, PromptOptions, Question, questions};
use gptoss_eval::task::{Gold, TaskSet, find};
use serde_json::Value;

/// A file of golden requests, its task, and its number of examples.
pub const JOBS: [(&str, &str, usize); 8] = [
    ("arc_easy.0shot", "arc_easy", 0),
    ("arc_challenge.0shot", "arc_challenge", 0),
    ("arc_challenge.25shot", "arc_challenge", 25),
    ("arc_challenge_chat.0shot", "arc_challenge_chat", 0),
    ("gsm8k.5shot", "gsm8k", 5),
    ("mmlu.0shot", "mmlu", 0),
    ("mmlu.5shot", "mmlu", 5),
    ("mmlu_continuation.0shot", "mmlu_continuation", 0),
];

/// Golden requests by task and document.
pub type Golden = BTreeMap<(String, usize), Value>;

/// Reads golden requests.
pub fn golden(lines: &str) -> Golden {
    let rows = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| {
        let task = row["task"].as_str().unwrap().to_string();
        ((task, row["doc_id"].as_u64().unwrap() as usize), row)
    })
    .collect()
}

/// Holds every document that the golden file has against ours. Gives how many are equal and what
/// differs in the others.
pub fn compare(golden: &Golden, task: &str, shots: usize, data: &Data) -> (usize, Vec<String>) {
    let TaskSet { tasks, .. } = find(task).unwrap();
    let (mut equal, mut differences) = (0, Vec::new());
    for task in tasks {
        let of_task = golden.keys().filter(|(name, _)| *name == task.name);
        let Some(last) = of_task.map(|(_, doc)| *doc).max() else { continue };
        let limit = Some(last + 1);
        let options = PromptOptions { shots: Some(shots), limit, ..PromptOptions::default() };
        let ours = questions(&task, data, &options).unwrap();
        for question in &ours.questions {
            let key = (task.name.clone(), question.doc);
            match difference(&golden[&key], question) {
                None => equal += 1,
                Some(message) => differences.push(format!("{key:?}: {message}")),
            }
        }
    }
    (equal, differences)
}

fn difference(row: &Value, question: &Question) -> Option<String> {
    let context = match &question.prompt {
        Prompt::Choices(pairs) => pairs[0].context.to_string(),
        Prompt::Generate(text) | Prompt::Chat(text) => text.clone(),
    };
    if row["ctx_sha256"] != sha256_hex(&context) {
        return Some(format!("context {context:?}"));
    }
    if row["ctx_chars"] != context.chars().count() {
        return Some("length of the context".into());
    }
    let target_is_same = match &question.gold {
        Gold::Index(index) => row["target"] == *index,
        Gold::Text(text) => row["target"] == text.split("#### ").last().unwrap_or(text),
        Gold::Truths(_) => false,
    };
    if !target_is_same {
        return Some(format!("target {:?}", question.gold));
    }
    if let Prompt::Choices(pairs) = &question.prompt {
        let same_context = pairs.iter().all(|pair| *pair.context == *context);
        let continuations: Vec<&str> = pairs.iter().map(|p| p.continuation.as_str()).collect();
        if !same_context || row["conts"] != serde_json::json!(continuations) {
            return Some(format!("continuations {continuations:?}"));
        }
    }
    None
}
