//! How tokens are chosen: fields of a request over what the model's files recommend.

use std::collections::BTreeMap;

use gptoss_engine::{Engine, SamplingParams};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::ApiError;
use crate::ids;

/// The most stop strings of a request.
const STOPS_MAX: usize = 16;
/// The longest stop string, in bytes.
const STOP_BYTES_MAX: usize = 1024;
/// The most entries of `logit_bias`.
const BIASES_MAX: usize = 4096;
/// The most answers to one prompt.
const CHOICES_MAX: i64 = 128;
/// The most tokens of `top_logprobs`.
const TOP_LOGPROBS_MAX: usize = 20;

/// Fields of sampling as the requests have them.
#[derive(Clone, Debug, Default)]
pub(crate) struct SamplingFields {
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) top_k: Option<i64>,
    pub(crate) min_p: Option<f64>,
    pub(crate) repetition_penalty: Option<f64>,
    pub(crate) frequency_penalty: Option<f64>,
    pub(crate) presence_penalty: Option<f64>,
    pub(crate) logit_bias: Option<BTreeMap<String, f64>>,
    pub(crate) seed: Option<i64>,
}

/// The fields of sampling of a request, which each type of request spells alike.
macro_rules! sampling_fields {
    ($request:expr) => {
        $crate::sampling::SamplingFields {
            temperature: $request.temperature,
            top_p: $request.top_p,
            top_k: $request.top_k,
            min_p: $request.min_p,
            repetition_penalty: $request.repetition_penalty,
            frequency_penalty: $request.frequency_penalty,
            presence_penalty: $request.presence_penalty,
            logit_bias: $request.logit_bias.clone(),
            seed: $request.seed,
        }
    };
}
pub(crate) use sampling_fields;

/// One string or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl SamplingFields {
    /// The parameters; without a seed a random one is drawn, else the server's own is taken.
    ///
    /// # Errors
    /// 400 with the field that is out of range.
    pub(crate) fn params(
        self,
        engine: &Engine,
        default_seed: Option<u64>,
    ) -> Result<SamplingParams, ApiError> {
        let defaults = &engine.model().chat;
        let recommended = match defaults.do_sample {
            Some(false) => 0.0,
            _ => defaults.temperature.unwrap_or(1.0),
        };
        let temperature = self.temperature.unwrap_or(recommended);
        if temperature > 2.0 {
            let message = format!("expected 0 to 2, found {temperature}");
            return Err(ApiError::field("temperature", message));
        }
        let top_k = match self.top_k {
            None => defaults.top_k.unwrap_or(0),
            // Both are used for "all".
            Some(-1 | 0) => 0,
            Some(k) => usize::try_from(k)
                .map_err(|_| ApiError::field("top_k", format!("expected -1 or more, found {k}")))?,
        };
        let seed = match self.seed {
            Some(seed) => seed.cast_unsigned(),
            None => default_seed.unwrap_or_else(ids::seed),
        };
        let params = SamplingParams {
            temperature: temperature as f32,
            top_k,
            top_p: self.top_p.or(defaults.top_p).unwrap_or(1.0) as f32,
            min_p: self.min_p.unwrap_or(0.0) as f32,
            repetition_penalty: self.repetition_penalty.unwrap_or(1.0) as f32,
            frequency_penalty: self.frequency_penalty.unwrap_or(0.0) as f32,
            presence_penalty: self.presence_penalty.unwrap_or(0.0) as f32,
            logit_bias: biases(self.logit_bias.unwrap_or_default(), engine.config().vocab_size)?,
            seed,
            sequence: 0,
        };
        let range = |error: gptoss_engine::SamplingError| {
            let message = format!("expected {}, found {}", error.expected, error.found);
            ApiError::field(error.name, message)
        };
        params.validate().map_err(range)?;
        Ok(params)
    }
}

fn biases(
    biases: BTreeMap<String, f64>,
    vocab_size: usize,
) -> Result<BTreeMap<u32, f32>, ApiError> {
    let wrong = |message: String| ApiError::field("logit_bias", message);
    if biases.len() > BIASES_MAX {
        let found = biases.len();
        return Err(wrong(format!("expected at most {BIASES_MAX} tokens, found {found}")));
    }
    let mut by_id = BTreeMap::new();
    for (id, bias) in biases {
        let found: Option<u32> = id.parse().ok().filter(|id| (*id as usize) < vocab_size);
        let found = found.ok_or_else(|| {
            wrong(format!("expected ids of the vocabulary of {vocab_size}, found `{id}`"))
        })?;
        if !(-100.0..=100.0).contains(&bias) {
            return Err(wrong(format!("expected -100 to 100, found {bias}")));
        }
        by_id.insert(found, bias as f32);
    }
    Ok(by_id)
}

/// The stop strings of a request.
///
/// # Errors
/// 400 for too many or too long ones.
pub(crate) fn stop_strings(stop: Option<OneOrMany>) -> Result<Vec<String>, ApiError> {
    let stop = match stop {
        None => Vec::new(),
        Some(OneOrMany::One(stop)) => vec![stop],
        Some(OneOrMany::Many(stop)) => stop,
    };
    if stop.len() > STOPS_MAX {
        let message = format!("expected at most {STOPS_MAX} strings, found {}", stop.len());
        return Err(ApiError::field("stop", message));
    }
    if let Some(long) = stop.iter().find(|stop| stop.len() > STOP_BYTES_MAX) {
        let message = format!("expected at most {STOP_BYTES_MAX} bytes, found {}", long.len());
        return Err(ApiError::field("stop", message));
    }
    Ok(stop)
}

/// The number of answers that `n` asks for.
///
/// # Errors
/// 400 for none and for too many.
pub(crate) fn choices(n: Option<i64>) -> Result<usize, ApiError> {
    let n = n.unwrap_or(1);
    let found = usize::try_from(n).ok().filter(|_| (1..=CHOICES_MAX).contains(&n));
    found.ok_or_else(|| ApiError::field("n", format!("expected 1 to {CHOICES_MAX}, found {n}")))
}

/// A number of most likely tokens within the limits of the interface.
///
/// # Errors
/// 400 with the field's name.
pub(crate) fn top_logprobs(param: &str, n: i64) -> Result<usize, ApiError> {
    let found = usize::try_from(n).ok().filter(|n| *n <= TOP_LOGPROBS_MAX);
    found.ok_or_else(|| {
        ApiError::field(param, format!("expected 0 to {TOP_LOGPROBS_MAX}, found {n}"))
    })
}

/// A limit of tokens, at least `least`; `None` if there is none.
///
/// # Errors
/// 400 with the field's name.
pub(crate) fn token_limit(
    param: &str,
    tokens: Option<i64>,
    least: usize,
) -> Result<Option<usize>, ApiError> {
    let Some(tokens) = tokens else { return Ok(None) };
    let found = usize::try_from(tokens).ok().filter(|tokens| *tokens >= least);
    let wrong = || ApiError::field(param, format!("expected {least} or more, found {tokens}"));
    found.map(Some).ok_or_else(wrong)
}
