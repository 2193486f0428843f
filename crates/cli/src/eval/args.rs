//! The flags of a run.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use gptoss_engine::EngineOptions;
use gptoss_eval::request::PromptOptions;
use gptoss_eval::results::SamplingRecord;
use gptoss_eval::shots::SHOTS_SEED;
use gptoss_eval::task::Kind;
use gptoss_harmony::ReasoningEffort;

use super::subject::Setting;
use super::tasks::Asked;
use crate::machine::MachineArgs;
use crate::model_args::{CacheArg, PrecisionArg, model_name};
use crate::opening_args::parse_effort;

/// Flags of a run.
#[derive(Args)]
pub struct RunArgs {
    /// Model: nano (built in), a file or folder, a name in the local store, or a cached repository
    #[arg(env = "GPTOSS_MODEL", value_parser = model_name, default_value = "nano")]
    pub model: String,
    /// Tasks, groups or families with commas between, or files of your own that end in .toml
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub tasks: Vec<String>,
    /// Folder of the benchmarks, as JSON lines, also gzipped [default: fetched from the hub]
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Examples before each question [default: the task's own]
    #[arg(long, value_name = "COUNT")]
    pub num_fewshot: Option<usize>,
    /// Seed of the choice of examples
    #[arg(long, value_name = "NUMBER", default_value_t = SHOTS_SEED)]
    pub fewshot_seed: u64,
    /// Only the first documents of each task
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Results file, in JSON lines [default: eval-MODEL.jsonl]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Go on with a results file: what is finished is not asked again
    #[arg(long)]
    pub resume: bool,
    /// Name of the run in reports [default: the model's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Print the scores as JSON, as lm-evaluation-harness writes them
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    sampling: AnswerArgs,
    #[command(flatten)]
    pub machine: MachineArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

/// Flags of tasks that generate.
#[derive(Args)]
#[command(next_help_heading = "Answers")]
struct AnswerArgs {
    /// How long the model thinks in conversations [default: the model's own]
    #[arg(long, value_name = "low|medium|high", value_parser = parse_effort)]
    effort: Option<ReasoningEffort>,
    /// How often each document is answered in conversations [default: 1]
    #[arg(long, value_name = "COUNT",
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: Option<u16>,
    /// Seed of the sampling
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
    /// Randomness; 0 takes the likeliest token [default: the task's own]
    #[arg(long, value_name = "T")]
    temperature: Option<f64>,
    /// Tokens of an answer at most, reasoning included [default: the task's own]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,
}

/// Flags of how texts become sequences, and how these are computed.
#[derive(Args)]
#[command(next_help_heading = "Computing")]
struct ReadingArgs {
    /// Longest sequence in tokens [default: the model's own]
    #[arg(long, value_name = "TOKENS")]
    context: Option<usize>,
    /// How longer ones are cut on the left: as lm-evaluation-harness does when it runs a model
    /// itself, or when it asks a server
    #[arg(long, value_name = "hf|api", default_value = "hf", value_parser = ["hf", "api"])]
    cut: String,
    /// Whether the token that begins sequences stands before every text [default: as the model's
    /// tokenizer does it with --cut hf, false with --cut api, as the harness has it]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true,
        default_missing_value = "true")]
    add_bos_token: Option<bool>,
    /// Sequences that are computed together at most; changes no result
    #[arg(long, value_name = "COUNT", default_value_t = 64,
        value_parser = clap::value_parser!(u16).range(1..=1024))]
    parallel: u16,
    /// Activations that MXFP4, Q8_0, Q4_0 and Q4_1 weights meet: eight bits, or f32
    #[arg(long, value_name = "HOW", default_value = "fast")]
    precision: PrecisionArg,
    /// Numbers of the KV cache [default: f16; f32 with --precision exact]
    #[arg(long, value_name = "TYPE")]
    kv_cache: Option<CacheArg>,
}

