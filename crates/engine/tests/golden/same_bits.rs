//! The same bits however a model is run: threads, company, pieces, guesses, instructions.

use std::num::NonZeroUsize;

use gptoss_checkpoint::presets;
use gptoss_checkpoint::synth::{DenseFormat, Existing, Plan, Synthesis, Target};
use gptoss_engine::{
    CacheElement, Engine, EngineOptions, Feed, Isa, LogitRows, Precision, Session, Speculation,
    argmax,
};
use proptest::prelude::*;

use crate::support::{engine_with, repository};

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Options that differ in what they may change the bits of.
fn kinds() -> [EngineOptions; 3] {
    let one = EngineOptions { threads: NonZeroUsize::new(1), ..EngineOptions::default() };
    [
        one,
        EngineOptions { precision: Precision::Exact, ..one },
        EngineOptions { cache: Some(CacheElement::Int8), ..one },
    ]
}

/// Models in every layout that has kernels of its own: names, and engines by options.
struct Models {
    /// Keeps a model with Q8_0 matrices, which no stored one has.
    folder: tempfile::TempDir,
}

impl Models {
    fn new() -> Models {
        let folder = tempfile::tempdir().unwrap();
        let mut config = presets::find("gpt-oss-20b").unwrap().config;
        // The 20b's heads and experts; few and narrow layers; rows that end in part of a tile.
        (config.num_hidden_layers, config.hidden_size, config.intermediate_size) = (2, 96, 160);
        (config.num_attention_heads, config.num_key_value_heads) = (16, 2);
        (config.vocab_size, config.max_position_embeddings) = (1000, 4096);
        config.layer_types.truncate(2);
        let target = Target::Gguf { dense: DenseFormat::Q8_0, vocabulary: None };
        let synthesis = Synthesis { name: "q8", config: &config, seed: 1, target };
        let path = folder.path().join("q8.gguf");
        Plan::new(&synthesis).unwrap().write(&path, Existing::Keep, 1, &|_| {}).unwrap();
        Models { folder }
    }

    fn names(&self) -> Vec<String> {
        let stored = ["testdata/models/t64/mxfp4", "testdata/models/t64/bf16"];
        let stored = stored.into_iter().chain(["testdata/models/t96/model.gguf", "models/nano"]);
        let dense = ["testdata/dense/mistral/model.gguf", "testdata/dense/smollm/mixed.gguf"];
        let stored = stored.chain(dense);
        let q8 = self.folder.path().join("q8.gguf").to_str().unwrap().to_owned();
        stored.map(|path| repository(path).to_str().unwrap().to_owned()).chain([q8]).collect()
    }
}

/// A sequence that repeats itself with changes, so that there is something to guess.
fn ids(engine: &Engine, len: usize, seed: u32) -> Vec<u32> {
    let vocab_size = engine.config().vocab_size as u32;
    (0..len as u32).map(|i| (i % 23 * 31 + i / 50 * (i % 3) + seed * 7) % vocab_size).collect()
}

/// The logits after `len` tokens.
fn logits(engine: &Engine, tokens: &[u32]) -> Vec<u32> {
    let mut session = engine.session(tokens.len()).unwrap();
    session.sync(tokens).unwrap();
    bits(session.logits())
}

