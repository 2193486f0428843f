//! The model, and what is recorded of it so that the same can be had again.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, bail};
use gptoss_checkpoint::embedded::nano_file;
use gptoss_checkpoint::{Model, ModelFile, TokenizerSource};
use gptoss_engine::{CacheElement, Engine, EngineOptions};
use gptoss_eval::data::{sha256_hex, to_hex};
use gptoss_eval::engine_model::{EngineModel, ModelOptions};
use gptoss_eval::results::ModelRecord;
use gptoss_eval::tokens::Limit;
use sha2::{Digest as _, Sha256};

use crate::machine::{MachineArgs, System};
use crate::pull::size_text;
use crate::terminal::say;

/// To hash so much takes seconds, which are explained.
const LARGE_BYTES: u64 = 1 << 30;

/// How a model is asked.
pub struct Setting<'a> {
    /// Its name, as every command takes it.
    pub name: &'a str,
    /// Threads and instructions.
    pub machine: &'a MachineArgs,
    /// Precision and cache; threads and instructions of `machine` count.
    pub options: EngineOptions,
    /// Longest sequence; the model's own if absent.
    pub max_length: Option<usize>,
    /// As whom longer ones are cut: `hf` or `api`.
    pub cut: &'a str,
    /// Whether the token that begins sequences stands before every text; if absent, where the
    /// harness puts it, which is where the tokenizer does, but not when it asks a server.
    pub begins: Option<bool>,
    /// Sequences that are computed together at most.
    pub sequences_max: usize,
}

/// A model that is loaded.
pub struct Subject {
    /// The engine.
    pub engine: Engine,
    /// What decides its answers.
    pub record: ModelRecord,
    limit: Limit,
    sequences_max: usize,
}

impl Subject {
    /// Loads a model and hashes its files.
    ///
    /// # Errors
    /// If it cannot be loaded or read.
    pub fn load(setting: &Setting<'_>) -> anyhow::Result<Subject> {
        let options = EngineOptions {
            threads: setting.machine.threads,
            isa: setting.machine.isa,
            ..setting.options
        };
        let engine = Engine::load_with(setting.name, &options)?;
        let max_length = setting.max_length.unwrap_or(engine.config().max_position_embeddings);
        let limit = match setting.cut {
            "api" => Limit::Api { max_length },
            "hf" => Limit::Direct { max_length },
            other => bail!("expected hf or api, found `{other}`"),
        };
        let by_default = || setting.cut == "hf" && engine.text_begin().is_some();
        let record = ModelRecord {
            name: setting.name.to_owned(),
            sha256: weights_sha256(engine.model())?,
            tokenizer_sha256: tokenizer_sha256(engine.model())?,
            max_length,
            cut: limit.name().to_owned(),
            begins: setting.begins.unwrap_or_else(by_default),
            precision: engine.precision().name().to_owned(),
            kv_cache: cache_name(engine.cache_element()).to_owned(),
        };
        Ok(Subject { engine, record, limit, sequences_max: setting.sequences_max })
    }

    /// The model as it is evaluated; `stop` ends what it does.
    ///
    /// # Errors
    /// If it cannot be asked like that.
    pub fn model(&self, stop: &Arc<AtomicBool>) -> anyhow::Result<EngineModel> {
        let options = ModelOptions {
            limit: self.limit,
            begins: self.record.begins,
            sequences_max: self.sequences_max,
            stop: stop.clone(),
        };
        Ok(EngineModel::new(&self.engine, options)?)
    }

    /// Program, kernels and machine, which change no bit of a result.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let system = System::read(Path::new("/"));
        let mut facts = vec![
            ("gptoss", env!("CARGO_PKG_VERSION").to_owned()),
            ("isa", self.engine.isa().name().to_owned()),
            ("threads", self.engine.threads().to_string()),
            ("system", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        ];
        facts.extend(system.processor.map(|name| ("processor", name)));
        facts.extend(system.cores.map(|cores| ("cores", cores.to_string())));
        facts.extend(system.memory_bytes.map(|bytes| ("memory", size_text(bytes))));
        facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

fn cache_name(element: CacheElement) -> &'static str {
    match element {
        CacheElement::F32 => "f32",
        CacheElement::F16 => "f16",
        CacheElement::Int8 => "int8",
    }
}

/// sha256 of the file with the weights; of several, that of what `sha256sum` says of them.
fn weights_sha256(model: &Model) -> anyhow::Result<String> {
    let bytes: u64 = model.files.iter().map(|file| file.bytes).sum();
    if bytes >= LARGE_BYTES {
        say(&format!("gptoss: hashing {} of weights", size_text(bytes)));
    }
    let mut lines = Vec::new();
    for file in &model.files {
        lines.push((file_sha256(file)?, name_of(&file.path)));
    }
    Ok(match lines.as_slice() {
        [(alone, _)] => alone.clone(),
        all => {
            let lines = all.iter().map(|(digest, name)| format!("{digest}  {name}\n"));
            sha256_hex(&lines.collect::<String>())
        }
    })
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn file_sha256(file: &ModelFile) -> anyhow::Result<String> {
    let path = &file.path;
    let mut hash = Sha256::new();
    // Files of the embedded model have no place on the disk.
    match nano_file(&name_of(path)).filter(|_| !path.exists()) {
        Some(bytes) => hash.update(bytes),
        None => {
            let failed = || format!("{}: cannot be read", path.display());
            let mut content = File::open(path).with_context(failed)?;
            let mut buffer = vec![0; 1 << 20];
            loop {
                let len = std::io::Read::read(&mut content, &mut buffer).with_context(failed)?;
                if len == 0 {
                    break;
                }
                hash.update(&buffer[..len]);
            }
        }
    }
    Ok(to_hex(&hash.finalize()))
}

/// sha256 of `tokenizer.json`, or of all parts of a vocabulary, each with its length.
fn tokenizer_sha256(model: &Model) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    match model.require_tokenizer()? {
        TokenizerSource::Json(bytes) => hash.update(&bytes[..]),
        TokenizerSource::Gguf(vocabulary) => {
            let mut part = |text: &str| {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            };
            part(&vocabulary.model);
            part(vocabulary.pre.as_deref().unwrap_or_default());
            vocabulary.tokens.iter().for_each(&mut part);
            vocabulary.merges.iter().flat_map(|merges| merges.iter()).for_each(&mut part);
            vocabulary.token_types.iter().for_each(|kind| part(&kind.to_string()));
        }
        TokenizerSource::O200kHarmony => hash.update("o200k_harmony"),
        _ => bail!("not supported: a tokenizer of this kind"),
    }
    Ok(to_hex(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_one_file_is_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        std::fs::write(&path, "abc").unwrap();
        let file = ModelFile { path, bytes: 3 };
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(file_sha256(&file).unwrap(), expected);
        let nano = gptoss_checkpoint::embedded::nano().unwrap();
        let bytes = nano_file("model.safetensors").unwrap();
        assert_eq!(weights_sha256(&nano).unwrap(), to_hex(&Sha256::digest(bytes)));
        assert!(file_sha256(&ModelFile { path: folder.path().join("x"), bytes: 0 }).is_err());
    }
}
