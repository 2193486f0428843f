//! `/openapi.json`, paths and models.

use serde_json::{Value, json};

use crate::client::Running;

/// Every reference of the document.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
                found.push(target.to_owned());
            }
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn the_document_describes_every_path_and_its_references_lead_somewhere() {
    let server = Running::turns(&[]);
    let document = server.get("/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, method) in [
        ("/v1/chat/completions", "post"),
        ("/v1/responses", "post"),
        ("/v1/responses/{id}", "delete"),
        ("/v1/completions", "post"),
        ("/v1/embeddings", "post"),
        ("/v1/models", "get"),
        ("/tokenize", "post"),
        ("/metrics", "get"),
    ] {
        assert!(document["paths"][path][method].is_object(), "{method} {path}");
    }
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 30, "{} references", found.len());
    for target in found {
        let place = target.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{target}");
    }
    let chat = &document["components"]["schemas"]["ChatRequest"]["properties"];
    assert!(chat["reasoning_effort"]["description"].is_string(), "{chat}");
}

#[test]
fn paths_and_methods_that_do_not_exist_are_errors_in_the_same_shape() {
    let server = Running::turns(&[]);
    let answer = server.get("/v1/nothing");
    assert_eq!((answer.status, answer.error()["code"].clone()), (404, json!("unknown_url")));
    let answer = server.get("/v1/chat/completions");
    assert_eq!(answer.status, 405);
    assert_eq!(answer.error()["code"], "method_not_allowed");
    assert_eq!(answer.headers["allow"], "POST");
}

#[test]
fn models_are_listed_and_found_by_their_names() {
    let server = Running::turns(&["<|channel|>final<|message|>x<|return|>"]);
    let list = server.get("/v1/models").json();
    assert_eq!(list["data"][0]["id"], "gpt-oss-20b");
    assert_eq!(server.get("/v1/models/gpt-oss-20b").json()["object"], "model");
    assert_eq!(server.get("/v1/models/openai/gpt-oss-20b").status, 200);
    let answer = server.get("/v1/models/gpt-9");
    assert_eq!((answer.status, answer.error()["code"].clone()), (404, json!("model_not_found")));
}