#[test]
fn any_number_of_threads_and_any_instructions_give_the_same_bits() {
    let models = Models::new();
    let mut compared = 0;
    for name in models.names() {
        for options in kinds() {
            let engine = engine_with(&name, &options);
            let tokens = ids(&engine, 210, 1);
            let expected = logits(&engine, &tokens);
            let threads = [2, 3, 8].map(|n| (NonZeroUsize::new(n), None));
            let isas = Isa::available().map(|isa| (NonZeroUsize::new(2), Some(isa)));
            for (threads, isa) in threads.into_iter().chain(isas) {
                let engine = engine_with(&name, &EngineOptions { threads, isa, ..options });
                let found = logits(&engine, &tokens);
                assert!(found == expected, "{name}: {threads:?} threads, {isa:?}, {options:?}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 7 * 3 * (3 + Isa::available().count()));
}

#[test]
fn any_pieces_and_any_guesses_give_the_same_bits() {
    let models = Models::new();
    for name in models.names() {
        for options in kinds() {
            let engine = engine_with(&name, &options);
            let tokens = ids(&engine, 300, 2);
            let mut whole = engine.session(300).unwrap();
            let all = bits(&whole.observe(&tokens, &mut ()).unwrap());
            let mut steps = engine.session(300).unwrap();
            steps.sync(&tokens[..40]).unwrap();
            for (i, token) in tokens.iter().enumerate().skip(40) {
                steps.push(*token).unwrap();
                let expected = &all[i * steps.logits().len()..][..steps.logits().len()];
                assert!(bits(steps.logits()) == *expected, "{name} {options:?}: token {i}");
            }
            assert_eq!(steps.tokens(), tokens);
        }
    }
}

/// Greedy continuation of a text that repeats itself, with the logits of every step.
fn continued(engine: &Engine, prompt: &[u32], n: usize) -> (Vec<u32>, Vec<Vec<u32>>) {
    let mut session = engine.session(prompt.len() + n).unwrap();
    session.sync(prompt).unwrap();
    let (mut tokens, mut all) = (Vec::new(), Vec::new());
    for _ in 0..n {
        tokens.push(argmax(session.logits()) as u32);
        session.push(tokens[tokens.len() - 1]).unwrap();
        all.push(bits(session.logits()));
    }
    (tokens, all)
}

#[test]
fn generation_is_the_same_with_guesses_and_without() {
    let models = Models::new();
    for name in models.names() {
        let with = engine_with(&name, &EngineOptions::default());
        let off = EngineOptions { speculation: Speculation::Off, ..EngineOptions::default() };
        let without = engine_with(&name, &off);
        let prompt = ids(&with, 60, 3);
        assert!(continued(&with, &prompt, 200) == continued(&without, &prompt, 200), "{name}");
    }
}

/// One of several sessions in a changing company.
struct Member {
    session: Session,
    tokens: Vec<u32>,
}

impl Member {
    /// What it is fed next, if anything: `n` tokens, or what is left.
    fn next(&self, n: usize) -> Vec<u32> {
        self.tokens.iter().skip(self.session.tokens().len()).take(n).copied().collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Up to 32 sequences, of which some are shorter than a ring and some several rings long; in
    /// each step some of them get a few tokens, and at last all that is left, together.
    #[test]
    fn any_company_gives_the_same_bits(
        kind in 0usize..3,
        model in 0usize..7,
        lengths in prop::collection::vec(prop_oneof![5 => 1usize..120, 1 => 120usize..500], 2..=32),
        steps in prop::collection::vec((any::<u32>(), 1usize..40), 1..12),
    ) {
        let models = Models::new();
        let engine = engine_with(&models.names()[model], &kinds()[kind]);
        let mut members: Vec<Member> = lengths
            .iter()
            .enumerate()
            .map(|(i, len)| Member {
                session: engine.session(*len).unwrap(),
                tokens: ids(&engine, *len, i as u32),
            })
            .collect();
        for (present, n) in steps.into_iter().chain([(u32::MAX, 1), (u32::MAX, 500)]) {
            let next: Vec<_> = members.iter().map(|member| member.next(n)).collect();
            let mut feeds: Vec<Feed<'_>> = members
                .iter_mut()
                .zip(&next)
                .enumerate()
                .filter(|(i, (_, tokens))| present >> i & 1 == 1 && !tokens.is_empty())
                .map(|(_, (member, tokens))| Feed {
                    session: &mut member.session,
                    tokens,
                    rows: LogitRows::Last,
                })
                .collect();
            engine.step(&mut feeds).unwrap();
        }
        for (i, member) in members.iter().enumerate() {
            prop_assert_eq!(member.session.tokens(), &member.tokens[..]);
            prop_assert!(
                bits(member.session.logits()) == logits(&engine, &member.tokens),
                "sequence {} of {}", i, members.len()
            );
        }
    }
}

/// The ring of a short context holds all of it; that of a long one beside it does not.
#[test]
fn contexts_of_different_lengths_do_not_disturb_each_other() {
    let engine = engine_with("models/nano", &kinds()[0]);
    let (short, long) = (ids(&engine, 10, 1), ids(&engine, 700, 2));
    let (mut first, mut second) = (engine.session(10).unwrap(), engine.session(800).unwrap());
    let rows = LogitRows::Last;
    engine
        .step(&mut [
            Feed { session: &mut first, tokens: &short, rows },
            Feed { session: &mut second, tokens: &long, rows },
        ])
        .unwrap();
    assert!(bits(first.logits()) == logits(&engine, &short));
    assert!(bits(second.logits()) == logits(&engine, &long));
}
