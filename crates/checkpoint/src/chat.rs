//! What a model's files say about talking to it: stop tokens, sampling, harmony's frame.

use serde_json::Value;

use crate::error::CheckpointError;
use crate::fields::Fields;
use crate::folder::Folder;

/// How the makers of a model want it to be sampled and prompted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatDefaults {
    /// Tokens that end an answer; empty if the files do not say.
    pub eos_token_ids: Vec<u32>,
    /// Token at the start of a text, if any.
    pub bos_token_id: Option<u32>,
    /// Whether to sample at all.
    pub do_sample: Option<bool>,
    /// Temperature.
    pub temperature: Option<f64>,
    /// Mass of the nucleus.
    pub top_p: Option<f64>,
    /// Number of candidates.
    pub top_k: Option<usize>,
    /// `harmony.json`, if the model has one.
    pub harmony: Option<HarmonyDefaults>,
}

/// The frame in which a model was trained, where it differs from harmony's usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HarmonyDefaults {
    /// Text of the system message; `None` means that there is no system message.
    pub system_message: Option<String>,
    /// Text, special tokens included, that is put after `<|start|>assistant`.
    pub assistant_prefill: String,
}

/// Reads `generation_config.json` and `harmony.json`; `config` fills in what the first lacks.
pub(crate) fn read(folder: &Folder, config: &Value) -> Result<ChatDefaults, CheckpointError> {
    let config_path = folder.path("config.json");
    let config = Fields::of(&config_path, config)?;
    let mut defaults = ChatDefaults {
        eos_token_ids: config.token_ids("eos_token_id")?,
        bos_token_id: config.token_ids("bos_token_id")?.first().copied(),
        ..ChatDefaults::default()
    };
    let path = folder.path("generation_config.json");
    if let Some(json) = folder.read_json("generation_config.json")? {
        let fields = Fields::of(&path, &json)?;
        let eos = fields.token_ids("eos_token_id")?;
        if !eos.is_empty() {
            defaults.eos_token_ids = eos;
        }
        let bos = fields.token_ids("bos_token_id")?.first().copied();
        defaults.bos_token_id = bos.or(defaults.bos_token_id);
        defaults.do_sample = fields.flag("do_sample")?;
        defaults.temperature = fields.number("temperature")?;
        defaults.top_p = fields.number("top_p")?;
        defaults.top_k = fields.count("top_k")?;
    }
    let path = folder.path("harmony.json");
    if let Some(json) = folder.read_json("harmony.json")? {
        let fields = Fields::of(&path, &json)?;
        defaults.harmony = Some(HarmonyDefaults {
            system_message: fields.string("system_message")?.map(str::to_owned),
            assistant_prefill: fields.string("assistant_prefill")?.unwrap_or_default().to_owned(),
        });
    }
    Ok(defaults)
}
