//! The results file: JSON lines, only ever appended to.
//!
//! The first line is the manifest, each further one a finished document or the figures of a
//! session. A line is one write to the system, so that a program that is killed leaves whole lines
//! and at most one torn one at the end; it is cut off when the file is opened again, and its
//! document is run again. Every [`SYNC_SAMPLES`] documents, and at the end, the file is flushed to
//! the disk: a machine that loses its power loses no more than these.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::manifest::{FORMAT, Manifest};
use super::sample::{Key, Sample, SampleLog};
use crate::EvalError;

/// Documents between two flushes to the disk.
const SYNC_SAMPLES: usize = 64;
/// Bytes of a line.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// What a session of a run cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Documents that it finished.
    pub samples: usize,
    /// Seconds that it took, as the caller measured them.
    pub seconds: f64,
    /// Tokens that a client would compute that asks one request after the other.
    pub naive_tokens: usize,
    /// Tokens that were computed for prompts.
    pub computed_tokens: usize,
    /// Tokens that were generated.
    pub generated_tokens: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum LineRef<'a> {
    Manifest(&'a Manifest),
    Sample(&'a Sample),
    Session(&'a Session),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Manifest(Box<Manifest>),
    Sample(Box<Sample>),
    Session(Session),
}

/// A results file as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// What was run.
    pub manifest: Manifest,
    /// Finished documents.
    pub samples: BTreeMap<Key, Sample>,
    /// Costs, in the order of the sessions.
    pub sessions: Vec<Session>,
    /// Bytes of the whole lines; behind them a line is torn.
    whole_bytes: u64,
}

/// Reads a results file; a torn last line is left out.
///
/// # Errors
/// If it cannot be read, a line that is not the last one is broken, or a document is in it twice.
pub fn read(path: &Path) -> Result<Stored, EvalError> {
    let file = File::open(path).map_err(EvalError::io(path))?;
    read_lines(path, BufReader::new(file))?
        .ok_or_else(|| EvalError::results(path, "expected a manifest in line 1, found nothing"))
}

/// Nothing if there is not even a whole first line.
fn read_lines(path: &Path, mut reader: impl BufRead) -> Result<Option<Stored>, EvalError> {
    let mut stored: Option<Stored> = None;
    let (mut text, mut number, mut bytes) = (Vec::new(), 0, 0);
    loop {
        text.clear();
        let mut limited = (&mut reader).take(LINE_BYTES_MAX);
        let len = limited.read_until(b'\n', &mut text).map_err(EvalError::io(path))?;
        if text.last() != Some(&b'\n') {
            if len as u64 == LINE_BYTES_MAX {
                return Err(EvalError::results(path, format!("line {} is too long", number + 1)));
            }
            return Ok(stored);
        }
        number += 1;
        bytes += len as u64;
        let fail = |message: String| EvalError::results(path, format!("line {number}: {message}"));
        let line: Line = serde_json::from_slice(&text).map_err(|error| fail(error.to_string()))?;
        match (line, &mut stored) {
            (Line::Manifest(manifest), None) => {
                if manifest.format != FORMAT {
                    let found = manifest.format;
                    return Err(fail(format!("expected format {FORMAT}, found {found}")));
                }
                stored = Some(Stored {
                    manifest: *manifest,
                    samples: BTreeMap::new(),
                    sessions: Vec::new(),
                    whole_bytes: bytes,
                });
            }
            (Line::Sample(sample), Some(stored)) => {
                let key = sample.key();
                if stored.samples.insert(key.clone(), *sample).is_some() {
                    return Err(fail(format!("document {} of `{}` again", key.doc, key.task)));
                }
                stored.whole_bytes = bytes;
            }
            (Line::Session(session), Some(stored)) => {
                stored.sessions.push(session);
                stored.whole_bytes = bytes;
            }
            (Line::Manifest(_), Some(_)) => return Err(fail("a second manifest".into())),
            (_, None) => return Err(fail("expected a manifest".into())),
        }
    }
}

/// A results file that is being written.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    file: File,
    done: BTreeSet<Key>,
    unsynced: usize,
}

impl Store {
    /// Opens the results file of a run, or begins it. What is finished already stays so.
    ///
    /// # Errors
    /// If it cannot be written, another process writes it, or it is of another run.
    pub fn open(path: &Path, manifest: &Manifest) -> Result<Store, EvalError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let mut file = file.map_err(EvalError::io(path))?;
        if file.try_lock().is_err() {
            return Err(EvalError::results(path, "another process writes this file"));
        }
        let stored = read_lines(path, BufReader::new(&file))?;
        let whole = stored.as_ref().map_or(0, |stored| stored.whole_bytes);
        file.set_len(whole).map_err(EvalError::io(path))?;
        file.seek(SeekFrom::Start(whole)).map_err(EvalError::io(path))?;
        let mut store =
            Store { path: path.to_path_buf(), file, done: BTreeSet::new(), unsynced: 0 };
        match stored {
            Some(stored) if stored.manifest.fingerprint() != manifest.fingerprint() => {
                let parts = stored.manifest.differences(manifest).join(", ");
                let message = format!("the file is of another run ({parts}); choose another file");
                Err(EvalError::results(path, message))
            }
            Some(stored) => {
                store.done = stored.samples.into_keys().collect();
                Ok(store)
            }
            None => {
                store.write(&LineRef::Manifest(manifest))?;
                store.sync()?;
                Ok(store)
            }
        }
    }

    /// How many documents are finished.
    pub fn done_len(&self) -> usize {
        self.done.len()
    }

    /// Appends what a session cost, and flushes to the disk.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(&mut self, session: &Session) -> Result<(), EvalError> {
        self.write(&LineRef::Session(session))?;
        self.sync()
    }

    fn write(&mut self, line: &LineRef<'_>) -> Result<(), EvalError> {
        let mut text = serde_json::to_vec(line)
            .map_err(|error| EvalError::results(&self.path, error.to_string()))?;
        text.push(b'\n');
        self.file.write_all(&text).map_err(EvalError::io(&self.path))
    }

    fn sync(&mut self) -> Result<(), EvalError> {
        self.unsynced = 0;
        self.file.sync_data().map_err(EvalError::io(&self.path))
    }
}

impl SampleLog for Store {
    fn is_done(&self, key: &Key) -> bool {
        self.done.contains(key)
    }

    fn append(&mut self, sample: &Sample) -> Result<(), EvalError> {
        let key = sample.key();
        if self.done.contains(&key) {
            let message = format!("document {} of `{}` again", key.doc, key.task);
            return Err(EvalError::results(&self.path, message));
        }
        self.write(&LineRef::Sample(sample))?;
        self.done.insert(key);
        self.unsynced += 1;
        if self.unsynced >= SYNC_SAMPLES { self.sync() } else { Ok(()) }
    }
}
