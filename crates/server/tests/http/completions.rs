//! Completions, embeddings and the tokenizer, by nano.

use gptoss_engine::{Engine, log_probabilities};
use serde_json::{Value, json};

use crate::client::{Event, Running, with};

const PATH: &str = "/v1/completions";

fn ids(server: &Running, text: &str) -> Vec<u32> {
    let answer = server.ok("/tokenize", &json!({"prompt": text, "add_special_tokens": false}));
    assert_eq!(answer["count"], answer["tokens"].as_array().unwrap().len());
    serde_json::from_value(answer["tokens"].clone()).unwrap()
}

/// A number as this client reads it from JSON: its parser is off by the last bit at times.
fn read(number: f64) -> f64 {
    serde_json::from_str(&json!(number).to_string()).unwrap()
}

/// The request of lm-eval 0.4.13's `local-completions` for log-likelihoods.
fn loglikelihood(prompts: &[Vec<u32>]) -> Value {
    json!({"model": "nano", "prompt": prompts, "temperature": 0, "max_tokens": 1, "logprobs": 1,
        "seed": 1234, "echo": true})
}

#[test]
fn lm_eval_reads_the_log_probabilities_of_prompts() {
    let server = Running::nano();
    let texts = ["The sun is warm.", "Once upon a time there was a dog"];
    let prompts = texts.map(|text| ids(&server, text));
    let answer = server.ok(PATH, &loglikelihood(&prompts));
    let engine = Engine::load("nano").unwrap();
    let vocab_size = engine.config().vocab_size;
    for (index, prompt) in prompts.iter().enumerate() {
        let choice = &answer["choices"][index];
        assert_eq!(choice["index"], index);
        let logprobs = &choice["logprobs"];
        let of_tokens = logprobs["token_logprobs"].as_array().unwrap();
        // The echoed prompt and exactly one generated token, the first entry null.
        assert_eq!(of_tokens.len(), prompt.len() + 1);
        for list in ["tokens", "top_logprobs", "text_offset"] {
            assert_eq!(logprobs[list].as_array().unwrap().len(), prompt.len() + 1, "{list}");
        }
        assert_eq!((&of_tokens[0], &logprobs["top_logprobs"][0]), (&Value::Null, &Value::Null));
        let mut session = engine.session(1024).unwrap();
        let logits = session.observe(prompt, &mut ()).unwrap();
        for (position, row) in logits.chunks(vocab_size).enumerate().take(prompt.len() - 1) {
            let expected = log_probabilities(row)(prompt[position + 1]);
            assert_eq!(
                of_tokens[position + 1].as_f64(),
                Some(read(expected)),
                "position {position}"
            );
            let best = (0..vocab_size as u32).map(log_probabilities(row)).fold(f64::MIN, f64::max);
            let top = logprobs["top_logprobs"][position + 1].as_object().unwrap();
            let found = top.values().filter_map(Value::as_f64).fold(f64::MIN, f64::max);
            assert_eq!(found, read(best), "the most likely token is there");
        }
        let text = choice["text"].as_str().unwrap();
        assert!(text.starts_with(texts[index]), "{text}");
    }
}

#[test]
fn offsets_point_into_the_text() {
    let server = Running::nano();
    let fields = json!({"prompt": "A big red", "max_tokens": 6, "logprobs": 0, "echo": true,
        "temperature": 0});
    let answer = server.ok(PATH, &fields);
    let choice = &answer["choices"][0];
    let text: Vec<char> = choice["text"].as_str().unwrap().chars().collect();
    let logprobs = &choice["logprobs"];
    let tokens = logprobs["tokens"].as_array().unwrap();
    for (token, offset) in tokens.iter().zip(logprobs["text_offset"].as_array().unwrap()) {
        let offset = offset.as_u64().unwrap() as usize;
        let token: Vec<char> = token.as_str().unwrap().chars().collect();
        if offset < text.len() {
            assert_eq!(text[offset..offset + token.len()], token[..]);
        }
    }
}

