//! The configuration, tokenizer and sampling that the metadata of a GGUF file states.
//!
//! Source of gpt-oss's keys: gguf-py/gguf/constants.py and src/models/openai-moe.cpp of llama.cpp,
//! and Ollama's variant of them (architecture `gptoss`), which leaves some out.

use crate::chat::{self, ChatDefaults};
use crate::config::{Architecture, LayerType, ModelConfig, RopeScaling, YarnScaling};
use crate::config_json::{
    LAYERS_MAX, RMS_NORM_EPS, ROPE_THETA, SLIDING_WINDOW, SWIGLU_LIMIT, YARN, alternating,
};
use crate::error::{CheckpointError, Place, printable};
use crate::gguf_llama;
use crate::gguf_metadata::Metadata;
use crate::tensors::TensorTable;
use crate::tokenizer::{GgufVocabulary, O200K_HARMONY_TOKENS, TokenizerSource};

/// Reads the configuration; numbers that Ollama's files leave out come from the tensors.
pub(crate) fn config(
    metadata: &Metadata,
    table: &mut TensorTable,
) -> Result<ModelConfig, CheckpointError> {
    let (architecture, prefix) = architecture(metadata)?;
    let keys = Keys { metadata, prefix };
    let config = match architecture {
        Architecture::GptOss => gpt_oss(&keys, table)?,
        Architecture::Llama => gguf_llama::config(&keys, table)?,
    };
    for (key, expected) in [
        ("attention.value_length", config.head_dim),
        ("rope.dimension_count", config.head_dim),
        ("vocab_size", config.vocab_size),
    ] {
        if let Some(found) = keys.count(key)?.filter(|found| *found != expected) {
            return Err(keys.invalid(key, &expected.to_string(), found.to_string()));
        }
    }
    config.check().map_err(|problem| CheckpointError::Invalid {
        file: metadata.file.clone(),
        place: Place::Field(keys.key(key_of(architecture, problem.field))),
        expected: problem.expected,
        found: problem.found,
    })?;
    Ok(config)
}

fn gpt_oss(keys: &Keys, table: &TensorTable) -> Result<ModelConfig, CheckpointError> {
    let layers = keys.required("block_count")?;
    let heads = keys.required("attention.head_count")?;
    Ok(ModelConfig {
        architecture: Architecture::GptOss,
        vocab_size: axis(table, "token_embd.weight", 0)?,
        hidden_size: keys.required("embedding_length")?,
        intermediate_size: match keys.count("expert_feed_forward_length")? {
            Some(n) => n,
            None => axis(table, "blk.0.ffn_gate_exps.weight", 1)?,
        },
        num_hidden_layers: layers,
        num_attention_heads: heads,
        num_key_value_heads: keys.required("attention.head_count_kv")?,
        head_dim: match keys.count("attention.key_length")? {
            Some(n) => n,
            None => axis(table, "blk.0.attn_q.weight", 0)? / heads.max(1),
        },
        num_local_experts: keys.required("expert_count")?,
        num_experts_per_tok: keys.required("expert_used_count")?,
        sliding_window: keys.count("attention.sliding_window")?.unwrap_or(SLIDING_WINDOW),
        layer_types: layer_types(keys, layers)?,
        rms_norm_eps: keys.number("attention.layer_norm_rms_epsilon")?.unwrap_or(RMS_NORM_EPS),
        rope_theta: keys.number("rope.freq_base")?.unwrap_or(ROPE_THETA),
        rope_scaling: rope_scaling(keys)?.map(RopeScaling::Yarn),
        // The files do not state it: llama.cpp has it in its code.
        swiglu_limit: Some(SWIGLU_LIMIT),
        tie_word_embeddings: false,
        max_position_embeddings: keys.required("context_length")?,
    })
}

/// The key of a field of `config.json`, without the architecture.
fn key_of(architecture: Architecture, field: &'static str) -> &'static str {
    match field {
        "hidden_size" => "embedding_length",
        "intermediate_size" if architecture == Architecture::Llama => "feed_forward_length",
        "intermediate_size" => "expert_feed_forward_length",
        "num_hidden_layers" => "block_count",
        "num_attention_heads" => "attention.head_count",
        "num_key_value_heads" => "attention.head_count_kv",
        "head_dim" => "attention.key_length",
        "num_local_experts" => "expert_count",
        "num_experts_per_tok" => "expert_used_count",
        "sliding_window" => "attention.sliding_window",
        "max_position_embeddings" => "context_length",
        "rms_norm_eps" => "attention.layer_norm_rms_epsilon",
        "rope_theta" => "rope.freq_base",
        "factor" => "rope.scaling.factor",
        "beta_fast" => "rope.scaling.yarn_beta_fast",
        "beta_slow" => "rope.scaling.yarn_beta_slow",
        "original_max_position_embeddings" => "rope.scaling.original_context_length",
        other => other,
    }
}

/// The keys of one architecture.
pub(crate) struct Keys<'a> {
    pub(crate) metadata: &'a Metadata,
    prefix: &'static str,
}

