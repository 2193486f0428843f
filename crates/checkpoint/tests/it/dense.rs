//! The tiny dense models, configurations of published ones, and what is refused.

use std::path::PathBuf;

use gptoss_checkpoint::{
    Architecture, ExpertLayout, LayerType, Layout, Llama3Scaling, Matrix, Model, ModelConfig,
    RopeScaling, RotaryPairs, presets, synth,
};
use serde_json::{Value, json};

use crate::gguf_file::{GgufFile, Value as Metadata, matrix, vector};
use crate::{dequantise, open_error};

const SIZES: [&str; 4] = ["mistral", "llama3", "deepseek", "smollm"];

fn testdata(name: &str) -> PathBuf {
    crate::testdata("../dense").join(name)
}

/// The rows of a matrix of heads in the order of halves.
fn halves(values: Vec<f32>, config: &ModelConfig, pairs: RotaryPairs) -> Vec<f32> {
    let (k, d) = (config.head_dim, config.hidden_size);
    let place = |row: usize| match pairs {
        RotaryPairs::Halves => row,
        RotaryPairs::Neighbours => row / k * k + row % k % (k / 2) * 2 + row % k / (k / 2),
    };
    (0..values.len() / d).flat_map(|row| values[place(row) * d..][..d].to_vec()).collect()
}

/// All weights as f32, each part with its name.
fn all_weights(model: &Model) -> Vec<(String, Vec<f32>)> {
    let Model { config, weights, .. } = model;
    let pairs = weights.rotary_pairs;
    let matrix = |matrix: &Matrix| dequantise::matrix(matrix);
    let mut all = vec![
        ("embedding".to_owned(), matrix(&weights.embedding)),
        ("unembedding".to_owned(), matrix(&weights.unembedding)),
        ("norm".to_owned(), weights.norm.clone()),
    ];
    for (i, layer) in weights.layers.iter().enumerate() {
        let ExpertLayout::GateAndUp { gate, up } = &layer.gate_up.layout else {
            panic!("another layout of gate and up")
        };
        let ExpertLayout::Rows(down) = &layer.down.layout else { panic!("another layout") };
        assert!(layer.router.is_none() && layer.gate_up_bias.is_empty());
        assert!(layer.sinks.iter().all(|sink| *sink == f32::NEG_INFINITY));
        assert_eq!(layer.sinks.len(), config.num_attention_heads);
        for (name, values) in [
            ("attn_norm", layer.attn_norm.clone()),
            ("q", halves(matrix(&layer.q), config, pairs)),
            ("k", halves(matrix(&layer.k), config, pairs)),
            ("v", matrix(&layer.v)),
            ("out", matrix(&layer.out)),
            ("mlp_norm", layer.mlp_norm.clone()),
            ("gate", matrix(gate)),
            ("up", matrix(up)),
            ("down", matrix(down)),
        ] {
            all.push((format!("{name} of layer {i}"), values));
        }
    }
    all
}

#[test]
fn both_layouts_hold_the_same_weights() {
    for size in SIZES {
        let hf = Model::open(&testdata(size).join("hf")).unwrap();
        let gguf = Model::open(&testdata(size).join("model.gguf")).unwrap();
        assert_eq!((hf.layout, gguf.layout), (Layout::HuggingFace, Layout::Gguf));
        assert_eq!(hf.weights.rotary_pairs, RotaryPairs::Halves);
        assert_eq!(gguf.weights.rotary_pairs, RotaryPairs::Neighbours);
        // The file has what follows from the scaling.
        let stretched = ModelConfig { rope_scaling: None, ..gguf.config.clone() };
        assert_eq!(ModelConfig { rope_scaling: None, ..hf.config.clone() }, stretched, "{size}");
        match (size, &gguf.config.rope_scaling) {
            ("llama3", Some(RopeScaling::Divisors(divisors))) => {
                assert_eq!((divisors.len(), divisors[0], divisors[7]), (8, 1.0, 8.0));
            }
            (_, scaling) => assert_eq!(*scaling, hf.config.rope_scaling, "{size}"),
        }
        let mut compared = 0;
        for (a, b) in all_weights(&hf).iter().zip(&all_weights(&gguf)) {
            assert_eq!(a.1.len(), b.1.len(), "{size}: {}", a.0);
            let differs = a.1.iter().zip(&b.1).position(|(a, b)| a != b);
            assert_eq!(differs, None, "{size}: {}", a.0);
            compared += a.1.len();
        }
        let config = &hf.config;
        let tied =
            if config.tie_word_embeddings { config.vocab_size * config.hidden_size } else { 0 };
        assert_eq!(compared as u64, config.parameters().total + tied as u64, "{size}");
        for model in [hf, gguf] {
            assert!(model.tensors.iter().all(|tensor| tensor.used), "{size}");
            let bytes: u64 = model.formats().iter().map(|row| row.bytes).sum();
            assert_eq!(bytes, model.weight_bytes(), "{size}");
        }
    }
}

