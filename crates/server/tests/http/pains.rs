//! What broke for users of other systems, each named after where it was reported.

use serde_json::{Value, json};

use crate::chat::weather;
use crate::client::{Running, chat, with};
use crate::streams::{chunks, joined};

const CHAT: &str = "/v1/chat/completions";

/// The answer to `text` by a model that writes `written`, which a stream gives as well.
fn answer(written: &str, fields: Value) -> Value {
    let server = Running::turns(&[written]);
    let request = with(chat("Hi"), fields);
    let whole = server.ok(CHAT, &request)["choices"][0].clone();
    let streamed = joined(&chunks(&server, &request));
    assert_eq!(streamed["message"]["content"], whole["message"]["content"]);
    assert_eq!(
        streamed["message"]["reasoning"],
        whole["message"].get("reasoning").cloned().unwrap_or_default()
    );
    assert_eq!(streamed["finish_reason"], whole["finish_reason"]);
    whole
}

#[track_caller]
fn content(written: &str, expected: &str) {
    let choice = answer(written, json!({}));
    assert_eq!(choice["message"]["content"], expected, "{choice}");
    assert_eq!(choice["finish_reason"], "stop");
}

#[track_caller]
fn call(written: &str, name: &str, arguments: &str) {
    let choice = answer(written, json!({"tools": weather()}));
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(call["function"]["name"], name, "{choice}");
    assert_eq!(call["function"]["arguments"], arguments, "{choice}");
    assert!(call["id"].as_str().unwrap().len() > 5, "{choice}");
    assert_eq!(choice["finish_reason"], "tool_calls");
}

#[test]
fn vllm_22519_a_header_without_start_still_calls_the_tool() {
    call(
        "<|channel|>analysis<|message|>Hm.<|end|> commentary to=functions.get_weather<|message|>\
         {}<|call|>",
        "get_weather",
        "{}",
    );
}

#[test]
fn vllm_23567_odd_channels_do_not_fail_the_request() {
    call(
        "<|channel|>\u{2013}\u{2013}commentary to=functions.get_weather<|message|>{}<|call|>",
        "get_weather",
        "{}",
    );
    content("<|channel|>final <|constrain|>response<|message|>Yes.<|return|>", "Yes.");
}

#[test]
fn vllm_50690_a_double_end_does_not_lose_the_answer() {
    content("<|channel|>final<|message|>Done.<|end|><|return|>", "Done.");
}

#[test]
fn vllm_45736_a_malformed_final_is_not_lost() {
    content("<|channel|>final The answer is 4.<|return|>", "The answer is 4.");
}

#[test]
fn harmony_80_a_refusal_without_any_header_is_an_answer() {
    content(
        "I'm sorry, but I can't help with that.<|return|>",
        "I'm sorry, but I can't help with that.",
    );
}

#[test]
fn harmony_33_the_end_inside_a_header_is_an_empty_answer() {
    for written in ["<|channel|><|return|>", "<|channel|>analysis<|return|>", "<|return|>"] {
        content(written, "");
    }
    let cut = answer("<|channel|>ana", json!({}));
    assert_eq!(cut["finish_reason"], "length");
}

#[test]
fn harmony_56_final_json_is_final() {
    content("<|channel|>final json<|message|>{\"a\": 1}<|return|>", "{\"a\": 1}");
}

#[test]
fn llama_cpp_21286_commentary_to_assistant_is_no_call() {
    let written = "<|channel|>commentary to=assistant<|channel|>analysis<|message|>Thinking.<|end|>\
                   <|start|>assistant<|channel|>final<|message|>Answer.<|return|>";
    let choice = answer(written, json!({"tools": weather()}));
    assert_eq!(choice["message"]["content"], "Answer.");
    assert_eq!(choice["message"]["reasoning"], "Thinking.");
    assert!(choice["message"].get("tool_calls").is_none());
}

#[test]
fn macprovider_743_channels_do_not_leak_into_the_content() {
    let choice = answer(
        "<|channel|>analysis<|message|>secret thoughts<|end|><|start|>assistant\
         <|channel|>final<|message|>Public.<|return|>",
        json!({}),
    );
    let content = choice["message"]["content"].as_str().unwrap();
    assert!(!content.contains("<|") && !content.contains("secret"), "{content}");
}

#[test]
fn ollama_11704_bad_json_arguments_reach_the_client() {
    for arguments in ["{\"content\": \"unfinished", "[{\"place\": 1}]", "ls -la", "{'a': 1}"] {
        let written = format!(
            "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>\
             {arguments}<|call|>"
        );
        call(&written, "get_weather", arguments);
    }
}

