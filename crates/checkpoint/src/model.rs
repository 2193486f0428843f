//! Opening a model: a file or a folder becomes a description of the model and its weights.

use std::path::{Path, PathBuf};

use crate::chat::{self, ChatDefaults};
use crate::config::{Architecture, ModelConfig};
use crate::config_json::{self, Dialect};
use crate::error::{CheckpointError, Place, printable};
use crate::folder::Folder;
use crate::gguf::{self, Gguf};
use crate::shards::{self, Shards, split_name};
use crate::tensors::{Tensor, TensorTable};
use crate::tokenizer::{O200K_HARMONY_TOKENS, TokenizerSource};
use crate::weights::Weights;
use crate::{gguf_config, gguf_model, gguf_split, hf, licence, llama_model, map, original};

/// A model as opened: recognised, checked and mapped. Only vectors (norms, biases, sinks) were
/// converted.
#[derive(Clone, Debug)]
pub struct Model {
    /// The shape of the model.
    pub config: ModelConfig,
    /// The weights, in the formats of the file.
    pub weights: Weights,
    /// How the files are laid out.
    pub layout: Layout,
    /// The tokenizer that came with the model.
    pub tokenizer: TokenizerSource,
    /// Stop tokens, sampling and prompt frame that came with the model.
    pub chat: ChatDefaults,
    /// The file or folder that was opened; for an embedded model its name.
    pub path: PathBuf,
    /// The files that hold the weights.
    pub files: Vec<ModelFile>,
    /// All tensors of these files in the order of their names.
    pub tensors: Vec<TensorInfo>,
    /// The licence that the files state, if they do.
    pub licence: Option<String>,
}

/// How model files are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// `config.json` and safetensors with transformers' names.
    HuggingFace,
    /// OpenAI's `original/`: `config.json` and safetensors with openai/gpt-oss's names.
    Original,
    /// One GGUF file, or a split one.
    Gguf,
}

/// A file with weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// Its path; for an embedded model below the model's name.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// A tensor as the file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// The name in the file.
    pub name: String,
    /// The element type as the file format spells it.
    pub dtype: &'static str,
    /// Slowest axis first.
    pub shape: Vec<usize>,
    /// Bytes in the file.
    pub bytes: u64,
    /// Whether the model is computed with it. Files may hold more than the model needs.
    pub used: bool,
}

impl Model {
    /// Opens a model: a folder in the Hugging Face or OpenAI layout or with one GGUF file, or a
    /// file of these. Where a folder holds several layouts, Hugging Face's is taken first, then
    /// `original/`.
    ///
    /// Weights are mapped, not read; see `map.rs` for what that asks of other programs.
    ///
    /// # Errors
    /// One line that names the file, the place in it, what was expected and what was found.
    pub fn open(path: &Path) -> Result<Model, CheckpointError> {
        let io = |source| CheckpointError::Io { file: path.to_path_buf(), source };
        if std::fs::metadata(path).map_err(io)?.is_dir() {
            return open_folder(path, &Folder::Disk(path));
        }
        open_file(path)
    }

