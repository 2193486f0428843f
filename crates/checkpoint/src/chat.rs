//! What a model's files say about talking to it: stop tokens, sampling, template, harmony's frame.

use std::path::Path;

use serde_json::Value;

use crate::error::{CheckpointError, Place};
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
    /// Whether `bos_token_id` begins every text, if the files say.
    pub add_bos_token: Option<bool>,
    /// The Jinja template of a conversation, if the files have one.
    pub chat_template: Option<String>,
    /// Text of the token at the start of a text, which templates call `bos_token`.
    pub bos_token: Option<String>,
    /// Text of the token that ends an answer, which templates call `eos_token`.
    pub eos_token: Option<String>,
    /// Text of the token for what has none, which templates call `unk_token`.
    pub unk_token: Option<String>,
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

/// Reads `generation_config.json`, `tokenizer_config.json` and what lies beside it, and
/// `harmony.json`; `config` fills in what the first lacks.
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
    read_template(folder, &mut defaults)?;
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

/// The longest template that is read; published ones have less than 20 kB.
const TEMPLATE_BYTES_MAX: usize = 1 << 20;

/// A template if it is not too long; `file` and `place` are where it stands.
pub(crate) fn template(file: &Path, place: Place, text: &str) -> Result<String, CheckpointError> {
    if text.len() > TEMPLATE_BYTES_MAX {
        return Err(CheckpointError::Invalid {
            file: file.to_path_buf(),
            place,
            expected: format!("a template of at most {TEMPLATE_BYTES_MAX} bytes"),
            found: text.len().to_string(),
        });
    }
    Ok(text.to_owned())
}

/// Reads the template and the tokens that it names. As in transformers 5, `chat_template.jinja`
/// comes before the template in `tokenizer_config.json`, and the tokens there before those in
/// `special_tokens_map.json`.
fn read_template(folder: &Folder, defaults: &mut ChatDefaults) -> Result<(), CheckpointError> {
    const CONFIG: &str = "tokenizer_config.json";
    for name in [CONFIG, "special_tokens_map.json"] {
        let path = folder.path(name);
        let Some(json) = folder.read_json(name)? else { continue };
        let fields = Fields::of(&path, &json)?;
        for (field, text) in [
            ("bos_token", &mut defaults.bos_token),
            ("eos_token", &mut defaults.eos_token),
            ("unk_token", &mut defaults.unk_token),
        ] {
            let found = token(&fields, field)?;
            *text = text.take().or(found);
        }
        if name == CONFIG {
            defaults.add_bos_token = fields.flag("add_bos_token")?;
            defaults.chat_template = template_of(&fields)?;
        }
    }
    const FILE: &str = "chat_template.jinja";
    if let Some(bytes) = folder.read(FILE)? {
        let path = folder.path(FILE);
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return Err(CheckpointError::Invalid {
                file: path,
                place: Place::File,
                expected: "UTF-8".to_owned(),
                found: "other bytes".to_owned(),
            });
        };
        defaults.chat_template = Some(template(&path, Place::File, text)?);
    }
    Ok(())
}

/// The text of a token: a string, or an object with it as `content`.
fn token(fields: &Fields, field: &str) -> Result<Option<String>, CheckpointError> {
    let Some(value) = fields.get(field) else { return Ok(None) };
    match value.as_str().or_else(|| value.get("content")?.as_str()) {
        Some(text) => Ok(Some(text.to_owned())),
        None => Err(fields.invalid(field, "the text of a token", &Fields::describe(value))),
    }
}

/// `chat_template`: a string, or a list of templates with names, of which one is `default`.
fn template_of(fields: &Fields) -> Result<Option<String>, CheckpointError> {
    const FIELD: &str = "chat_template";
    let Some(value) = fields.get(FIELD) else { return Ok(None) };
    let named = |entry: &&Value| entry.get("name").and_then(Value::as_str) == Some("default");
    let text = match value {
        Value::Array(entries) => {
            entries.iter().find(named).and_then(|e| e.get("template")?.as_str())
        }
        other => other.as_str(),
    };
    match text {
        Some(text) => template(fields.file, Place::Field(FIELD.to_owned()), text).map(Some),
        None => {
            let expected = "a template, or a list with one of the name default";
            Err(fields.invalid(FIELD, expected, &Fields::describe(value)))
        }
    }
}
