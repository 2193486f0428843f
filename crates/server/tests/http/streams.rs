//! Chat Completions as events.

use expect_test::expect_file;
use serde_json::{Value, json};

use crate::chat::weather;
use crate::client::{Event, Running, chat, normal, with};

const CHAT: &str = "/v1/chat/completions";

/// The chunks of a stream, whose end is checked.
pub fn chunks(server: &Running, request: &Value) -> Vec<Value> {
    let mut events = server.events(CHAT, &with(request.clone(), json!({"stream": true})));
    let done = Event { name: None, data: "[DONE]".to_owned() };
    assert_eq!(events.pop(), Some(done));
    events.iter().map(Event::json).collect()
}

/// What a client makes of the chunks of one choice.
pub fn joined(chunks: &[Value]) -> Value {
    let mut message = json!({"role": "assistant", "content": null, "refusal": null});
    let mut finish_reason = Value::Null;
    let append = |to: &mut Value, text: &Value| {
        let text = text.as_str().unwrap();
        *to = json!(format!("{}{text}", to.as_str().unwrap_or_default()));
    };
    for chunk in chunks {
        let Some(choice) = chunk["choices"].get(0) else { continue };
        for key in ["content", "reasoning", "reasoning_content"] {
            // The first chunk has empty content whatever follows.
            if let Some(text) = choice["delta"].get(key).filter(|text| **text != "") {
                append(&mut message[key], text);
            }
        }
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = call["index"].as_u64().unwrap() as usize;
            if call.get("id").is_some() {
                let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
                assert_eq!(calls.len(), index);
                let mut call = call.clone();
                call.as_object_mut().unwrap().remove("index");
                message["tool_calls"] = Value::from([calls, vec![call]].concat());
            } else {
                let function = &mut message["tool_calls"][index]["function"];
                append(&mut function["arguments"], &call["function"]["arguments"]);
            }
        }
        assert_eq!(finish_reason, Value::Null, "nothing follows the end");
        finish_reason = choice["finish_reason"].clone();
    }
    if message["content"].is_null() && message.get("tool_calls").is_none() {
        message["content"] = json!("");
    }
    json!({"message": message, "finish_reason": finish_reason})
}

#[test]
fn chunks_come_in_the_order_of_the_interface() {
    let server = Running::turns(&[
        "<|channel|>analysis<|message|>Think.<|end|><|start|>assistant<|channel|>commentary \
         to=functions.get_weather <|constrain|>json<|message|>{\"a\":1}<|call|>",
    ]);
    let fields = json!({"tools": weather(), "stream_options": {"include_usage": true}});
    let chunks = chunks(&server, &with(chat("Oslo?"), fields));
    for chunk in &chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        for key in ["id", "created", "model"] {
            assert_eq!(chunk[key], chunks[0][key]);
        }
    }
    let short = |chunk: &Value| {
        let chunk = normal(chunk.clone());
        let choice = &chunk["choices"][0];
        format!("{} {} {}", choice["delta"], choice["finish_reason"], chunk["usage"])
    };
    let lines: Vec<String> = chunks.iter().map(short).collect();
    expect_file!["golden/chunks.txt"].assert_eq(&lines.join("\n"));
    assert_eq!(chunks.last().unwrap()["choices"], json!([]));
}

#[test]
fn usage_comes_only_if_it_was_asked_for() {
    let server = Running::turns(&["<|channel|>final<|message|>Hi.<|return|>"]);
    for chunk in chunks(&server, &chat("Hi")) {
        assert!(chunk.get("usage").is_none() && chunk["choices"].get(0).is_some(), "{chunk}");
    }
}

#[test]
fn a_stream_adds_up_to_the_whole_answer_whatever_the_model_writes() {
    let scripts = [
        "<|channel|>analysis<|message|>A.<|end|><|start|>assistant<|channel|>final<|message|>\
         B C<|return|>",
        "<|channel|>analysis<|message|>One.<|end|><|start|>assistant<|channel|>analysis\
         <|message|>Two.<|end|><|start|>assistant<|channel|>final<|message|>B<|return|>",
        "<|channel|>commentary<|message|>First.<|end|><|start|>assistant<|channel|>final\
         <|message|>Then.<|return|>",
        "<|channel|>commentary to=functions.get_weather<|message|>{\"place\": \"<|call|>",
        "<|channel|>commentary to=functions.get_weather<|message|>{}<|end|><|start|>assistant\
         <|channel|>commentary to=functions.other<|message|>[1]<|call|>",
        "Just an answer.<|return|>",
        "<|channel|>final<|message|><|return|>",
        "<|channel|>final<|message|>cut off",
        "<|channel|>analysis<|message|>only thoughts<|return|>",
        "<|channel|>final<|message|>caf\u{e9} \u{1f600}\u{1f468}\u{200d}\u{1f469} \u{4e16}\u{754c}\
         <|return|>",
        "<|return|>",
        "<|channel|>",
        " to=python<|channel|>analysis<|message|>print(1)<|call|>",
    ];
    for script in scripts {
        let server = Running::turns(&[script]);
        for fields in [json!({}), json!({"tools": weather()}), json!({"stop": ["en."]})] {
            let request = with(chat("Hi"), fields);
            let whole = normal(server.ok(CHAT, &request));
            let whole = &whole["choices"][0];
            let joined = normal(joined(&chunks(&server, &request)));
            assert_eq!(joined["message"], whole["message"], "{script} {request}");
            assert_eq!(joined["finish_reason"], whole["finish_reason"], "{script} {request}");
        }
    }
}

#[test]
fn choices_of_a_stream_are_told_apart_by_their_index() {
    let server = Running::turns(&["<|channel|>final<|message|>Same words here.<|return|>"]);
    let all = chunks(&server, &with(chat("Hi"), json!({"n": 2})));
    for index in 0..2 {
        let is_own = |chunk: &&Value| chunk["choices"][0]["index"] == index;
        let own: Vec<Value> = all.iter().filter(is_own).cloned().collect();
        assert_eq!(own[0]["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(joined(&own)["message"]["content"], "Same words here.");
        assert_eq!(joined(&own)["finish_reason"], "stop");
    }
}

#[test]
fn log_probabilities_of_a_stream_are_those_of_the_whole() {
    let server = Running::turns(&["<|channel|>final<|message|>one two stop three<|return|>"]);
    let fields = json!({"logprobs": true, "top_logprobs": 1, "stop": ["stop"]});
    let request = with(chat("Hi"), fields);
    let whole = server.ok(CHAT, &request)["choices"][0]["logprobs"]["content"].clone();
    let streamed: Vec<Value> = chunks(&server, &request)
        .iter()
        .flat_map(|chunk| chunk["choices"][0]["logprobs"]["content"].as_array().cloned())
        .flatten()
        .collect();
    assert!(streamed.len() >= 2);
    assert_eq!(Value::from(streamed), whole);
}

#[test]
fn a_failure_in_the_middle_ends_the_stream_with_an_error() {
    let text = "<|channel|>final<|message|>Half an";
    let script = json!({"default": [{"text": text, "fail": "the disk is on fire"}]});
    let server = Running::scripted(serde_json::from_value(script).unwrap());
    let chunks = chunks(&server, &chat("Hi"));
    let error = &chunks.last().unwrap()["error"];
    assert_eq!(error["message"], "the disk is on fire");
    assert_eq!(error["type"], "server_error");
    assert_eq!(joined(&chunks[..chunks.len() - 1])["message"]["content"], "Half an");
    assert_eq!(server.refused(CHAT, &chat("Hi"), 500)["message"], "the disk is on fire");
}
