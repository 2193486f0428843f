//! The plain way: every request by itself, from its first token on.

use std::path::{Path, PathBuf};

use gptoss_engine::{
    Engine, EngineOptions, GenerateParams, Generation, SamplingParams, Session, argmax,
    log_probabilities,
};
use gptoss_eval::data::Data;
use gptoss_eval::engine_model::{EngineModel, ModelOptions};
use gptoss_eval::model::Scored;
use gptoss_eval::request::{PromptOptions, Question, questions};
use gptoss_eval::task::find;
use gptoss_eval::tokens::TokenPair;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The model that is part of the program.
pub fn nano() -> Engine {
    Engine::load("nano").unwrap()
}

/// A tiny model with random weights, run as `options` say. It gets a tokenizer, because an
/// evaluation needs one; nothing is encoded with it.
pub fn t64(folder: &tempfile::TempDir, options: &EngineOptions) -> Engine {
    let files = [
        "testdata/models/t64/mxfp4/config.json",
        "testdata/models/t64/mxfp4/model.safetensors",
        "models/nano/tokenizer.json",
    ];
    for file in files {
        let from = repository(file);
        std::fs::copy(&from, folder.path().join(from.file_name().unwrap())).unwrap();
    }
    Engine::load_with(folder.path().to_str().unwrap(), options).unwrap()
}

/// The model as it is evaluated, with so many sequences at once.
pub fn model(engine: &Engine, sequences_max: usize) -> EngineModel {
    EngineModel::new(engine, ModelOptions { sequences_max, ..ModelOptions::of(engine) }).unwrap()
}

/// The first questions of a task of the test data.
pub fn asked(task: &str, shots: usize, limit: usize) -> Vec<Question> {
    let data = Data::new(repository("testdata/eval/data"));
    let task = find(task).unwrap().tasks.remove(0);
    let options =
        PromptOptions { shots: Some(shots), limit: Some(limit), ..PromptOptions::default() };
    questions(&task, &data, &options).unwrap().questions
}

fn session(engine: &Engine) -> Session {
    engine.session(engine.config().max_position_embeddings.min(4096)).unwrap()
}

/// The log-likelihood of one pair: all its tokens in one pass.
pub fn score(engine: &Engine, pair: &TokenPair) -> Scored {
    let computed = &pair.ids[..pair.ids.len() - 1];
    let logits = session(engine).observe(computed, &mut ()).unwrap();
    let rows: Vec<&[f32]> = logits.chunks(engine.config().vocab_size).collect();
    let mut scored = Scored { logprob: 0.0, greedy: true };
    for place in pair.context_len..pair.ids.len() {
        let row = rows[place - 1];
        scored.logprob += log_probabilities(row)(pair.ids[place]);
        scored.greedy &= argmax(row) == pair.ids[place];
    }
    scored
}

/// A context with the token that the model finds most likely behind it.
pub fn likeliest(engine: &Engine, context: &[u32]) -> TokenPair {
    let logits = session(engine).observe(context, &mut ()).unwrap();
    let last = logits.rchunks(engine.config().vocab_size).next().unwrap();
    let ids = [context, &[argmax(last)]].concat();
    TokenPair { ids, context_len: context.len(), lost: 0 }
}

/// The tokens that follow a prompt, one after the other.
pub fn continued(
    engine: &Engine,
    prompt: &[u32],
    max_tokens: usize,
    sampling: SamplingParams,
) -> Vec<u32> {
    let mut session = session(engine);
    session.sync(prompt).unwrap();
    let stop_tokens = engine.model().chat.eos_token_ids.clone();
    let params = GenerateParams { sampling, stop_tokens, max_tokens, top_logprobs: None };
    let mut generation = Generation::new(&session, params);
    let mut tokens = Vec::new();
    while let Some(step) = generation.next(&mut session).unwrap() {
        tokens.push(step.token);
    }
    tokens
}