    /// Opens a model whose files are part of the program: pairs of a file name and its bytes, as
    /// they would lie in a folder. `name` stands for that folder in messages.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open_embedded(
        name: &str,
        files: &[(&str, &'static [u8])],
    ) -> Result<Model, CheckpointError> {
        open_folder(Path::new(name), &Folder::Memory { name, files })
    }

    /// The tokenizer, for callers that cannot do without one.
    ///
    /// # Errors
    /// [`CheckpointError::NoTokenizer`] if it is [`TokenizerSource::Missing`].
    pub fn require_tokenizer(&self) -> Result<&TokenizerSource, CheckpointError> {
        match &self.tokenizer {
            TokenizerSource::Missing => Err(CheckpointError::NoTokenizer {
                model: self.path.clone(),
                vocab_size: self.config.vocab_size,
            }),
            source => Ok(source),
        }
    }
}

fn open_folder(path: &Path, folder: &Folder) -> Result<Model, CheckpointError> {
    let names = folder.names()?;
    if names.iter().any(|name| name == "config.json") && shards::present(&names) {
        let shards = shards::open(folder, &names)?;
        return open_safetensors(path, folder, shards);
    }
    // The published repositories hold OpenAI's layout in a folder of its own.
    let original = folder.path("original");
    if matches!(folder, Folder::Disk(_)) && original.join("config.json").is_file() {
        return open_folder(&original, &Folder::Disk(&original));
    }
    let first_or_only =
        |name: &&String| !matches!(split_name(name, ".gguf"), Some((_, part, _)) if part > 1);
    let gguf: Vec<&String> =
        names.iter().filter(|name| name.ends_with(".gguf")).filter(first_or_only).collect();
    match gguf.as_slice() {
        [] => Err(CheckpointError::NoModel { folder: path.to_path_buf(), found: summary(&names) }),
        [name] => open_gguf(path, folder, name),
        several => Err(CheckpointError::SeveralModels {
            folder: path.to_path_buf(),
            candidates: several.iter().map(|name| printable(name)).collect(),
        }),
    }
}

fn open_file(path: &Path) -> Result<Model, CheckpointError> {
    let folder_path = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let folder = Folder::Disk(folder_path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name == "config.json" || name.ends_with(".index.json") {
        return open_folder(folder_path, &folder);
    }
    let io = |source| CheckpointError::Io { file: path.to_path_buf(), source };
    let bytes = map::map(path).map_err(io)?;
    if bytes.starts_with(gguf::MAGIC) || name.ends_with(".gguf") {
        return open_gguf(path, &folder, &name);
    }
    if name.ends_with(".safetensors") {
        let shards = shards::open_file(&folder, &name)?;
        return open_safetensors(path, &folder, shards);
    }
    if bytes.starts_with(b"GPT-OSS v1.0") {
        return Err(CheckpointError::Unsupported {
            file: path.to_path_buf(),
            place: Place::File,
            what: "the format of metal/model.bin; the folders above and beside it are".to_owned(),
        });
    }
    Err(CheckpointError::Invalid {
        file: path.to_path_buf(),
        place: Place::File,
        expected: "a GGUF or safetensors file, or a folder".to_owned(),
        found: if bytes.is_empty() { "an empty file".into() } else { "another file".into() },
    })
}

/// The weights of a GGUF file, whatever the architecture.
pub(crate) fn gguf_weights(
    config: &ModelConfig,
    table: &mut TensorTable,
) -> Result<Weights, CheckpointError> {
    match config.architecture {
        Architecture::GptOss => gguf_model::weights(config, table),
        Architecture::Llama => llama_model::weights(config, table, &llama_model::GGUF),
    }
}

fn open_gguf(path: &Path, folder: &Folder, name: &str) -> Result<Model, CheckpointError> {
    let (Gguf { metadata, tensors }, files) = gguf_split::open(folder, name)?;
    let mut table = TensorTable { file: folder.path(name), tensors };
    let mut tensors = describe(&table);
    let config = gguf_config::config(&metadata, &mut table)?;
    let weights = gguf_weights(&config, &mut table)?;
    mark_unused(&mut tensors, &table);
    let file = |(name, bytes): (String, u64)| ModelFile { path: folder.path(&name), bytes };
    Ok(Model {
        tokenizer: gguf_config::tokenizer(&metadata, &config)?,
        chat: gguf_config::chat(&metadata)?,
        licence: metadata.string("general.license")?.map(licence::tidy),
        path: path.to_path_buf(),
        files: files.into_iter().map(file).collect(),
        config,
        weights,
        layout: Layout::Gguf,
        tensors,
    })
}

fn open_safetensors(
    path: &Path,
    folder: &Folder,
    shards: Shards,
) -> Result<Model, CheckpointError> {
    let config_path = folder.path("config.json");
    let Some(json) = folder.read_json("config.json")? else {
        return Err(CheckpointError::Invalid {
            file: config_path,
            place: Place::File,
            expected: "a file beside the weights".to_owned(),
            found: "no such file".to_owned(),
        });
    };
    let (dialect, config) = config_json::parse(&config_path, &json)?;
    let Shards { mut table, files } = shards;
    let mut tensors = describe(&table);
    let (layout, weights) = match dialect {
        Dialect::HuggingFace => (Layout::HuggingFace, hf::weights(&config, &mut table)?),
        Dialect::Llama | Dialect::Mistral => {
            let names = &llama_model::HUGGING_FACE;
            (Layout::HuggingFace, llama_model::weights(&config, &mut table, names)?)
        }
        Dialect::Original => (Layout::Original, original::weights(&config, &mut table)?),
    };
    mark_unused(&mut tensors, &table);
    let file = |(name, bytes): (String, u64)| ModelFile { path: folder.path(&name), bytes };
    Ok(Model {
        tokenizer: tokenizer(folder, &config)?,
        chat: chat::read(folder, &json)?,
        licence: licence::of_folder(folder)?,
        path: path.to_path_buf(),
        files: files.into_iter().map(file).collect(),
        config,
        weights,
        layout,
        tensors,
    })
}

fn tokenizer(folder: &Folder, config: &ModelConfig) -> Result<TokenizerSource, CheckpointError> {
    Ok(match folder.read("tokenizer.json")? {
        Some(bytes) => TokenizerSource::Json(bytes),
        None if config.vocab_size == O200K_HARMONY_TOKENS => TokenizerSource::O200kHarmony,
        None => TokenizerSource::Missing,
    })
}

fn describe(table: &TensorTable) -> Vec<TensorInfo> {
    let info = |(name, tensor): (&String, &Tensor)| TensorInfo {
        name: name.clone(),
        dtype: tensor.dtype.name(),
        shape: tensor.shape.clone(),
        bytes: tensor.data.len() as u64,
        used: true,
    };
    table.tensors.iter().map(info).collect()
}

fn mark_unused(tensors: &mut [TensorInfo], left: &TensorTable) {
    for tensor in tensors {
        tensor.used = !left.contains(&tensor.name);
    }
}

/// What a folder without a model holds, for the message.
fn summary(names: &[String]) -> String {
    const NAMES_MAX: usize = 5;
    match names.len() {
        0 => "nothing".to_owned(),
        n => {
            let first: Vec<String> =
                names.iter().take(NAMES_MAX).map(|name| printable(name)).collect();
            let more =
                if n > NAMES_MAX { format!(" and {} more", n - NAMES_MAX) } else { "".into() };
            format!("{}{more}", first.join(", "))
        }
    }
}
