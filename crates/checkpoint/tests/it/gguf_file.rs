//! GGUF files for the tests, right ones and wrong ones.

use gptoss_checkpoint::{ExpertLayout, LayerType, LayerWeights, Matrix, Model, ModelConfig};
use gptoss_kernels::Format;

/// A metadata value.
#[derive(Clone, Debug)]
pub enum Value {
    U32(u32),
    F32(f32),
    Text(String),
    Texts(Vec<String>),
    I32s(Vec<i32>),
    Bools(Vec<bool>),
    /// A type and bytes of the caller's choice.
    Raw(u32, Vec<u8>),
}

/// A tensor: name, sizes with the fastest axis first, type number, bytes.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub name: String,
    pub sizes: Vec<u64>,
    pub kind: u32,
    pub data: Vec<u8>,
}

/// A file that can be changed before it is written.
#[derive(Clone, Debug)]
pub struct GgufFile {
    pub version: u32,
    pub metadata: Vec<(String, Value)>,
    pub tensors: Vec<Tensor>,
}

impl GgufFile {
    /// A model as llama.cpp's converter writes it. Its experts must be in GGUF's layout.
    pub fn of(model: &Model, architecture: &str) -> GgufFile {
        let weights = &model.weights;
        let d = model.config.hidden_size;
        let mut tensors = vec![
            matrix("token_embd.weight", &weights.embedding, None),
            vector("output_norm.weight", &weights.norm, &[d]),
            matrix("output.weight", &weights.unembedding, None),
        ];
        for (index, layer) in weights.layers.iter().enumerate() {
            tensors.extend(layer_tensors(&format!("blk.{index}."), layer, &model.config));
        }
        GgufFile { version: 3, metadata: metadata(&model.config, architecture), tensors }
    }

    /// The place of a value, which must exist.
    pub fn value(&mut self, key: &str) -> &mut Value {
        let mut values = self.metadata.iter_mut();
        &mut values.find(|(name, _)| name == key).unwrap_or_else(|| panic!("no {key}")).1
    }

    pub fn remove(&mut self, key: &str) {
        let before = self.metadata.len();
        self.metadata.retain(|(name, _)| name != key);
        assert_eq!(self.metadata.len() + 1, before, "{key}");
    }

    pub fn add(&mut self, key: &str, value: Value) {
        self.metadata.push((key.to_owned(), value));
    }

