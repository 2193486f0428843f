//! Prompts and scores of the tasks that the golden requests do not have, as lm-evaluation-harness
//! itself gives them on the data of this folder: testdata/eval/make_requests.py.

use std::path::Path;

use gptoss_eval::EvalError;
use gptoss_eval::data::sha256_hex;
use gptoss_eval::model::{Done, EvalModel, GeneratePrompt, GenerateRequest, Generated, Scored};
use gptoss_eval::plan::{Cost, Plan};
use gptoss_eval::request::{Prompt, PromptOptions, questions};
use gptoss_eval::results::{
    Manifest, ModelRecord, SamplingRecord, Store, TaskRecord, read, scores,
};
use gptoss_eval::run::{Run, run_task};
use gptoss_eval::table::results_json;
use gptoss_eval::task::find;
use gptoss_eval::tokens::{Encoder, Limit};
use serde_json::Value;

use crate::stub::{Stub, crc32};
use crate::{data, golden_text};

/// A file of the folder, and how many documents it has.
const FILES: [(&str, usize, usize); 10] = [
    ("truthfulqa_mc1", 0, 40),
    ("truthfulqa_mc2", 0, 40),
    ("winogrande", 0, 40),
    ("winogrande", 3, 40),
    ("hellaswag", 0, 20),
    ("hellaswag", 3, 20),
    ("gsm8k_cot", 8, 100),
    ("mmlu_jurisprudence_generative", 0, 108),
    ("mmlu_jurisprudence_generative", 5, 108),
    ("mmlu_jurisprudence_continuation", 5, 108),
];

/// The stub, with other texts.
struct Writer(Stub);

impl EvalModel for Writer {
    fn encoder(&self) -> &dyn Encoder {
        self.0.encoder()
    }

    fn limit(&self) -> Limit {
        self.0.limit()
    }

    fn score(&mut self, plan: &Plan, done: Done<'_, Scored>) -> Result<(), EvalError> {
        self.0.score(plan, done)
    }

    fn generate(
        &mut self,
        requests: &[GenerateRequest],
        done: Done<'_, Generated>,
    ) -> Result<(), EvalError> {
        for (i, request) in requests.iter().enumerate() {
            let GeneratePrompt::Text(text) = &request.prompt else { panic!("no conversation") };
            let number = text.bytes().fold(0, crc32) % 40;
            let text = if number % 2 == 1 {
                " B.\nnext".to_string()
            } else {
                format!(" The answer is {number}.\n$5")
            };
            done(i, Generated { text, ..Generated::default() })?;
        }
        Ok(())
    }

    fn cost(&self) -> Cost {
        self.0.cost()
    }
}

#[test]
fn other_tasks_are_those_of_the_harness_too() {
    for (name, shots, docs) in FILES {
        let text = golden_text(&format!("more/{name}.{shots}shot.jsonl"));
        let mut rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let expected = rows.next().unwrap();
        let task = find(name).unwrap().tasks.remove(0);
        let options = PromptOptions { shots: Some(shots), ..PromptOptions::default() };
        let asked = questions(&task, &data(), &options).unwrap();
        let mut compared = 0;
        for (question, row) in asked.questions.iter().zip(rows) {
            let place = format!("{name}, {shots} shots, document {}", question.doc);
            assert_eq!(row["doc_id"], question.doc, "{place}");
            match &question.prompt {
                Prompt::Choices(pairs) => {
                    let contexts: Vec<String> =
                        pairs.iter().map(|pair| sha256_hex(&pair.context)).collect();
                    let same = row["contexts"] == serde_json::json!(contexts);
                    assert!(same, "{place}: {:?}", pairs[0].context);
                    let ends: Vec<&str> = pairs.iter().map(|p| p.continuation.as_str()).collect();
                    assert_eq!(row["continuations"], serde_json::json!(ends), "{place}");
                }
                Prompt::Generate(text) | Prompt::Chat(text) => {
                    assert_eq!(row["contexts"][0], sha256_hex(text), "{place}: {text:?}");
                    let until = serde_json::json!(task.file.generation.until);
                    assert_eq!(row["gen_kwargs"]["until"], until, "{place}");
                }
            }
            compared += 1;
        }
        assert_eq!(compared, docs, "{name}");
        let found = scored(&task, &asked, &tempfile::tempdir().unwrap().path().join("run"));
        assert_scores(name, &found["results"][name], &expected);
    }
}

fn scored(
    task: &gptoss_eval::task::Task,
    asked: &gptoss_eval::request::Questions,
    path: &Path,
) -> Value {
    let sampling = SamplingRecord::default();
    let mut manifest = Manifest::new("stub", ModelRecord::default(), sampling.clone());
    manifest.tasks.push(TaskRecord::new(task, None, asked));
    let mut store = Store::open(path, &manifest).unwrap();
    let mut model = Writer(Stub::new(&[]));
    let progress = &mut |_: &_| ();
    let mut run = Run { model: &mut model, log: &mut store, sampling: &sampling, progress };
    run_task(&mut run, task, &asked.questions).unwrap();
    results_json(&scores(&read(path).unwrap()))
}

/// Every digit; of `mc2`, whose exponential function is that of another library, all but the last.
fn assert_scores(name: &str, found: &Value, expected: &Value) {
    if name != "truthfulqa_mc2" {
        assert_eq!(found, expected, "{name}");
        return;
    }
    let mut compared = 0;
    for (key, value) in expected.as_object().unwrap() {
        match value.as_f64() {
            Some(value) => {
                let distance = (found[key].as_f64().unwrap() - value).abs();
                assert!(distance < 1e-15, "{key}: {} {value}", found[key]);
                compared += 1;
            }
            None => assert_eq!(found[key], *value),
        }
    }
    assert_eq!(compared, 3);
}
