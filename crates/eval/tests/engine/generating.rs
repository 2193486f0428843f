//! Texts.

use gptoss_engine::{ChatOpening, Engine, SamplingParams, StopStrings, prompt_tokens};
use gptoss_eval::EvalError;
use gptoss_eval::engine_model::{EngineModel, ModelOptions};
use gptoss_eval::model::{EvalModel, GeneratePrompt, GenerateRequest, Generated};
use gptoss_eval::tokens::Limit;
use gptoss_harmony::{Conversation, Message, Role};

use crate::plain;

fn text(prompt: &str) -> GenerateRequest {
    GenerateRequest {
        prompt: GeneratePrompt::Text(prompt.into()),
        until: vec!["\n".into(), " and".into()],
        max_tokens: 24,
        temperature: 0.0,
        top_p: 1.0,
        seed: 0,
    }
}

fn chat(user: &str, temperature: f64, seed: u64) -> GenerateRequest {
    let prompt = GeneratePrompt::Chat { user: user.into(), effort: None };
    GenerateRequest { prompt, until: Vec::new(), temperature, seed, ..text("") }
}

fn generate(model: &mut EngineModel, requests: &[GenerateRequest]) -> Vec<Generated> {
    let mut found = vec![None; requests.len()];
    model
        .generate(requests, &mut |request, generated| {
            assert!(found[request].replace(generated).is_none(), "request {request} came twice");
            Ok(())
        })
        .unwrap();
    found.into_iter().map(Option::unwrap).collect()
}

const PROMPTS: [&str; 9] = [
    "Once upon a time",
    "Once upon a time there was a",
    "Once upon a time there was a little girl",
    "What is 2 plus 3?",
    "The sun is",
    "Thank you very",
    "In the garden, a boy",
    "My name is",
    "Good",
];

#[test]
fn company_changes_no_text() {
    let engine = plain::nano();
    let mut requests: Vec<GenerateRequest> = PROMPTS.iter().map(|prompt| text(prompt)).collect();
    requests.extend(PROMPTS.iter().enumerate().map(|(i, user)| chat(user, 1.0, i as u64)));
    let mut alone = Vec::new();
    for request in &requests {
        alone.extend(generate(&mut plain::model(&engine, 1), std::slice::from_ref(request)));
    }
    for at_once in [3, 64] {
        let mut model = plain::model(&engine, at_once);
        let found = generate(&mut model, &requests);
        assert_eq!(found, alone, "{at_once} at once");
        let cost = model.cost();
        assert_eq!(cost.requests, requests.len());
        assert!(cost.computed_tokens <= cost.naive_tokens && cost.computed_tokens > 0, "{cost:?}");
    }
    let truncated = alone.iter().filter(|generated| generated.truncated).count();
    assert!(truncated > 0 && truncated < alone.len(), "{truncated} of {}", alone.len());
}

/// What the engine's own loop gives, one token after the other.
fn expected(engine: &Engine, prompt: &str) -> (String, usize) {
    let tokenizer = engine.tokenizer().unwrap();
    let ids = tokenizer.encode(prompt);
    let tokens = plain::continued(engine, &ids, 24, SamplingParams::default());
    let mut stop = StopStrings::new(["\n".to_string(), " and".into()]);
    let (mut shown, mut used) = (String::new(), 0);
    for token in tokens {
        used += 1;
        if !engine.model().chat.eos_token_ids.contains(&token) {
            shown += &stop.push(&tokenizer.decode(&[token]).unwrap());
        }
        if stop.found() {
            break;
        }
    }
    (shown + &stop.finish(), used)
}

#[test]
fn the_likeliest_tokens_come() {
    let engine = plain::nano();
    let requests: Vec<GenerateRequest> = PROMPTS.iter().map(|prompt| text(prompt)).collect();
    let found = generate(&mut plain::model(&engine, 8), &requests);
    let mut stopped = 0;
    for (prompt, generated) in PROMPTS.iter().zip(&found) {
        let (text, tokens) = expected(&engine, prompt);
        assert_eq!((&generated.text, generated.tokens), (&text, tokens), "{prompt}");
        stopped += usize::from(!generated.truncated);
    }
    assert!(stopped > 0, "no stop string came");
}

#[test]
fn conversations_are_those_of_the_engine() {
    let engine = plain::nano();
    let requests = [chat(PROMPTS[3], 0.0, 0), chat(PROMPTS[3], 1.0, 1), chat(PROMPTS[3], 1.0, 2)];
    let found = generate(&mut plain::model(&engine, 8), &requests);
    let mut messages = ChatOpening::default().messages(&engine);
    messages.push(Message::new(Role::User, PROMPTS[3]));
    let (prompt, _) = prompt_tokens(&engine, &Conversation::new(messages)).unwrap();
    let tokens = plain::continued(&engine, &prompt, 24, SamplingParams::default());
    assert_eq!(found[0].tokens, tokens.len());
    assert!(found[0].text.contains('5'), "{found:?}");
    assert_ne!(found[1], found[2], "another seed, another answer");
}

#[test]
fn prompts_are_cut_so_that_answers_have_room() {
    let engine = plain::nano();
    let limit = Limit::Direct { max_length: 40 };
    let mut model =
        EngineModel::new(&engine, ModelOptions { limit, ..ModelOptions::of(&engine) }).unwrap();
    let long = "word ".repeat(100) + "Once upon a";
    let found = generate(&mut model, &[text(&long)]);
    let ids = engine.tokenizer().unwrap().encode(&long);
    let cut = engine.tokenizer().unwrap().decode(&ids[ids.len() - 16..]).unwrap();
    assert_eq!(found, generate(&mut model, &[text(&cut)]));
    let refused = |model: &mut EngineModel, request: GenerateRequest| {
        model.generate(&[request], &mut |_, _| Ok(())).unwrap_err().to_string()
    };
    let more = GenerateRequest { max_tokens: 40, ..text("a") };
    assert!(refused(&mut model, more).contains("--max-tokens"));
    assert!(refused(&mut model, chat(&long, 0.0, 0)).contains("does not fit into 40"));
    let mut with_effort = chat("a", 0.0, 0);
    with_effort.prompt = GeneratePrompt::Chat { user: "a".into(), effort: Some("low".into()) };
    assert!(refused(&mut model, with_effort).contains("not supported: an effort"));
}

#[test]
fn a_run_ends_when_it_is_asked_to() {
    let engine = plain::nano();
    let options = ModelOptions { sequences_max: 1, ..ModelOptions::of(&engine) };
    let stop = options.stop.clone();
    let mut model = EngineModel::new(&engine, options).unwrap();
    let requests: Vec<GenerateRequest> = PROMPTS.iter().map(|prompt| text(prompt)).collect();
    let mut given = 0;
    let outcome = model.generate(&requests, &mut |_, _| {
        given += 1;
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    });
    assert!(matches!(outcome, Err(EvalError::Interrupted)), "{outcome:?}");
    assert_eq!(given, 1);
}
