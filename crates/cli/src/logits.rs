//! `gptoss logits`: what a model computes, as a safetensors file for research.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use gptoss_checkpoint::{Architecture, TensorToWrite, write_safetensors};
use gptoss_engine::{Engine, Trace, reference_forward};

use crate::model_args::ComputeArgs;
use crate::tokenizer_args::parse_ids;

/// Write logits, hidden states and router choices of a sequence of token ids
#[derive(Args)]
#[command(after_help = "Examples:
  gptoss tokenize --model nano 'Once upon a time' > ids.txt
  gptoss logits nano --ids ids.txt -o out.safetensors
  python3 -c 'from safetensors.numpy import load_file; print(load_file(\"out.safetensors\"))'

Tensors, with T tokens, L layers, D hidden size, V vocabulary, k experts per token:
  ids             I32 [T]
  logits          F32 [T, V]
  hidden          F32 [L + 2, T, D]  embedding, after each layer, after the final norm
  router_ids      I32 [L, T, k]      best expert first; not of dense models
  router_weights  F32 [L, T, k]")]
pub struct LogitsArgs {
    /// Model: nano, a file or folder, a name in the store, or a repository in the cache
    model: String,
    /// File of token ids: a JSON list, or numbers separated by spaces, commas or lines
    #[arg(long, value_name = "FILE")]
    ids: PathBuf,
    /// File to write
    #[arg(short, long, value_name = "OUT.safetensors")]
    output: PathBuf,
    /// Compute with the plain loops that everything else is tested against
    #[arg(long)]
    reference: bool,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// Runs the command.
pub fn run(args: &LogitsArgs) -> anyhow::Result<ExitCode> {
    let ids = read_ids(&args.ids)?;
    let engine = Engine::load_with(&args.model, &args.compute.options())?;
    let mut trace = Trace::new(engine.config());
    let logits = match args.reference {
        false => engine.session(ids.len())?.observe(&ids, &mut trace)?,
        true => {
            let model = engine.forward_model();
            let vocab_size = model.config.vocab_size;
            if let Some(id) = ids.iter().find(|id| **id as usize >= vocab_size) {
                bail!(
                    "{}: token id {id} is not in the vocabulary of {vocab_size}",
                    args.ids.display()
                );
            }
            reference_forward(model.config, model.weights, &ids, &mut trace).concat()
        }
    };
    write(args, &engine, &ids, &logits, &trace)
        .with_context(|| format!("{}: cannot be written", args.output.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn write(
    args: &LogitsArgs,
    engine: &Engine,
    ids: &[u32],
    logits: &[f32],
    trace: &Trace,
) -> std::io::Result<()> {
    let config = engine.config();
    let (tokens, layers) = (ids.len(), config.num_hidden_layers);
    let chosen = config.num_experts_per_tok;
    let floats = |x: &[f32]| x.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let ints = |x: &mut dyn Iterator<Item = i32>| x.flat_map(i32::to_le_bytes).collect::<Vec<u8>>();
    let routers = trace.router_ids.concat();
    let mut tensors = vec![
        ("ids", "I32", vec![tokens], ints(&mut ids.iter().map(|id| *id as i32))),
        ("logits", "F32", vec![tokens, config.vocab_size], floats(logits)),
        (
            "hidden",
            "F32",
            vec![layers + 2, tokens, config.hidden_size],
            floats(&trace.hidden.concat()),
        ),
    ];
    if config.architecture == Architecture::GptOss {
        let shape = vec![layers, tokens, chosen];
        let ids = ints(&mut routers.iter().map(|e| *e as i32));
        let weights = floats(&trace.router_weights.concat());
        tensors.push(("router_ids", "I32", shape.clone(), ids));
        tensors.push(("router_weights", "F32", shape, weights));
    }
    let tensors: Vec<TensorToWrite> = tensors
        .iter()
        .map(|(name, dtype, shape, data)| TensorToWrite {
            name: (*name).to_owned(),
            dtype,
            shape: shape.clone(),
            data,
        })
        .collect();
    let metadata = [
        ("program", format!("gptoss {}", env!("CARGO_PKG_VERSION"))),
        ("model", args.model.clone()),
        ("implementation", if args.reference { "reference" } else { "forward" }.to_owned()),
    ];
    write_safetensors(&args.output, &metadata, &tensors)
}

/// Token ids in a file.
fn read_ids(file: &Path) -> anyhow::Result<Vec<u32>> {
    let place = file.display().to_string();
    let bytes = std::fs::read(file).with_context(|| format!("{place}: cannot be read"))?;
    let ids = parse_ids(&bytes, &place)?;
    if ids.is_empty() {
        bail!("{place}: expected token ids, found none");
    }
    Ok(ids)
}