/// The configuration in a file of this content.
fn read(json: &Value) -> Result<ModelConfig, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, json.to_string()).unwrap();
    synth::read_config(&path).map_err(|error| crate::message(folder.path(), &error))
}

/// `config.json` of mistralai/Mistral-7B-v0.1.
fn mistral() -> Value {
    json!({
        "architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2,
        "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
        "intermediate_size": 14336, "max_position_embeddings": 32768, "model_type": "mistral",
        "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "sliding_window": 4096,
        "tie_word_embeddings": false, "torch_dtype": "bfloat16",
        "transformers_version": "4.34.0.dev0", "use_cache": true, "vocab_size": 32000
    })
}

/// `config.json` of meta-llama/Meta-Llama-3-8B.
fn llama() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "bos_token_id": 128000, "eos_token_id": 128001, "hidden_act": "silu",
        "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336,
        "max_position_embeddings": 8192, "model_type": "llama", "num_attention_heads": 32,
        "num_hidden_layers": 32, "num_key_value_heads": 8, "pretraining_tp": 1,
        "rms_norm_eps": 1e-5, "rope_scaling": null, "rope_theta": 500000.0,
        "tie_word_embeddings": false, "torch_dtype": "bfloat16",
        "transformers_version": "4.40.0.dev0", "use_cache": true, "vocab_size": 128256
    })
}

#[test]
fn published_configurations_are_the_presets() {
    let preset = |name: &str| presets::find(name).unwrap().config;
    assert_eq!(read(&mistral()).unwrap(), preset("mistral-7b"));
    assert_eq!(read(&llama()).unwrap(), preset("llama-3-8b"));
    let deepseek = json!({
        "architectures": ["LlamaForCausalLM"], "bos_token_id": 32013, "eos_token_id": 32014,
        "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
        "intermediate_size": 11008, "max_position_embeddings": 16384, "model_type": "llama",
        "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32,
        "pretraining_tp": 1, "rms_norm_eps": 1e-6,
        "rope_scaling": { "factor": 4.0, "type": "linear" }, "rope_theta": 100000,
        "tie_word_embeddings": false, "torch_dtype": "bfloat16",
        "transformers_version": "4.33.1", "use_cache": true, "vocab_size": 32256
    });
    assert_eq!(read(&deepseek).unwrap(), preset("deepseek-coder-6.7b"));
    let smollm = json!({
        "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 576,
        "initializer_range": 0.041666666666666664, "intermediate_size": 1536,
        "is_llama_config": true, "max_position_embeddings": 8192, "model_type": "llama",
        "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3,
        "pretraining_tp": 1, "rms_norm_eps": 1e-5, "rope_interleaved": false,
        "rope_scaling": null, "rope_theta": 100000, "tie_word_embeddings": true,
        "torch_dtype": "bfloat16", "transformers_version": "4.40.1", "use_cache": true,
        "vocab_size": 49152
    });
    assert_eq!(read(&smollm).unwrap(), preset("smollm2-135m"));
}

