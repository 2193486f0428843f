//! What the fuzz targets call: the readers, on bytes that anyone may have made. Each says whether
//! the bytes were accepted.

use std::path::Path;

use crate::bytes::Bytes;
use crate::config::{Architecture, ModelConfig};
use crate::model::gguf_weights;
use crate::tensors::TensorTable;
use crate::{config_json, gguf as gguf_file, gguf_config, hf, llama_model, original, safetensors};

/// Reads bytes as a safetensors file, and its tensors as the weights of a tiny model.
pub fn safetensors_header(data: &[u8]) -> bool {
    let file = Path::new("fuzz.safetensors");
    let Ok(tensors) = safetensors::read(file, &Bytes::from(data.to_vec())) else { return false };
    let config = tiny();
    let table = || TensorTable { file: file.to_path_buf(), tensors: tensors.clone() };
    let hugging_face = hf::weights(&config, &mut table()).is_ok();
    let original = original::weights(&config, &mut table()).is_ok();
    let llama = llama_model::weights(&config, &mut table(), &llama_model::HUGGING_FACE).is_ok();
    hugging_face || original || llama
}

/// The shape of the models in the corpus, so that inputs get as far as the weights.
fn tiny() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::GptOss,
        vocab_size: 4,
        hidden_size: 32,
        intermediate_size: 32,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 2,
        num_local_experts: 2,
        num_experts_per_tok: 1,
        sliding_window: 4,
        layer_types: config_json::alternating(1),
        rms_norm_eps: config_json::RMS_NORM_EPS,
        rope_theta: config_json::ROPE_THETA,
        rope_scaling: None,
        swiglu_limit: Some(config_json::SWIGLU_LIMIT),
        tie_word_embeddings: false,
        max_position_embeddings: 16,
    }
}

/// Reads bytes as a GGUF file with a model in it.
pub fn gguf(data: &[u8]) -> bool {
    let file = Path::new("fuzz.gguf");
    let Ok(gguf) = gguf_file::read(file, &Bytes::from(data.to_vec())) else { return false };
    let mut table = TensorTable { file: file.to_path_buf(), tensors: gguf.tensors };
    let chat = gguf_config::chat(&gguf.metadata).is_ok();
    let Ok(config) = gguf_config::config(&gguf.metadata, &mut table) else { return false };
    let tokenizer = gguf_config::tokenizer(&gguf.metadata, &config).is_ok();
    let weights = gguf_weights(&config, &mut table).is_ok();
    chat && tokenizer && weights
}

/// Reads bytes as a `config.json`, and computes the sizes of its model.
pub fn config(data: &[u8]) -> bool {
    let Ok(json) = serde_json::from_slice(data) else { return false };
    let Ok((_, config)) = config_json::parse(Path::new("config.json"), &json) else { return false };
    let parameters = config.parameters();
    assert!(parameters.active <= parameters.total, "a token does not meet more than there is");
    let cache = config.kv_cache_bytes(config.max_position_embeddings, 2);
    config.published_bytes() > 0 && cache > 0
}
