//! The tensors of a dense model as each layout stores them.
//!
//! Names and shapes are those of `docs/formats.md`.

use super::DenseFormat;
use super::encode::Pick;
use super::source::{Role, Sources};
use super::tensors::{TensorPlan, bf16, stored, wide};

/// The names of one layout: without `.weight`, which all have.
struct Names {
    /// Embedding, last norm, unembedding.
    whole: [&'static str; 3],
    layer: &'static str,
    norms: [&'static str; 2],
    /// Query, key, value, output.
    attention: [&'static str; 4],
    /// Gate, up, down.
    mlp: [&'static str; 3],
}

const HUGGING_FACE: Names = Names {
    whole: ["model.embed_tokens", "model.norm", "lm_head"],
    layer: "model.layers",
    norms: ["input_layernorm", "post_attention_layernorm"],
    attention: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"],
    mlp: ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"],
};

const GGUF: Names = Names {
    whole: ["token_embd", "output_norm", "output"],
    layer: "blk",
    norms: ["attn_norm", "ffn_norm"],
    attention: ["attn_q", "attn_k", "attn_v", "attn_output"],
    mlp: ["ffn_gate", "ffn_up", "ffn_down"],
};

/// How a layout stores matrices, vectors, and the rows of query and key heads.
struct Storage {
    names: &'static Names,
    matrix: DenseFormat,
    vector: DenseFormat,
    heads: Pick,
}

/// The tensors of the Hugging Face layout, all of them bfloat16.
pub(super) fn hugging_face(sources: Sources) -> Vec<TensorPlan> {
    let (matrix, vector) = (DenseFormat::Bf16, DenseFormat::Bf16);
    tensors(sources, &Storage { names: &HUGGING_FACE, matrix, vector, heads: Pick::Every })
}

/// The tensors of a GGUF file: matrices in `dense`, norms as f32.
pub(super) fn gguf(sources: Sources, dense: DenseFormat) -> Vec<TensorPlan> {
    let heads = Pick::Pairs(sources.config.head_dim as u64);
    let vector = DenseFormat::F32;
    tensors(sources, &Storage { names: &GGUF, matrix: dense, vector, heads })
}

fn tensors(sources: Sources, storage: &Storage) -> Vec<TensorPlan> {
    let config = sources.config;
    let (v, d, f) = (config.vocab_size, config.hidden_size, config.intermediate_size);
    let query = config.num_attention_heads * config.head_dim;
    let kv = config.num_key_value_heads * config.head_dim;
    let names = storage.names;
    let matrix = |name: &str, (role, layer): (Role, usize), shape: [usize; 2], pick: Pick| {
        let mut plan = stored(storage.matrix, sources.dense(role, layer), name, shape);
        plan.segments[0].pick = pick;
        plan
    };
    let norm = |name: &str, role: Role, layer: usize| match storage.vector {
        DenseFormat::F32 => {
            wide(format!("{name}.weight"), &[d], sources.dense(role, layer), Pick::Every)
        }
        _ => bf16(format!("{name}.weight"), &[d], &[(sources.dense(role, layer), d, 1)]),
    };
    let [embedding, last_norm, unembedding] = names.whole;
    let mut tensors = vec![matrix(embedding, (Role::Embedding, 0), [v, d], Pick::Every)];
    for layer in 0..config.num_hidden_layers {
        let name = |part: &str| format!("{}.{layer}.{part}", names.layer);
        let [q, k, value, out] = names.attention;
        let [gate, up, down] = names.mlp;
        tensors.push(norm(&name(names.norms[0]), Role::AttnNorm, layer));
        for (part, role, shape, pick) in [
            (q, Role::Q, [query, d], storage.heads),
            (k, Role::K, [kv, d], storage.heads),
            (value, Role::V, [kv, d], Pick::Every),
            (out, Role::Out, [d, query], Pick::Every),
            (gate, Role::GateUp, [f, d], Pick::Even),
            (up, Role::GateUp, [f, d], Pick::Odd),
            (down, Role::Down, [d, f], Pick::Every),
        ] {
            tensors.push(matrix(&name(part), (role, layer), shape, pick));
        }
        tensors.push(norm(&name(names.norms[1]), Role::MlpNorm, layer));
    }
    tensors.push(norm(last_norm, Role::Norm, 0));
    if !config.tie_word_embeddings {
        tensors.push(matrix(unembedding, (Role::Unembedding, 0), [v, d], Pick::Every));
    }
    tensors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets;

    #[test]
    fn published_shapes_have_their_parameters_in_both_layouts() {
        let mut compared = 0;
        for preset in presets::all() {
            let config = &preset.config;
            if config.architecture != crate::config::Architecture::Llama {
                continue;
            }
            let sources = Sources { config, seed: 0 };
            for tensors in [hugging_face(sources), gguf(sources, DenseFormat::Bf16)] {
                let elements = |plan: &TensorPlan| plan.shape.iter().product::<usize>() as u64;
                let total: u64 = tensors.iter().map(elements).sum();
                assert_eq!(total, config.parameters().total, "{}", preset.name);
                compared += 1;
            }
            let bytes: u64 = hugging_face(sources).iter().map(TensorPlan::bytes).sum();
            assert_eq!(bytes, config.published_bytes(), "{}", preset.name);
        }
        assert_eq!(compared, 8);
    }
}