#[test]
fn what_files_leave_out_has_the_usual_value() {
    let changed = |mut json: Value, change: &dyn Fn(&mut Value)| {
        change(&mut json);
        read(&json).unwrap()
    };
    let full = changed(mistral(), &|json| json["sliding_window"] = Value::Null);
    assert_eq!(full.layer_types, vec![LayerType::FullAttention; 32]);
    let remove = |field: &'static str| {
        move |json: &mut Value| assert!(json.as_object_mut().unwrap().remove(field).is_some())
    };
    let usual = changed(mistral(), &remove("sliding_window"));
    assert_eq!((usual.sliding_window, usual.sliding_layers()), (4096, 32));
    let ungrouped = changed(llama(), &remove("num_key_value_heads"));
    assert_eq!(ungrouped.num_key_value_heads, 32);
    let by_class = changed(llama(), &remove("model_type"));
    assert_eq!(by_class.architecture, Architecture::Llama);
    let wide = changed(llama(), &|json| json["head_dim"] = json!(256));
    assert_eq!(wide.head_dim, 256);
    let llama31 = json!({
        "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192, "rope_type": "llama3"
    });
    let scaling = RopeScaling::Llama3(Llama3Scaling {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192,
    });
    let old = changed(llama(), &|json| json["rope_scaling"] = llama31.clone());
    assert_eq!(old.rope_scaling, Some(scaling));
    // transformers 5 writes both into one object.
    let new = changed(llama(), &|json| {
        let mut rope = llama31.clone();
        rope["rope_theta"] = json["rope_theta"].take();
        json["rope_parameters"] = rope;
    });
    assert_eq!(new, old);
}

#[test]
fn configurations_that_are_not_computed_are_refused() {
    let mut messages =
        crate::Messages::of("dense/configurations_that_are_not_computed_are_refused");
    let mut set = |field: &str, value: Value| {
        let mut json = llama();
        json[field] = value;
        messages.push(read(&json).unwrap_err());
    };
    set("attention_bias", json!(true));
    set("mlp_bias", json!(true));
    set("hidden_act", json!("gelu"));
    set("sliding_window", json!(4096));
    set("quantization_config", json!({ "quant_method": "gptq" }));
    set("num_attention_heads", json!(48));
    set("num_key_value_heads", json!(5));
    set("layer_types", json!(vec!["sliding_attention"; 32]));
    set("rope_scaling", json!({ "type": "dynamic", "factor": 2.0 }));
    set("rope_scaling", json!({ "type": "linear" }));
    set("rope_scaling", json!({ "type": "linear", "factor": 0.5 }));
    set("rope_scaling", json!({ "rope_type": "default", "partial_rotary_factor": 0.5 }));
    let llama3 = |low: f64| {
        json!({
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": low,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192
        })
    };
    set("rope_scaling", llama3(4.0));
    set("rope_scaling", llama3(0.0));
    set("max_position_embeddings", Value::Null);
    messages.check();
}

/// A tiny model as llama.cpp's converter writes it.
fn gguf_of(size: &str) -> GgufFile {
    let model = Model::open(&testdata(size).join("model.gguf")).unwrap();
    let (config, weights) = (&model.config, &model.weights);
    let d = config.hidden_size;
    let mut tensors = vec![
        matrix("token_embd.weight", &weights.embedding, None),
        vector("output_norm.weight", &weights.norm, &[d]),
        matrix("output.weight", &weights.unembedding, None),
    ];
    for (i, layer) in weights.layers.iter().enumerate() {
        let name = |part: &str| format!("blk.{i}.{part}.weight");
        let ExpertLayout::GateAndUp { gate, up } = &layer.gate_up.layout else { panic!() };
        let ExpertLayout::Rows(down) = &layer.down.layout else { panic!() };
        tensors.push(vector(&name("attn_norm"), &layer.attn_norm, &[d]));
        tensors.push(vector(&name("ffn_norm"), &layer.mlp_norm, &[d]));
        for (part, weights) in [
            ("attn_q", &layer.q),
            ("attn_k", &layer.k),
            ("attn_v", &layer.v),
            ("attn_output", &layer.out),
            ("ffn_gate", gate),
            ("ffn_up", up),
            ("ffn_down", down),
        ] {
            tensors.push(matrix(&name(part), weights, None));
        }
    }
    let count = |n: usize| Metadata::U32(n as u32);
    let mut metadata =
        vec![("general.architecture".to_owned(), Metadata::Text("llama".to_owned()))];
    for (key, value) in [
        ("block_count", count(config.num_hidden_layers)),
        ("context_length", count(config.max_position_embeddings)),
        ("embedding_length", count(d)),
        ("feed_forward_length", count(config.intermediate_size)),
        ("attention.head_count", count(config.num_attention_heads)),
        ("attention.layer_norm_rms_epsilon", Metadata::F32(config.rms_norm_eps as f32)),
    ] {
        metadata.push((format!("llama.{key}"), value));
    }
    GgufFile { version: 3, metadata, tensors }
}

