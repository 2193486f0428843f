//! Holds every prompt and score against the golden values of lm-evaluation-harness 0.4.13.
//!
//! usage: full_goldens DATA GOLDEN
//!
//! DATA has the benchmarks as `testdata/eval/README.md` describes them, packed or not; GOLDEN has
//! `NAME.requests.jsonl.gz` and `NAME.lmeval_inproc.json`. It prints one line for each file and
//! ends with an error if anything differs.

#![forbid(unsafe_code)]

#[path = "../tests/golden/jobs.rs"]
mod jobs;
#[path = "../tests/golden/stub.rs"]
mod stub;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use gptoss_eval::aggregate::{TaskScores, group_score};
use gptoss_eval::data::{Data, Source};
use gptoss_eval::model::EvalModel;
use gptoss_eval::plan::Cost;
use gptoss_eval::request::{PromptOptions, questions};
use gptoss_eval::results::{
    Manifest, ModelRecord, SamplingRecord, Store, TaskRecord, read, scores,
};
use gptoss_eval::run::{Run, run_task};
use gptoss_eval::table::results_json;
use gptoss_eval::task::{TaskGroup, find};
use serde_json::Value;

use stub::Stub;

/// A task, its number of examples, and the file with its scores.
const SCORES: [(&str, usize, &str); 11] = [
    ("arc_easy", 0, "arc_easy.0shot.lmeval_inproc.json"),
    ("arc_easy", 0, "arc_easy.0shot.lmeval_results.json"),
    ("arc_challenge", 0, "arc_challenge.0shot.lmeval_inproc.json"),
    ("arc_challenge", 0, "arc_challenge.0shot.lmeval_results.json"),
    ("arc_challenge", 25, "arc_challenge.25shot.lmeval_inproc.json"),
    ("gsm8k", 5, "gsm8k.5shot.lmeval_inproc.json"),
    ("gsm8k", 5, "gsm8k.5shot.lmeval_results.json"),
    ("mmlu_stem", 0, "mmlu_stem.0shot.lmeval_inproc.json"),
    ("mmlu_other", 0, "mmlu_other.0shot.lmeval_inproc.json"),
    ("mmlu_social_sciences", 0, "mmlu_social_sciences.0shot.lmeval_inproc.json"),
    ("mmlu_humanities", 0, "mmlu_humanities.0shot.lmeval_inproc.json"),
];

fn main() -> Result<(), String> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [data, golden] = paths.as_slice() else {
        return Err("usage: full_goldens DATA GOLDEN".into());
    };
    let data = Data::new(data).with_unpack(|file| Box::new(GzDecoder::new(file)));
    let golden = Path::new(golden);
    let mut failures = prompts(&data, golden);
    for (task, shots, file) in SCORES {
        let expected: Value = serde_json::from_str(&text(&golden.join(file))).expect("JSON");
        let found = results_json(&run(&data, task, shots).0);
        let mut compared = 0;
        for (name, row) in expected["results"].as_object().expect("an object") {
            if found["results"][name] != *row {
                println!("{file}: {name}: expected {row}, found {}", found["results"][name]);
                failures += 1;
            }
            compared += 1;
        }
        println!("{file}: {compared} rows of scores compared");
    }
    failures += all_of_mmlu(&data, &text(&golden.join("mini_eval_scores.txt")));
    if failures > 0 { Err(format!("{failures} differences")) } else { Ok(()) }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn prompts(data: &Data, golden: &Path) -> usize {
    let mut failures = 0;
    for (name, task, shots) in jobs::JOBS {
        let path = golden.join(format!("{name}.requests.jsonl.gz"));
        let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut lines = String::new();
        GzDecoder::new(file).read_to_string(&mut lines).expect("gzipped text");
        let golden = jobs::golden(&lines);
        let (equal, differences) = jobs::compare(&golden, task, shots, data);
        println!("{name}: {equal} of {} documents equal", golden.len());
        for difference in differences.iter().take(3) {
            println!("  {difference}");
        }
        failures += golden.len() - equal;
    }
    failures
}

/// The scores of a task on the stub, through a results file.
fn run(data: &Data, name: &str, shots: usize) -> (Vec<TaskScores>, Cost) {
    let gsm8k = data.split(Source { folder: "gsm8k", split: "test", subset: None });
    let mut model = Stub::new(&gsm8k.expect("gsm8k").docs);
    let set = find(name).expect("a task");
    let sampling = SamplingRecord::default();
    let mut manifest = Manifest::new("stub", ModelRecord::default(), sampling.clone());
    let options = PromptOptions { shots: Some(shots), ..PromptOptions::default() };
    let asked: Vec<_> =
        set.tasks.iter().map(|task| questions(task, data, &options).expect("questions")).collect();
    for (task, asked) in set.tasks.iter().zip(&asked) {
        manifest.tasks.push(TaskRecord::new(task, set.family.as_ref(), asked));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.jsonl");
    let mut store = Store::open(&path, &manifest).expect("a results file");
    for (task, asked) in set.tasks.iter().zip(&asked) {
        let progress = &mut |_: &_| ();
        let mut run = Run { model: &mut model, log: &mut store, sampling: &sampling, progress };
        run_task(&mut run, task, &asked.questions).expect("answers");
    }
    (scores(&read(&path).expect("results")), model.cost())
}

/// The whole of MMLU. The independent script sums subjects in alphabetical order; the harness, and
/// we, sum them group by group, which can move the last digit: both orders are computed.
fn all_of_mmlu(data: &Data, expected: &str) -> usize {
    let mut failures = 0;
    for shots in [0, 5] {
        let (found, cost) = run(data, "mmlu", shots);
        let line = expected.lines().find(|l| l.starts_with(&format!("mmlu.{shots}shot acc ")));
        let words: Vec<&str> = line.expect("a line of scores").split(' ').collect();
        let expected = [words[2], words[4]].map(|word| word.parse::<f64>().expect("a number"));
        let leaves = found.iter().filter(|task| !task.is_group);
        let tasks: BTreeMap<String, TaskScores> =
            leaves.map(|task| (task.name.clone(), task.clone())).collect();
        let sorted = TaskGroup {
            name: "mmlu".into(),
            alias: "mmlu".into(),
            tasks: tasks.keys().cloned().collect(),
        };
        let sorted = group_score(&sorted, &tasks, "acc", "none").expect("a score");
        let ours = &found[0].scores[0];
        let errors = [&sorted, ours].map(|score| score.stderr.expect("an error"));
        println!(
            "mmlu {shots} shots: {} ± {} sorted, {} ± {} by group, expected {expected:?}",
            sorted.value, errors[0], ours.value, errors[1]
        );
        failures += usize::from([sorted.value, errors[0]] != expected);
        println!("mmlu {shots} shots: {:?}", cost);
    }
    failures
}
