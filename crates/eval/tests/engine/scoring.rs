//! Log-likelihoods.

use std::sync::atomic::Ordering;

use gptoss_engine::{CacheElement, Engine, EngineOptions};
use gptoss_eval::EvalError;
use gptoss_eval::engine_model::{EngineModel, ModelOptions};
use gptoss_eval::model::{EvalModel, Scored};
use gptoss_eval::plan::Plan;
use gptoss_eval::request::Prompt;
use gptoss_eval::tokens::{Limit, TokenPair, encode_pair, truncate};

use crate::plain;

/// The pairs of the first documents of a task.
fn pairs(model: &EngineModel, task: &str, shots: usize, limit: usize) -> Vec<TokenPair> {
    let mut pairs = Vec::new();
    for question in plain::asked(task, shots, limit) {
        let Prompt::Choices(choices) = &question.prompt else { panic!("choices") };
        let encoded = choices.iter().map(|pair| encode_pair(model.encoder(), pair));
        pairs.extend(encoded.map(|pair| truncate(pair, model.limit()).unwrap()));
    }
    pairs
}

/// Scores pairs with a plan; checks what it cost.
fn planned(model: &mut EngineModel, pairs: &[TokenPair]) -> Vec<Scored> {
    let plan = Plan::new(pairs);
    let mut found = vec![None; pairs.len()];
    let mut done = |request: usize, scored: Scored| {
        assert!(found[request].replace(scored).is_none(), "request {request} came twice");
        Ok(())
    };
    let before = model.cost();
    model.score(&plan, &mut done).unwrap();
    let after = model.cost();
    assert_eq!(after.requests - before.requests, plan.cost.requests);
    assert_eq!(after.naive_tokens - before.naive_tokens, plan.cost.naive_tokens);
    assert_eq!(after.computed_tokens - before.computed_tokens, plan.cost.computed_tokens);
    found.into_iter().map(Option::unwrap).collect()
}

/// The plain way.
fn expected(engine: &Engine, pairs: &[TokenPair]) -> Vec<Scored> {
    pairs.iter().map(|pair| plain::score(engine, pair)).collect()
}

fn compare(expected: &[Scored], found: &[Scored]) {
    assert_eq!(expected.len(), found.len());
    for (i, (expected, found)) in expected.iter().zip(found).enumerate() {
        assert_eq!(found.logprob.to_bits(), expected.logprob.to_bits(), "request {i}");
        assert_eq!(found.greedy, expected.greedy, "request {i}");
    }
}

#[test]
fn shared_beginnings_change_no_bit() {
    let engine = plain::nano();
    let mut greedy = 0;
    for (task, shots, limit) in
        [("arc_easy", 0, 6), ("mmlu_jurisprudence", 2, 4), ("winogrande", 0, 6)]
    {
        let mut pairs = pairs(&plain::model(&engine, 1), task, shots, limit);
        assert!(pairs.len() >= 12, "{task}");
        pairs.push(plain::likeliest(&engine, &pairs[0].ids[..pairs[0].context_len]));
        let expected = expected(&engine, &pairs);
        for sequences_max in [1, 3, 64] {
            let mut model = plain::model(&engine, sequences_max);
            let found = planned(&mut model, &pairs);
            compare(&expected, &found);
            greedy += found.iter().filter(|scored| scored.greedy).count();
        }
    }
    assert!(greedy > 0, "nothing was the likeliest");
}

/// Long sequences that share long beginnings, so that windows and pages end within and between
/// nodes, in every kind of arithmetic and cache.
#[test]
fn long_beginnings_change_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let ids = |len: usize, seed: usize| -> Vec<u32> {
        (0..len).map(|i| ((i * i + seed * 31) % 97) as u32).collect()
    };
    let mut compared = 0;
    for options in [
        EngineOptions::default(),
        EngineOptions::exact(),
        EngineOptions { cache: Some(CacheElement::Int8), ..EngineOptions::default() },
    ] {
        let engine = plain::t64(&folder, &options);
        let mut pairs = Vec::new();
        for (i, len) in [1, 127, 128, 129, 300, 490].into_iter().enumerate() {
            for tail in 0..4 {
                // Some share all of their context, some part on the way to it.
                let parts = [ids(len, 0), ids(2 + tail % 2, 1), ids(1 + 3 * tail, 2 + i + tail)];
                let ids = parts.concat();
                let context_len = ids.len() - 1 - tail.min(2);
                pairs.push(TokenPair { ids, context_len: context_len.max(1), lost: 0 });
            }
        }
        let expected = expected(&engine, &pairs);
        for sequences_max in [1, 5] {
            let found = planned(&mut plain::model(&engine, sequences_max), &pairs);
            compare(&expected, &found);
            compared += found.len();
        }
    }
    assert_eq!(compared, 3 * 2 * 24);
}

#[test]
fn what_is_too_long_is_cut_on_the_left() {
    let engine = plain::nano();
    for limit in [Limit::Direct { max_length: 60 }, Limit::Api { max_length: 60 }] {
        let options = ModelOptions { limit, ..ModelOptions::of(&engine) };
        let mut model = EngineModel::new(&engine, options).unwrap();
        let pairs = pairs(&model, "mmlu_jurisprudence", 0, 6);
        assert!(pairs.iter().any(|pair| pair.lost > 0));
        let longest = pairs.iter().map(|pair| pair.ids.len()).max();
        assert_eq!(longest, Some(if limit.name() == "hf" { 61 } else { 59 }));
        let found = planned(&mut model, &pairs);
        compare(&expected(&engine, &pairs), &found);
    }
}

#[test]
fn a_run_ends_when_it_is_asked_to() {
    let engine = plain::nano();
    let options = ModelOptions { sequences_max: 1, ..ModelOptions::of(&engine) };
    let stop = options.stop.clone();
    let mut model = EngineModel::new(&engine, options).unwrap();
    let pairs = pairs(&model, "arc_easy", 0, 4);
    let plan = Plan::new(&pairs);
    let mut given = 0;
    let outcome = model.score(&plan, &mut |_, _| {
        given += 1;
        stop.store(true, Ordering::Relaxed);
        Ok(())
    });
    assert!(matches!(outcome, Err(EvalError::Interrupted)), "{outcome:?}");
    assert!(given >= 1 && given < pairs.len(), "{given}");
    assert_eq!(model.cost().requests, given);
}

#[test]
fn what_cannot_be_computed_is_refused() {
    let engine = plain::nano();
    let mut model = plain::model(&engine, 4);
    let mut refused = |ids: Vec<u32>| {
        let pair = TokenPair { context_len: 1, ids, lost: 0 };
        let plan = Plan::new(&[pair]);
        model.score(&plan, &mut |_, _| Ok(())).unwrap_err().to_string()
    };
    assert!(refused(vec![1, 4096, 2]).contains("id 4096 is not in the vocabulary of 4096"));
    assert!(refused(vec![1; 1026]).contains("1025 tokens does not fit into 1024"));
    model.score(&Plan::default(), &mut |_, _| Ok(())).unwrap();
    for options in [
        ModelOptions { limit: Limit::Direct { max_length: 1025 }, ..ModelOptions::of(&engine) },
        ModelOptions { limit: Limit::Api { max_length: 1 }, ..ModelOptions::of(&engine) },
        ModelOptions { sequences_max: 0, ..ModelOptions::of(&engine) },
    ] {
        assert!(EngineModel::new(&engine, options).is_err());
    }
}
