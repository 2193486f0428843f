//! A GGUF file: metadata, table of tensors, offsets.
//!
//! Source: docs/gguf.md of ggml-org/ggml, version 3; keys as llama.cpp's converter writes them
//! (gguf-py/gguf/constants.py).

use super::config_files::description;
use super::tensors::{Dtype, TensorPlan};
use super::write::{FilePlan, Piece};
use super::{DenseFormat, Synthesis, VocabularyToWrite};
use crate::config::{Architecture, LayerType, ModelConfig, RopeScaling};
use crate::config_json::alternating;
use crate::gguf::MAGIC;

const ALIGNMENT: u64 = 32;

/// The file with these tensors; its name is the caller's.
pub(super) fn file(
    synthesis: &Synthesis,
    dense: DenseFormat,
    vocabulary: Option<&VocabularyToWrite>,
    tensors: &[TensorPlan],
) -> FilePlan {
    let prefix = synthesis.config.architecture.name();
    let mut keys = Keys { prefix, count: 0, bytes: Vec::new() };
    general(&mut keys, synthesis, dense);
    shape(&mut keys, synthesis.config);
    tokenizer(&mut keys, vocabulary);
    let mut head = MAGIC.to_vec();
    head.extend(3u32.to_le_bytes());
    head.extend((tensors.len() as u64).to_le_bytes());
    head.extend(keys.count.to_le_bytes());
    head.append(&mut keys.bytes);
    let mut offset = 0u64;
    for tensor in tensors {
        string(&mut head, &tensor.name);
        head.extend((tensor.shape.len() as u32).to_le_bytes());
        for size in tensor.shape.iter().rev() {
            head.extend((*size as u64).to_le_bytes());
        }
        head.extend(type_number(tensor.dtype).to_le_bytes());
        head.extend(offset.to_le_bytes());
        offset = (offset + tensor.bytes()).next_multiple_of(ALIGNMENT);
    }
    head.resize(head.len().next_multiple_of(ALIGNMENT as usize), 0);
    let mut position = head.len() as u64;
    let mut pieces = Vec::new();
    for tensor in tensors {
        for segment in &tensor.segments {
            pieces.push(Piece { offset: position, segment: *segment });
            position += segment.bytes();
        }
        position = position.next_multiple_of(ALIGNMENT);
    }
    FilePlan { name: String::new(), head, pieces, bytes: position }
}

/// `ggml_type` of ggml.h.
fn type_number(dtype: Dtype) -> u32 {
    match dtype {
        Dtype::F32 => 0,
        Dtype::Q8_0 => 8,
        Dtype::U8 => unreachable!("a type of safetensors files"),
        Dtype::Bf16 => 30,
        Dtype::Mxfp4 => 39,
    }
}

fn general(keys: &mut Keys, synthesis: &Synthesis, dense: DenseFormat) {
    keys.string("general.architecture", synthesis.config.architecture.name());
    keys.string("general.type", "model");
    keys.string("general.name", &format!("{} (random weights)", synthesis.name));
    let text = format!("Not a trained model: {}", description(synthesis));
    keys.string("general.description", &text);
    keys.string(super::config_files::MARK, &format!("seed {}", synthesis.seed));
    // llama_ftype of llama.h: experts as MXFP4, whatever the rest is.
    let file_type = match (synthesis.config.architecture, dense) {
        (Architecture::GptOss, _) => 38,
        (Architecture::Llama, DenseFormat::F32) => 0,
        (Architecture::Llama, DenseFormat::Q8_0) => 7,
        (Architecture::Llama, DenseFormat::Bf16) => 32,
    };
    keys.u32("general.file_type", file_type);
    if dense == DenseFormat::Q8_0 {
        keys.u32("general.quantization_version", 2);
    }
}

fn shape(keys: &mut Keys, config: &ModelConfig) {
    for (key, count) in [
        ("block_count", config.num_hidden_layers),
        ("context_length", config.max_position_embeddings),
        ("embedding_length", config.hidden_size),
        ("feed_forward_length", config.intermediate_size),
        ("attention.head_count", config.num_attention_heads),
        ("attention.head_count_kv", config.num_key_value_heads),
        ("attention.key_length", config.head_dim),
        ("attention.value_length", config.head_dim),
        ("rope.dimension_count", config.head_dim),
        ("vocab_size", config.vocab_size),
    ] {
        keys.count(key, count);
    }
    keys.number("attention.layer_norm_rms_epsilon", config.rms_norm_eps);
    keys.number("rope.freq_base", config.rope_theta);
    if config.sliding_layers() > 0 {
        keys.count("attention.sliding_window", config.sliding_window);
    }
    if config.architecture == Architecture::GptOss {
        for (key, count) in [
            ("expert_feed_forward_length", config.intermediate_size),
            ("expert_count", config.num_local_experts),
            ("expert_used_count", config.num_experts_per_tok),
        ] {
            keys.count(key, count);
        }
        if config.layer_types != alternating(config.num_hidden_layers) {
            let slides = |kind: &LayerType| u8::from(*kind == LayerType::SlidingAttention);
            let flags: Vec<u8> = config.layer_types.iter().map(slides).collect();
            keys.bools("attention.sliding_window_pattern", &flags);
        }
    }
    rope(keys, config);
}