/// Opens a file after a change.
fn with(size: &str, change: impl FnOnce(&mut GgufFile)) -> Result<Model, String> {
    let mut file = gguf_of(size);
    change(&mut file);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    std::fs::write(&path, file.write()).unwrap();
    Model::open(&path).map_err(|_| open_error(folder.path(), "m.gguf"))
}

#[test]
fn keys_that_gguf_files_leave_out_have_the_usual_value() {
    let config = with("deepseek", |_| ()).unwrap().config;
    assert_eq!((config.num_key_value_heads, config.head_dim), (4, 16));
    assert_eq!((config.rope_theta, &config.rope_scaling), (10_000.0, &None));
    assert!(!config.tie_word_embeddings && config.sliding_layers() == 0);
    // A factor without a type is linear, and so is the older key; 0 and 1 change nothing.
    let scaled = |key: &'static str, factor: f32| {
        with("deepseek", |file| file.add(key, Metadata::F32(factor))).unwrap().config.rope_scaling
    };
    let linear = Some(RopeScaling::Linear { factor: 4.0 });
    assert_eq!(scaled("llama.rope.scaling.factor", 4.0), linear);
    assert_eq!(scaled("llama.rope.scale_linear", 4.0), linear);
    assert_eq!(scaled("llama.rope.scaling.factor", 0.0), None);
    let slides = with("deepseek", |file| {
        file.add("llama.attention.sliding_window", Metadata::U32(16));
    });
    assert_eq!(slides.unwrap().config.sliding_layers(), 2);
    let tied = with("deepseek", |file| file.tensors.retain(|t| t.name != "output.weight"));
    let tied = tied.unwrap();
    assert!(tied.config.tie_word_embeddings);
    assert_eq!(*tied.weights.unembedding.data, *tied.weights.embedding.data);
}

#[test]
fn gguf_files_that_are_not_computed_are_refused() {
    let mut messages = crate::Messages::of("dense/gguf_files_that_are_not_computed_are_refused");
    let mut changed = |change: &dyn Fn(&mut GgufFile)| {
        messages.push(with("deepseek", change).expect_err("it is refused"));
    };
    changed(&|file| file.add("llama.expert_count", Metadata::U32(8)));
    changed(&|file| file.add("llama.attention.causal", Metadata::Raw(7, vec![0])));
    changed(&|file| file.add("llama.rope.scaling.type", Metadata::Text("yarn".into())));
    changed(&|file| file.add("llama.rope.dimension_count", Metadata::U32(8)));
    changed(&|file| file.add("llama.attention.value_length", Metadata::U32(8)));
    changed(&|file| *file.value("llama.attention.head_count") = Metadata::U32(5));
    changed(&|file| file.remove("llama.attention.layer_norm_rms_epsilon"));
    changed(&|file| file.remove("llama.feed_forward_length"));
    changed(&|file| {
        file.tensors.push(vector("rope_freqs.weight", &[1.0; 4], &[4]));
    });
    changed(&|file| {
        file.tensors.push(vector("rope_freqs.weight", &[0.0; 8], &[8]));
    });
    changed(&|file| {
        file.tensors.push(vector("rope_freqs.weight", &[1.0; 8], &[8]));
        file.add("llama.rope.scaling.factor", Metadata::F32(4.0));
    });
    changed(&|file| {
        file.tensors.push(vector("blk.1.attn_q.bias", &[0.0; 64], &[64]));
    });
    changed(&|file| file.tensor("blk.0.ffn_up.weight").name = "blk.0.up.weight".into());
    messages.check();
}

#[test]
fn an_output_matrix_beside_a_tied_one_is_not_needed() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        let from = testdata("deepseek/hf").join(name);
        std::fs::copy(from, folder.path().join(name)).unwrap();
    }
    let path = folder.path().join("config.json");
    let mut json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    json["tie_word_embeddings"] = json!(true);
    std::fs::write(&path, json.to_string()).unwrap();
    let model = Model::open(folder.path()).unwrap();
    let unused: Vec<&str> =
        model.tensors.iter().filter(|t| !t.used).map(|t| t.name.as_str()).collect();
    assert_eq!(unused, ["lm_head.weight"]);
    assert_eq!(*model.weights.unembedding.data, *model.weights.embedding.data);
}
