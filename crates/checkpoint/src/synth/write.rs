//! Files of known content, written by several threads, and there whole or not at all.
//!
//! Everything goes into `NAME.synth-partial` beside the target, which is flushed to the disk and
//! then takes the name. What a killed run leaves is that partial file or folder; the next run
//! begins it anew.

use std::fs::{self, File, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use super::config_files::{self, MARK};
use super::encode::Segment;
use super::source::Sources;
use super::tensors::{self, TensorPlan};
use super::{
    DenseFormat, SynthError, Synthesis, Target, gguf_file, llama_tensors, safetensors_files,
};
use crate::config::{Architecture, ModelConfig, RopeScaling};

/// Bytes that a thread makes at a time; a row of weights if that is larger.
const CHUNK_BYTES: u64 = 4 << 20;
const README: &str = "README.md";

/// A file: its first bytes, then tensors.
pub(super) struct FilePlan {
    /// Name in the folder; empty for a model of one file, which the user names.
    pub(super) name: String,
    pub(super) head: Vec<u8>,
    pub(super) pieces: Vec<Piece>,
    /// Length of the file.
    pub(super) bytes: u64,
}

/// Where in a file a segment lies; what is between pieces is zero.
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) segment: Segment,
}

/// Rows that are made and written at once.
struct Chunk {
    piece: usize,
    first: u64,
    rows: u64,
}

impl FilePlan {
    pub(super) fn text(name: &str, text: String) -> FilePlan {
        let (name, head) = (name.to_owned(), text.into_bytes());
        FilePlan { name, bytes: head.len() as u64, head, pieces: Vec::new() }
    }

    pub(super) fn json(name: &str, value: &Value) -> FilePlan {
        FilePlan::text(name, format!("{value:#}\n"))
    }
}

/// Whether what is at the target may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is written.
    Keep,
    /// A file is replaced, and a folder if it is a synthetic checkpoint and nothing else.
    Replace,
}

/// Files that are to be written; nothing has been yet.
pub struct Plan {
    files: Vec<FilePlan>,
    is_folder: bool,
}

impl Plan {
    /// Lays out the files of a checkpoint.
    ///
    /// # Errors
    /// [`SynthError::Shape`] if the layout cannot store a model of this shape.
    pub fn new(synthesis: &Synthesis) -> Result<Plan, SynthError> {
        let Synthesis { config, seed, .. } = *synthesis;
        check_shape(synthesis)?;
        let sources = Sources { config, seed };
        if let Target::Gguf { dense, vocabulary } = synthesis.target {
            let tensors = match config.architecture {
                Architecture::GptOss => tensors::gguf(sources, dense),
                Architecture::Llama => llama_tensors::gguf(sources, dense),
            };
            let file = gguf_file::file(synthesis, dense, vocabulary, &tensors);
            return Ok(Plan { files: vec![file], is_folder: false });
        }
        // The mark comes first: whatever is interrupted can be told from a user's files.
        let mut files = vec![FilePlan::text(README, config_files::readme(synthesis))];
        let shards: fn(&[TensorPlan], u64) -> Vec<FilePlan>;
        let (json, tensors) = if let Target::Original = synthesis.target {
            shards = safetensors_files::single;
            (config_files::original(config), tensors::original(sources))
        } else {
            shards = safetensors_files::sharded;
            let generation = config_files::generation(config);
            files.extend(generation.map(|json| FilePlan::json("generation_config.json", &json)));
            let tensors = match config.architecture {
                Architecture::GptOss => tensors::hugging_face(sources),
                Architecture::Llama => llama_tensors::hugging_face(sources),
            };
            (config_files::hugging_face(config), tensors)
        };
        config_files::check(layout_name(&synthesis.target), config, &json)?;
        files.push(FilePlan::json("config.json", &json));
        files.extend(shards(&tensors, seed));
        Ok(Plan { files, is_folder: true })
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Checks that the target can be written: nothing is there, or it may be replaced.
    ///
    /// # Errors
    /// [`SynthError::Exists`], [`SynthError::NotSynthetic`], or [`SynthError::Io`] if the path
    /// names nothing or cannot be looked at.
    pub fn check_target(&self, target: &Path, existing: Existing) -> Result<(), SynthError> {
        let io = |source| SynthError::Io { path: target.to_path_buf(), source };
        if target.file_name().is_none() {
            let message = "the path does not end in a name";
            return Err(io(io::Error::new(io::ErrorKind::InvalidInput, message)));
        }
        let found = match fs::symlink_metadata(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io(error)),
            Ok(found) => found,
        };
        let path = target.to_path_buf();
        match (existing, found.is_dir(), self.is_folder) {
            (Existing::Keep, true, _) => Err(SynthError::Exists { path, found: "a folder" }),
            (Existing::Keep, false, _) => Err(SynthError::Exists { path, found: "a file" }),
            (Existing::Replace, false, false) => Ok(()),
            (Existing::Replace, true, true) => check_synthetic(target),
            (Existing::Replace, true, false) => {
                Err(SynthError::NotSynthetic { path, found: "a folder, not a file".to_owned() })
            }
            (Existing::Replace, false, true) => {
                Err(SynthError::NotSynthetic { path, found: "a file, not a folder".to_owned() })
            }
        }
    }

