//! What is kept of earlier sequences, and who goes on from there.

use gptoss_engine::{
    BatchEvent, BatchOptions, Batcher, CacheElement, Engine, EngineOptions, Scheduler,
};

use crate::asking::{Asked, engine, engine_with, gate, got, greedy, ids};

const T64: &str = "testdata/models/t64/mxfp4";

#[test]
fn a_conversation_goes_on_from_the_end_of_the_last_prompt() {
    let engine = engine(T64);
    let scheduler = Scheduler::start(&engine, BatchOptions::new(500)).unwrap();
    let first = Asked { stop_tokens: Vec::new(), ..greedy(ids(&engine, 200, 1), 60) };
    let answer = got(&first.of(&scheduler));
    assert_eq!((answer.cached_tokens, answer.steps.len()), (0, 60));

    // Reasoning is dropped: what follows the prompt is something else.
    let mut dropped = first.prompt.clone();
    dropped.extend(ids(&engine, 50, 2));
    let dropped = greedy(dropped, 20);
    let found = got(&dropped.of(&scheduler));
    assert_eq!(found.cached_tokens, 200);
    assert_eq!(found.steps, dropped.alone(&engine, 500).steps);

    // Nothing is dropped: it goes on behind the last token that was computed.
    let mut kept = first.prompt.clone();
    kept.extend(answer.tokens());
    kept.extend(ids(&engine, 20, 3));
    let kept = greedy(kept, 20);
    let found = got(&kept.of(&scheduler));
    assert_eq!(found.cached_tokens, 259);
    assert_eq!(found.steps, kept.alone(&engine, 500).steps);

    // The same again: only the last token is computed.
    let found = got(&kept.of(&scheduler));
    assert_eq!(found.cached_tokens, kept.prompt.len() - 1);
    assert_eq!(found.steps, kept.alone(&engine, 500).steps);
}

#[test]
fn a_snapshot_leads_back_as_far_as_it_holds_the_window() {
    let engine = engine(T64);
    let mut resumed = 0;
    for back in 0..20 {
        let scheduler = Scheduler::start(&engine, BatchOptions::new(500)).unwrap();
        let first = greedy(ids(&engine, 200, 1), 0);
        got(&first.of(&scheduler));
        let mut other = first.prompt[..200 - back].to_vec();
        other.extend(ids(&engine, 10, 2));
        let other = greedy(other, 5);
        let found = got(&other.of(&scheduler));
        // The tile of 16 rows in which the window of 16 before position 200 begins is that of
        // 176, so 191 is the first position whose window is held.
        let expected = if 200 - back >= 191 { 200 - back } else { 0 };
        assert_eq!(found.cached_tokens, expected, "{back} back");
        assert_eq!(found.steps, other.alone(&engine, 500).steps, "{back} back");
        resumed += usize::from(found.cached_tokens > 0);
    }
    assert_eq!(resumed, 10);
}

#[test]
fn choices_of_one_prompt_compute_it_once() {
    let engine = engine(T64);
    let scheduler = Scheduler::start(&engine, BatchOptions::new(500)).unwrap();
    let open = gate(&scheduler);
    let choices: Vec<Asked> = (0..5)
        .map(|sequence| {
            let mut asked = greedy(ids(&engine, 300, 1), 30);
            (asked.sampling.temperature, asked.sampling.sequence) = (1.0, sequence);
            asked
        })
        .collect();
    let receivers: Vec<_> = choices.iter().map(|asked| asked.of(&scheduler)).collect();
    drop(open);
    for (i, (asked, receiver)) in choices.iter().zip(&receivers).enumerate() {
        let found = got(receiver);
        assert_eq!(found.cached_tokens, if i == 0 { 0 } else { 299 }, "choice {i}");
        assert_eq!(found.steps, asked.alone(&engine, 500).steps, "choice {i}");
    }
    let status = scheduler.status();
    assert_eq!((status.prompt_tokens, status.cached_tokens), (1 + 5 * 300, 4 * 299));
}

#[test]
fn who_begins_like_a_prompt_that_is_computed_waits_for_that_part() {
    let engine = engine(T64);
    let scheduler = Scheduler::start(&engine, BatchOptions::new(500)).unwrap();
    let open = gate(&scheduler);
    let texts: Vec<Asked> = (2..5)
        .map(|seed| {
            let mut prompt = ids(&engine, 150, 1);
            prompt.extend(ids(&engine, 60, seed));
            greedy(prompt, 10)
        })
        .collect();
    let receivers: Vec<_> = texts.iter().map(|asked| asked.of(&scheduler)).collect();
    drop(open);
    for (i, (asked, receiver)) in texts.iter().zip(&receivers).enumerate() {
        let found = got(receiver);
        assert_eq!(found.cached_tokens, if i == 0 { 0 } else { 150 }, "text {i}");
        assert_eq!(found.steps, asked.alone(&engine, 500).steps, "text {i}");
    }
}

#[test]
fn a_long_prompt_is_kept_in_the_middle_and_when_it_is_broken_off() {
    let engine = engine(T64);
    let options = BatchOptions { snapshot_every: 100, ..BatchOptions::new(500) };
    let scheduler = Scheduler::start(&engine, options).unwrap();
    let long = greedy(ids(&engine, 450, 1), 1);
    assert_eq!(got(&long.of(&scheduler)).cached_tokens, 0);
    let mut other = long.prompt[..370].to_vec();
    other.extend(ids(&engine, 10, 2));
    let other = greedy(other, 5);
    let found = got(&other.of(&scheduler));
    assert_eq!(found.cached_tokens, 300);
    assert_eq!(found.steps, other.alone(&engine, 500).steps);
    // Two have parted there, so a third can go on there.
    let mut third = long.prompt[..370].to_vec();
    third.extend(ids(&engine, 10, 3));
    let found = got(&greedy(third.clone(), 5).of(&scheduler));
    assert_eq!(found.cached_tokens, 370);
    assert_eq!(found.steps, greedy(third, 5).alone(&engine, 500).steps);
}