/// How frequencies are stretched; the plan has refused what there are no keys for.
fn rope(keys: &mut Keys, config: &ModelConfig) {
    let kind = format!("{}.rope.scaling.type", keys.prefix);
    match &config.rope_scaling {
        Some(RopeScaling::Yarn(yarn)) => {
            keys.string(&kind, "yarn");
            keys.number("rope.scaling.factor", yarn.factor);
            let original = yarn.original_max_position_embeddings;
            keys.count("rope.scaling.original_context_length", original);
            keys.number("rope.scaling.yarn_beta_fast", yarn.beta_fast);
            keys.number("rope.scaling.yarn_beta_slow", yarn.beta_slow);
        }
        Some(RopeScaling::Linear { factor }) => {
            keys.string(&kind, "linear");
            keys.number("rope.scaling.factor", *factor);
        }
        _ => keys.string(&kind, "none"),
    }
}

fn tokenizer(keys: &mut Keys, vocabulary: Option<&VocabularyToWrite>) {
    let Some(vocabulary) = vocabulary else {
        keys.string("tokenizer.ggml.model", "no_vocab");
        return;
    };
    keys.string("tokenizer.ggml.model", "gpt2");
    keys.string("tokenizer.ggml.pre", &vocabulary.pre);
    keys.strings("tokenizer.ggml.tokens", &vocabulary.tokens);
    keys.i32s("tokenizer.ggml.token_type", vocabulary.token_types.iter().copied());
    keys.strings("tokenizer.ggml.merges", &vocabulary.merges);
    keys.u32("tokenizer.ggml.bos_token_id", vocabulary.bos_token_id);
    if let Some(eos) = vocabulary.eos_token_ids.first() {
        keys.u32("tokenizer.ggml.eos_token_id", *eos);
    }
    let ids = vocabulary.eos_token_ids.iter().map(|id| *id as i32);
    keys.i32s("tokenizer.ggml.eos_token_ids", ids);
    keys.u32("tokenizer.ggml.padding_token_id", vocabulary.padding_token_id);
    keys.bool("tokenizer.ggml.add_bos_token", false);
}

/// Metadata as the file has it.
struct Keys {
    /// What the keys of the architecture begin with.
    prefix: &'static str,
    count: u64,
    bytes: Vec<u8>,
}

impl Keys {
    /// A key and the number of its value's type.
    fn start(&mut self, key: &str, kind: u32) {
        self.count += 1;
        string(&mut self.bytes, key);
        self.bytes.extend(kind.to_le_bytes());
    }

    fn start_array(&mut self, key: &str, kind: u32, len: usize) {
        self.start(key, 9);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((len as u64).to_le_bytes());
    }

    fn u32(&mut self, key: &str, value: u32) {
        self.start(key, 4);
        self.bytes.extend(value.to_le_bytes());
    }

    /// A number of the architecture.
    fn count(&mut self, key: &str, value: usize) {
        let value = u32::try_from(value).expect("numbers of a checked configuration are small");
        self.u32(&format!("{}.{key}", self.prefix), value);
    }

    /// A number of the architecture, with a fraction.
    fn number(&mut self, key: &str, value: f64) {
        self.start(&format!("{}.{key}", self.prefix), 6);
        self.bytes.extend((value as f32).to_le_bytes());
    }

    fn string(&mut self, key: &str, value: &str) {
        self.start(key, 8);
        string(&mut self.bytes, value);
    }

    fn bool(&mut self, key: &str, value: bool) {
        self.start(key, 7);
        self.bytes.push(u8::from(value));
    }

    /// Truth values of the architecture.
    fn bools(&mut self, key: &str, values: &[u8]) {
        self.start_array(&format!("{}.{key}", self.prefix), 7, values.len());
        self.bytes.extend(values);
    }

    fn i32s(&mut self, key: &str, values: impl ExactSizeIterator<Item = i32>) {
        self.start_array(key, 5, values.len());
        self.bytes.extend(values.flat_map(i32::to_le_bytes));
    }

    fn strings(&mut self, key: &str, values: &[String]) {
        self.start_array(key, 8, values.len());
        for value in values {
            string(&mut self.bytes, value);
        }
    }
}

fn string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}
