//! How tokens are chosen: flags over what the model's files recommend.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use clap::Args;
use gptoss_engine::{Engine, SamplingParams};

/// Flags of every command that generates.
#[derive(Args, Clone)]
pub struct SamplingArgs {
    /// Randomness; 0 always takes the most likely token [default: the model's own, else 1]
    #[arg(short, long, value_name = "T", allow_negative_numbers = true)]
    pub temperature: Option<f32>,
    /// Choose among the most likely tokens that together have this probability
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub top_p: Option<f32>,
    /// Choose among this many most likely tokens; 0 means all
    #[arg(long, value_name = "N")]
    pub top_k: Option<usize>,
    /// Choose among tokens at least this many times as likely as the most likely one
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub min_p: Option<f32>,
    /// Make tokens that were seen before less likely; 1 changes nothing
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub repetition_penalty: Option<f32>,
    /// Subtracted from a token's logit for each time it was generated
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub frequency_penalty: Option<f32>,
    /// Subtracted from a token's logit if it was generated
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub presence_penalty: Option<f32>,
    /// Add to the logit of a token; may be repeated, `-inf` forbids the token
    #[arg(long, value_name = "ID=BIAS", allow_hyphen_values = true)]
    pub logit_bias: Vec<TokenBias>,
    /// Seed of the random numbers: the same seed gives the same text [default: 0]
    #[arg(short, long, value_name = "N")]
    pub seed: Option<u64>,
    /// Generate at most this many tokens [default: until the context is full]
    #[arg(short = 'n', long, value_name = "N")]
    pub max_tokens: Option<usize>,
    /// End the answer before this text; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
}

/// One `ID=BIAS`.
#[derive(Clone, Copy)]
pub struct TokenBias {
    id: u32,
    bias: f32,
}

impl FromStr for TokenBias {
    type Err = String;

    fn from_str(text: &str) -> Result<TokenBias, String> {
        let expected = || format!("expected ID=BIAS such as 220=-2.5, found `{text}`");
        let (id, bias) = text.split_once('=').ok_or_else(expected)?;
        let (id, bias) = (id.trim().parse(), bias.trim().parse());
        Ok(TokenBias { id: id.map_err(|_| expected())?, bias: bias.map_err(|_| expected())? })
    }
}

impl SamplingArgs {
    /// The parameters, with the model's recommendations where no flag was given.
    pub fn params(&self, engine: &Engine) -> anyhow::Result<SamplingParams> {
        let defaults = &engine.model().chat;
        let vocab_size = engine.config().vocab_size;
        if let Some(TokenBias { id, .. }) =
            self.logit_bias.iter().find(|b| b.id as usize >= vocab_size)
        {
            bail!("--logit-bias: expected an id of the vocabulary of {vocab_size}, found {id}");
        }
        let recommended = match defaults.do_sample {
            Some(false) => 0.0,
            _ => defaults.temperature.unwrap_or(1.0) as f32,
        };
        let params = SamplingParams {
            temperature: self.temperature.unwrap_or(recommended),
            top_k: self.top_k.or(defaults.top_k).unwrap_or(0),
            top_p: self.top_p.or(defaults.top_p.map(|p| p as f32)).unwrap_or(1.0),
            min_p: self.min_p.unwrap_or(0.0),
            repetition_penalty: self.repetition_penalty.unwrap_or(1.0),
            frequency_penalty: self.frequency_penalty.unwrap_or(0.0),
            presence_penalty: self.presence_penalty.unwrap_or(0.0),
            logit_bias: BTreeMap::from_iter(self.logit_bias.iter().map(|b| (b.id, b.bias))),
            seed: self.seed.unwrap_or(0),
            sequence: 0,
        };
        params.validate().context("sampling")?;
        Ok(params)
    }
}