    /// Writes the files. The bytes depend on the plan only, not on `threads`; `progress` is told
    /// the bytes of each piece that was written, from any thread.
    ///
    /// # Errors
    /// Those of [`Plan::check_target`] and of the file system; what was begun is then removed.
    pub fn write(
        &self,
        target: &Path,
        existing: Existing,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), SynthError> {
        self.check_target(target, existing)?;
        let partial = partial_name(target);
        let written = self.write_partial(&partial, threads, progress);
        let moved = written.and_then(|()| self.take_name(&partial, target));
        match moved {
            // What another wrote is not ours to remove.
            Ok(()) | Err(SynthError::Busy { .. } | SynthError::NotSynthetic { .. }) => {}
            // The first error is the one to report.
            Err(_) => drop(remove(&partial)),
        }
        moved
    }

    fn write_partial(
        &self,
        partial: &Path,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), SynthError> {
        // A link with this name is nobody's checkpoint, and what it leads to is not ours.
        if fs::symlink_metadata(partial).is_ok_and(|found| found.is_symlink()) {
            fs::remove_file(partial).map_err(at(partial))?;
        }
        if self.is_folder {
            match fs::create_dir(partial) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    check_interrupted(partial)?;
                }
                other => other.map_err(at(partial))?,
            }
        }
        // The first file stays locked until all are written.
        let mut first = None;
        for (index, file) in self.files.iter().enumerate() {
            let path =
                if self.is_folder { partial.join(&file.name) } else { partial.to_path_buf() };
            let opened = create(&path)?;
            if index == 0 && self.is_folder {
                remove_others(partial, &file.name)?;
            }
            fill(file, &opened, threads, progress).map_err(at(&path))?;
            first.get_or_insert(opened);
        }
        Ok(())
    }

    /// The finished partial files become the target.
    fn take_name(&self, partial: &Path, target: &Path) -> Result<(), SynthError> {
        if self.is_folder && target.exists() {
            // It was found to be synthetic, so that it can be made again.
            fs::remove_dir_all(target).map_err(at(target))?;
        }
        fs::rename(partial, target).map_err(at(target))?;
        // The new name is on the disk when the folder is; Windows cannot open one.
        if let Some(folder) = target.parent().filter(|_| cfg!(unix)) {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))?;
        }
        Ok(())
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> SynthError {
    move |source| SynthError::Io { path: path.to_path_buf(), source }
}

fn layout_name(target: &Target) -> &'static str {
    match target {
        Target::HuggingFace => "layout hf",
        Target::Original => "layout original",
        Target::Gguf { .. } => "layout gguf",
    }
}

/// Whether the layout has room for what the configuration says.
fn check_shape(synthesis: &Synthesis) -> Result<(), SynthError> {
    let config: &ModelConfig = synthesis.config;
    let problem = |field, expected: String, found: String| {
        let layout = layout_name(&synthesis.target);
        Err(SynthError::Shape { layout, field, expected, found })
    };
    if let Err(wrong) = config.check() {
        return problem(wrong.field, wrong.expected, wrong.found);
    }
    let is_dense = config.architecture == Architecture::Llama;
    let block = match synthesis.target {
        Target::Original if is_dense => {
            return problem("model_type", "gpt_oss".to_owned(), "llama".to_owned());
        }
        Target::Gguf { dense: DenseFormat::Q8_0, .. } if is_dense => Some("Q8_0"),
        _ if is_dense => None,
        _ => Some("MXFP4"),
    };
    for (field, size) in
        [("hidden_size", config.hidden_size), ("intermediate_size", config.intermediate_size)]
    {
        if let Some(block) = block.filter(|_| !size.is_multiple_of(32)) {
            let expected = format!("a multiple of 32, the block of {block}");
            return problem(field, expected, size.to_string());
        }
    }
    let Target::Gguf { dense, vocabulary } = synthesis.target else { return Ok(()) };
    if let Some((field, expected, found)) = lost_in_gguf(config, dense) {
        return problem(field, expected.to_owned(), found);
    }
    match vocabulary.filter(|given| given.tokens.len() != config.vocab_size) {
        Some(given) => {
            let expected = given.tokens.len().to_string();
            problem("vocab_size", expected, config.vocab_size.to_string())
        }
        None => Ok(()),
    }
}

