//! What is kept of earlier sequences, in a file, so that a restart begins warm.
//!
//! | part | bytes |
//! |---|---|
//! | [`MAGIC`], [`identity`] | 16 and 32 |
//! | number of pages, then each page's numbers | 4, and as the cache has them |
//! | number of entries, last used first | 4 |
//! | of each: tokens, their ids, an index of a page for each 128 of them | 4 each |
//! | of each: the first position that its windows hold | 4 |
//! | of each: the windows' numbers | as the cache has them |
//! | sha256 of all before | 32 |
//!
//! Numbers are little-endian. Nothing is used of a file whose hash or identity is another.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use gptoss_checkpoint::{ExpertLayout, Matrix, ModelConfig, write_private_atomically};
use sha2::{Digest, Sha256};

use super::prefix::{Entry, PrefixIndex};
use crate::engine::Engine;
use crate::kv_cache::{CacheSnapshot, KvPool, PAGE, Page};

/// Names the format; its number is raised when the format or any bit of a result changes.
const MAGIC: &[u8; 16] = b"gptoss-prefix 1\n";
/// Bytes that are hashed at the beginning, in the middle and at the end of a matrix.
const SAMPLE: usize = 4096;
const HASH: usize = 32;

/// Why a file of kept prefixes was not read or written. The answers are the same without it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrefixFileError {
    /// The file system said no.
    #[error("{}: kept prefixes", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// It is no such file, or not whole.
    #[error("{}: kept prefixes: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It was written with other weights, another precision or cache, or another version.
    #[error("{}: kept prefixes: of another model, precision, cache or version", path.display())]
    OtherModel {
        /// The file.
        path: PathBuf,
    },
}

/// A hash of everything that the numbers of the cache follow from: version, precision, element,
/// shape, all vectors, and samples of all matrices.
///
/// Weights that differ outside of the samples only are not told apart.
pub(super) fn identity(engine: &Engine) -> [u8; HASH] {
    let mut hash = Sha256::new();
    let (config, weights) = (engine.config(), &engine.model().weights);
    let version = env!("CARGO_PKG_VERSION");
    let (precision, element) = (engine.precision(), engine.cache_element());
    hash.update(format!("{version} {precision:?} {element:?} {config:?}"));
    let mut bytes = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        let last = bytes.len().saturating_sub(SAMPLE);
        for at in [0, last / 2, last] {
            hash.update(&bytes[at..(at + SAMPLE).min(bytes.len())]);
        }
    };
    let mut matrices: Vec<&Matrix> = vec![&weights.embedding, &weights.unembedding];
    let mut vectors: Vec<&[f32]> = vec![&weights.norm];
    for layer in &weights.layers {
        matrices.extend([&layer.q, &layer.k, &layer.v, &layer.out]);
        matrices.extend(&layer.router);
        vectors.extend([&layer.attn_norm[..], &layer.q_bias, &layer.k_bias, &layer.v_bias]);
        vectors.extend([&layer.sinks[..], &layer.out_bias, &layer.mlp_norm, &layer.router_bias]);
        vectors.extend([&layer.gate_up_bias[..], &layer.down_bias]);
        for experts in [&layer.gate_up, &layer.down] {
            match &experts.layout {
                ExpertLayout::Mxfp4 { blocks, scales } => {
                    bytes(blocks);
                    bytes(scales);
                }
                ExpertLayout::Rows(matrix) => matrices.push(matrix),
                ExpertLayout::GateAndUp { gate, up } => matrices.extend([gate, up]),
                ExpertLayout::Transposed { data, .. } => bytes(data),
                _ => {}
            }
        }
    }
    matrices.into_iter().for_each(|matrix| bytes(&matrix.data));
    for vector in vectors {
        vector.iter().for_each(|x| hash.update(x.to_le_bytes()));
    }
    hash.finalize().into()
}

/// Hashes what goes through it.
struct Hashing<'a> {
    out: &'a mut dyn Write,
    hash: Sha256,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn write_number(out: &mut dyn Write, number: usize) -> io::Result<()> {
    let number = u32::try_from(number).map_err(io::Error::other)?;
    out.write_all(&number.to_le_bytes())
}