#[test]
fn without_snapshots_nothing_is_kept_and_all_pages_come_back() {
    let engine = engine(T64);
    let options = BatchOptions { snapshots_max: 0, ..BatchOptions::new(500) };
    let scheduler = Scheduler::start(&engine, options).unwrap();
    let asked = greedy(ids(&engine, 300, 1), 5);
    for _ in 0..2 {
        let found = got(&asked.of(&scheduler));
        assert_eq!(found.cached_tokens, 0);
        assert_eq!(found.steps, asked.alone(&engine, 500).steps);
    }
    assert_eq!(scheduler.status().pages_used, 0);
}

#[test]
fn what_is_told_of_every_token_is_computed_though_it_is_kept() {
    let engine = engine(T64);
    let scheduler = Scheduler::start(&engine, BatchOptions::new(500)).unwrap();
    let asked = greedy(ids(&engine, 100, 1), 3);
    let first = got(&asked.of(&scheduler));
    let scored = Asked { prompt_logprobs: Some(1), embed: true, ..asked };
    let found = got(&scored.of(&scheduler));
    assert_eq!((found.cached_tokens, found.prompt_logprobs.len()), (0, 99));
    assert_eq!(found.steps, first.steps);
    let receiver = scored.of(&scheduler);
    assert_eq!(receiver.recv().unwrap(), BatchEvent::Started { cached_tokens: 0 });
    assert_eq!(got(&receiver).prompt_logprobs, found.prompt_logprobs);
}

/// What is kept at the end of one scheduler; gives the file's bytes.
fn saved(engine: &Engine, options: &BatchOptions, prompts: &[Vec<u32>]) -> Vec<u8> {
    let scheduler = Scheduler::start(engine, options.clone()).unwrap();
    assert!(scheduler.cold_start().is_none());
    for prompt in prompts {
        got(&greedy(prompt.clone(), 3).of(&scheduler));
    }
    scheduler.finish().unwrap();
    std::fs::read(options.prefix_file.as_ref().unwrap()).unwrap()
}

#[test]
fn a_restart_begins_where_the_last_program_ended() {
    for element in CacheElement::ALL {
        let engine =
            engine_with(T64, &EngineOptions { cache: Some(element), ..Default::default() });
        let folder = tempfile::tempdir().unwrap();
        let prefix_file = Some(folder.path().join("prefixes"));
        let options = BatchOptions { prefix_file, ..BatchOptions::new(500) };
        let mut other = ids(&engine, 200, 1);
        other.extend(ids(&engine, 100, 2));
        let prompts = [ids(&engine, 300, 1), other];
        saved(&engine, &options, &prompts);
        let scheduler = Scheduler::start(&engine, options.clone()).unwrap();
        for prompt in &prompts {
            let asked = greedy(prompt.clone(), 20);
            let found = got(&asked.of(&scheduler));
            assert_eq!(found.cached_tokens, 299, "{element:?}");
            assert_eq!(found.steps, asked.alone(&engine, 500).steps, "{element:?}");
        }
        drop(scheduler);
        // A cache that is too small takes what was used last.
        let smaller = BatchOptions { cache_positions: 450, context_length: 450, ..options };
        let scheduler = Scheduler::start(&engine, smaller).unwrap();
        let asked = greedy(prompts[1].clone(), 20);
        let found = got(&asked.of(&scheduler));
        assert_eq!((found.cached_tokens, found.steps), (299, asked.alone(&engine, 500).steps));
    }
}

#[test]
fn a_file_that_is_damaged_or_of_another_model_is_a_cold_start() {
    let engine = engine(T64);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prefixes");
    let options = BatchOptions { prefix_file: Some(path.clone()), ..BatchOptions::new(500) };
    let prompt = ids(&engine, 150, 1);
    let bytes = saved(&engine, &options, std::slice::from_ref(&prompt));
    let cached = |engine: &Engine| {
        let scheduler = Scheduler::start(engine, options.clone()).unwrap();
        let asked = greedy(prompt.clone(), 5);
        let found = got(&asked.of(&scheduler));
        assert_eq!(found.steps, asked.alone(engine, 500).steps);
        (found.cached_tokens, scheduler.cold_start().map(ToString::to_string))
    };
    assert_eq!(cached(&engine), (149, None));
    let mut compared = 0;
    for at in (0..bytes.len()).step_by(bytes.len() / 20) {
        let mut changed = bytes.clone();
        changed[at] ^= 4;
        for damaged in [&changed[..], &bytes[..at]] {
            std::fs::write(&path, damaged).unwrap();
            let (cached, why) = cached(&engine);
            assert_eq!(cached, 0, "at {at}");
            assert!(why.is_some_and(|why| why.contains("prefixes: kept prefixes: ")), "at {at}");
            compared += 1;
        }
    }
    assert!(compared >= 40);
    let exact = engine_with(T64, &EngineOptions::exact());
    for other in [crate::asking::engine("testdata/models/t64/bf16"), exact] {
        std::fs::write(&path, &bytes).unwrap();
        let (cached, why) = cached(&other);
        assert_eq!(cached, 0);
        assert!(why.unwrap().ends_with("of another model, precision, cache or version"));
    }
}
