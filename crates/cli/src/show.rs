//! `gptoss show`: what a model is, how large it is, and where it came from.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use gptoss_checkpoint::locate::{Located, locate};
use gptoss_checkpoint::{
    Architecture, CheckpointError, FormatUse, LayerType, Layout, Model, ModelConfig, ModelFile,
    Preset, RopeScaling, TensorInfo, TokenizerSource, presets,
};
use gptoss_engine::{CacheElement, cache_bytes};
use serde_json::{Value, json};

/// Context for the memory figure unless more is asked for, as in the commands that run models.
const CONTEXT_DEFAULT: usize = 8192;

/// Say what a model is: architecture, parameters, formats, memory, licence, source
#[derive(Args)]
#[command(after_help = "\
Examples:
  gptoss show
  gptoss show gpt-oss-20b --context 131072
  gptoss show ./model.gguf --tensors
  gptoss show gpt-oss-1b --json")]
pub struct ShowArgs {
    /// Model (built in, a path, a name in the local store, a cached repository), or a preset:
    /// gpt-oss-120b, gpt-oss-20b, gpt-oss-3.6b, gpt-oss-1b, llama-3-8b, mistral-7b,
    /// deepseek-coder-6.7b, smollm2-135m
    #[arg(default_value = "nano", value_name = "MODEL|PRESET")]
    model: String,

    /// Tokens of context for the memory figure [default: the model's own, at most 8192]
    #[arg(short, long, value_name = "TOKENS")]
    context: Option<usize>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// List the tensors in the files, too
    #[arg(long)]
    tensors: bool,
}

/// Prints what `args` ask for.
pub fn run(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let subject = find(&args.model)?;
    let context = args.context.unwrap_or(CONTEXT_DEFAULT.min(subject.longest()));
    let text = if args.json {
        format!("{:#}\n", to_json(&subject, context, args.tensors))
    } else {
        to_text(&subject, context, args.tensors)
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// What is shown: a model on this machine, or a preset.
enum Subject {
    Model { name: String, located: Located, model: Box<Model> },
    Preset(Preset),
}

fn find(name: &str) -> Result<Subject, CheckpointError> {
    match (locate(name), presets::find(name)) {
        (Ok(located), _) => {
            let model = Box::new(located.open()?);
            Ok(Subject::Model { name: name.to_owned(), located, model })
        }
        (Err(CheckpointError::NotFound { .. }), Some(preset)) => Ok(Subject::Preset(preset)),
        (Err(error), _) => Err(error),
    }
}

impl Subject {
    fn name(&self) -> &str {
        match self {
            Subject::Model { name, .. } => name,
            Subject::Preset(preset) => preset.name,
        }
    }

    fn config(&self) -> &ModelConfig {
        match self {
            Subject::Model { model, .. } => &model.config,
            Subject::Preset(preset) => &preset.config,
        }
    }

    fn longest(&self) -> usize {
        self.config().max_position_embeddings
    }

    fn model(&self) -> Option<&Model> {
        match self {
            Subject::Model { model, .. } => Some(model),
            Subject::Preset(_) => None,
        }
    }

    fn weight_bytes(&self) -> u64 {
        match self {
            Subject::Model { model, .. } => model.weight_bytes(),
            Subject::Preset(preset) => preset.config.published_bytes(),
        }
    }

    fn source(&self) -> String {
        match self {
            Subject::Preset(preset) => format!("preset without weights: {}", preset.note),
            Subject::Model { located, .. } => match located {
                Located::Embedded => "part of this program".to_owned(),
                Located::Store { path, .. } => format!("local store, {}", path.display()),
                Located::Hub { repository, commit, path } => {
                    format!("Hugging Face, {repository} at {commit}, {}", path.display())
                }
                Located::Path(path) => path.display().to_string(),
                _ => "elsewhere".to_owned(),
            },
        }
    }
}

fn layout_name(layout: Layout) -> &'static str {
    match layout {
        Layout::HuggingFace => "huggingface",
        Layout::Original => "original",
        Layout::Gguf => "gguf",
        _ => "other",
    }
}

fn tokenizer_name(model: &Model) -> &'static str {
    match &model.tokenizer {
        TokenizerSource::Json(_) => "tokenizer.json",
        TokenizerSource::Gguf(_) => "gguf",
        TokenizerSource::O200kHarmony => "o200k_harmony",
        _ => "none",
    }
}

