//! What must hold for any chunking, any timeline and any single detail of the architecture.

use std::ops::ControlFlow;

use crate::support::{Golden, engine, max_difference, repository, rows};
use gptoss_checkpoint::{LayerType, Model, ModelConfig, RopeScaling};
use gptoss_engine::{
    CacheElement, Engine, EngineOptions, KvCache, LogitRows, Session, cache_bytes, forward,
};
use proptest::prelude::*;

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Logits of all of `ids`, computed in pieces of the given lengths, over and over.
fn in_pieces(engine: &Engine, ids: &[u32], lengths: &[usize]) -> Vec<u32> {
    let element = engine.cache_element();
    let mut cache = KvCache::new(engine.config(), ids.len(), element).unwrap();
    let mut all = Vec::new();
    let (mut from, mut lengths) = (0, lengths.iter().cycle());
    while from < ids.len() {
        let to = (from + lengths.next().unwrap()).min(ids.len());
        let model = engine.forward_model();
        all.extend(forward(model, &mut cache, &ids[from..to], LogitRows::All, &mut ()));
        from = to;
    }
    bits(&all)
}

#[test]
fn any_chunking_gives_the_same_bits() {
    for (model, prompt) in [
        ("testdata/models/t64/mxfp4", "testdata/models/t64/golden.safetensors long"),
        ("testdata/models/t96/model.gguf", "testdata/models/t96/golden.safetensors repeat"),
        ("models/nano", "models/nano/golden.safetensors prose"),
    ] {
        let (file, name) = prompt.split_once(' ').unwrap();
        let (engine, ids) = (engine(model), Golden::open(file).ids(&format!("{name}.ids")));
        let whole = in_pieces(&engine, &ids, &[ids.len()]);
        for lengths in [&[1][..], &[2], &[16], &[17], &[3, 100, 1], &[128]] {
            assert!(in_pieces(&engine, &ids, lengths) == whole, "{model}: pieces of {lengths:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_timeline_that_was_changed_equals_a_fresh_one(
        steps in prop::collection::vec((0usize..60, prop::collection::vec(0u32..512, 1..30)), 1..6),
    ) {
        let engine = engine("testdata/models/t64/mxfp4");
        let mut session = engine.session(256).unwrap();
        for (keep, added) in steps {
            let mut wanted = session.tokens().to_vec();
            wanted.truncate(keep);
            wanted.extend(added);
            let synced = session.sync(&wanted).unwrap();
            prop_assert_eq!(synced.reused + synced.computed, wanted.len());
            prop_assert_eq!(session.tokens(), &wanted[..]);
            let mut fresh = engine.session(256).unwrap();
            fresh.sync(&wanted).unwrap();
            prop_assert_eq!(bits(session.logits()), bits(fresh.logits()));
        }
    }
}

#[test]
fn a_common_beginning_is_not_computed_again() {
    let engine = engine("testdata/models/t64/mxfp4");
    let mut session = engine.session(100).unwrap();
    let ids: Vec<u32> = (0..12).collect();
    session.sync(&ids).unwrap();
    let again = session.sync(&ids).unwrap();
    assert_eq!((again.reused, again.computed), (12, 0));
    let longer: Vec<u32> = (0..14).collect();
    let longer = session.sync(&longer).unwrap();
    assert_eq!((longer.reused, longer.computed), (12, 2));
    // Within the window nothing was overwritten, so going back is free.
    let back = session.sync(&ids[..5]).unwrap();
    assert_eq!((back.reused, back.computed), (4, 1));
}

#[test]
fn the_end_of_the_last_prompt_is_kept_when_the_window_has_moved_on() {
    let engine = engine("testdata/models/t64/mxfp4");
    let mut session = engine.session(400).unwrap();
    let prompt: Vec<u32> = (0..60).collect();
    session.sync(&prompt).unwrap();
    for token in 100..300 {
        session.push(token).unwrap();
    }
    // The ring of 16 + 128 rows has left the prompt; another answer follows the same prompt.
    let mut next = prompt.clone();
    next.extend(300..310);
    let synced = session.sync(&next).unwrap();
    assert_eq!((synced.reused, synced.computed), (60, 10));
    let mut fresh = engine.session(400).unwrap();
    fresh.sync(&next).unwrap();
    assert_eq!(bits(session.logits()), bits(fresh.logits()));
    // Before the end of the last prompt there is nothing to go back to.
    for token in 100..300 {
        session.push(token).unwrap();
    }
    let other: Vec<u32> = (0..59).chain([7]).collect();
    assert_eq!(session.sync(&other).unwrap().reused, 0);
}

#[test]
fn breaking_off_leaves_a_usable_timeline() {
    let engine = engine("models/nano");
    let mut session = engine.session(1000).unwrap();
    let ids: Vec<u32> = (0..1000).collect();
    let synced = session.sync_with(&ids, &mut |_, _| ControlFlow::Break(())).unwrap();
    assert!(!synced.complete && synced.computed < ids.len(), "{synced:?}");
    assert!(session.sync(&ids).unwrap().complete);
    let mut fresh = engine.session(1000).unwrap();
    fresh.sync(&ids).unwrap();
    assert_eq!(bits(session.logits()), bits(fresh.logits()));
}

#[test]
fn a_session_refuses_what_does_not_fit_and_stays_as_it_was() {
    let engine = engine("testdata/models/t64/mxfp4");
    let message = |e: gptoss_engine::EngineError| e.to_string();
    let error = engine.session(513).err().map(message).unwrap();
    assert_eq!(error, "context length 513: expected 1 to 512 (max_position_embeddings)");
    let mut session = engine.session(4).unwrap();
    session.sync(&[1, 2, 3]).unwrap();
    let before = bits(session.logits());
    let error = message(session.sync(&[1, 2, 3, 4, 5]).unwrap_err());
    assert_eq!(error, "the sequence of 5 tokens does not fit into the context of 4");
    let error = message(session.push(512).unwrap_err());
    assert_eq!(error, "token id 512 is not in the vocabulary of 512");
    assert_eq!((session.tokens(), bits(session.logits())), (&[1, 2, 3][..], before));
}

#[test]
fn sliding_layers_keep_their_window_only() {
    let config = engine("testdata/models/t64/mxfp4").config().clone();
    // Two sliding layers of 16 + 128 rows, two full ones of 500, in blocks of 64; 2 heads of 16,
    // keys and values, in 32, 16 and 8 bits, the last with scales.
    let rows = 2 * 192 + 2 * 512;
    assert_eq!(cache_bytes(&config, 500, CacheElement::F32), rows * 2 * 2 * 16 * 4);
    assert_eq!(cache_bytes(&config, 500, CacheElement::F16), rows * 2 * 2 * 16 * 2);
    assert_eq!(cache_bytes(&config, 500, CacheElement::Int8), rows * 2 * 2 * (16 + 4));
}

/// The largest difference of the golden logits of `prompt` when the model is changed.
fn changed(prompt: &str, change: impl Fn(&mut Model)) -> f32 {
    let mut model = Model::open(&repository("testdata/models/t64/mxfp4")).unwrap();
    change(&mut model);
    let engine = Engine::from_model(model, &EngineOptions::exact()).unwrap();
    let golden = Golden::open("testdata/models/t64/golden.safetensors");
    let (ids, positions) =
        (golden.ids(&format!("{prompt}.ids")), golden.indices(&format!("{prompt}.positions")));
    let element = engine.cache_element();
    let mut cache = KvCache::new(engine.config(), ids.len(), element).unwrap();
    let logits = forward(engine.forward_model(), &mut cache, &ids, LogitRows::All, &mut ());
    let logits = rows(&logits, engine.config().vocab_size, &positions);
    max_difference(&logits, &golden.floats(&format!("{prompt}.logits")))
}

fn configured(prompt: &str, change: impl Fn(&mut ModelConfig)) -> f32 {
    changed(prompt, |model| change(&mut model.config))
}

#[test]
fn the_goldens_see_a_window_that_is_off_by_one() {
    assert!(configured("window", |c| c.sliding_window -= 1) > 0.05);
    assert!(configured("window", |c| c.sliding_window += 1) > 0.05);
}

#[test]
fn the_goldens_see_which_layers_slide() {
    let swap = |c: &mut ModelConfig| c.layer_types.reverse();
    assert!(configured("window", swap) > 0.5);
    assert!(configured("window", |c| c.layer_types.fill(LayerType::FullAttention)) > 0.5);
}

#[test]
fn the_goldens_see_a_rounded_yarn_range() {
    let truncate = |c: &mut ModelConfig| match &mut c.rope_scaling {
        Some(RopeScaling::Yarn(yarn)) => yarn.truncate = true,
        other => panic!("{other:?} is not YaRN"),
    };
    assert!(configured("window", truncate) > 5e-3);
    assert!(configured("long", truncate) > 0.5);
    assert!(configured("long", |c| c.rope_scaling = None) > 0.5);
}

#[test]
fn the_goldens_see_missing_sinks() {
    let none = |model: &mut Model| {
        model.weights.layers.iter_mut().for_each(|l| l.sinks.fill(f32::NEG_INFINITY));
    };
    assert!(changed("window", none) > 1.0);
}

#[test]
fn the_goldens_see_the_swiglu_limit() {
    assert!(configured("window", |c| c.swiglu_limit = Some(1e30)) > 0.01);
    assert!(configured("window", |c| c.swiglu_limit = Some(6.5)) > 0.01);
}

#[test]
fn the_goldens_see_the_number_of_experts() {
    assert!(configured("short", |c| c.num_experts_per_tok -= 1) > 0.1);
}

/// A sequence that runs through several windows, token by token, in a session.
#[test]
fn a_ring_that_wraps_equals_one_pass() {
    let engine = engine("testdata/models/t64/mxfp4");
    let ids: Vec<u32> = (0..90u32).map(|i| (i * 37) % 512).collect();
    let mut steps: Session = engine.session(100).unwrap();
    for id in &ids {
        steps.push(*id).unwrap();
    }
    let mut whole = engine.session(90).unwrap();
    whole.sync(&ids).unwrap();
    assert_eq!(bits(steps.logits()), bits(whole.logits()));
}