#[test]
fn lmstudio_942_a_recipient_after_the_channel_or_the_role_is_read() {
    for header in [
        "<|channel|>commentary to=functions.get_weather json<|message|>",
        " to=functions.get_weather<|channel|>commentary json<|message|>",
        " to=functions.get_weather<|channel|>commentary to=functions.get_weather<|message|>",
        "<|channel|>commentary to=get_weather<|message|>",
    ] {
        call(&format!("{header}{{}}<|call|>"), "get_weather", "{}");
    }
}

#[test]
fn lmstudio_830_every_call_has_an_id_of_its_own() {
    let server = Running::turns(&[
        "<|channel|>commentary to=functions.get_weather<|message|>{}<|end|><|start|>assistant\
         <|channel|>commentary to=functions.get_weather<|message|>{}<|call|>",
    ]);
    let answer = server.ok(CHAT, &with(chat("x"), json!({"tools": weather()})));
    let calls = &answer["choices"][0]["message"]["tool_calls"];
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    assert!(calls[0]["id"].as_str().is_some_and(|id| id.starts_with("call_")));
}

#[test]
fn vllm_25514_arguments_are_never_streamed_as_reasoning() {
    let written = "<|channel|>analysis to=functions.get_weather<|message|>{\"place\":1}<|call|>";
    let server = Running::turns(&[written]);
    let streamed = joined(&chunks(&server, &with(chat("x"), json!({"tools": weather()}))));
    assert!(streamed["message"].get("reasoning").is_none(), "{streamed}");
    let call = &streamed["message"]["tool_calls"][0];
    assert_eq!(call["function"]["arguments"], "{\"place\":1}");
}

#[test]
fn calls_of_tools_that_nobody_offered_are_not_lost() {
    let written = "<|channel|>analysis to=python<|message|>print(6*7)<|call|>";
    // Where tools are offered the client is told of the call, and can say that there is no such
    // tool; where none are, its text is shown.
    call(written, "python", "print(6*7)");
    let choice = answer(written, json!({}));
    assert_eq!(choice["message"]["content"], "print(6*7)");
    assert_eq!(choice["finish_reason"], "stop");
}

#[test]
fn tenstorrent_386_an_error_is_never_a_success() {
    let script = json!({"default": [{"text": "", "fail": "no"}]});
    let server = Running::scripted(serde_json::from_value(script).unwrap());
    server.refused(CHAT, &chat("x"), 500);
    server.refused("/v1/responses", &json!({"input": "x"}), 500);
    server.refused("/v1/completions", &json!({"prompt": "x"}), 500);
}

#[test]
fn kortix_6368_a_full_context_has_the_code_that_agents_look_for() {
    let server = Running::nano();
    let long = "word ".repeat(5000);
    let cases = [
        (CHAT, chat(&long)),
        ("/v1/responses", json!({"input": long})),
        ("/v1/completions", json!({"prompt": long})),
        ("/v1/embeddings", json!({"input": long})),
    ];
    for (path, request) in cases {
        let error = server.refused(path, &request, 400);
        assert_eq!(error["code"], "context_length_exceeded", "{path}");
        assert!(error["message"].as_str().unwrap().contains("maximum context length is 1024"));
    }
}

#[test]
fn ollama_12589_think_is_refused_and_says_what_to_use() {
    let server = Running::turns(&["<|channel|>final<|message|>x<|return|>"]);
    let error = server.refused(CHAT, &with(chat("x"), json!({"think": false})), 400);
    assert!(error["message"].as_str().unwrap().contains("reasoning_effort"), "{error}");
}

#[test]
fn utf_8_is_never_split_between_chunks() {
    let text = "\u{1f469}\u{200d}\u{1f680} na\u{ef}ve \u{4f60}\u{597d} \u{1d11e}";
    let server = Running::turns(&[&format!("<|channel|>final<|message|>{text}<|return|>")]);
    let chunks = chunks(&server, &chat("x"));
    assert_eq!(joined(&chunks)["message"]["content"], text);
    for chunk in &chunks {
        let piece = chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
        assert!(!piece.contains('\u{fffd}'), "{piece:?}");
    }
}

#[test]
fn repairs_are_counted() {
    let server = Running::turns(&["Bare text.<|return|>"]);
    server.chat("x");
    let metrics = server.get("/metrics").body;
    let line = metrics.lines().find(|line| line.starts_with("gptoss_repaired_harmony_total{"));
    assert!(line.is_some_and(|line| line.contains("bare_text") && line.ends_with(" 1")));
}