/// Lines of a label and a value, the values under each other.
#[derive(Default)]
struct Sheet(String);

impl Sheet {
    fn line(&mut self, label: &str, value: impl std::fmt::Display) {
        writeln!(self.0, "{label:<15}{value}").expect("writing to a string does not fail");
    }
}

fn to_text(subject: &Subject, context: usize, tensors: bool) -> String {
    let mut sheet = Sheet::default();
    sheet.line("Model", subject.name());
    sheet.line("Source", subject.source());
    architecture_lines(&mut sheet, subject.config());
    let parameters = subject.config().parameters();
    let (total, active) = (parameters.total, parameters.active);
    sheet.line("Parameters", format!("{} ({})", short(total), grouped(total)));
    sheet.line("  active", format!("{} a token ({})", short(active), grouped(active)));
    match subject.model() {
        Some(model) => file_lines(&mut sheet, model),
        None => {
            let bytes = size(subject.weight_bytes());
            let formats = match subject.config().architecture {
                Architecture::GptOss => "with MXFP4 experts and BF16 elsewhere",
                Architecture::Llama => "in BF16",
            };
            sheet.line("Weights", format!("{bytes} {formats}"));
        }
    }
    let weights = subject.weight_bytes();
    let cache = cache_bytes(subject.config(), context, CacheElement::F16);
    let limit = if context > subject.longest() { ", more than the model is made for" } else { "" };
    sheet.line(
        "Memory",
        format!(
            "{} at {} tokens of context{limit} (weights {}, KV cache {})",
            size(weights.saturating_add(cache)),
            grouped(context as u64),
            size(weights),
            size(cache)
        ),
    );
    if let Some(model) = subject.model().filter(|_| tensors) {
        tensor_lines(&mut sheet, model);
    }
    sheet.0
}

fn architecture_lines(sheet: &mut Sheet, config: &ModelConfig) {
    let is_dense = config.architecture == Architecture::Llama;
    let (layers, sliding) = (config.num_hidden_layers, config.sliding_layers());
    let (window, full) = (config.sliding_window, layers - sliding);
    sheet.line("Architecture", config.architecture.name());
    sheet.line(
        "Layers",
        match sliding {
            0 => layers.to_string(),
            _ => format!("{layers} ({sliding} with a window of {window}, {full} full)"),
        },
    );
    let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
    let where_to = if is_dense { "perceptron" } else { "expert" };
    sheet.line("Width", format!("{hidden} hidden, {intermediate} in each {where_to}"));
    let (heads, kv, width) =
        (config.num_attention_heads, config.num_key_value_heads, config.head_dim);
    sheet.line("Heads", format!("{heads} query, {kv} key and value, {width} wide"));
    if !is_dense {
        let (experts, chosen) = (config.num_local_experts, config.num_experts_per_tok);
        sheet.line("Experts", format!("{experts} in each layer, {chosen} a token"));
    }
    let tied = if config.tie_word_embeddings { ", one embedding for both ends" } else { "" };
    sheet.line("Vocabulary", grouped(config.vocab_size as u64) + tied);
    sheet.line("Context", format!("{} tokens", grouped(config.max_position_embeddings as u64)));
    sheet.line("RoPE", format!("theta {}, {}", config.rope_theta, stretching(config)));
    if let Some(limit) = config.swiglu_limit {
        sheet.line("SwiGLU limit", limit);
    }
    sheet.line("RMSNorm eps", format!("{:e}", config.rms_norm_eps));
}

