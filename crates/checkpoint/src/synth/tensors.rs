//! The tensors of a gpt-oss model as each layout stores them: names, shapes, types and values.
//!
//! Names and shapes are those of `docs/formats.md`.

use super::DenseFormat;
use super::encode::{Encoding, Pick, Segment};
use super::source::{Dense, Role, Sources};

/// A tensor of a file.
#[derive(Clone, Debug)]
pub(super) struct TensorPlan {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    /// Slowest axis first.
    pub(super) shape: Vec<usize>,
    pub(super) segments: Vec<Segment>,
}

/// The type that a header gives a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dtype {
    U8,
    F32,
    Bf16,
    Q8_0,
    Mxfp4,
}

impl TensorPlan {
    /// Bytes of the data.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(Segment::bytes).sum()
    }
}

/// The names in which the two safetensors layouts differ.
struct Names {
    layer: &'static str,
    whole: [&'static str; 3],
    attn_norm: &'static str,
    sinks: &'static str,
    out: &'static str,
    mlp_norm: &'static str,
    router: &'static str,
    gate_up: [&'static str; 3],
    down: [&'static str; 3],
}

const HUGGING_FACE: Names = Names {
    layer: "model.layers",
    whole: ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"],
    attn_norm: "input_layernorm.weight",
    sinks: "self_attn.sinks",
    out: "self_attn.o_proj",
    mlp_norm: "post_attention_layernorm.weight",
    router: "mlp.router",
    gate_up: [
        "mlp.experts.gate_up_proj_blocks",
        "mlp.experts.gate_up_proj_scales",
        "mlp.experts.gate_up_proj_bias",
    ],
    down: [
        "mlp.experts.down_proj_blocks",
        "mlp.experts.down_proj_scales",
        "mlp.experts.down_proj_bias",
    ],
};

const ORIGINAL: Names = Names {
    layer: "block",
    whole: ["embedding.weight", "norm.scale", "unembedding.weight"],
    attn_norm: "attn.norm.scale",
    sinks: "attn.sinks",
    out: "attn.out",
    mlp_norm: "mlp.norm.scale",
    router: "mlp.gate",
    gate_up: ["mlp.mlp1_weight.blocks", "mlp.mlp1_weight.scales", "mlp.mlp1_bias"],
    down: ["mlp.mlp2_weight.blocks", "mlp.mlp2_weight.scales", "mlp.mlp2_bias"],
};

/// The tensors of the Hugging Face layout.
pub(super) fn hugging_face(sources: Sources) -> Vec<TensorPlan> {
    safetensors(sources, &HUGGING_FACE, |tensors, layer| {
        for (name, weight, bias) in QKV {
            let rows = head_rows(sources, weight);
            let prefix = format!("model.layers.{layer}.self_attn.{name}_proj");
            let cols = sources.config.hidden_size;
            let matrix = sources.dense(weight, layer);
            tensors.push(bf16(format!("{prefix}.weight"), &[rows, cols], &[(matrix, rows, cols)]));
            let bias = sources.dense(bias, layer);
            tensors.push(bf16(format!("{prefix}.bias"), &[rows], &[(bias, rows, 1)]));
        }
    })
}

/// The tensors of OpenAI's layout: query, key and value are one matrix.
pub(super) fn original(sources: Sources) -> Vec<TensorPlan> {
    safetensors(sources, &ORIGINAL, |tensors, layer| {
        let cols = sources.config.hidden_size;
        let matrices =
            QKV.map(|(_, role, _)| (sources.dense(role, layer), head_rows(sources, role), cols));
        let biases =
            QKV.map(|(_, role, bias)| (sources.dense(bias, layer), head_rows(sources, role), 1));
        let rows = matrices.iter().map(|(_, rows, _)| rows).sum();
        let name = |part: &str| format!("block.{layer}.attn.qkv.{part}");
        tensors.push(bf16(name("weight"), &[rows, cols], &matrices));
        tensors.push(bf16(name("bias"), &[rows], &biases));
    })
}

/// Query, key and value: name, matrix, bias.
const QKV: [(&str, Role, Role); 3] =
    [("q", Role::Q, Role::QBias), ("k", Role::K, Role::KBias), ("v", Role::V, Role::VBias)];

/// Rows of the query, key or value matrix.
fn head_rows(sources: Sources, role: Role) -> usize {
    let heads = match role {
        Role::Q => sources.config.num_attention_heads,
        _ => sources.config.num_key_value_heads,
    };
    heads * sources.config.head_dim
}

/// What the two safetensors layouts have in common; `qkv` adds that of a layer in which they
/// differ.
fn safetensors(
    sources: Sources,
    names: &Names,
    qkv: impl Fn(&mut Vec<TensorPlan>, usize),
) -> Vec<TensorPlan> {
    let config = sources.config;
    let (v, d, f) = (config.vocab_size, config.hidden_size, config.intermediate_size);
    let (e, heads) = (config.num_local_experts, config.num_attention_heads);
    let query = heads * config.head_dim;
    let [embedding, norm, unembedding] = names.whole;
    let mut tensors = Vec::new();
    let matrix = |role, layer, name: String, rows: usize, cols: usize| {
        bf16(name, &[rows, cols], &[(sources.dense(role, layer), rows, cols)])
    };
    let vector = |role, layer, name: String, shape: &[usize]| {
        let count = shape.iter().product();
        bf16(name, shape, &[(sources.dense(role, layer), count, 1)])
    };
    tensors.push(matrix(Role::Embedding, 0, embedding.to_owned(), v, d));
    for layer in 0..config.num_hidden_layers {
        let name = |part: &str| format!("{}.{layer}.{part}", names.layer);
        tensors.push(vector(Role::AttnNorm, layer, name(names.attn_norm), &[d]));
        qkv(&mut tensors, layer);
        tensors.push(vector(Role::Sinks, layer, name(names.sinks), &[heads]));
        let part = |prefix: &str, ending: &str| name(&format!("{prefix}.{ending}"));
        tensors.push(matrix(Role::Out, layer, part(names.out, "weight"), d, query));
        tensors.push(vector(Role::OutBias, layer, part(names.out, "bias"), &[d]));
        tensors.push(vector(Role::MlpNorm, layer, name(names.mlp_norm), &[d]));
        tensors.push(matrix(Role::Router, layer, part(names.router, "weight"), e, d));
        tensors.push(vector(Role::RouterBias, layer, part(names.router, "bias"), &[e]));
        for (role, bias, names, rows, cols) in [
            (Role::GateUp, Role::GateUpBias, names.gate_up, 2 * f, d),
            (Role::Down, Role::DownBias, names.down, d, f),
        ] {
            let blocks = sources.blocks(role, layer);
            let (count, cols) = (e * rows, cols as u64);
            let plan = |name: &str, shape: &[usize], encoding| TensorPlan {
                name: name.to_owned(),
                dtype: Dtype::U8,
                shape: shape.to_vec(),
                segments: vec![Segment { rows: count as u64, cols, pick: Pick::Every, encoding }],
            };
            let across = cols as usize / 32;
            let shape = [e, rows, across, 16];
            tensors.push(plan(&name(names[0]), &shape, Encoding::Codes(blocks)));
            tensors.push(plan(&name(names[1]), &shape[..3], Encoding::Scales(blocks)));
            tensors.push(vector(bias, layer, name(names[2]), &[e, rows]));
        }
    }
    tensors.push(vector(Role::Norm, 0, norm.to_owned(), &[d]));
    tensors.push(matrix(Role::Unembedding, 0, unembedding.to_owned(), v, d));
    tensors
}

/// A tensor of bfloat16 numbers from one source after another: values, rows, columns.
pub(super) fn bf16(name: String, shape: &[usize], sources: &[(Dense, usize, usize)]) -> TensorPlan {
    let segment = |&(dense, rows, cols): &(Dense, usize, usize)| Segment {
        rows: rows as u64,
        cols: cols as u64,
        pick: Pick::Every,
        encoding: Encoding::Bf16(dense),
    };
    let segments = sources.iter().map(segment).collect();
    TensorPlan { name, dtype: Dtype::Bf16, shape: shape.to_vec(), segments }
}

/// The tensors of a GGUF file: matrices in `dense`, experts as MXFP4, the rest as f32.
pub(super) fn gguf(sources: Sources, dense: DenseFormat) -> Vec<TensorPlan> {
    let config = sources.config;
    let (v, d) = (config.vocab_size, config.hidden_size);
    let query = config.num_attention_heads * config.head_dim;
    let mut tensors = vec![stored(dense, sources.dense(Role::Embedding, 0), "token_embd", [v, d])];
    for layer in 0..config.num_hidden_layers {
        let of = |role| sources.dense(role, layer);
        let name = |part: &str| format!("blk.{layer}.{part}");
        tensors.push(wide(name("attn_norm.weight"), &[d], of(Role::AttnNorm), Pick::Every));
        for (part, role, bias) in QKV {
            let rows = head_rows(sources, role);
            let part = name(&format!("attn_{part}"));
            tensors.push(stored(dense, of(role), &part, [rows, d]));
            tensors.push(wide(format!("{part}.bias"), &[rows], of(bias), Pick::Every));
        }
        let heads = [config.num_attention_heads];
        tensors.push(wide(name("attn_sinks.weight"), &heads, of(Role::Sinks), Pick::Every));
        tensors.push(stored(dense, of(Role::Out), &name("attn_output"), [d, query]));
        tensors.push(wide(name("attn_output.bias"), &[d], of(Role::OutBias), Pick::Every));
        let norm = name("post_attention_norm.weight");
        tensors.push(wide(norm, &[d], of(Role::MlpNorm), Pick::Every));
        gguf_experts(sources, layer, &mut tensors);
    }
    tensors.push(wide("output_norm.weight".to_owned(), &[d], sources.dense(Role::Norm, 0), {
        Pick::Every
    }));
    tensors.push(stored(dense, sources.dense(Role::Unembedding, 0), "output", [v, d]));
    tensors
}

/// Router and experts of a layer; llama.cpp keeps routers in f32.
fn gguf_experts(sources: Sources, layer: usize, tensors: &mut Vec<TensorPlan>) {
    let config = sources.config;
    let (d, f, e) = (config.hidden_size, config.intermediate_size, config.num_local_experts);
    let of = |role| sources.dense(role, layer);
    let name = |part: &str| format!("blk.{layer}.ffn_{part}");
    tensors.push(wide(name("gate_inp.weight"), &[e, d], of(Role::Router), Pick::Every));
    tensors.push(wide(name("gate_inp.bias"), &[e], of(Role::RouterBias), Pick::Every));
    for (part, role, bias, pick, rows, cols) in [
        ("gate_exps", Role::GateUp, Role::GateUpBias, Pick::Even, f, d),
        ("up_exps", Role::GateUp, Role::GateUpBias, Pick::Odd, f, d),
        ("down_exps", Role::Down, Role::DownBias, Pick::Every, d, f),
    ] {
        tensors.push(TensorPlan {
            name: name(&format!("{part}.weight")),
            dtype: Dtype::Mxfp4,
            shape: vec![e, rows, cols],
            segments: vec![Segment {
                rows: (e * rows) as u64,
                cols: cols as u64,
                pick,
                encoding: Encoding::Mxfp4Gguf(sources.blocks(role, layer)),
            }],
        });
        tensors.push(wide(name(&format!("{part}.bias")), &[e, rows], of(bias), pick));
    }
}

/// A matrix that is no expert's.
pub(super) fn stored(
    format: DenseFormat,
    dense: Dense,
    prefix: &str,
    [rows, cols]: [usize; 2],
) -> TensorPlan {
    let (dtype, encoding) = match format {
        DenseFormat::Q8_0 => (Dtype::Q8_0, Encoding::Q8_0(dense)),
        DenseFormat::Bf16 => (Dtype::Bf16, Encoding::Bf16(dense)),
        DenseFormat::F32 => (Dtype::F32, Encoding::F32(dense)),
    };
    let name = format!("{prefix}.weight");
    let segment = Segment { rows: rows as u64, cols: cols as u64, pick: Pick::Every, encoding };
    TensorPlan { name, dtype, shape: vec![rows, cols], segments: vec![segment] }
}

/// A tensor of f32 numbers; rows of one element, so that any of them can be picked.
pub(super) fn wide(name: String, shape: &[usize], dense: Dense, pick: Pick) -> TensorPlan {
    let rows = shape.iter().product::<usize>() as u64;
    let segment = Segment { rows, cols: 1, pick, encoding: Encoding::F32(dense) };
    TensorPlan { name, dtype: Dtype::F32, shape: shape.to_vec(), segments: vec![segment] }
}
