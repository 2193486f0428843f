//! Configurations that must not open, some that must, and what is said about each.

use gptoss_checkpoint::{LayerType, Model, ModelConfig, RopeScaling, YarnScaling};
use serde_json::{Value, json};

use crate::{copy_of, open_error};

/// Opens a tiny model after its `config.json` was changed.
fn with_config(name: &str, change: impl Fn(&mut Value)) -> Result<Model, String> {
    let folder = copy_of(name);
    let path = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    std::fs::write(&path, config.to_string()).unwrap();
    Model::open(folder.path()).map_err(|error| crate::message(folder.path(), &error))
}

/// The message after a field of t64's `config.json` was set.
fn set(field: &str, value: Value) -> String {
    with_config("t64/mxfp4", |config| config[field] = value.clone()).unwrap_err()
}

/// The configuration after a change that is allowed.
fn allowed(change: impl Fn(&mut Value)) -> ModelConfig {
    with_config("t64/mxfp4", change).unwrap().config
}

fn without(field: &str) -> String {
    with_config("t64/mxfp4", |config| {
        assert!(config.as_object_mut().unwrap().remove(field).is_some());
    })
    .unwrap_err()
}

#[test]
fn files_that_are_not_configurations() {
    let mut messages = crate::Messages::of("bad_config/files_that_are_not_configurations");
    let folder = copy_of("t64/mxfp4");
    let path = folder.path().join("config.json");
    let error_of = |text: &str| {
        std::fs::write(&path, text).unwrap();
        open_error(folder.path(), "")
    };
    messages.push(error_of(""));
    messages.push(error_of("{\"a\": "));
    messages.push(error_of("[1, 2]"));
    messages.push(error_of("{}"));
    messages.push(error_of(&"{\"a\":".repeat(10_000)));
    messages.check();
}

#[test]
fn other_architectures_are_named() {
    let mut messages = crate::Messages::of("bad_config/other_architectures_are_named");
    messages.push(set("model_type", json!("qwen3")));
    messages.push(set("model_type", json!(7)));
    let by_class = with_config("t64/mxfp4", |config| {
        config.as_object_mut().unwrap().remove("model_type");
        config["architectures"] = json!(["Qwen3ForCausalLM"]);
    });
    messages.push(by_class.unwrap_err());
    messages.check();
}

#[test]
fn variants_that_are_not_computed_are_refused() {
    let mut messages = crate::Messages::of("bad_config/variants_that_are_not_computed_are_refused");
    messages.push(set("tie_word_embeddings", json!(true)));
    messages.push(set("attention_bias", json!(false)));
    messages.push(set("hidden_act", json!("gelu")));
    messages.push(set("quantization_config", json!({"quant_method": "fp8"})));
    messages.push(set("layer_types", json!(vec!["chunked_attention"; 4])));
    messages.check();
}

#[test]
fn numbers_that_no_model_can_have() {
    let mut messages = crate::Messages::of("bad_config/numbers_that_no_model_can_have");
    messages.push(set("hidden_size", json!("big")));
    messages.push(set("hidden_size", json!(-64)));
    messages.push(set("hidden_size", json!(64.5)));
    messages.push(set("hidden_size", json!(0)));
    messages.push(set("num_hidden_layers", json!(1_000_000_000)));
    messages.push(set("num_key_value_heads", json!(3)));
    messages.push(set("head_dim", json!(15)));
    let original = |field: &str, value: Value| {
        with_config("t64/original", |config| config[field] = value.clone()).unwrap_err()
    };
    messages.push(original("experts_per_token", json!(9)));
    messages.push(original("rope_ntk_beta", json!(0.5)));
    messages.push(set("experts_per_token", json!(3)));
    messages.push(set("layer_types", json!(["full_attention"])));
    messages.push(set("rms_norm_eps", json!(0)));
    messages.push(set("swiglu_limit", json!(-7.0)));
    messages.push(set("rope_theta", json!("large")));
    messages.check();
}

#[test]
fn missing_numbers_are_named() {
    let mut messages = crate::Messages::of("bad_config/missing_numbers_are_named");
    messages.push(without("vocab_size"));
    messages.push(without("head_dim"));
    let original = with_config("t64/original", |config| {
        config.as_object_mut().unwrap().remove("experts_per_token");
    });
    messages.push(original.unwrap_err());
    messages.check();
}

