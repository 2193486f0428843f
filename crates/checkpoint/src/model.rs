//! Opening a model: a file or a folder becomes a description of the model and its weights.

use std::path::{Path, PathBuf};

use crate::chat::{self, ChatDefaults};
use crate::config::ModelConfig;
use crate::config_json::{self, Dialect};
use crate::error::{CheckpointError, printable};
use crate::folder::Folder;
use crate::shards::{self, Shards};
use crate::tensors::TensorTable;
use crate::tokenizer::{O200K_HARMONY_TOKENS, TokenizerSource};
use crate::weights::Weights;
use crate::{hf, licence, original};

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
    /// Whether the model is computed with it. Files may hold more than gpt-oss needs.
    pub used: bool,
}

impl Model {
    /// Opens a model: a folder in the Hugging Face or OpenAI layout, or a file of it.
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
    Err(CheckpointError::NoModel { folder: path.to_path_buf(), found: summary(&names) })
}

fn open_file(path: &Path) -> Result<Model, CheckpointError> {
    let folder_path = path.parent().unwrap_or(Path::new(""));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = Folder::Disk(folder_path);
    let shards = shards::open_file(&folder, &name)?;
    open_safetensors(path, &folder, shards)
}

fn open_safetensors(
    path: &Path,
    folder: &Folder,
    shards: Shards,
) -> Result<Model, CheckpointError> {
    let config_path = folder.path("config.json");
    let Some(json) = folder.read_json("config.json")? else {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(CheckpointError::Io { file: config_path, source });
    };
    let (dialect, config) = config_json::parse(&config_path, &json)?;
    let Shards { mut table, files } = shards;
    let mut tensors = describe(&table);
    let (layout, weights) = match dialect {
        Dialect::HuggingFace => (Layout::HuggingFace, hf::weights(&config, &mut table)?),
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
    let info = |(name, tensor): (&String, &crate::tensors::Tensor)| TensorInfo {
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
