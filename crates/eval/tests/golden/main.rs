//! Slices of the golden values of lm-evaluation-harness 0.4.13 in `testdata/eval`; the whole of
//! them is compared by the example `full_goldens`.

#![forbid(unsafe_code)]

mod comparing;
mod jobs;
mod more;
mod resuming;
mod savings;
mod scores;
mod stub;

use std::path::PathBuf;

use gptoss_eval::data::{Data, Doc, Source};

/// The folder of test data.
fn testdata() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/eval"))
}

fn data() -> Data {
    Data::new(testdata().join("data"))
}

fn golden_text(name: &str) -> String {
    let path = testdata().join("golden").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn gsm8k() -> Vec<Doc> {
    let source = Source { folder: "gsm8k", split: "test", subset: None };
    data().split(source).unwrap().docs
}

#[test]
fn prompts_are_those_of_the_harness() {
    let mut counts = Vec::new();
    for (file, task, shots) in jobs::JOBS {
        let golden = jobs::golden(&golden_text(&format!("{file}.requests.jsonl")));
        let (equal, differences) = jobs::compare(&golden, task, shots, &data());
        assert!(differences.is_empty(), "{file}: {}", differences[0]);
        assert_eq!(equal, golden.len(), "{file}");
        counts.push(equal);
    }
    assert_eq!(counts, [100, 100, 12, 100, 40, 422, 422, 422]);
}
