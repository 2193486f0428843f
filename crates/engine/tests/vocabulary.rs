//! Tokenizers that GGUF files bring, and the token that begins texts.

#[path = "../../checkpoint/tests/it/gguf_file.rs"]
#[expect(dead_code, reason = "the loader's tests use the rest")]
mod gguf_file;
mod template_model;

use std::path::Path;

use gguf_file::{GgufFile, Value};
use gptoss_checkpoint::Model;
use gptoss_engine::{Engine, EngineError, EngineOptions};
use serde_json::json;

/// A tiny model with this vocabulary; more keys of the file in `more`.
fn with_vocabulary(kind: &str, tokens: &[(&str, i32)], more: Vec<(&str, Value)>) -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/models/t64/model.gguf");
    let mut file = GgufFile::of(&Model::open(&path).unwrap(), "gpt-oss");
    *file.value("tokenizer.ggml.model") = Value::Text(kind.to_owned());
    let names = tokens.iter().map(|(name, _)| (*name).to_owned()).collect();
    file.add("tokenizer.ggml.tokens", Value::Texts(names));
    let types = tokens.iter().map(|(_, token_type)| *token_type).collect();
    file.add("tokenizer.ggml.token_type", Value::I32s(types));
    more.into_iter().for_each(|(key, value)| file.add(&format!("tokenizer.ggml.{key}"), value));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, file.write()).unwrap();
    Model::open(&path).unwrap()
}

fn engine(model: Model) -> Result<Engine, EngineError> {
    Engine::from_model(model, &EngineOptions::default())
}

/// A list of f32.
fn floats(values: &[f32]) -> Value {
    let mut bytes = 6u32.to_le_bytes().to_vec();
    bytes.extend((values.len() as u64).to_le_bytes());
    values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    Value::Raw(9, bytes)
}

fn flag(value: bool) -> Value {
    Value::Raw(7, vec![value.into()])
}

const PIECES: [(&str, i32); 8] =
    [("<unk>", 2), ("<s>", 3), ("</s>", 3), ("▁", 1), ("a", 1), ("b", 1), ("▁a", 1), ("ab", 1)];

fn sentence_piece(more: Vec<(&str, Value)>) -> Engine {
    let scores = [0.0, 0.0, 0.0, -5.0, -4.0, -3.0, -1.0, -2.0];
    let mut keys = vec![("scores", floats(&scores)), ("bos_token_id", Value::U32(1))];
    keys.extend(more);
    engine(with_vocabulary("llama", &PIECES, keys)).unwrap()
}

#[test]
fn sentence_piece_of_a_gguf_file_merges_by_its_scores() {
    let engine = sentence_piece(vec![]);
    let tokenizer = engine.tokenizer().unwrap();
    assert_eq!(tokenizer.encode("ab"), [6, 5], "▁a has the highest score");
    assert_eq!(tokenizer.encode_with_specials("<s>abé"), [1, 6, 5, 0]);
    let bare = sentence_piece(vec![("add_space_prefix", flag(false))]);
    assert_eq!(bare.tokenizer().unwrap().encode("ab"), [7]);
}

#[test]
fn gguf_files_say_or_imply_whether_a_token_begins_texts() {
    let implied = sentence_piece(vec![]);
    assert_eq!(implied.text_begin(), Some(1));
    assert_eq!(implied.text_begin_before(&[6, 5]), Some(1));
    assert_eq!(implied.text_begin_before(&[1, 6, 5]), None, "it stands there already");
    assert_eq!(sentence_piece(vec![("add_bos_token", flag(false))]).text_begin(), None);
    assert_eq!(sentence_piece(vec![("add_bos_token", flag(true))]).text_begin(), Some(1));

    let byte_level = |pre: &str, more: Vec<(&str, Value)>| {
        let merges = Value::Texts(vec!["a b".to_owned()]);
        let mut keys = vec![
            ("pre", Value::Text(pre.to_owned())),
            ("merges", merges),
            ("bos_token_id", Value::U32(3)),
        ];
        keys.extend(more);
        let tokens = [("a", 1), ("b", 1), ("ab", 1), ("<|begin|>", 3)];
        engine(with_vocabulary("gpt2", &tokens, keys)).unwrap()
    };
    assert_eq!(byte_level("llama-bpe", vec![]).text_begin(), Some(3));
    assert_eq!(byte_level("smollm", vec![]).text_begin(), None);
    assert_eq!(byte_level("smollm", vec![("add_bos_token", flag(true))]).text_begin(), Some(3));
    let coder = byte_level("deepseek-coder", vec![("add_bos_token", flag(true))]);
    assert_eq!(coder.text_begin(), Some(3));
    assert_eq!(coder.tokenizer().unwrap().encode_with_specials("<|begin|>abba"), [3, 2, 1, 0]);
}

#[test]
fn folders_say_it_in_the_configuration_or_the_post_processor() {
    let begin = |add_bos_token: Option<bool>, has_post_processor: bool| {
        let folder = tempfile::tempdir().unwrap();
        template_model::write(folder.path());
        let change = |name: &str, change: &dyn Fn(&mut serde_json::Value)| {
            let path = folder.path().join(name);
            let mut json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            change(&mut json);
            std::fs::write(path, json.to_string()).unwrap();
        };
        change("tokenizer_config.json", &|json| json["add_bos_token"] = json!(add_bos_token));
        if has_post_processor {
            change("tokenizer.json", &|json| {
                let name = "<|startoftext|>";
                json["post_processor"] = json!({"type": "Sequence", "processors": [
                    {"type": "ByteLevel", "add_prefix_space": false},
                    {"type": "TemplateProcessing",
                        "single": [{"SpecialToken": {"id": name, "type_id": 0}},
                                   {"Sequence": {"id": "A", "type_id": 0}}],
                        "pair": [],
                        "special_tokens": {name: {"id": name, "ids": [0], "tokens": [name]}}}]});
            });
        }
        engine(Model::open(folder.path()).unwrap()).unwrap().text_begin()
    };
    assert_eq!(begin(None, false), None);
    assert_eq!(begin(None, true), Some(0));
    assert_eq!(begin(Some(false), true), None);
    assert_eq!(begin(Some(true), false), Some(0));
    assert_eq!(Engine::load("nano").unwrap().text_begin(), None);
}

#[test]
fn a_vocabulary_of_another_kind_is_refused_by_name() {
    let model = with_vocabulary("bert", &PIECES, vec![]);
    let message = engine(model).and_then(|e| e.tokenizer().map(|_| ())).unwrap_err().to_string();
    assert!(message.contains("tokenizer.ggml.model: not supported: `bert`"), "{message}");
    let few = with_vocabulary("llama", &PIECES, vec![("scores", floats(&[0.0]))]);
    let error = engine(few).and_then(|e| e.tokenizer().map(|_| ())).unwrap_err();
    let EngineError::Tokenizer { source, .. } = error else { panic!("{error}") };
    assert!(source.to_string().contains("scores: expected 8 scores"), "{source}");
}