/// How rotary frequencies are stretched, in words.
fn stretching(config: &ModelConfig) -> String {
    match &config.rope_scaling {
        None => "not stretched".to_owned(),
        Some(RopeScaling::Yarn(yarn)) => format!(
            "YaRN ×{} of {}, beta {} to {}, range {}",
            yarn.factor,
            grouped(yarn.original_max_position_embeddings as u64),
            yarn.beta_fast,
            yarn.beta_slow,
            if yarn.truncate { "rounded" } else { "not rounded" }
        ),
        Some(RopeScaling::Linear { factor }) => format!("linear ×{factor}"),
        Some(RopeScaling::Llama3(llama3)) => format!(
            "Llama 3 ×{} of {}, between {} and {} turns",
            llama3.factor,
            grouped(llama3.original_max_position_embeddings as u64),
            llama3.low_freq_factor,
            llama3.high_freq_factor
        ),
        Some(RopeScaling::Divisors(divisors)) => {
            let most = divisors.iter().copied().fold(0.0, f32::max);
            format!("{} divisors up to {most}", divisors.len())
        }
    }
}

fn file_lines(sheet: &mut Sheet, model: &Model) {
    let bytes: u64 = model.files.iter().map(|file| file.bytes).sum();
    let files = match model.files.len() {
        1 => "1 file".to_owned(),
        n => format!("{n} files"),
    };
    let layout = match model.layout {
        Layout::HuggingFace => "Hugging Face's layout",
        Layout::Original => "OpenAI's layout",
        Layout::Gguf => "GGUF",
        _ => "another layout",
    };
    sheet.line("Files", format!("{} in {files}, {layout}", size(bytes)));
    for row in model.formats() {
        let part = format!("  {}", row.part.name());
        sheet.line(&part, format!("{:<6}{:>10}", row.format, size(row.bytes)));
    }
    let unused = model.tensors.iter().filter(|tensor| !tensor.used).count();
    if unused > 0 {
        sheet.line("  not needed", format!("{unused} tensors (marked by --tensors)"));
    }
    sheet.line("Tokenizer", tokenizer_name(model));
    let ids: Vec<String> = model.chat.eos_token_ids.iter().map(u32::to_string).collect();
    sheet.line("Stop tokens", if ids.is_empty() { "not stated".into() } else { ids.join(", ") });
    sheet.line("Licence", model.licence.as_deref().unwrap_or("not stated"));
}

fn tensor_lines(sheet: &mut Sheet, model: &Model) {
    let name_width = model.tensors.iter().map(|t| t.name.chars().count()).max().unwrap_or(0);
    sheet.0.push('\n');
    for tensor in &model.tensors {
        let shape = format!("{:?}", tensor.shape);
        let unused = if tensor.used { "" } else { "  not needed" };
        let bytes = grouped(tensor.bytes);
        // A name comes from the file; escapes keep control characters off the terminal.
        let name = tensor.name.escape_debug().to_string();
        let dtype = tensor.dtype;
        writeln!(sheet.0, "{name:<name_width$}  {dtype:<6}{shape:<22}{bytes:>15}{unused}")
            .expect("writing to a string does not fail");
    }
}

fn to_json(subject: &Subject, context: usize, tensors: bool) -> Value {
    let config = subject.config();
    let parameters = config.parameters();
    let weights = subject.weight_bytes();
    let cache = cache_bytes(config, context, CacheElement::F16);
    let mut object = json!({
        "name": subject.name(),
        "source": source_json(subject),
        "architecture": config.architecture.name(),
        "config": config_json(config),
        "parameters": { "total": parameters.total, "active": parameters.active },
        "weight_bytes": weights,
        "memory": {
            "context": context,
            "weight_bytes": weights,
            "kv_cache_bytes": cache,
            "total_bytes": weights.saturating_add(cache),
        },
    });
    let Some(model) = subject.model() else { return object };
    let formats = model.formats();
    let format = |row: &FormatUse| {
        let part = row.part.name();
        json!({ "part": part, "format": row.format, "bytes": row.bytes })
    };
    let file = |file: &ModelFile| {
        let path = file.path.display().to_string();
        json!({ "path": path, "bytes": file.bytes })
    };
    object["layout"] = json!(layout_name(model.layout));
    object["formats"] = formats.iter().map(format).collect();
    object["files"] = model.files.iter().map(file).collect();
    object["tokenizer"] = json!(tokenizer_name(model));
    object["eos_token_ids"] = json!(model.chat.eos_token_ids);
    object["licence"] = json!(model.licence);
    if tensors {
        let tensor = |tensor: &TensorInfo| {
            json!({
                "name": tensor.name,
                "dtype": tensor.dtype,
                "shape": tensor.shape,
                "bytes": tensor.bytes,
                "used": tensor.used,
            })
        };
        object["tensors"] = model.tensors.iter().map(tensor).collect();
    }
    object
}