#[test]
fn the_token_that_ends_a_text_has_its_entry() {
    let server = Running::nano();
    let prompt = "<|start|>user<|message|>What is 2 plus 3?<|end|><|start|>assistant\
                  <|channel|>final<|message|>2 + 3 = 5.";
    let fields = json!({"prompt": prompt, "max_tokens": 4, "logprobs": 1, "temperature": 0});
    let answer = server.ok(PATH, &fields);
    let choice = &answer["choices"][0];
    assert_eq!((&choice["text"], &choice["finish_reason"]), (&json!(""), &json!("stop")));
    assert_eq!(choice["logprobs"]["tokens"], json!(["<|return|>"]));
}

#[test]
fn prompts_come_as_text_ids_and_lists_of_both() {
    let server = Running::nano();
    let (a, b) = ("Once upon a time", "The dog");
    let prompt_of = |prompt: Value| {
        let fields = json!({"prompt": prompt, "max_tokens": 8, "temperature": 0});
        let answer = server.ok(PATH, &fields);
        let texts = answer["choices"].as_array().unwrap();
        texts.iter().map(|choice| choice["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let one = prompt_of(json!(a));
    assert_eq!(prompt_of(json!([a])), one);
    assert_eq!(prompt_of(json!(ids(&server, a))), one);
    let both = prompt_of(json!([a, b]));
    assert_eq!(both[0], one[0]);
    assert_eq!(prompt_of(json!([ids(&server, a), ids(&server, b)])), both);
}

#[test]
fn many_prompts_and_choices_keep_their_places() {
    let server = Running::nano();
    let prompts: Vec<String> = (0..40).map(|i| format!("Number {i} is")).collect();
    let fields = json!({"prompt": prompts, "max_tokens": 1, "n": 2, "echo": true, "seed": 1});
    let answer = server.ok(PATH, &fields);
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 80);
    for (index, choice) in choices.iter().enumerate() {
        assert_eq!(choice["index"], index);
        assert!(choice["text"].as_str().unwrap().starts_with(&prompts[index / 2]), "{choice}");
    }
}

#[test]
fn a_stream_adds_up_to_the_whole_text() {
    let server = Running::nano();
    let fields = json!({"prompt": ["Once upon", "The"], "max_tokens": 12, "temperature": 0,
        "echo": true, "logprobs": 1, "stop": ["zzz"]});
    let whole = server.ok(PATH, &fields);
    let streaming = json!({"stream": true, "stream_options": {"include_usage": true}});
    let mut events = server.events(PATH, &with(fields, streaming));
    assert_eq!(events.pop(), Some(Event { name: None, data: "[DONE]".to_owned() }));
    let usage = events.pop().unwrap().json()["usage"].clone();
    assert_eq!(usage["completion_tokens"], whole["usage"]["completion_tokens"]);
    for index in 0..2 {
        let own = events.iter().map(Event::json).map(|event| event["choices"][0].clone());
        let own: Vec<Value> = own.filter(|choice| choice["index"] == index).collect();
        let expected = &whole["choices"][index];
        let text: String = own.iter().map(|choice| choice["text"].as_str().unwrap()).collect();
        assert_eq!(expected["text"], text);
        for list in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
            let list_of = |choice: &Value| choice["logprobs"][list].as_array().unwrap().clone();
            let joined: Vec<Value> = own.iter().flat_map(list_of).collect();
            assert_eq!(expected["logprobs"][list], json!(joined), "{list}");
        }
        assert_eq!(own.last().unwrap()["finish_reason"], expected["finish_reason"]);
    }
}

#[test]
fn a_stop_string_is_never_part_of_the_text() {
    let server = Running::nano();
    let fields = json!({"prompt": "Once upon a time", "max_tokens": 30, "temperature": 0});
    let text = server.ok(PATH, &fields)["choices"][0]["text"].as_str().unwrap().to_owned();
    let stop: String = text.chars().skip(10).take(4).collect();
    let answer = server.ok(PATH, &with(fields, json!({"stop": stop, "logprobs": 0})));
    let choice = &answer["choices"][0];
    assert_eq!(choice["text"], text[..text.find(&stop).unwrap()]);
    assert_eq!(choice["finish_reason"], "stop");
    let tokens = choice["logprobs"]["tokens"].as_array().unwrap();
    assert!(!tokens.is_empty());
}

#[test]
fn the_prompt_alone_can_be_scored() {
    let server = Running::nano();
    let fields = json!({"prompt": "The sun", "max_tokens": 0, "echo": true, "logprobs": 1});
    let answer = server.ok(PATH, &fields);
    let choice = &answer["choices"][0];
    assert_eq!(choice["text"], "The sun");
    assert_eq!(choice["finish_reason"], "length");
    assert_eq!(answer["usage"]["completion_tokens"], 0);
}

#[test]
fn wrong_requests_are_refused_with_the_field() {
    let server = Running::nano();
    let cases = [
        (json!({"prompt": ""}), "prompt"),
        (json!({"prompt": []}), "prompt"),
        (json!({"prompt": [[]]}), "prompt"),
        (json!({"prompt": [99_999]}), "prompt"),
        (json!({"prompt": {"a": 1}}), "prompt"),
        (json!({"prompt": "x", "best_of": 4}), "best_of"),
        (json!({"prompt": "x", "suffix": "y"}), "suffix"),
        (json!({"prompt": "x", "logprobs": 50}), "logprobs"),
        (json!({"prompt": "x", "max_tokens": -1}), "max_tokens"),
        (json!({"prompt": vec!["x"; 3000]}), "prompt"),
    ];
    for (request, param) in cases {
        assert_eq!(server.refused(PATH, &request, 400)["param"], param);
    }
}

#[test]
fn embeddings_are_the_mean_of_the_last_hidden_states() {
    let server = Running::nano();
    let text = "The dog runs.";
    let answer = server.ok("/v1/embeddings", &json!({"input": [text, "Other."]}));
    let numbers = |value: &Value| {
        let numbers = value.as_array().unwrap().iter();
        numbers.map(|number| number.as_f64().unwrap() as f32).collect::<Vec<f32>>()
    };
    let found = numbers(&answer["data"][0]["embedding"]);
    let engine = Engine::load("nano").unwrap();
    let prompt = engine.tokenizer().unwrap().encode(text);
    let mut trace = gptoss_engine::Trace::new(engine.config());
    engine.session(1024).unwrap().observe(&prompt, &mut trace).unwrap();
    let width = engine.config().hidden_size;
    let last = trace.hidden.last().unwrap();
    for (i, number) in found.iter().enumerate() {
        let sum: f64 = last.chunks(width).map(|row| f64::from(row[i])).sum();
        assert_eq!(*number, (sum / prompt.len() as f64) as f32, "{i}");
    }
    assert_eq!(found.len(), width);
    // The client of Python asks for base64 unless told otherwise.
    let packed = json!({"input": text, "encoding_format": "base64", "dimensions": width});
    let packed = server.ok("/v1/embeddings", &packed);
    let packed = packed["data"][0]["embedding"].as_str().unwrap().len();
    assert_eq!(packed, (4 * width).div_ceil(3) * 4);
    let fewer = json!({"input": text, "dimensions": 3});
    assert_eq!(server.refused("/v1/embeddings", &fewer, 400)["param"], "dimensions");
}

#[test]
fn the_tokenizer_is_there_for_clients_without_one() {
    let server = Running::nano();
    let tokens = ids(&server, "Hello <|end|>");
    assert!(tokens.len() >= 2);
    let text = server.ok("/detokenize", &json!({"tokens": tokens}));
    assert_eq!(text["prompt"], "Hello <|end|>");
    let info = server.get("/tokenizer_info").json();
    assert!(info["eos_token"].is_string() && info["chat_template"].is_null(), "{info}");
    let wrong = json!({"tokens": [99_999_999]});
    assert_eq!(server.refused("/detokenize", &wrong, 400)["param"], "tokens");
}