/// Writes everything that is kept.
///
/// # Errors
/// [`PrefixFileError::Io`]; what was at `path` is then still there.
pub(super) fn save(
    path: &Path,
    identity: &[u8; HASH],
    index: &PrefixIndex,
) -> Result<(), PrefixFileError> {
    let entries = index.entries();
    let mut pages: Vec<&Page> = Vec::new();
    let mut place = |page| match pages.iter().position(|other| *other == page) {
        Some(place) => place,
        None => {
            pages.push(page);
            pages.len() - 1
        }
    };
    let places: Vec<Vec<usize>> =
        entries.iter().map(|entry| entry.pages.iter().map(&mut place).collect()).collect();
    let written = write_private_atomically(path, |out| {
        let mut out = Hashing { out, hash: Sha256::new() };
        out.write_all(MAGIC)?;
        out.write_all(identity)?;
        write_number(&mut out, pages.len())?;
        pages.iter().try_for_each(|page| page.rows().write_to(&mut out))?;
        write_number(&mut out, entries.len())?;
        for (Entry { tokens, snapshot, .. }, places) in entries.iter().zip(&places) {
            write_number(&mut out, tokens.len())?;
            tokens.iter().try_for_each(|id| out.write_all(&id.to_le_bytes()))?;
            places.iter().try_for_each(|place| write_number(&mut out, *place))?;
            write_number(&mut out, snapshot.oldest())?;
            snapshot.rows().write_to(&mut out)?;
        }
        let Hashing { out, hash } = out;
        out.write_all(&hash.finalize())
    });
    written.map_err(|source| PrefixFileError::Io { path: path.to_owned(), source })
}

/// What a file is read into.
pub(super) struct Target<'a> {
    pub(super) pool: &'a KvPool,
    pub(super) index: &'a mut PrefixIndex,
    pub(super) config: &'a ModelConfig,
    /// Longer entries are left out.
    pub(super) context_length: usize,
}

/// Reads a file into an empty index, as far as there are pages; no file is an empty one.
///
/// # Errors
/// Why nothing was read.
pub(super) fn load(
    path: &Path,
    identity: &[u8; HASH],
    target: Target<'_>,
) -> Result<(), PrefixFileError> {
    let failed = |source| PrefixFileError::Io { path: path.to_owned(), source };
    let damaged = |what| PrefixFileError::Damaged { path: path.to_owned(), what };
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(failed)?,
    };
    let len = file.metadata().map_err(failed)?.len();
    let body = len.checked_sub(HASH as u64).ok_or_else(|| damaged("the file is too short"))?;
    let mut hashing = Hashing { out: &mut io::sink(), hash: Sha256::new() };
    io::copy(&mut (&mut file).take(body), &mut hashing).map_err(failed)?;
    let mut expected = [0; HASH];
    file.read_exact(&mut expected).map_err(failed)?;
    if <[u8; HASH]>::from(hashing.hash.finalize()) != expected {
        return Err(damaged("its hash is another than that of its contents"));
    }
    io::Seek::rewind(&mut file).map_err(failed)?;
    let mut from = BufReader::with_capacity(1 << 20, file.take(body));
    let mut head = [0; MAGIC.len() + HASH];
    from.read_exact(&mut head).map_err(failed)?;
    let (magic, of) = head.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(damaged("it is no file of kept prefixes"));
    }
    if of != identity {
        return Err(PrefixFileError::OtherModel { path: path.to_owned() });
    }
    match read(&mut from, target) {
        Ok(true) => Ok(()),
        Ok(false) => Err(damaged("its numbers do not belong together")),
        Err(source) => Err(failed(source)),
    }
}

fn read_number(from: &mut dyn Read) -> io::Result<usize> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes) as usize)
}

/// Pages and entries; `false` if they do not belong together. All are read before one is kept, and
/// what does not fit into a smaller cache than it came from is left out.
fn read(from: &mut dyn Read, target: Target<'_>) -> io::Result<bool> {
    let Target { pool, index, config, context_length } = target;
    let mut pages: Vec<Option<Page>> = Vec::new();
    for _ in 0..read_number(from)? {
        let mut page = pool.take();
        match page.as_mut().and_then(Page::rows_mut) {
            Some(rows) => rows.read_from(from)?,
            None => skip(from, pool.shape().page_bytes())?,
        }
        pages.push(page);
    }
    let mut entries = Vec::new();
    for _ in 0..read_number(from)? {
        let len = read_number(from)?;
        if len > config.max_position_embeddings {
            return Ok(false);
        }
        let tokens: Vec<u32> =
            (0..len).map(|_| Ok(read_number(from)? as u32)).collect::<io::Result<_>>()?;
        let places: Vec<usize> =
            (0..len.div_ceil(PAGE)).map(|_| read_number(from)).collect::<io::Result<_>>()?;
        let oldest = read_number(from)?;
        let is_id = |id: &u32| (*id as usize) < config.vocab_size;
        if oldest > len || !tokens.iter().all(is_id) || places.iter().any(|p| *p >= pages.len()) {
            return Ok(false);
        }
        let mut snapshot = CacheSnapshot::zeros(pool.shape(), len, oldest);
        snapshot.rows_mut().read_from(from)?;
        let own: Option<Vec<Page>> = places.iter().map(|place| pages[*place].clone()).collect();
        entries.extend(own.filter(|_| len <= context_length).map(|own| (tokens, own, snapshot)));
    }
    for (tokens, pages, snapshot) in entries.into_iter().rev() {
        index.insert(&tokens, &pages, snapshot);
    }
    Ok(true)
}

fn skip(from: &mut dyn Read, bytes: u64) -> io::Result<()> {
    io::copy(&mut from.take(bytes), &mut io::sink()).map(|_| ())
}