/// A field that a GGUF file has no key for, what it could be, and what it is.
fn lost_in_gguf(
    config: &ModelConfig,
    dense: DenseFormat,
) -> Option<(&'static str, &'static str, String)> {
    let query = config.num_attention_heads * config.head_dim;
    if dense == DenseFormat::Q8_0 && !query.is_multiple_of(32) {
        let expected = "query heads of a multiple of 32 in all";
        return Some(("head_dim", expected, query.to_string()));
    }
    // Programs have these in their code.
    if let Some(limit) = config.swiglu_limit.filter(|limit| *limit != 7.0) {
        return Some(("swiglu_limit", "7", limit.to_string()));
    }
    match &config.rope_scaling {
        Some(RopeScaling::Yarn(yarn)) if yarn.truncate => {
            return Some(("truncate", "false", "true".to_owned()));
        }
        Some(RopeScaling::Llama3(_) | RopeScaling::Divisors(_)) => {
            return Some(("rope_type", "default, linear or yarn", "llama3".to_owned()));
        }
        _ => {}
    }
    let (layers, sliding) = (config.num_hidden_layers, config.sliding_layers());
    let is_mixed = sliding != 0 && sliding != layers;
    let mixed = || ("layer_types", "the same kind for all layers", "two kinds".to_owned());
    (is_mixed && config.architecture == Architecture::Llama).then(mixed)
}

/// `NAME.synth-partial` beside the target.
fn partial_name(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".synth-partial");
    PathBuf::from(name)
}

/// An empty file that only this process writes.
fn create(path: &Path) -> Result<File, SynthError> {
    let opened = File::options().write(true).create(true).truncate(false).open(path);
    let file = opened.map_err(at(path))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(SynthError::Busy { path: path.to_path_buf() }),
        // Some network file systems have no locks; two writers at once are the user's then.
        Ok(()) | Err(TryLockError::Error(_)) => {
            file.set_len(0).map_err(at(path))?;
            Ok(file)
        }
    }
}

/// Whether a folder holds the files of a synthetic checkpoint and nothing else.
fn check_synthetic(folder: &Path) -> Result<(), SynthError> {
    let other = |found: String| Err(SynthError::NotSynthetic { path: folder.to_path_buf(), found });
    let mut marked = false;
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_file = entry.file_type().map_err(at(folder))?.is_file();
        let is_ours = name == README || name.ends_with(".safetensors") || name.ends_with(".json");
        if !(is_file && is_ours) {
            return other(format!("`{}` in it", crate::error::printable(&name)));
        }
        if name == README {
            let text = fs::read(entry.path()).map_err(at(folder))?;
            marked = String::from_utf8_lossy(&text).contains(MARK);
        }
    }
    match marked {
        true => Ok(()),
        false => other(format!("a folder without a {README} that says so")),
    }
}

/// Whether a folder is what an interrupted run left: nothing, an unfinished README.md alone, or
/// some files of a synthetic checkpoint.
fn check_interrupted(folder: &Path) -> Result<(), SynthError> {
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        if entry.map_err(at(folder))?.file_name() != README {
            return check_synthetic(folder);
        }
    }
    Ok(())
}

/// Removes what an interrupted run left beside the file of this name.
fn remove_others(folder: &Path, name: &str) -> Result<(), SynthError> {
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        if entry.file_name() != name {
            fs::remove_file(entry.path()).map_err(at(&entry.path()))?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path)?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}

