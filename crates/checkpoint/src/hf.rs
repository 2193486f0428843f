//! Weights of gpt-oss in the Hugging Face layout: `model.layers.N.…`, experts MXFP4 or BF16.
//!
//! Source of names and shapes: modeling_gpt_oss.py of transformers 5.23.0. The MXFP4 tensors are
//! OpenAI's bytes; the plain ones are transposed, `[E, inputs, outputs]`.

use crate::config::ModelConfig;
use crate::error::CheckpointError;
use crate::tensors::TensorTable;
use crate::weights::{ExpertLayout, Experts, LayerWeights, RotaryPairs, Weights};

/// Takes the weights of a model of this configuration out of the table.
pub(crate) fn weights(
    config: &ModelConfig,
    table: &mut TensorTable,
) -> Result<Weights, CheckpointError> {
    let (v, d) = (config.vocab_size, config.hidden_size);
    Ok(Weights {
        embedding: table.matrix("model.embed_tokens.weight", [v, d])?,
        layers: (0..config.num_hidden_layers)
            .map(|index| layer(config, table, index))
            .collect::<Result<_, _>>()?,
        norm: table.vector("model.norm.weight", &[d])?,
        unembedding: table.matrix("lm_head.weight", [v, d])?,
        rotary_pairs: RotaryPairs::Halves,
    })
}

fn layer(
    config: &ModelConfig,
    table: &mut TensorTable,
    index: usize,
) -> Result<LayerWeights, CheckpointError> {
    let (d, f, e) = (config.hidden_size, config.intermediate_size, config.num_local_experts);
    let heads = config.num_attention_heads;
    let (query, kv) = (heads * config.head_dim, config.num_key_value_heads * config.head_dim);
    let name = |part: &str| format!("model.layers.{index}.{part}");
    Ok(LayerWeights {
        attn_norm: table.vector(&name("input_layernorm.weight"), &[d])?,
        q: table.matrix(&name("self_attn.q_proj.weight"), [query, d])?,
        q_bias: table.vector(&name("self_attn.q_proj.bias"), &[query])?,
        k: table.matrix(&name("self_attn.k_proj.weight"), [kv, d])?,
        k_bias: table.vector(&name("self_attn.k_proj.bias"), &[kv])?,
        v: table.matrix(&name("self_attn.v_proj.weight"), [kv, d])?,
        v_bias: table.vector(&name("self_attn.v_proj.bias"), &[kv])?,
        sinks: table.vector(&name("self_attn.sinks"), &[heads])?,
        out: table.matrix(&name("self_attn.o_proj.weight"), [d, query])?,
        out_bias: table.vector(&name("self_attn.o_proj.bias"), &[d])?,
        mlp_norm: table.vector(&name("post_attention_layernorm.weight"), &[d])?,
        router: Some(table.matrix(&name("mlp.router.weight"), [e, d])?),
        router_bias: table.vector(&name("mlp.router.bias"), &[e])?,
        gate_up: experts(table, &name("mlp.experts.gate_up_proj"), [e, 2 * f, d])?,
        gate_up_bias: table.vector(&name("mlp.experts.gate_up_proj_bias"), &[e, 2 * f])?,
        down: experts(table, &name("mlp.experts.down_proj"), [e, d, f])?,
        down_bias: table.vector(&name("mlp.experts.down_proj_bias"), &[e, d])?,
    })
}

fn experts(
    table: &mut TensorTable,
    name: &str,
    [experts, rows, cols]: [usize; 3],
) -> Result<Experts, CheckpointError> {
    let layout = if table.contains(name) {
        let (format, tensor) = table.plain(name, &[experts, cols, rows])?;
        ExpertLayout::Transposed { format, data: tensor.data }
    } else {
        let names = [format!("{name}_blocks"), format!("{name}_scales")];
        mxfp4(table, names, [experts, rows, cols])?
    };
    Ok(Experts { experts, rows, cols, layout })
}

/// The two tensors of OpenAI's MXFP4, `[E, rows, cols/32, 16]` and `[E, rows, cols/32]`.
pub(crate) fn mxfp4(
    table: &mut TensorTable,
    [blocks, scales]: [String; 2],
    [experts, rows, cols]: [usize; 3],
) -> Result<ExpertLayout, CheckpointError> {
    // Inputs that are not a multiple of 32 cannot be stored so; the shape then never matches.
    let count = cols.div_ceil(32);
    let blocks = table.bytes(&blocks, &[experts, rows, count, 16])?;
    let scales = table.bytes(&scales, &[experts, rows, count])?;
    Ok(ExpertLayout::Mxfp4 { blocks, scales })
}