#[test]
fn contradictions_with_the_tensors_name_both() {
    let mut messages = crate::Messages::of("bad_config/contradictions_with_the_tensors_name_both");
    messages.push(set("vocab_size", json!(500)));
    messages.push(set("num_hidden_layers", json!(5)));
    let five = with_config("t64/mxfp4", |config| {
        config["num_hidden_layers"] = json!(5);
        config["layer_types"] = Value::Null;
    });
    messages.push(five.unwrap_err());
    messages.push(set("num_local_experts", json!(16)));
    messages.push(set("intermediate_size", json!(96)));
    let heads = with_config("t64/original", |config| config["num_attention_heads"] = json!(4));
    messages.push(heads.unwrap_err());
    messages.check();
}

#[test]
fn unknown_ways_to_stretch_rope_are_refused() {
    let mut messages = crate::Messages::of("bad_config/unknown_ways_to_stretch_rope_are_refused");
    let rope = |value: Value| set("rope_scaling", value);
    messages.push(rope(json!({"rope_type": "llama3", "factor": 8})));
    messages.push(rope(json!({"factor": 8})));
    messages.push(rope(json!({"rope_type": "yarn"})));
    messages.push(rope(json!({"rope_type": "yarn", "factor": 0.5})));
    messages.push(rope(json!({"rope_type": "yarn", "factor": 8, "mscale": 1.0})));
    messages.push(rope(json!({"rope_type": "yarn", "factor": 8, "attention_factor": 2.0})));
    messages.push(rope(json!({"rope_type": "yarn", "factor": 8, "beta_fast": 0.5})));
    messages.push(set("rope_parameters", json!({"rope_type": "default"})));
    messages.push(set(
        "rope_parameters",
        json!({"rope_type": "yarn", "factor": 8, "rope_theta": 10000}),
    ));
    messages.check();
}

#[test]
fn both_spellings_of_rope_mean_the_same() {
    let reference = allowed(|_| ());
    let moved = allowed(|config| {
        let mut rope = config["rope_scaling"].take();
        rope["rope_theta"] = config["rope_theta"].take();
        config["rope_parameters"] = rope;
    });
    assert_eq!(moved, reference);
    let plain = allowed(|config| config["rope_scaling"] = json!({"rope_type": "default"}));
    assert_eq!(plain.rope_scaling, None);
}

#[test]
fn no_word_about_rope_means_yarn() {
    let yarn = RopeScaling::Yarn(YarnScaling {
        factor: 32.0,
        beta_fast: 32.0,
        beta_slow: 1.0,
        original_max_position_embeddings: 4096,
        truncate: false,
    });
    let missing = allowed(|config| {
        config.as_object_mut().unwrap().remove("rope_scaling");
    });
    assert_eq!(missing.rope_scaling, Some(yarn.clone()));
    let null = allowed(|config| config["rope_scaling"] = Value::Null);
    assert_eq!(null.rope_scaling, Some(yarn));
}

#[test]
fn rounding_of_the_range_is_read() {
    assert!(!allowed(|_| ()).yarn().unwrap().truncate);
    let said = allowed(|config| config["rope_scaling"]["truncate"] = json!(true));
    assert!(said.yarn().unwrap().truncate);
}

#[test]
fn layer_types_are_read_and_alternate_otherwise() {
    use LayerType::{FullAttention as Full, SlidingAttention as Sliding};
    let kinds = ["full_attention", "full_attention", "sliding_attention", "full_attention"];
    let said = allowed(|config| config["layer_types"] = json!(kinds));
    assert_eq!(said.layer_types, [Full, Full, Sliding, Full]);
    let usual = allowed(|config| config["layer_types"] = Value::Null);
    assert_eq!(usual.layer_types, [Sliding, Full, Sliding, Full]);
}

#[test]
fn either_spelling_of_the_experts_per_token_is_enough() {
    for field in ["num_experts_per_tok", "experts_per_token"] {
        let config = allowed(|config| config[field] = Value::Null);
        assert_eq!(config.num_experts_per_tok, 4);
    }
}

#[test]
fn original_configs_extend_the_context_by_the_factor() {
    let plain = with_config("t64/original", |config| config["rope_scaling_factor"] = json!(1.0));
    let config = plain.unwrap().config;
    assert_eq!(config.rope_scaling, None);
    assert_eq!(config.max_position_embeddings, 64);
    let stretched = with_config("t64/original", |_| ()).unwrap().config;
    assert_eq!(stretched.max_position_embeddings, 512);
}
