//! `gptoss synth`: a checkpoint with random weights, to measure and test with.

mod vocabulary;

use std::io::{IsTerminal as _, Write as _, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, ValueEnum};
use gptoss_checkpoint::synth::{
    DenseFormat, Existing, Plan, SynthError, Synthesis, Target, read_config,
};
use gptoss_checkpoint::{ModelConfig, O200K_HARMONY_TOKENS, presets};
use indicatif::{ProgressBar, ProgressStyle};

use crate::pull::size_text;
use crate::terminal::say;

/// Write a checkpoint with random weights, to measure and test with
#[derive(Args)]
#[command(after_help = "Examples:
  gptoss synth gpt-oss-20b --layout gguf -o 20b.gguf
  gptoss synth gpt-oss-1b --layout hf -o 1b --seed 7
  gptoss synth --config config.json --layout gguf --dense bf16 -o tiny.gguf

The model is not trained: what it writes is noise, at the speed and in the memory of a real one.
The same seed gives the same weights in every layout, and the same bytes on every machine.
With the vocabulary of the published models (201088 tokens) their tokenizer comes along.")]
pub struct SynthArgs {
    /// Shape: gpt-oss-120b, gpt-oss-20b, gpt-oss-3.6b, gpt-oss-1b, llama-3-8b, mistral-7b,
    /// deepseek-coder-6.7b or smollm2-135m
    #[arg(required_unless_present = "config", conflicts_with = "config")]
    preset: Option<String>,
    /// Shape out of a config.json
    #[arg(long, value_name = "FILE.json")]
    config: Option<PathBuf>,
    /// How the files are laid out
    #[arg(long, value_enum)]
    layout: LayoutName,
    /// All matrices but those of experts in a GGUF file [default: q8_0]
    #[arg(long, value_enum, value_name = "FORMAT")]
    dense: Option<DenseName>,
    /// Folder to make, or file for gguf
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    /// Another number gives other weights
    #[arg(short, long, default_value_t = 0)]
    seed: u64,
    /// Replace what synth has made before, or any file for gguf
    #[arg(long)]
    force: bool,
    /// Threads to use [default: one for each processor]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LayoutName {
    /// A folder as on the Hugging Face hub
    Hf,
    /// A folder as OpenAI's original/, for gpt-oss
    Original,
    /// One file
    Gguf,
}

#[derive(Clone, Copy, ValueEnum)]
enum DenseName {
    /// Eight bits
    #[value(name = "q8_0")]
    Q8_0,
    /// As in the other layouts
    Bf16,
    /// Widened
    F32,
}

/// Runs the command.
pub fn run(args: &SynthArgs) -> anyhow::Result<ExitCode> {
    let (name, config) = shape(args)?;
    let with_vocabulary =
        args.layout == LayoutName::Gguf && config.vocab_size == O200K_HARMONY_TOKENS;
    let vocabulary = with_vocabulary.then(vocabulary::o200k_harmony).transpose()?;
    let target = match (args.layout, args.dense) {
        (LayoutName::Hf, None) => Target::HuggingFace,
        (LayoutName::Original, None) => Target::Original,
        (LayoutName::Gguf, dense) => {
            let dense = match dense.unwrap_or(DenseName::Q8_0) {
                DenseName::Q8_0 => DenseFormat::Q8_0,
                DenseName::Bf16 => DenseFormat::Bf16,
                DenseName::F32 => DenseFormat::F32,
            };
            Target::Gguf { dense, vocabulary: vocabulary.as_ref() }
        }
        (LayoutName::Hf | LayoutName::Original, Some(_)) => {
            bail!("--dense is for --layout gguf; the other layouts store these weights as BF16")
        }
    };
    let plan = Plan::new(&Synthesis { name: &name, config: &config, seed: args.seed, target })?;
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    plan.check_target(&args.output, existing).map_err(|error| match error {
        SynthError::Exists { .. } => anyhow!("{error}; --force replaces what synth has made"),
        other => other.into(),
    })?;
    check_space(&args.output, plan.bytes())?;
    let threads = args.threads.map_or_else(default_threads, usize::from);
    let bar = bar(plan.bytes());
    let written = plan.write(&args.output, existing, threads, &|bytes| bar.inc(bytes));
    bar.finish_and_clear();
    written?;
    say(&format!("wrote {} of random weights, seed {}", size_text(plan.bytes()), args.seed));
    writeln!(stdout(), "{}", args.output.display())?;
    Ok(ExitCode::SUCCESS)
}

/// What the model is called, and its shape.
fn shape(args: &SynthArgs) -> anyhow::Result<(String, ModelConfig)> {
    match (&args.preset, &args.config) {
        (Some(name), _) => {
            let Some(preset) = presets::find(name) else {
                let known: Vec<&str> = presets::all().iter().map(|preset| preset.name).collect();
                bail!("expected one of {}, found `{name}`", known.join(", "));
            };
            Ok((name.clone(), preset.config))
        }
        (None, Some(file)) => {
            let config = read_config(file)?;
            let parameters = config.parameters().total;
            let architecture = config.architecture.name();
            Ok((format!("{architecture} with {parameters} parameters"), config))
        }
        (None, None) => bail!("expected a preset or --config, found neither"),
    }
}

/// Refuses to begin what the disk cannot hold.
fn check_space(target: &Path, needed: u64) -> anyhow::Result<()> {
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match fs4::available_space(folder) {
        Ok(free) if needed > free => {
            let (needed, free) = (size_text(needed), size_text(free));
            bail!("{}: expected {needed} of free space, found {free}", folder.display())
        }
        Ok(_) => Ok(()),
        // Some network file systems do not say; writing will.
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => Ok(()),
        Err(error) => {
            Err(error).with_context(|| format!("{}: cannot be written to", folder.display()))
        }
    }
}

fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A bar on a terminal, nothing elsewhere.
fn bar(bytes: u64) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "[{bar:30}] {decimal_bytes:>9} of {decimal_total_bytes}, \
                    {decimal_bytes_per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template);
    let style = style.expect("the template is a constant that was drawn").progress_chars("=> ");
    ProgressBar::new(bytes).with_style(style)
}