fn source_json(subject: &Subject) -> Value {
    let Subject::Model { located, .. } = subject else { return json!({ "kind": "preset" }) };
    let shown = |path: &std::path::Path| path.display().to_string();
    match located {
        Located::Embedded => json!({ "kind": "embedded" }),
        Located::Store { path, .. } => json!({ "kind": "store", "path": shown(path) }),
        Located::Hub { repository, commit, path } => json!({
            "kind": "hub", "repository": repository, "commit": commit, "path": shown(path),
        }),
        Located::Path(path) => json!({ "kind": "path", "path": shown(path) }),
        _ => json!({ "kind": "other" }),
    }
}

/// The configuration in the words of `config.json`.
fn config_json(config: &ModelConfig) -> Value {
    let layer_types: Vec<&str> = config
        .layer_types
        .iter()
        .map(|kind| match kind {
            LayerType::SlidingAttention => "sliding_attention",
            LayerType::FullAttention => "full_attention",
        })
        .collect();
    let sliding_window = (config.sliding_layers() > 0).then_some(config.sliding_window);
    json!({
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "num_local_experts": config.num_local_experts,
        "num_experts_per_tok": config.num_experts_per_tok,
        "sliding_window": sliding_window,
        "layer_types": layer_types,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        "rope_scaling": config.rope_scaling.as_ref().map(rope_json),
        "swiglu_limit": config.swiglu_limit,
        "tie_word_embeddings": config.tie_word_embeddings,
        "max_position_embeddings": config.max_position_embeddings,
    })
}

fn rope_json(scaling: &RopeScaling) -> Value {
    match scaling {
        RopeScaling::Yarn(yarn) => json!({
            "rope_type": "yarn",
            "factor": yarn.factor,
            "beta_fast": yarn.beta_fast,
            "beta_slow": yarn.beta_slow,
            "original_max_position_embeddings": yarn.original_max_position_embeddings,
            "truncate": yarn.truncate,
        }),
        RopeScaling::Linear { factor } => json!({ "rope_type": "linear", "factor": factor }),
        RopeScaling::Llama3(llama3) => json!({
            "rope_type": "llama3",
            "factor": llama3.factor,
            "low_freq_factor": llama3.low_freq_factor,
            "high_freq_factor": llama3.high_freq_factor,
            "original_max_position_embeddings": llama3.original_max_position_embeddings,
        }),
        RopeScaling::Divisors(divisors) => {
            json!({ "rope_type": "divisors", "divisors": divisors })
        }
    }
}

/// A count with a unit: `20.9 B`.
fn short(n: u64) -> String {
    match n {
        1_000_000_000.. => format!("{:.1} B", n as f64 / 1e9),
        _ => format!("{:.1} M", n as f64 / 1e6),
    }
}

/// Bytes with a unit: `12.8 GiB`.
fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        x if x >= 1024f64.powi(3) => format!("{:.1} GiB", x / 1024f64.powi(3)),
        x if x >= 1024f64.powi(2) => format!("{:.1} MiB", x / 1024f64.powi(2)),
        x => format!("{:.1} KiB", x / 1024.0),
    }
}

/// A number in groups of three digits: `201,088`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_024), "1,024");
        assert_eq!(grouped(20_914_757_184), "20,914,757,184");
        assert_eq!(short(20_914_757_184), "20.9 B");
        assert_eq!(size(13_761_264_768), "12.8 GiB");
    }
}
