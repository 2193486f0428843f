//! Weights of dense models, whose two layouts differ in names and in the order of rows.
//!
//! Source of the names: modeling_llama.py of transformers; src/llama-arch.cpp of llama.cpp, whose
//! converter (`LlamaModel.permute` in convert_hf_to_gguf.py) sorts the rows of query and key heads
//! so that those that turn together are neighbours.

use crate::config::ModelConfig;
use crate::error::{CheckpointError, Place};
use crate::tensors::TensorTable;
use crate::weights::{ExpertLayout, Experts, LayerWeights, Matrix, RotaryPairs, Weights};

/// The names of one layout.
pub(crate) struct Names {
    /// Embedding, last norm, unembedding.
    whole: [&'static str; 3],
    /// What a layer's names begin with, before its number.
    layer: &'static str,
    /// Norms before attention and before the perceptron.
    norms: [&'static str; 2],
    /// Query, key, value, output.
    attention: [&'static str; 4],
    /// Gate, up, down.
    mlp: [&'static str; 3],
    rotary_pairs: RotaryPairs,
}

/// `model.layers.N.…`
pub(crate) const HUGGING_FACE: Names = Names {
    whole: ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"],
    layer: "model.layers",
    norms: ["input_layernorm.weight", "post_attention_layernorm.weight"],
    attention: [
        "self_attn.q_proj.weight",
        "self_attn.k_proj.weight",
        "self_attn.v_proj.weight",
        "self_attn.o_proj.weight",
    ],
    mlp: ["mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight"],
    rotary_pairs: RotaryPairs::Halves,
};

/// `blk.N.…`
pub(crate) const GGUF: Names = Names {
    whole: ["token_embd.weight", "output_norm.weight", "output.weight"],
    layer: "blk",
    norms: ["attn_norm.weight", "ffn_norm.weight"],
    attention: ["attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_output.weight"],
    mlp: ["ffn_gate.weight", "ffn_up.weight", "ffn_down.weight"],
    rotary_pairs: RotaryPairs::Neighbours,
};

/// Takes the weights of a model of this configuration out of the table.
///
/// # Errors
/// A tensor that is missing or of another shape, or a tensor of a layer that is not one of these:
/// the model would be another function without it.
pub(crate) fn weights(
    config: &ModelConfig,
    table: &mut TensorTable,
    names: &Names,
) -> Result<Weights, CheckpointError> {
    let (v, d) = (config.vocab_size, config.hidden_size);
    let [embedding, norm, unembedding] = names.whole;
    let embedding = table.matrix(embedding, [v, d])?;
    let layers = (0..config.num_hidden_layers).map(|index| layer(config, table, (names, index)));
    let layers = layers.collect::<Result<_, _>>()?;
    let norm = table.vector(norm, &[d])?;
    let unembedding = match config.tie_word_embeddings {
        true => embedding.clone(),
        false => table.matrix(unembedding, [v, d])?,
    };
    refuse_others(table, names)?;
    Ok(Weights { embedding, layers, norm, unembedding, rotary_pairs: names.rotary_pairs })
}

fn layer(
    config: &ModelConfig,
    table: &mut TensorTable,
    (names, index): (&Names, usize),
) -> Result<LayerWeights, CheckpointError> {
    let (d, f) = (config.hidden_size, config.intermediate_size);
    let heads = config.num_attention_heads;
    let (query, kv) = (heads * config.head_dim, config.num_key_value_heads * config.head_dim);
    let name = |part: &str| format!("{}.{index}.{part}", names.layer);
    let mut matrix = |part: &str, shape: [usize; 2]| table.matrix(&name(part), shape);
    let [q, k, v, out] = names.attention;
    let [gate, up, down] = names.mlp;
    let one =
        |rows: usize, cols: usize, layout: ExpertLayout| Experts { experts: 1, rows, cols, layout };
    let [q, k, v] = [matrix(q, [query, d])?, matrix(k, [kv, d])?, matrix(v, [kv, d])?];
    let out: Matrix = matrix(out, [d, query])?;
    let (gate, up) = (matrix(gate, [f, d])?, matrix(up, [f, d])?);
    let down = matrix(down, [d, f])?;
    Ok(LayerWeights {
        attn_norm: table.vector(&name(names.norms[0]), &[d])?,
        q,
        q_bias: Vec::new(),
        k,
        k_bias: Vec::new(),
        v,
        v_bias: Vec::new(),
        sinks: vec![f32::NEG_INFINITY; heads],
        out,
        out_bias: Vec::new(),
        mlp_norm: table.vector(&name(names.norms[1]), &[d])?,
        router: None,
        router_bias: Vec::new(),
        gate_up: one(2 * f, d, ExpertLayout::GateAndUp { gate, up }),
        gate_up_bias: Vec::new(),
        down: one(d, f, ExpertLayout::Rows(down)),
        down_bias: Vec::new(),
    })
}

/// Biases, further norms and experts lie beside what was taken; older files have the rotary
/// frequencies there, too, which follow from the configuration.
fn refuse_others(table: &TensorTable, names: &Names) -> Result<(), CheckpointError> {
    let is_of_a_layer = |name: &&String| {
        let rest = name.strip_prefix(names.layer).and_then(|rest| rest.strip_prefix('.'));
        rest.is_some_and(|rest| !rest.ends_with("rotary_emb.inv_freq"))
    };
    match table.tensors.keys().find(is_of_a_layer) {
        None => Ok(()),
        Some(name) => Err(CheckpointError::Unsupported {
            file: table.tensors[name].file.to_path_buf(),
            place: Place::Tensor(name.clone()),
            what: "a tensor that layers of LLaMA and Mistral do not have".to_owned(),
        }),
    }
}
