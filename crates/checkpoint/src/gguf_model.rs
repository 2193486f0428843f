//! Weights of gpt-oss in a GGUF file: `blk.N.…`, the gates and linear parts of the experts in two
//! tensors.
//!
//! Source of the names: src/models/openai-moe.cpp and gguf-py of llama.cpp; of Ollama's other
//! names: llama/compat of ollama.

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
        embedding: table.matrix("token_embd.weight", [v, d])?,
        layers: (0..config.num_hidden_layers)
            .map(|index| layer(config, table, index))
            .collect::<Result<_, _>>()?,
        norm: table.vector("output_norm.weight", &[d])?,
        unembedding: table.matrix("output.weight", [v, d])?,
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
    let name = |part: &str| format!("blk.{index}.{part}");
    // Ollama's name if the file has it, else llama.cpp's, which errors then name.
    let either = |table: &TensorTable, usual: &str, ollama: &str| match name(ollama) {
        other if table.contains(&other) => other,
        _ => name(usual),
    };
    let out = either(table, "attn_output.weight", "attn_out.weight");
    let out_bias = either(table, "attn_output.bias", "attn_out.bias");
    let sinks = either(table, "attn_sinks.weight", "attn_sinks");
    let mlp_norm = either(table, "post_attention_norm.weight", "ffn_norm.weight");
    Ok(LayerWeights {
        attn_norm: table.vector(&name("attn_norm.weight"), &[d])?,
        q: table.matrix(&name("attn_q.weight"), [query, d])?,
        q_bias: table.vector(&name("attn_q.bias"), &[query])?,
        k: table.matrix(&name("attn_k.weight"), [kv, d])?,
        k_bias: table.vector(&name("attn_k.bias"), &[kv])?,
        v: table.matrix(&name("attn_v.weight"), [kv, d])?,
        v_bias: table.vector(&name("attn_v.bias"), &[kv])?,
        sinks: table.vector(&sinks, &[heads])?,
        out: table.matrix(&out, [d, query])?,
        out_bias: table.vector(&out_bias, &[d])?,
        mlp_norm: table.vector(&mlp_norm, &[d])?,
        router: Some(table.matrix(&name("ffn_gate_inp.weight"), [e, d])?),
        router_bias: table.vector(&name("ffn_gate_inp.bias"), &[e])?,
        gate_up: Experts {
            experts: e,
            rows: 2 * f,
            cols: d,
            layout: ExpertLayout::GateAndUp {
                gate: table.stacked(&name("ffn_gate_exps.weight"), [e, f, d])?,
                up: table.stacked(&name("ffn_up_exps.weight"), [e, f, d])?,
            },
        },
        gate_up_bias: interleave(
            &table.vector(&name("ffn_gate_exps.bias"), &[e, f])?,
            &table.vector(&name("ffn_up_exps.bias"), &[e, f])?,
        ),
        down: Experts {
            experts: e,
            rows: d,
            cols: f,
            layout: ExpertLayout::Rows(table.stacked(&name("ffn_down_exps.weight"), [e, d, f])?),
        },
        down_bias: table.vector(&name("ffn_down_exps.bias"), &[e, d])?,
    })
}

/// `[E, F]` and `[E, F]` to `[E, 2F]`, the order of the other layouts.
fn interleave(gate: &[f32], up: &[f32]) -> Vec<f32> {
    gate.iter().zip(up).flat_map(|(gate, up)| [*gate, *up]).collect()
}
