//! Weights in OpenAI's own layout: `block.N.…`, one matrix for query, key and value.
//!
//! Source of names and shapes: gpt_oss/torch/model.py and weights.py of openai/gpt-oss.

use crate::config::ModelConfig;
use crate::error::CheckpointError;
use crate::hf::mxfp4;
use crate::tensors::TensorTable;
use crate::weights::{ExpertLayout, Experts, LayerWeights, Matrix, RotaryPairs, Weights};

/// Takes the weights of a model of this configuration out of the table.
pub(crate) fn weights(
    config: &ModelConfig,
    table: &mut TensorTable,
) -> Result<Weights, CheckpointError> {
    let (v, d) = (config.vocab_size, config.hidden_size);
    Ok(Weights {
        embedding: table.matrix("embedding.weight", [v, d])?,
        layers: (0..config.num_hidden_layers)
            .map(|index| layer(config, table, index))
            .collect::<Result<_, _>>()?,
        norm: table.vector("norm.scale", &[d])?,
        unembedding: table.matrix("unembedding.weight", [v, d])?,
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
    let name = |part: &str| format!("block.{index}.{part}");
    let attn_norm = table.vector(&name("attn.norm.scale"), &[d])?;
    let qkv = table.matrix(&name("attn.qkv.weight"), [query + 2 * kv, d])?;
    let qkv_bias = table.vector(&name("attn.qkv.bias"), &[query + 2 * kv])?;
    let (q_bias, kv_bias) = qkv_bias.split_at(query);
    let (k_bias, v_bias) = kv_bias.split_at(kv);
    Ok(LayerWeights {
        attn_norm,
        q: rows(&qkv, 0, query),
        q_bias: q_bias.to_vec(),
        k: rows(&qkv, query, kv),
        k_bias: k_bias.to_vec(),
        v: rows(&qkv, query + kv, kv),
        v_bias: v_bias.to_vec(),
        sinks: table.vector(&name("attn.sinks"), &[heads])?,
        out: table.matrix(&name("attn.out.weight"), [d, query])?,
        out_bias: table.vector(&name("attn.out.bias"), &[d])?,
        mlp_norm: table.vector(&name("mlp.norm.scale"), &[d])?,
        router: Some(table.matrix(&name("mlp.gate.weight"), [e, d])?),
        router_bias: table.vector(&name("mlp.gate.bias"), &[e])?,
        gate_up: experts(table, &name("mlp.mlp1_weight"), [e, 2 * f, d])?,
        gate_up_bias: table.vector(&name("mlp.mlp1_bias"), &[e, 2 * f])?,
        down: experts(table, &name("mlp.mlp2_weight"), [e, d, f])?,
        down_bias: table.vector(&name("mlp.mlp2_bias"), &[e, d])?,
    })
}

/// `count` rows of a matrix from `start` on; nothing is copied.
fn rows(matrix: &Matrix, start: usize, count: usize) -> Matrix {
    let row = matrix.format.row_bytes(matrix.cols).expect("rows of a matrix are whole blocks");
    let data = matrix.data.slice(start * row..(start + count) * row);
    let data = data.expect("the matrix holds these rows");
    Matrix { format: matrix.format, rows: count, cols: matrix.cols, data }
}

/// MXFP4, or BF16 with the outputs first: openai/gpt-oss reads both.
fn experts(
    table: &mut TensorTable,
    name: &str,
    [experts, rows, cols]: [usize; 3],
) -> Result<Experts, CheckpointError> {
    let layout = if table.contains(name) {
        let matrix = table.stacked(name, [experts, rows, cols])?;
        ExpertLayout::Rows(matrix)
    } else {
        let names = [format!("{name}.blocks"), format!("{name}.scales")];
        mxfp4(table, names, [experts, rows, cols])?
    };
    Ok(Experts { experts, rows, cols, layout })
}
