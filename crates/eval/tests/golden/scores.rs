//! Scores of the stub model, equal in every digit to those that the harness computed of it.

use std::collections::BTreeMap;

use gptoss_eval::aggregate::{Score, TaskScores, group_score};
use gptoss_eval::request::{PromptOptions, questions};
use gptoss_eval::results::{
    Manifest, ModelRecord, SamplingRecord, Store, TaskRecord, chat_scores, read, scores,
};
use gptoss_eval::run::{Run, run_task};
use gptoss_eval::table::results_json;
use gptoss_eval::task::{TaskGroup, find};
use serde_json::Value;

use crate::stub::Stub;
use crate::{data, golden_text, gsm8k};

/// Runs tasks on the stub and gives the path of the results.
fn run(names: &[&str], sampling: &SamplingRecord) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let mut manifest = Manifest::new("stub", ModelRecord::default(), sampling.clone());
    let mut work = Vec::new();
    for name in names {
        let set = find(name).unwrap();
        for task in set.tasks {
            let options = PromptOptions { shots: Some(0), ..PromptOptions::default() };
            let questions = questions(&task, &data(), &options).unwrap();
            manifest.tasks.push(TaskRecord::new(&task, set.family.as_ref(), &questions));
            work.push((task, questions.questions));
        }
    }
    let mut store = Store::open(&path, &manifest).unwrap();
    let mut model = Stub::new(&gsm8k());
    for (task, questions) in &work {
        let (progress, sampling) = (&mut |_: &_| (), sampling);
        let mut run = Run { model: &mut model, log: &mut store, sampling, progress };
        run_task(&mut run, task, questions).unwrap();
    }
    (folder, path)
}

#[test]
fn subjects_of_mmlu_have_the_scores_of_the_harness() {
    let mut compared = 0;
    for (group, subject) in [
        ("stem", "abstract_algebra"),
        ("other", "business_ethics"),
        ("social_sciences", "econometrics"),
        ("humanities", "jurisprudence"),
    ] {
        let name = format!("mmlu_{subject}");
        let (_folder, path) = run(&[&name], &SamplingRecord::default());
        let found = results_json(&scores(&read(&path).unwrap()));
        let file = golden_text(&format!("mmlu_{group}.0shot.lmeval_inproc.json"));
        let golden: Value = serde_json::from_str(&file).unwrap();
        assert_eq!(found["results"][&name], golden["results"][&name], "{name}");
        assert_eq!(found["versions"][&name], golden["versions"][&name]);
        assert_eq!(found["n-shot"][&name], golden["n-shot"][&name]);
        compared += 1;
    }
    assert_eq!(compared, 4);
}

#[test]
fn groups_of_mmlu_have_the_scores_of_the_harness() {
    let mut tasks_seen = 0;
    for group in ["stem", "other", "social_sciences", "humanities"] {
        let file = golden_text(&format!("mmlu_{group}.0shot.lmeval_inproc.json"));
        let golden: Value = serde_json::from_str(&file).unwrap();
        let name = format!("mmlu_{group}");
        let family = find(&name).unwrap().family.unwrap();
        let mut tasks = BTreeMap::new();
        for task in &family.all.tasks {
            let row = &golden["results"][task];
            let score = Score {
                metric: "acc".into(),
                filter: "none".into(),
                value: row["acc,none"].as_f64().unwrap(),
                stderr: row["acc_stderr,none"].as_f64(),
            };
            tasks.insert(
                task.clone(),
                TaskScores {
                    name: task.clone(),
                    alias: row["alias"].as_str().unwrap().into(),
                    version: 1.0,
                    shots: Some(0),
                    samples: row["sample_len"].as_u64().unwrap() as usize,
                    is_group: false,
                    depth: 1,
                    scores: vec![score],
                },
            );
            tasks_seen += 1;
        }
        let found = group_score(&family.all, &tasks, "acc", "none").unwrap();
        let row = &golden["results"][&name];
        assert_eq!(Some(found.value), row["acc,none"].as_f64(), "{name}");
        assert_eq!(found.stderr, row["acc_stderr,none"].as_f64(), "{name}");
        assert_eq!(family.all.alias, row["alias"].as_str().unwrap());
    }
    assert_eq!(tasks_seen, 57);
}

#[test]
fn groups_stand_before_their_tasks() {
    let (_folder, path) =
        run(&["mmlu_abstract_algebra", "mmlu_jurisprudence"], &SamplingRecord::default());
    let mut stored = read(&path).unwrap();
    // As if the whole family had been asked for.
    for (task, group) in stored.manifest.tasks.iter_mut().zip(["mmlu_stem", "mmlu_humanities"]) {
        let record = |name: &str, alias: &str| {
            serde_json::from_value(serde_json::json!({
                "name": name, "alias": alias, "version": 2.0, "aggregate": ["acc"],
            }))
            .unwrap()
        };
        task.groups = vec![record("mmlu", "mmlu"), record(group, &group[5..])];
    }
    let found = scores(&stored);
    let lines: Vec<(&str, usize)> =
        found.iter().map(|scores| (scores.alias.as_str(), scores.depth)).collect();
    let expected = [
        ("mmlu", 0),
        ("stem", 1),
        ("abstract_algebra", 2),
        ("humanities", 1),
        ("jurisprudence", 2),
    ];
    assert_eq!(lines, expected);
    let all = TaskGroup {
        name: "all".into(),
        alias: "all".into(),
        tasks: vec!["mmlu_abstract_algebra".into(), "mmlu_jurisprudence".into()],
    };
    let tasks = found.iter().map(|scores| (scores.name.clone(), scores.clone())).collect();
    assert_eq!(found[0].scores, [group_score(&all, &tasks, "acc", "none").unwrap()]);
    assert_eq!(found[0].samples, 208);
}

#[test]
fn generated_answers_are_filtered_and_matched() {
    let (_folder, path) = run(&["gsm8k"], &SamplingRecord::default());
    let found = scores(&read(&path).unwrap());
    // Of the first 100 documents, counted by the independent script that gives the golden scores
    // of all 1319: see testdata/eval/README.md.
    let values: Vec<(&str, f64)> =
        found[0].scores.iter().map(|score| (score.filter.as_str(), score.value)).collect();
    assert_eq!(values, [("flexible-extract", GSM8K_FLEXIBLE), ("strict-match", GSM8K_STRICT)]);
}

const GSM8K_STRICT: f64 = 0.37;
const GSM8K_FLEXIBLE: f64 = 0.36;

#[test]
fn conversations_are_counted_by_verdict() {
    let sampling = SamplingRecord { repeats: 3, ..SamplingRecord::default() };
    let (_folder, path) = run(&["arc_easy_reasoning"], &sampling);
    let stored = read(&path).unwrap();
    let found = &chat_scores(&stored)[0];
    assert_eq!((found.answers, found.by_repeat.len()), (300, 3));
    let parts = [found.right, found.wrong, found.unparsed, found.truncated];
    assert_eq!(parts.iter().sum::<usize>(), 300);
    assert!(parts.iter().all(|part| *part > 20), "{parts:?}");
    assert_eq!(found.accuracy, found.right as f64 / 300.0);
    let mean = found.by_repeat.iter().sum::<f64>() / 3.0;
    assert!((mean - found.accuracy).abs() < 1e-12);
    let score = &scores(&stored)[0].scores[0];
    assert!((score.value - found.accuracy).abs() < 1e-12);
    assert_eq!(score.stderr, found.stderr);
}
