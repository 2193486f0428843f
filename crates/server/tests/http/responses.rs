//! `/v1/responses`.

use expect_test::expect_file;
use serde_json::{Value, json};

use crate::client::{Event, Running, normal, turns, with};

const PATH: &str = "/v1/responses";
const THOUGHT: &str = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant\
                       <|channel|>final<|message|>Hello there<|return|>";
const CALL: &str = "<|channel|>analysis<|message|>Look.<|end|><|start|>assistant\
                    <|channel|>commentary to=functions.f <|constrain|>json<|message|>\
                    {\"a\":1}<|call|>";

fn tool() -> Value {
    json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}])
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

/// One line for each event: its name and what is not repeated from the event before.
fn lines(events: &[Event]) -> String {
    let line = |event: &Event| {
        let mut data = normal(event.json());
        assert_eq!(data["type"].as_str(), event.name.as_deref());
        let fields = data.as_object_mut().unwrap();
        fields.shift_remove("type");
        if let Some(response) = fields.get_mut("response") {
            let output = response["output"].as_array().unwrap().len();
            *response = json!(format!("{} with {output} items", response["status"]));
        }
        format!("{} {data}", event.name.as_ref().unwrap())
    };
    events.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn stream(server: &Running, request: Value) -> Vec<Event> {
    let events = server.events(PATH, &with(request, json!({"stream": true})));
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event.json()["sequence_number"], number, "{event:?}");
    }
    events
}

#[test]
fn a_response_has_every_field_of_the_interface() {
    let server = Running::turns(&[THOUGHT]);
    let fields = json!({"input": "Hi", "store": false, "temperature": 0.5,
        "metadata": {"k": "v"}, "reasoning": {"effort": "low"}});
    expect_file!["golden/response.json"].assert_eq(&pretty(&normal(server.ok(PATH, &fields))));
}

#[test]
fn events_come_in_the_order_of_the_interface() {
    let server = Running::turns(&[THOUGHT]);
    expect_file!["golden/events.txt"].assert_eq(&lines(&stream(&server, json!({"input": "Hi"}))));
}

#[test]
fn events_of_a_call_come_in_the_order_of_the_interface() {
    let server = Running::turns(&[CALL]);
    let events = stream(&server, json!({"input": "Hi", "tools": tool()}));
    expect_file!["golden/events_of_a_call.txt"].assert_eq(&lines(&events[2..]));
}

#[test]
fn the_last_event_has_what_a_whole_response_has() {
    for text in [THOUGHT, CALL, "<|channel|>final<|message|>cut", "<|return|>", "Bare.<|return|>"] {
        let server = Running::turns(&[text]);
        let request = json!({"input": "Hi", "tools": tool()});
        let events = stream(&server, request.clone());
        let last = events.last().unwrap();
        let whole = server.ok(PATH, &request);
        assert_eq!(normal(last.json()["response"].clone()), normal(whole), "{text}");
        let is_cut = text.ends_with("cut");
        let name = if is_cut { "response.incomplete" } else { "response.completed" };
        assert_eq!(last.name.as_deref(), Some(name));
        // Items as their last events show them are the output.
        let done = events.iter().filter(|e| e.name.as_deref() == Some("response.output_item.done"));
        let items: Vec<Value> = done.map(|event| event.json()["item"].clone()).collect();
        assert_eq!(json!(items), last.json()["response"]["output"]);
    }
}