impl Keys<'_> {
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>, CheckpointError> {
        self.metadata.count(&self.key(name))
    }

    pub(crate) fn required(&self, name: &str) -> Result<usize, CheckpointError> {
        self.metadata.required_count(&self.key(name))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, CheckpointError> {
        self.metadata.number(&self.key(name))
    }

    pub(crate) fn invalid(&self, name: &str, expected: &str, found: String) -> CheckpointError {
        self.metadata.invalid(&self.key(name), expected, found)
    }

    pub(crate) fn unsupported(&self, name: &str, what: String) -> CheckpointError {
        self.metadata.unsupported(&self.key(name), what)
    }
}

/// The architecture, and what its keys begin with.
fn architecture(metadata: &Metadata) -> Result<(Architecture, &'static str), CheckpointError> {
    const KEY: &str = "general.architecture";
    match metadata.string(KEY)? {
        Some("gpt-oss") => Ok((Architecture::GptOss, "gpt-oss")),
        Some("gptoss") => Ok((Architecture::GptOss, "gptoss")),
        // Mistral's files say this, too.
        Some("llama") => Ok((Architecture::Llama, "llama")),
        Some(other) => Err(CheckpointError::UnknownArchitecture {
            file: metadata.file.clone(),
            place: Place::Field(KEY.to_owned()),
            found: printable(other),
            known: "general.architecture gpt-oss, gptoss or llama",
        }),
        None => Err(metadata.invalid(KEY, "gpt-oss or llama", "nothing".to_owned())),
    }
}

/// The size of an axis of a tensor that every model has.
pub(crate) fn axis(table: &TensorTable, name: &str, axis: usize) -> Result<usize, CheckpointError> {
    let shape = table.shape(name)?;
    shape.get(axis).copied().ok_or_else(|| CheckpointError::Invalid {
        file: table.file.clone(),
        place: Place::Tensor(name.to_owned()),
        expected: format!("at least {} axes", axis + 1),
        found: format!("shape {shape:?}"),
    })
}

fn layer_types(keys: &Keys, layers: usize) -> Result<Vec<LayerType>, CheckpointError> {
    const PATTERN: &str = "attention.sliding_window_pattern";
    let usual = alternating(layers.min(LAYERS_MAX));
    let Some(pattern) = keys.metadata.integers(&keys.key(PATTERN))? else { return Ok(usual) };
    match pattern.as_slice() {
        // A period: the last layer of each group of so many sees everything.
        [2] => Ok(usual),
        flags if flags.len() == layers && flags.iter().all(|flag| matches!(flag, 0 | 1)) => {
            let kind = |flag: &i64| match flag {
                1 => LayerType::SlidingAttention,
                _ => LayerType::FullAttention,
            };
            Ok(flags.iter().map(kind).collect())
        }
        other => {
            let found = match other {
                [one] => one.to_string(),
                many => format!("a list of {}", many.len()),
            };
            let what = format!("{found}; 2 and a list with 0 or 1 for each layer are");
            Err(keys.unsupported(PATTERN, what))
        }
    }
}

/// YaRN is always untruncated: llama.cpp rounds the correction range, the models were trained
/// without. A file that does not name a type has YaRN, as Ollama's.
fn rope_scaling(keys: &Keys) -> Result<Option<YarnScaling>, CheckpointError> {
    const TYPE: &str = "rope.scaling.type";
    match keys.metadata.string(&keys.key(TYPE))? {
        None | Some("yarn") => {}
        Some("none") => return Ok(None),
        Some(other) => {
            let what = format!("`{}`; only yarn and none are", printable(other));
            return Err(keys.unsupported(TYPE, what));
        }
    }
    for (key, usual) in [
        ("rope.scaling.attn_factor", 1.0),
        ("rope.scaling.yarn_ext_factor", 1.0),
        ("rope.scaling.yarn_attn_factor", 1.0),
        ("rope.scaling.yarn_log_multiplier", 0.0),
    ] {
        if let Some(found) = keys.number(key)?.filter(|found| *found != usual) {
            let what = format!("{found}; only {usual} is");
            return Err(keys.unsupported(key, what));
        }
    }
    Ok(Some(YarnScaling {
        factor: keys.number("rope.scaling.factor")?.unwrap_or(YARN.factor),
        beta_fast: keys.number("rope.scaling.yarn_beta_fast")?.unwrap_or(YARN.beta_fast),
        beta_slow: keys.number("rope.scaling.yarn_beta_slow")?.unwrap_or(YARN.beta_slow),
        original_max_position_embeddings: keys
            .count("rope.scaling.original_context_length")?
            .unwrap_or(YARN.original_max_position_embeddings),
        truncate: false,
    }))
}

