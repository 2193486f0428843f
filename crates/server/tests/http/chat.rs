//! Chat Completions as whole answers.

use expect_test::expect;
use serde_json::{Value, json};

use crate::client::{Running, chat, normal, turns, with};

const CHAT: &str = "/v1/chat/completions";
const THOUGHT: &str = "<|channel|>analysis<|message|>User greets.<|end|><|start|>assistant\
                       <|channel|>final<|message|>Hello there!<|return|>";

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

/// A tool `get_weather`.
pub fn weather() -> Value {
    json!([{"type": "function", "function": {
        "name": "get_weather",
        "description": "The weather of a place.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}}
    }}])
}

#[test]
fn an_answer_has_reasoning_content_and_usage() {
    let server = Running::turns(&[THOUGHT]);
    expect![[r#"
        {
          "id": "chatcmpl-*",
          "object": "chat.completion",
          "created": 0,
          "model": "gpt-oss-20b",
          "choices": [
            {
              "index": 0,
              "message": {
                "role": "assistant",
                "content": "Hello there!",
                "refusal": null,
                "reasoning": "User greets.",
                "reasoning_content": "User greets."
              },
              "logprobs": null,
              "finish_reason": "stop"
            }
          ],
          "usage": {
            "prompt_tokens": 57,
            "completion_tokens": 17,
            "total_tokens": 74,
            "prompt_tokens_details": {
              "cached_tokens": 0
            },
            "completion_tokens_details": {
              "reasoning_tokens": 5
            }
          },
          "system_fingerprint": null
        }"#]]
    .assert_eq(&pretty(&normal(server.chat("Hi"))));
}

#[test]
fn paths_go_without_v1_as_well() {
    let server = Running::turns(&[THOUGHT]);
    let answer = server.ok("/chat/completions", &chat("Hi"));
    assert_eq!(answer["choices"][0]["message"]["content"], "Hello there!");
}

#[test]
fn reasoning_is_left_out_when_asked() {
    let server = Running::turns(&[THOUGHT]);
    for field in [json!({"include_reasoning": false}), json!({"reasoning": {"exclude": true}})] {
        let answer = server.ok(CHAT, &with(chat("Hi"), field));
        let message = &answer["choices"][0]["message"];
        assert_eq!(message["content"], "Hello there!");
        assert!(message.get("reasoning").is_none(), "{message}");
        assert!(message.get("reasoning_content").is_none(), "{message}");
        assert_eq!(answer["usage"]["completion_tokens_details"]["reasoning_tokens"], 5);
    }
}

#[test]
fn a_call_has_an_id_a_name_and_its_arguments_unchanged() {
    let call = "<|channel|>analysis<|message|>Look it up.<|end|><|start|>assistant\
                <|channel|>commentary<|message|>One moment.<|end|><|start|>assistant\
                <|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>\
                {\"place\": \"Oslo\"}<|call|>";
    let server = Running::turns(&[call, "<|channel|>final<|message|>Rain.<|return|>"]);
    let request = with(chat("Weather in Oslo?"), json!({"tools": weather()}));
    let answer = server.ok(CHAT, &request);
    expect![[r#"
        {
          "index": 0,
          "message": {
            "role": "assistant",
            "content": "One moment.",
            "refusal": null,
            "reasoning": "Look it up.",
            "reasoning_content": "Look it up.",
            "tool_calls": [
              {
                "id": "call_*",
                "type": "function",
                "function": {
                  "name": "get_weather",
                  "arguments": "{\"place\": \"Oslo\"}"
                }
              }
            ]
          },
          "logprobs": null,
          "finish_reason": "tool_calls"
        }"#]]
    .assert_eq(&pretty(&normal(answer["choices"][0].clone())));
    let message = answer["choices"][0]["message"].clone();
    let id = &message["tool_calls"][0]["id"];
    let mut next = request;
    let tool = json!({"role": "tool", "tool_call_id": id, "content": "rain"});
    next["messages"].as_array_mut().unwrap().extend([message, tool]);
    let answer = server.ok(CHAT, &next);
    assert_eq!(answer["choices"][0]["message"]["content"], "Rain.");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[test]
fn content_is_null_when_there_are_only_calls() {
    let call = "<|channel|>commentary to=functions.get_weather<|message|>{}<|call|>";
    let server = Running::turns(&[call]);
    let answer = server.ok(CHAT, &with(chat("Oslo?"), json!({"tools": weather()})));
    assert_eq!(answer["choices"][0]["message"]["content"], Value::Null);
}

#[test]
fn calls_in_one_answer_are_all_given_or_only_the_first() {
    let calls = "<|channel|>commentary to=functions.get_weather<|message|>{\"place\":\"A\"}<|end|>\
                 <|start|>assistant<|channel|>commentary to=functions.get_weather<|message|>\
                 {\"place\":\"B\"}<|call|>";
    let server = Running::turns(&[calls]);
    for (parallel, expected) in [(json!(true), 2), (Value::Null, 2), (json!(false), 1)] {
        let fields = json!({"tools": weather(), "parallel_tool_calls": parallel});
        let answer = server.ok(CHAT, &with(chat("A and B?"), fields));
        let found = answer["choices"][0]["message"]["tool_calls"].as_array().unwrap().len();
        assert_eq!(found, expected);
        assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    }
}

#[test]
fn several_choices_share_their_prompt() {
    let server = Running::turns(&[THOUGHT]);
    let one = server.chat("Hi");
    let three = server.ok(CHAT, &with(chat("Hi"), json!({"n": 3})));
    let indices: Vec<_> =
        three["choices"].as_array().unwrap().iter().map(|choice| &choice["index"]).collect();
    assert_eq!(indices, [0, 1, 2]);
    assert_eq!(three["usage"]["prompt_tokens"], one["usage"]["prompt_tokens"]);
    let tokens = |answer: &Value| answer["usage"]["completion_tokens"].as_u64().unwrap();
    assert_eq!(tokens(&three), 3 * tokens(&one));
}

#[test]
fn log_probabilities_are_those_of_the_content() {
    let server = Running::turns(&[THOUGHT]);
    let answer = server.ok(CHAT, &with(chat("Hi"), json!({"logprobs": true, "top_logprobs": 2})));
    let content = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    let text: String = content.iter().map(|entry| entry["token"].as_str().unwrap()).collect();
    assert_eq!(text, "Hello there!");
    for entry in content {
        assert_eq!(entry["top_logprobs"].as_array().unwrap().len(), 2);
        assert_eq!(entry["top_logprobs"][0]["token"], entry["token"]);
        assert_eq!(entry["logprob"], -0.25);
        assert_eq!(entry["bytes"][0], entry["token"].as_str().unwrap().as_bytes()[0]);
    }
}

#[test]
fn a_stop_string_ends_text_and_log_probabilities_alike() {
    let server =
        Running::turns(&["<|channel|>analysis<|message|>stop here? No.<|end|><|start|>assistant\
         <|channel|>final<|message|>one two stop here three<|return|>"]);
    let fields = json!({"stop": ["stop h"], "logprobs": true});
    let answer = server.ok(CHAT, &with(chat("Hi"), fields));
    let choice = &answer["choices"][0];
    assert_eq!(choice["message"]["content"], "one two ");
    assert_eq!(choice["message"]["reasoning"], "stop here? No.");
    assert_eq!(choice["finish_reason"], "stop");
    let content = choice["logprobs"]["content"].as_array().unwrap();
    let text: String = content.iter().map(|entry| entry["token"].as_str().unwrap()).collect();
    assert!(text.starts_with("one two") && text.len() <= "one two stop".len(), "{text}");
}

#[test]
fn the_limit_of_tokens_cuts_an_answer_off() {
    let server = Running::turns(&[THOUGHT]);
    for field in ["max_tokens", "max_completion_tokens"] {
        let mut request = chat("Hi");
        request[field] = json!(5);
        let answer = server.ok(CHAT, &request);
        assert_eq!(answer["choices"][0]["finish_reason"], "length");
        assert_eq!(answer["usage"]["completion_tokens"], 5);
        assert_eq!(answer["choices"][0]["message"]["content"], "");
    }
    // Evaluations ask for the whole context; that is no error.
    let answer = server.ok(CHAT, &with(chat("Hi"), json!({"max_tokens": 131_072})));
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[test]
fn nano_answers_and_the_same_seed_gives_the_same_answer() {
    let server = Running::nano();
    let greedy = with(chat("What is 2 plus 3?"), json!({"temperature": 0}));
    let answer = server.ok(CHAT, &greedy);
    assert_eq!(answer["choices"][0]["message"]["content"], "2 + 3 = 5.");
    assert_eq!(answer["model"], "nano");
    let story = |seed: u64| {
        let fields = json!({"seed": seed, "n": 2, "max_tokens": 24});
        let answer = server.ok(CHAT, &with(chat("Tell me a story."), fields));
        [0, 1].map(|i| answer["choices"][i]["message"]["content"].clone())
    };
    assert_eq!(story(7), story(7));
    assert_ne!(story(7), story(8));
    assert_ne!(story(7)[0], story(7)[1]);
}

#[test]
fn wrong_requests_are_refused_with_the_field() {
    let server = Running::scripted(turns(&[THOUGHT]));
    let cases = [
        (json!({"messages": []}), "messages"),
        (json!({"messages": [{"role": "system", "content": "Be kind."}]}), "messages"),
        (json!({"messages": [{"role": "robot", "content": "x"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
        (json!({"messages": [{"role": "user", "content": "x", "name": "a b"}]}), "name"),
        (json!({"messages": 3}), "messages"),
        (with(chat("x"), json!({"temperature": "hot"})), "temperature"),
        (with(chat("x"), json!({"temperature": 3})), "temperature"),
        (with(chat("x"), json!({"top_p": 0})), "top_p"),
        (with(chat("x"), json!({"n": 0})), "n"),
        (with(chat("x"), json!({"max_tokens": 0})), "max_tokens"),
        (with(chat("x"), json!({"top_logprobs": 2})), "top_logprobs"),
        (with(chat("x"), json!({"logprobs": true, "top_logprobs": 21})), "top_logprobs"),
        (with(chat("x"), json!({"logit_bias": {"999999": 1}})), "logit_bias"),
        (with(chat("x"), json!({"stop": 1})), "stop"),
        (with(chat("x"), json!({"tool_choice": "required"})), "tool_choice"),
        (with(chat("x"), json!({"tools": weather(), "tool_choice": "some"})), "tool_choice"),
        (with(chat("x"), json!({"tools": [{"type": "web_search"}]})), "tools[0].type"),
        (with(chat("x"), json!({"reasoning_effort": "huge"})), "reasoning_effort"),
        (with(chat("x"), json!({"response_format": {"type": "xml"}})), "response_format.type"),
        (with(chat("x"), json!({"audio": {"voice": "v"}})), "audio"),
        (with(chat("x"), json!({"verbosity": "low"})), "verbosity"),
        (with(chat("x"), json!({"model": "gpt-9"})), "model"),
    ];
    for (request, param) in cases {
        let answer = server.post(CHAT, &request);
        let status = if param == "model" { 404 } else { 400 };
        assert_eq!(answer.status, status, "{request}: {}", answer.body);
        assert_eq!(answer.error()["param"], param, "{request}: {}", answer.body);
    }
    for body in ["", "{", "[]", "null", "{\"messages\": \u{0}}"] {
        let answer = server.ask("POST", CHAT, &[], body.as_bytes());
        assert_eq!(answer.status, 400, "{body}");
        answer.error();
    }
}

#[test]
fn efforts_are_honoured_or_refused_never_ignored() {
    let server = Running::turns(&[THOUGHT]);
    let tokens = |fields: Value| {
        server.ok(CHAT, &with(chat("Hi"), fields))["usage"]["prompt_tokens"].clone()
    };
    // All efforts are one token: what counts here is that they are taken.
    for word in ["none", "minimal", "low", "medium", "high", "xhigh", "max"] {
        assert_eq!(tokens(json!({"reasoning_effort": word})), tokens(json!({})));
    }
    let nano = Running::nano();
    let request = with(chat("Hi"), json!({"reasoning_effort": "low"}));
    assert_eq!(nano.refused(CHAT, &request, 400)["param"], "reasoning_effort");
}