impl RunArgs {
    /// How the model is asked.
    pub fn setting(&self) -> Setting<'_> {
        let ReadingArgs { context, cut, add_bos_token, parallel, precision, kv_cache } =
            &self.reading;
        Setting {
            name: &self.model,
            machine: &self.machine,
            options: EngineOptions {
                precision: (*precision).into(),
                cache: kv_cache.map(Into::into),
                ..EngineOptions::default()
            },
            max_length: *context,
            cut,
            begins: *add_bos_token,
            sequences_max: usize::from(*parallel),
        }
    }

    /// How prompts are made.
    pub fn prompts(&self) -> PromptOptions {
        PromptOptions { shots: self.num_fewshot, seed: self.fewshot_seed, limit: self.limit }
    }

    /// How answers are sampled.
    pub fn sampling(&self) -> SamplingRecord {
        let AnswerArgs { effort, repeats, seed, temperature, max_tokens } = &self.sampling;
        SamplingRecord {
            repeats: usize::from(repeats.unwrap_or(1)),
            effort: effort.map(|effort| effort.as_str().to_owned()),
            temperature: *temperature,
            max_tokens: max_tokens.map(|count| count as usize),
            seed: *seed,
        }
    }

    /// Refuses flags that would change nothing with these tasks.
    pub fn check(&self, tasks: &[Asked]) -> anyhow::Result<()> {
        let has = |kinds: &[Kind]| tasks.iter().any(|a| kinds.contains(&a.task.file.kind));
        let AnswerArgs { effort, repeats, temperature, max_tokens, .. } = &self.sampling;
        for (flag, is_set) in [("--effort", effort.is_some()), ("--repeats", repeats.is_some())] {
            if is_set && !has(&[Kind::Chat]) {
                bail!(
                    "{flag}: none of the tasks is a conversation (their names end in _reasoning)"
                );
            }
        }
        for (flag, is_set) in
            [("--temperature", temperature.is_some()), ("--max-tokens", max_tokens.is_some())]
        {
            if is_set && !has(&[Kind::Chat, Kind::Generate]) {
                bail!("{flag}: none of the tasks generates text");
            }
        }
        if self.limit == Some(0) {
            bail!("--limit: expected at least 1");
        }
        if temperature.is_some_and(|t| !(t.is_finite() && t >= 0.0)) {
            bail!("--temperature: expected 0 or more");
        }
        Ok(())
    }

    /// The results file.
    pub fn output(&self) -> PathBuf {
        self.output.clone().unwrap_or_else(|| {
            let name = Path::new(&self.model).file_name().and_then(|name| name.to_str());
            PathBuf::from(format!("eval-{}.jsonl", name.unwrap_or("model")))
        })
    }

    /// The name of the run.
    pub fn run_name(&self) -> String {
        let own = || Path::new(&self.model).file_name().and_then(|name| name.to_str());
        let name = self.name.as_deref().or_else(own).unwrap_or(&self.model);
        let effort = &self.sampling.effort;
        match (&self.name, effort) {
            (None, Some(effort)) => format!("{name}, {}", effort.as_str()),
            _ => name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::tasks;

    fn args(words: &[&str]) -> RunArgs {
        #[derive(clap::Parser)]
        struct Alone {
            #[command(flatten)]
            run: RunArgs,
        }
        let words = std::iter::once("eval").chain(words.iter().copied());
        <Alone as clap::Parser>::try_parse_from(words).unwrap().run
    }

    #[test]
    fn flags_that_change_nothing_are_refused() {
        let check = |words: &[&str]| {
            let args = args(words);
            args.check(&tasks::all(&args.tasks).unwrap()).map_err(|error| error.to_string())
        };
        assert!(check(&["--tasks", "arc_easy", "--effort", "low"]).unwrap_err().contains("effort"));
        assert!(check(&["--tasks", "gsm8k", "--repeats", "2"]).unwrap_err().contains("repeats"));
        assert!(check(&["--tasks", "mmlu", "--max-tokens", "2"]).unwrap_err().contains("max-tok"));
        assert!(check(&["--tasks", "gsm8k", "--temperature", "nan"]).unwrap_err().contains("temp"));
        check(&["--tasks", "arc_easy,gsm8k", "--temperature", "0.5"]).unwrap();
        check(&["--tasks", "gsm8k_reasoning", "--effort", "low", "--repeats", "2"]).unwrap();
    }

    #[test]
    fn names_come_from_the_model() {
        let args = args(&["models/small.gguf", "--effort", "high"]);
        assert_eq!(args.run_name(), "small.gguf, high");
        assert_eq!(args.output(), PathBuf::from("eval-small.gguf.jsonl"));
    }
}