/// Writes a file of which `file` is an empty handle, and flushes it to the disk.
fn fill(
    plan: &FilePlan,
    mut file: &File,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> io::Result<()> {
    file.set_len(plan.bytes)?;
    file.write_all(&plan.head)?;
    let chunks = chunks(&plan.pieces);
    let next = AtomicUsize::new(0);
    // Values are made side by side, written one at a time through the handle that has the lock.
    let shared = Mutex::new(file);
    let work = || -> io::Result<()> {
        let mut buffer = Vec::new();
        while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Piece { offset, segment } = &plan.pieces[chunk.piece];
            let row = segment.row_bytes();
            let bytes = chunk.rows * row;
            buffer.resize(usize::try_from(bytes).expect("a chunk fits into memory"), 0);
            segment.fill(chunk.first, &mut buffer);
            let start = SeekFrom::Start(offset + chunk.first * row);
            let written = {
                let mut file = shared.lock().expect("no thread panics while it writes");
                file.seek(start).and_then(|_| file.write_all(&buffer))
            };
            if written.is_err() {
                // Nobody begins another chunk.
                next.store(chunks.len(), Ordering::Relaxed);
                return written;
            }
            progress(bytes);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let count = threads.clamp(1, chunks.len().max(1));
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        let joined = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        // All are waited for, and the first error is kept.
        joined.collect::<Vec<io::Result<()>>>().into_iter().collect::<io::Result<()>>()
    })?;
    file.sync_all()
}

/// The pieces in chunks of whole rows, in the order of the file.
fn chunks(pieces: &[Piece]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for (piece, Piece { segment, .. }) in pieces.iter().enumerate() {
        let rows = (CHUNK_BYTES / segment.row_bytes()).max(1);
        let mut first = 0;
        while first < segment.rows {
            let rows = rows.min(segment.rows - first);
            chunks.push(Chunk { piece, first, rows });
            first += rows;
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets;

    /// A plan of a small folder.
    fn folder_plan(names: &[&str]) -> Plan {
        let text = |name: &&str| FilePlan::text(name, MARK.to_owned());
        Plan { files: names.iter().map(text).collect(), is_folder: true }
    }

    #[test]
    fn a_failed_run_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        let plan = folder_plan(&[README, "config.json", "missing/model.safetensors"]);
        let failed = plan.write(&target, Existing::Keep, 2, &|_| {}).unwrap_err();
        assert!(failed.to_string().ends_with("model.safetensors: cannot be written"), "{failed}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_of_the_user_is_not_taken_for_an_interrupted_run() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        let partial = folder.path().join("x.synth-partial");
        fs::create_dir(&partial).unwrap();
        let plan = folder_plan(&[README, "config.json"]);
        fs::write(partial.join("letter.txt"), "dear").unwrap();
        let failed = plan.write(&target, Existing::Keep, 1, &|_| {});
        assert!(matches!(failed, Err(SynthError::NotSynthetic { .. })), "{failed:?}");
        assert_eq!(fs::read(partial.join("letter.txt")).unwrap(), b"dear");
        // A run that was killed while it began left an empty README.md.
        fs::remove_file(partial.join("letter.txt")).unwrap();
        fs::write(partial.join(README), "").unwrap();
        plan.write(&target, Existing::Keep, 1, &|_| {}).unwrap();
        assert_eq!(fs::read_dir(&target).unwrap().count(), 2);
        assert!(!partial.exists());
    }

    #[test]
    fn chunks_cover_every_row_once() {
        let config = presets::find("gpt-oss-1b").unwrap().config;
        let target = Target::Gguf { dense: DenseFormat::Q8_0, vocabulary: None };
        let synthesis = Synthesis { name: "x", config: &config, seed: 0, target };
        let plan = Plan::new(&synthesis).unwrap();
        let file = &plan.files[0];
        let (mut expected, mut count) = (file.head.len() as u64, 0);
        for Chunk { piece, first, rows } in chunks(&file.pieces) {
            let Piece { offset, segment } = &file.pieces[piece];
            let start = offset + first * segment.row_bytes();
            // Only the padding between tensors is left out.
            assert!((expected..expected + 32).contains(&start), "piece {piece}, row {first}");
            assert!(rows * segment.row_bytes() <= CHUNK_BYTES && rows > 0);
            (expected, count) = (start + rows * segment.row_bytes(), count + 1);
        }
        assert!(count > file.pieces.len() && plan.bytes() - expected < 32);
    }
}
