//! `GET /openapi.json`, made from the types.

use std::sync::OnceLock;

use axum::Json;
use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::chat_completions::{ChatChunk, ChatCompletion, ChatRequest};
use crate::completions::{Completion, CompletionRequest};
use crate::embeddings::{EmbeddingList, EmbeddingRequest};
use crate::error::ErrorBody;
use crate::models::{ModelList, ModelObject};
use crate::responses::{
    DeletedResponse, ItemList, ResponseObject, ResponsesRequest, SequencedEvent,
};
use crate::tokenize::{
    DetokenizeRequest, DetokenizeResponse, TokenizeRequest, TokenizeResponse, TokenizerInfo,
};

/// `GET /openapi.json`.
pub(crate) async fn document() -> Json<Value> {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    Json(DOCUMENT.get_or_init(|| Document::new().finish()).clone())
}

/// A document that is being written.
struct Document {
    generator: SchemaGenerator,
    paths: Map<String, Value>,
}

impl Document {
    fn new() -> Document {
        let settings = SchemaSettings::draft2020_12()
            .with(|settings| settings.definitions_path = "/components/schemas".into());
        Document { generator: settings.into_generator(), paths: Map::new() }
    }

    fn finish(mut self) -> Value {
        self.openai();
        self.responses();
        self.others();
        // Errors stand in every operation, so they are put among the schemas first.
        let schemas = self.generator.take_definitions(true);
        let security = json!([{}, {"key": []}]);
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "gptoss",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "gpt-oss models behind the interfaces of OpenAI's clients.",
            },
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            },
            "security": security,
        })
    }

    fn openai(&mut self) {
        let chat = self.post::<ChatRequest, ChatCompletion>("Answer a chat.");
        let chat = self.with_stream::<ChatChunk>(chat);
        self.add("/v1/chat/completions", "post", chat);
        let text = self.post::<CompletionRequest, Completion>("Continue texts.");
        let text = self.with_stream::<Completion>(text);
        self.add("/v1/completions", "post", text);
        let about = "Embed texts: the mean of the last hidden states.";
        let embed = self.post::<EmbeddingRequest, EmbeddingList>(about);
        self.add("/v1/embeddings", "post", embed);
        let models = self.get::<ModelList>("The models.");
        self.add("/v1/models", "get", models);
        let model = self.get::<ModelObject>("One model.");
        self.add("/v1/models/{id}", "get", with_id(model));
    }

    fn responses(&mut self) {
        let create = self.post::<ResponsesRequest, ResponseObject>("Make a response.");
        let create = self.with_stream::<SequencedEvent>(create);
        self.add("/v1/responses", "post", create);
        let show = self.get::<ResponseObject>("A stored response.");
        self.add("/v1/responses/{id}", "get", with_id(show));
        let delete = self.get::<DeletedResponse>("Forget a response.");
        self.add("/v1/responses/{id}", "delete", with_id(delete));
        let cancel = self.get::<ResponseObject>("End a response in the background.");
        self.add("/v1/responses/{id}/cancel", "post", with_id(cancel));
        let items = self.get::<ItemList>("The items that a response answers.");
        self.add("/v1/responses/{id}/input_items", "get", with_id(items));
    }

    fn others(&mut self) {
        let tokenize = self.post::<TokenizeRequest, TokenizeResponse>("Token ids of a text.");
        self.add("/tokenize", "post", tokenize);
        let detokenize =
            self.post::<DetokenizeRequest, DetokenizeResponse>("The text of token ids.");
        self.add("/detokenize", "post", detokenize);
        let info = self.get::<TokenizerInfo>("The tokenizer.");
        self.add("/tokenizer_info", "get", info);
        let watch = [
            ("/health", "The process is alive.", "application/json"),
            ("/ready", "The server takes requests.", "application/json"),
            ("/metrics", "Counters for Prometheus.", "text/plain"),
        ];
        for (path, about, kind) in watch {
            let mut operation = self.operation(about);
            let content = Value::from_iter([(kind, json!({}))]);
            operation["responses"]["200"] = json!({"description": about, "content": content});
            self.add(path, "get", operation);
        }
    }

    fn add(&mut self, path: &str, method: &str, operation: Value) {
        let item = self.paths.entry(path).or_insert_with(|| json!({}));
        item[method] = operation;
    }

    fn schema<T: JsonSchema>(&mut self) -> Value {
        self.generator.subschema_for::<T>().to_value()
    }

    /// An operation that may fail.
    fn operation(&mut self, about: &str) -> Value {
        let schema = self.schema::<ErrorBody>();
        let error = json!({
            "description": "What is wrong.",
            "content": {"application/json": {"schema": schema}},
        });
        json!({"summary": about, "responses": {"4XX": error.clone(), "5XX": error}})
    }

    fn get<A: JsonSchema>(&mut self, about: &str) -> Value {
        let mut operation = self.operation(about);
        let schema = self.schema::<A>();
        operation["responses"]["200"] = json!({
            "description": about,
            "content": {"application/json": {"schema": schema}},
        });
        operation
    }

    fn post<Q: JsonSchema, A: JsonSchema>(&mut self, about: &str) -> Value {
        let mut operation = self.get::<A>(about);
        let schema = self.schema::<Q>();
        operation["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": schema}},
        });
        operation
    }

    /// The operation with events as another form of its answer.
    fn with_stream<E: JsonSchema>(&mut self, mut operation: Value) -> Value {
        let data = json!({
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": self.schema::<E>(),
        });
        let schema = json!({
            "type": "object",
            "description": "One event",
            "properties": {"event": {"type": "string"}, "data": data},
            "required": ["data"],
        });
        operation["responses"]["200"]["content"]["text/event-stream"] = json!({"schema": schema});
        operation
    }
}

fn with_id(mut operation: Value) -> Value {
    let schema = json!({"type": "string"});
    operation["parameters"] =
        json!([{"name": "id", "in": "path", "required": true, "schema": schema}]);
    operation
}
