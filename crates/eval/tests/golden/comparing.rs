//! Reports of two runs: figures, and that nothing of a run can break out of a page.

use std::collections::BTreeMap;

use gptoss_eval::compare::{CompareOptions, Comparison, compare, html, markdown};
use gptoss_eval::grade::Verdict;
use gptoss_eval::results::{
    Answer, Manifest, ModelRecord, Sample, SampleLog, SamplingRecord, Session, Store, Stored,
    TaskRecord, read,
};

const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=\"alert('2')\">|`&<!--";

/// A run of two subjects in which documents are right as `is_right` says.
fn run(name: &str, is_right: impl Fn(usize, usize) -> bool) -> Stored {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let model = ModelRecord { name: HOSTILE.into(), ..ModelRecord::default() };
    let mut manifest = Manifest::new(name, model, SamplingRecord::default());
    manifest.environment.insert("processor".into(), HOSTILE.into());
    for subject in ["anatomy", "virology"] {
        let record = serde_json::json!({
            "name": format!("mmlu_{subject}"), "alias": subject, "subject": subject,
            "groups": [{"name": "mmlu", "alias": "mmlu", "version": 2.0, "aggregate": ["acc"]}],
            "version": 1.0, "shots": 0, "file_sha256": "f", "data_sha256": ["d"], "docs": 60,
            "is_chat": false,
        });
        manifest.tasks.push(serde_json::from_value::<TaskRecord>(record).unwrap());
    }
    let mut store = Store::open(&path, &manifest).unwrap();
    for (i, task) in manifest.tasks.iter().enumerate() {
        for doc in 0..60 {
            let right = is_right(i, doc);
            store.append(&sample(&task.name, doc, right)).unwrap();
        }
    }
    let figures = Session { naive_tokens: 1000, computed_tokens: 50, ..Session::default() };
    store.finish(&Session { samples: 120, seconds: 12.5, ..figures }).unwrap();
    drop(store);
    read(&path).unwrap()
}

fn sample(task: &str, doc: usize, right: bool) -> Sample {
    Sample {
        task: task.into(),
        doc,
        repeat: 0,
        prompt_sha256: "p".into(),
        question: format!("Question {doc} {HOSTILE}"),
        gold: "A".into(),
        answer: Answer::Choices {
            logprobs: vec![-1.0, -2.0],
            greedy: vec![true, false],
            picked: HOSTILE.into(),
            lost_tokens: 0,
        },
        scores: BTreeMap::from([("acc,none".to_string(), f64::from(u8::from(right)))]),
        verdict: if right { Verdict::Right } else { Verdict::Wrong },
    }
}

/// The second run has more right in one subject and the same in the other.
fn comparison() -> Comparison {
    let before = run("before", |_, doc| doc % 3 == 0);
    let after = run("after <b>", |task, doc| doc % 3 == 0 || (task == 0 && doc % 2 == 0));
    compare(&[before, after], &CompareOptions { draws: 500, ..CompareOptions::default() })
}

#[test]
fn figures_are_those_of_the_documents() {
    let found = comparison();
    let names: Vec<(&str, usize)> =
        found.rows.iter().map(|row| (row.name.as_str(), row.depth)).collect();
    assert_eq!(names, [("mmlu", 0), ("mmlu_anatomy", 1), ("mmlu_virology", 1)]);
    let values: Vec<[f64; 2]> = found
        .rows
        .iter()
        .map(|row| [row.cells[0].unwrap().value, row.cells[1].unwrap().value])
        .collect();
    assert_eq!(
        values,
        [[40.0 / 120.0, 60.0 / 120.0], [20.0 / 60.0, 40.0 / 60.0], [20.0 / 60.0; 2]]
    );
    let tests: Vec<(usize, usize, usize)> = found
        .pairings
        .iter()
        .map(|pairing| {
            let test = pairing.mcnemar.unwrap();
            (pairing.documents, test.only_first, test.only_second)
        })
        .collect();
    assert_eq!(tests, [(120, 0, 20), (60, 0, 20), (60, 0, 0)]);
    assert!((found.pairings[0].mcnemar.unwrap().p - 2f64.powi(-19)).abs() < 1e-15);
    assert_eq!(found.pairings[2].bootstrap.p, 1.0);
    assert!(found.browsed[..20].iter().all(|s| s.task == "mmlu_anatomy" && s.doc % 2 == 0));
    assert_eq!((found.browsed.len(), found.browsed_total), (120, 120));
    assert!(found.published.iter().any(|score| score.model == "Mistral-7B-v0.1"));
    assert_eq!(found.notes, Vec::<String>::new());
    let again: Comparison = serde_json::from_str(&found.to_json()).unwrap();
    assert_eq!(again, found);
    assert_eq!(comparison(), found, "the same every time");
}

#[test]
fn nothing_breaks_out_of_the_page() {
    let page = html(&comparison());
    assert_eq!(page.matches("<script").count(), 2, "the data and the program");
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(!page.contains("<img") && !page.contains("onerror=\""));
    assert!(!page.contains("after <b>") && page.contains("after &lt;b&gt;"));
    assert!(!page.contains("http:") && !page.contains("https:"), "nothing is fetched");
    assert!(page.contains("<svg ") && page.contains("class=\"run1\""));
    assert!(page.contains("20.0×"), "naive by computed tokens");
    // What is shown by the program is what was answered.
    let start = page.find("id=\"data\">").unwrap() + "id=\"data\">".len();
    let end = start + page[start..].find("</script>").unwrap();
    let data: serde_json::Value = serde_json::from_str(&page[start..end]).unwrap();
    assert_eq!(data["samples"][0]["answers"][1]["answer"], HOSTILE);
}

#[test]
fn the_markdown_has_the_same_figures() {
    let text = markdown(&comparison());
    for line in [
        "| mmlu | acc,none | 0.3333 ± 0.0434 | 0.5000 ± 0.0434 |",
        "| mmlu_anatomy | acc,none | after &lt;b> | 60 | +0.3333 |",
        "| 0 : 20 | < 0.0001 |",
        "| before | 120 | 12.5 | 1000 | 50 | 0 | &lt;/script>",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("<script"));
}

#[test]
fn runs_that_cannot_be_paired_are_not() {
    let before = run("before", |_, _| true);
    let mut after = run("after", |_, _| false);
    after.manifest.tasks[0].data_sha256 = vec!["other".into()];
    after.manifest.tasks[1].shots = 5;
    after.manifest.limit = Some(60);
    let found = compare(&[before, after], &CompareOptions::default());
    assert!(found.pairings.iter().all(|pairing| pairing.documents == 60));
    assert!(found.pairings.iter().all(|pairing| pairing.name != "mmlu_anatomy"));
    for note in ["different data", "different prompts", "only the first 60"] {
        assert!(found.notes.iter().any(|found| found.contains(note)), "{note}: {:?}", found.notes);
    }
}