    /// The tensor of this name, which must exist.
    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        let mut tensors = self.tensors.iter_mut();
        tensors.find(|tensor| tensor.name == name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// The bytes of the file.
    pub fn write(&self) -> Vec<u8> {
        self.write_with(|_, offset| offset)
    }

    /// The bytes of the file, with the offset of each tensor as `offset` wants it.
    pub fn write_with(&self, offset: impl Fn(&str, u64) -> u64) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            text(&mut out, key);
            write_value(&mut out, value);
        }
        let mut data = Vec::new();
        for tensor in &self.tensors {
            text(&mut out, &tensor.name);
            out.extend((tensor.sizes.len() as u32).to_le_bytes());
            tensor.sizes.iter().for_each(|size| out.extend(size.to_le_bytes()));
            out.extend(tensor.kind.to_le_bytes());
            out.extend(offset(&tensor.name, data.len() as u64).to_le_bytes());
            data.extend(&tensor.data);
            data.resize(data.len().next_multiple_of(32), 0);
        }
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(data);
        out
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn write_value(out: &mut Vec<u8>, value: &Value) {
    let list = |out: &mut Vec<u8>, kind: u32, count: usize| {
        out.extend(9u32.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend((count as u64).to_le_bytes());
    };
    match value {
        Value::U32(n) => out.extend([4u32.to_le_bytes(), n.to_le_bytes()].concat()),
        Value::F32(x) => out.extend([6u32.to_le_bytes(), x.to_le_bytes()].concat()),
        Value::Text(value) => {
            out.extend(8u32.to_le_bytes());
            text(out, value);
        }
        Value::Texts(values) => {
            list(out, 8, values.len());
            values.iter().for_each(|value| text(out, value));
        }
        Value::I32s(values) => {
            list(out, 5, values.len());
            values.iter().for_each(|value| out.extend(value.to_le_bytes()));
        }
        Value::Bools(values) => {
            list(out, 7, values.len());
            out.extend(values.iter().map(|value| u8::from(*value)));
        }
        Value::Raw(kind, bytes) => {
            out.extend(kind.to_le_bytes());
            out.extend(bytes);
        }
    }
}

fn metadata(config: &ModelConfig, architecture: &str) -> Vec<(String, Value)> {
    assert_eq!(config.layer_types[0], LayerType::SlidingAttention, "the files cannot say it");
    let yarn = config.yarn().expect("the tiny models have YaRN");
    let mut values = vec![
        ("general.architecture".to_owned(), Value::Text(architecture.to_owned())),
        ("general.license".to_owned(), Value::Text("apache-2.0".to_owned())),
        ("tokenizer.ggml.model".to_owned(), Value::Text("no_vocab".to_owned())),
    ];
    let mut add = |key: &str, value: Value| values.push((format!("{architecture}.{key}"), value));
    for (key, n) in [
        ("block_count", config.num_hidden_layers),
        ("context_length", config.max_position_embeddings),
        ("embedding_length", config.hidden_size),
        ("expert_feed_forward_length", config.intermediate_size),
        ("attention.head_count", config.num_attention_heads),
        ("attention.head_count_kv", config.num_key_value_heads),
        ("attention.key_length", config.head_dim),
        ("attention.value_length", config.head_dim),
        ("attention.sliding_window", config.sliding_window),
        ("expert_count", config.num_local_experts),
        ("expert_used_count", config.num_experts_per_tok),
        ("rope.scaling.original_context_length", yarn.original_max_position_embeddings),
    ] {
        add(key, Value::U32(n as u32));
    }
    add("attention.layer_norm_rms_epsilon", Value::F32(config.rms_norm_eps as f32));
    add("rope.freq_base", Value::F32(config.rope_theta as f32));
    add("rope.scaling.type", Value::Text("yarn".to_owned()));
    add("rope.scaling.factor", Value::F32(yarn.factor as f32));
    add("rope.scaling.yarn_beta_fast", Value::F32(yarn.beta_fast as f32));
    add("rope.scaling.yarn_beta_slow", Value::F32(yarn.beta_slow as f32));
    values
}

fn layer_tensors(prefix: &str, layer: &LayerWeights, config: &ModelConfig) -> Vec<Tensor> {
    let (d, f, e) = (config.hidden_size, config.intermediate_size, config.num_local_experts);
    let ExpertLayout::GateAndUp { gate, up } = &layer.gate_up.layout else {
        panic!("the experts are in another layout")
    };
    let ExpertLayout::Rows(down) = &layer.down.layout else {
        panic!("the experts are in another layout")
    };
    let half = |odd: usize| -> Vec<f32> {
        layer.gate_up_bias.iter().skip(odd).step_by(2).copied().collect()
    };
    let name = |part: &str| format!("{prefix}{part}");
    vec![
        vector(&name("attn_norm.weight"), &layer.attn_norm, &[d]),
        matrix(&name("attn_q.weight"), &layer.q, None),
        vector(&name("attn_q.bias"), &layer.q_bias, &[layer.q.rows]),
        matrix(&name("attn_k.weight"), &layer.k, None),
        vector(&name("attn_k.bias"), &layer.k_bias, &[layer.k.rows]),
        matrix(&name("attn_v.weight"), &layer.v, None),
        vector(&name("attn_v.bias"), &layer.v_bias, &[layer.v.rows]),
        vector(&name("attn_sinks.weight"), &layer.sinks, &[layer.sinks.len()]),
        matrix(&name("attn_output.weight"), &layer.out, None),
        vector(&name("attn_output.bias"), &layer.out_bias, &[d]),
        vector(&name("post_attention_norm.weight"), &layer.mlp_norm, &[d]),
        matrix(&name("ffn_gate_inp.weight"), layer.router.as_ref().unwrap(), None),
        vector(&name("ffn_gate_inp.bias"), &layer.router_bias, &[e]),
        matrix(&name("ffn_gate_exps.weight"), gate, Some(e)),
        vector(&name("ffn_gate_exps.bias"), &half(0), &[f, e]),
        matrix(&name("ffn_up_exps.weight"), up, Some(e)),
        vector(&name("ffn_up_exps.bias"), &half(1), &[f, e]),
        matrix(&name("ffn_down_exps.weight"), down, Some(e)),
        vector(&name("ffn_down_exps.bias"), &layer.down_bias, &[d, e]),
    ]
}

/// A tensor of f32 numbers.
pub fn vector(name: &str, values: &[f32], sizes: &[usize]) -> Tensor {
    let data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let sizes = sizes.iter().map(|n| *n as u64).collect();
    Tensor { name: name.to_owned(), sizes, kind: 0, data }
}

/// A matrix, or those of `experts` experts.
pub fn matrix(name: &str, matrix: &Matrix, experts: Option<usize>) -> Tensor {
    let kind = match matrix.format {
        Format::F32 => 0,
        Format::Bf16 => 30,
        Format::Mxfp4Gguf => 39,
        other => panic!("the tiny models have no {}", other.name()),
    };
    let mut sizes = vec![matrix.cols as u64, (matrix.rows / experts.unwrap_or(1)) as u64];
    sizes.extend(experts.map(|n| n as u64));
    Tensor { name: name.to_owned(), sizes, kind, data: matrix.data.to_vec() }
}