/// Stop tokens, sampling and template.
pub(crate) fn chat(metadata: &Metadata) -> Result<ChatDefaults, CheckpointError> {
    let ids = |key: &str| -> Result<Vec<u32>, CheckpointError> {
        let Some(list) = metadata.integers(key)? else { return Ok(Vec::new()) };
        let ids: Option<Vec<u32>> = list.iter().map(|id| u32::try_from(*id).ok()).collect();
        ids.ok_or_else(|| metadata.invalid(key, "token ids", "other numbers".to_owned()))
    };
    let mut eos_token_ids = ids("tokenizer.ggml.eos_token_ids")?;
    for key in ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"] {
        for id in ids(key)? {
            if !eos_token_ids.contains(&id) {
                eos_token_ids.push(id);
            }
        }
    }
    let bos_token_id = ids("tokenizer.ggml.bos_token_id")?.first().copied();
    let unknown_token_id = ids("tokenizer.ggml.unknown_token_id")?.first().copied();
    let tokens = metadata.strings("tokenizer.ggml.tokens")?;
    let text = |id: Option<u32>| Some(tokens?.get(id? as usize)?.to_owned());
    const TEMPLATE: &str = "tokenizer.chat_template";
    let place = || Place::Field(TEMPLATE.to_owned());
    let template = metadata.string(TEMPLATE)?;
    let template = template.map(|text| chat::template(&metadata.file, place(), text));
    Ok(ChatDefaults {
        add_bos_token: metadata.flag("tokenizer.ggml.add_bos_token")?,
        chat_template: template.transpose()?,
        bos_token: text(bos_token_id),
        eos_token: text(ids("tokenizer.ggml.eos_token_id")?.first().copied()),
        unk_token: text(unknown_token_id),
        eos_token_ids,
        bos_token_id,
        temperature: metadata.number("general.sampling.temp")?,
        top_p: metadata.number("general.sampling.top_p")?,
        top_k: metadata.count("general.sampling.top_k")?,
        ..ChatDefaults::default()
    })
}

/// The vocabulary in the file, if it has one.
pub(crate) fn tokenizer(
    metadata: &Metadata,
    config: &ModelConfig,
) -> Result<TokenizerSource, CheckpointError> {
    const TOKENS: &str = "tokenizer.ggml.tokens";
    let model = metadata.string("tokenizer.ggml.model")?;
    let (Some(model), Some(tokens)) = (model, metadata.strings(TOKENS)?) else {
        return Ok(match config.vocab_size {
            O200K_HARMONY_TOKENS => TokenizerSource::O200kHarmony,
            _ => TokenizerSource::Missing,
        });
    };
    if tokens.len() > config.vocab_size {
        let expected = format!("at most {}, the rows of the embedding", config.vocab_size);
        return Err(metadata.invalid(TOKENS, &expected, tokens.len().to_string()));
    }
    let token_types = metadata.integers("tokenizer.ggml.token_type")?.unwrap_or_default();
    if !token_types.is_empty() && token_types.len() != tokens.len() {
        let expected = format!("{}, one a token", tokens.len());
        let found = token_types.len().to_string();
        return Err(metadata.invalid("tokenizer.ggml.token_type", &expected, found));
    }
    Ok(TokenizerSource::Gguf(GgufVocabulary {
        model: model.to_owned(),
        pre: metadata.string("tokenizer.ggml.pre")?.map(str::to_owned),
        tokens: tokens.clone(),
        token_types,
        merges: metadata.strings("tokenizer.ggml.merges")?.cloned(),
        scores: metadata.floats("tokenizer.ggml.scores")?.unwrap_or_default(),
        add_space_prefix: metadata.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true),
    }))
}