#[test]
fn a_response_that_is_cut_off_is_incomplete() {
    let server = Running::turns(&[THOUGHT]);
    let response = server.ok(PATH, &json!({"input": "Hi", "max_output_tokens": 12}));
    assert_eq!(response["status"], "incomplete");
    assert_eq!(response["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(response["output"][1]["status"], "incomplete");
    assert_eq!(response["output"][0]["status"], "completed");
}

#[test]
fn a_failure_in_the_middle_is_an_error_and_a_failed_response() {
    let text = "<|channel|>final<|message|>Half an";
    let script = json!({"default": [{"text": text, "fail": "no power"}]});
    let server = Running::scripted(serde_json::from_value(script).unwrap());
    let events = stream(&server, json!({"input": "Hi"}));
    let [.., error, failed] = &events[..] else { panic!("{events:?}") };
    assert_eq!(error.name.as_deref(), Some("error"));
    assert_eq!(error.json()["message"], "no power");
    assert_eq!(failed.name.as_deref(), Some("response.failed"));
    let response = &failed.json()["response"];
    assert_eq!(response["error"]["message"], "no power");
    assert_eq!(response["output"][0]["content"][0]["text"], "Half an");
    assert_eq!(response["output"][0]["status"], "incomplete");
}

#[test]
fn a_conversation_goes_on_from_the_previous_response() {
    let server = Running::turns(&[CALL, THOUGHT]);
    let first = server.ok(PATH, &json!({"input": "Hi", "tools": tool()}));
    let call = &first["output"][1];
    let output = json!([{"type": "function_call_output", "call_id": call["call_id"],
        "output": "done"}]);
    let next = json!({"input": output, "tools": tool(), "previous_response_id": first["id"]});
    let second = server.ok(PATH, &next);
    assert_eq!(second["output"][1]["content"][0]["text"], "Hello there");
    assert_eq!(second["previous_response_id"], first["id"]);
    let lost = json!({"input": "Hi", "previous_response_id": "resp_none"});
    let error = server.refused(PATH, &lost, 400);
    assert_eq!(error["code"], "previous_response_not_found");
}

#[test]
fn reasoning_travels_with_a_client_that_keeps_what_is_packed() {
    let server = Running::turns(&[CALL, THOUGHT]);
    let fields = json!({"input": "Hi", "tools": tool(), "store": false,
        "include": ["reasoning.encrypted_content"]});
    let first = server.ok(PATH, &fields);
    let mut items = vec![json!({"role": "user", "content": "Hi"})];
    items.extend(first["output"].as_array().unwrap().clone());
    let call_id = first["output"][1]["call_id"].clone();
    items.push(json!({"type": "function_call_output", "call_id": call_id, "output": "done"}));
    let tokens = |items: &[Value]| {
        let request = json!({"input": items, "tools": tool(), "store": false});
        server.ok(PATH, &request)["usage"]["input_tokens"].as_u64().unwrap()
    };
    let readable = tokens(&items);
    items[1].as_object_mut().unwrap().remove("content");
    assert_eq!(tokens(&items), readable, "packed reasoning is the same reasoning");
    items[1]["encrypted_content"] = json!("of somebody else");
    assert!(tokens(&items) < readable);
    // What was not stored cannot be asked for.
    let path = format!("{PATH}/{}", first["id"].as_str().unwrap());
    assert_eq!(server.get(&path).status, 404);
}

#[test]
fn stored_responses_are_shown_listed_and_deleted() {
    let server = Running::turns(&[THOUGHT]);
    let input = json!(["a", "b", "c"].map(|text| json!({"role": "user", "content": text})));
    let made = server.ok(PATH, &json!({"input": input}));
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    assert_eq!(server.get(&path).json(), made);
    let texts = |query: &str| {
        let list = server.get(&format!("{path}/input_items{query}")).json();
        let text = |item: &Value| item["content"][0]["text"].as_str().unwrap().to_owned();
        let texts: Vec<String> = list["data"].as_array().unwrap().iter().map(text).collect();
        (texts.concat(), list["has_more"].as_bool().unwrap(), list["last_id"].clone())
    };
    assert_eq!(texts("?order=asc").0, "abc");
    assert_eq!(texts("").0, "cba");
    let (first, more, last) = texts("?order=asc&limit=2");
    assert_eq!((first.as_str(), more), ("ab", true));
    let rest = texts(&format!("?order=asc&after={}", last.as_str().unwrap()));
    assert_eq!((rest.0.as_str(), rest.1), ("c", false));
    assert_eq!(server.get(&format!("{path}/input_items?limit=0")).status, 400);
    assert_eq!(server.post(&format!("{path}/cancel"), &json!({})).status, 400);
    let gone = server.ask("DELETE", &path, &[], b"");
    assert_eq!(gone.json(), json!({"id": made["id"], "object": "response", "deleted": true}));
    for method in ["GET", "DELETE"] {
        let answer = server.ask(method, &path, &[], b"");
        assert_eq!(answer.status, 404);
        assert_eq!(answer.error()["code"], "response_not_found");
    }
}

/// Asks for a response in the background until it has ended.
fn wait(server: &Running, id: &str) -> Value {
    let begun = std::time::Instant::now();
    loop {
        let response = server.get(&format!("{PATH}/{id}")).json();
        if !matches!(response["status"].as_str(), Some("queued" | "in_progress")) {
            return response;
        }
        assert!(begun.elapsed().as_secs() < 60, "{response}");
        std::thread::yield_now();
    }
}

#[test]
fn a_response_in_the_background_is_finished_without_its_client() {
    let server = Running::turns(&[THOUGHT]);
    let queued = server.ok(PATH, &json!({"input": "Hi", "background": true}));
    assert_eq!(queued["status"], "queued");
    let response = wait(&server, queued["id"].as_str().unwrap());
    assert_eq!(response["status"], "completed");
    assert_eq!(response["output"][1]["content"][0]["text"], "Hello there");
    let error = json!({"input": "Hi", "background": true, "stream": true});
    assert_eq!(server.refused(PATH, &error, 400)["param"], "background");
    let error = json!({"input": "Hi", "background": true, "store": false});
    assert_eq!(server.refused(PATH, &error, 400)["param"], "background");
}

#[test]
fn a_response_in_the_background_is_cancelled() {
    let long = format!("<|channel|>final<|message|>{}", "word ".repeat(2000));
    let mut script = turns(&[&long]);
    script.delay_ms = 5;
    let server = Running::scripted(script);
    let queued = server.ok(PATH, &json!({"input": "Hi", "background": true}));
    let id = queued["id"].as_str().unwrap();
    let cancelled = server.ok(&format!("{PATH}/{id}/cancel"), &json!({}));
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(wait(&server, id)["status"], "cancelled");
    let again = server.ok(&format!("{PATH}/{id}/cancel"), &json!({}));
    assert_eq!(again["status"], "cancelled");
}

#[test]
fn log_probabilities_stand_beside_the_text() {
    let server = Running::turns(&[THOUGHT]);
    let response = server.ok(PATH, &json!({"input": "Hi", "top_logprobs": 2}));
    let logprobs = response["output"][1]["content"][0]["logprobs"].as_array().unwrap();
    let text: String = logprobs.iter().map(|entry| entry["token"].as_str().unwrap()).collect();
    assert_eq!(text, "Hello there");
    assert_eq!(logprobs[0]["top_logprobs"].as_array().unwrap().len(), 2);
}

#[test]
fn old_turns_are_dropped_only_if_that_was_asked_for() {
    let server = Running::nano();
    let turn = |i: usize| {
        let role = if i.is_multiple_of(2) { "user" } else { "assistant" };
        json!({"role": role, "content": "one two three four five six seven ".repeat(10)})
    };
    let items: Vec<Value> = (0..31).map(turn).collect();
    let fields = json!({"input": items, "max_output_tokens": 8});
    assert_eq!(server.refused(PATH, &fields, 400)["code"], "context_length_exceeded");
    let response = server.ok(PATH, &with(fields, json!({"truncation": "auto"})));
    assert!(response["usage"]["input_tokens"].as_u64().unwrap() <= 1024 - 8);
}

#[test]
fn wrong_requests_are_refused_with_the_field() {
    let server = Running::turns(&[THOUGHT]);
    let cases = [
        (json!({}), Value::Null),
        (json!({"input": 3}), json!("input")),
        (json!({"input": []}), json!("input")),
        (json!({"input": [{"type": "web_search_call"}]}), json!("input[0].type")),
        (json!({"input": "x", "conversation": "c"}), json!("conversation")),
        (json!({"input": "x", "prompt": {"id": "p"}}), json!("prompt")),
        (json!({"input": "x", "tools": [{"type": "web_search"}]}), json!("tools[0].type")),
        (json!({"input": "x", "truncation": "some"}), json!("truncation")),
        (json!({"input": "x", "text": {"verbosity": "low"}}), json!("text.verbosity")),
        (json!({"input": "x", "max_output_tokens": 0}), json!("max_output_tokens")),
        (json!({"input": "x", "reasoning": {"effort": "big"}}), json!("reasoning.effort")),
        (
            json!({"input": "x", "text": {"format": {"type": "json_schema"}}}),
            json!("text.format.name"),
        ),
    ];
    for (request, param) in cases {
        assert_eq!(server.refused(PATH, &request, 400)["param"], param, "{request}");
    }
}
