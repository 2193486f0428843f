//! A run that is killed goes on where it was: nothing is lost, nothing is asked twice.

use std::fs;

use gptoss_eval::request::{PromptOptions, questions};
use gptoss_eval::results::{
    Manifest, ModelRecord, SamplingRecord, Session, Store, TaskRecord, choose, compare, read,
};
use gptoss_eval::run::{Run, run_task};
use gptoss_eval::task::find;

use crate::data;
use crate::stub::Stub;

struct Setting {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
    manifest: Manifest,
    task: gptoss_eval::task::Task,
    questions: Vec<gptoss_eval::request::Question>,
}

fn setting() -> Setting {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let task = find("arc_easy").unwrap().tasks.remove(0);
    let found = questions(&task, &data(), &PromptOptions::default()).unwrap();
    let mut manifest = Manifest::new("stub", ModelRecord::default(), SamplingRecord::default());
    manifest.tasks.push(TaskRecord::new(&task, None, &found));
    Setting { _folder: folder, path, manifest, task, questions: found.questions }
}

/// Runs until the model fails, and gives how many answers were asked for.
fn session(setting: &Setting, fail_after: Option<usize>) -> (usize, bool) {
    let mut store = Store::open(&setting.path, &setting.manifest).unwrap();
    let mut model = Stub::new(&[]);
    model.fail_after = fail_after;
    let sampling = SamplingRecord::default();
    let progress = &mut |_: &_| ();
    let mut run = Run { model: &mut model, log: &mut store, sampling: &sampling, progress };
    let is_finished = run_task(&mut run, &setting.task, &setting.questions).is_ok();
    if is_finished {
        store.finish(&Session { samples: 1, ..Session::default() }).unwrap();
    }
    (model.given, is_finished)
}

#[test]
fn a_killed_run_goes_on() {
    let whole = setting();
    let (asked, is_finished) = session(&whole, None);
    assert!(is_finished);
    let expected = read(&whole.path).unwrap().samples;
    assert_eq!(expected.len(), 100);

    let setting = setting();
    let mut sessions = 0;
    loop {
        let (_, is_finished) = session(&setting, Some(57));
        sessions += 1;
        if is_finished {
            break;
        }
        // A line that was being written when the machine stopped.
        let mut text = fs::read(&setting.path).unwrap();
        text.extend_from_slice(b"{\"sample\":{\"task\":\"arc_easy\",\"doc\":9");
        fs::write(&setting.path, text).unwrap();
    }
    assert!(sessions > asked / 57, "{sessions} sessions");
    assert_eq!(read(&setting.path).unwrap().samples, expected);
    assert_eq!(session(&setting, Some(0)), (0, true), "nothing is left to ask");
}

#[test]
fn a_file_cut_anywhere_is_read() {
    let setting = setting();
    session(&setting, Some(40));
    let text = fs::read(&setting.path).unwrap();
    let samples = read(&setting.path).unwrap().samples.len();
    assert!(samples >= 3);
    let mut counts = Vec::new();
    for len in (0..=text.len()).step_by(7).chain([text.len()]) {
        fs::write(&setting.path, &text[..len]).unwrap();
        drop(Store::open(&setting.path, &setting.manifest).unwrap());
        counts.push(read(&setting.path).unwrap().samples.len());
    }
    assert!(counts.is_sorted(), "{counts:?}");
    assert_eq!((counts[0], counts.last()), (0, Some(&samples)));
}

#[test]
fn a_file_that_does_not_fit_is_refused() {
    let setting = setting();
    session(&setting, Some(40));
    let other = Manifest { shots_seed: 1, ..setting.manifest.clone() };
    let error = Store::open(&setting.path, &other).unwrap_err().to_string();
    assert!(error.contains("another run"), "{error}");
    let renamed = Manifest { name: "x".into(), ..setting.manifest.clone() };
    drop(Store::open(&setting.path, &renamed).unwrap());

    let held = Store::open(&setting.path, &setting.manifest).unwrap();
    let error = Store::open(&setting.path, &setting.manifest).unwrap_err().to_string();
    assert!(error.contains("another process"), "{error}");
    drop(held);

    let text = fs::read_to_string(&setting.path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (broken, message) in [
        (format!("{}\n{}\n{}\n", lines[0], lines[1], lines[1]), "line 3: document"),
        (format!("{}\nnonsense\n{}\n", lines[0], lines[1]), "line 2"),
        (format!("{}\n", lines[1]), "expected a manifest"),
        (format!("{}\n{}\n", lines[0], lines[0]), "second manifest"),
        (String::new(), "found nothing"),
    ] {
        fs::write(&setting.path, broken).unwrap();
        let error = read(&setting.path).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_random_part_is_compared() {
    let setting = setting();
    session(&setting, None);
    let stored = read(&setting.path).unwrap();
    let keys = choose(&stored, 10, 3);
    assert_eq!(keys.len(), 10);
    assert!(keys.is_sorted() && keys != choose(&stored, 10, 4));
    assert_eq!(choose(&stored, 1000, 3).len(), 100);
    let mut again: Vec<_> = keys.iter().map(|key| stored.samples[key].clone()).collect();
    let same = compare(&stored, &again, 0.0);
    assert_eq!((same.compared, same.identical, same.differences.len()), (10, 10, 0));

    let gptoss_eval::results::Answer::Choices { logprobs, .. } = &mut again[4].answer else {
        panic!("log-likelihoods")
    };
    logprobs[1] += 0.25;
    again[5].prompt_sha256.clear();
    let found = compare(&stored, &again, 0.0);
    assert_eq!((found.identical, found.differences.len()), (8, 2));
    assert!((found.logprob_distance_max - 0.25).abs() < 1e-9);
    assert!(found.differences[0].message.contains("choice 1"), "{found:?}");
    assert_eq!(compare(&stored, &again, 0.5).differences.len(), 1);
}
