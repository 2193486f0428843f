//! Writing files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// Writes a file through `fill`: into a temporary file beside it, which is flushed to the disk
/// and then takes the name. If anything fails, what was at `path` is still there.
///
/// # Errors
/// Those of the file system and of `fill`.
pub fn write_atomically(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    write_with(path, File::options(), fill)
}

/// As [`write_atomically`], for what nobody but the owner may read, where the system knows owners.
///
/// # Errors
/// Those of the file system and of `fill`.
pub fn write_private_atomically(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    write_with(path, private_options(), fill)
}

/// Makes files that nobody but the owner may read, where the system knows owners.
pub fn private_options() -> OpenOptions {
    #[allow(unused_mut)] // There are no modes elsewhere.
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn write_with(
    path: &Path,
    mut options: OpenOptions,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = temporary_name(path)?;
    let written = options
        .write(true)
        .create_new(true)
        .open(&temporary)
        .and_then(|file| {
            let mut writer = BufWriter::with_capacity(1 << 20, file);
            fill(&mut writer)?;
            writer.flush()?;
            writer.get_ref().sync_all()
        })
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// A name beside `path` that no other writer uses.
fn temporary_name(path: &Path) -> io::Result<PathBuf> {
    let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "the path does not name a file");
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().ok_or_else(no_name)?);
    name.push(format!(".{}.tmp", std::process::id()));
    Ok(path.with_file_name(name))
}

/// A tensor to be written.
pub struct TensorToWrite<'a> {
    /// Its name.
    pub name: String,
    /// Element type as safetensors spells it.
    pub dtype: &'static str,
    /// Slowest axis first.
    pub shape: Vec<usize>,
    /// Row-major little-endian bytes.
    pub data: &'a [u8],
}

/// Writes a safetensors file, atomically. `metadata` becomes `__metadata__`.
///
/// # Errors
/// Those of the file system.
pub fn write_safetensors(
    path: &Path,
    metadata: &[(&str, String)],
    tensors: &[TensorToWrite<'_>],
) -> io::Result<()> {
    let mut header = Map::new();
    let metadata: Map<String, Value> =
        metadata.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
    header.insert("__metadata__".to_owned(), Value::Object(metadata));
    let mut offset = 0;
    for tensor in tensors {
        let end = offset + tensor.data.len();
        let entry = json!({
            "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [offset, end],
        });
        header.insert(tensor.name.clone(), entry);
        offset = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // The data starts at a multiple of eight.
    header.resize(header.len().next_multiple_of(8), b' ');
    write_atomically(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        tensors.iter().try_for_each(|tensor| out.write_all(tensor.data))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bytes;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.safetensors");
        let data = [1.0f32, -2.5, 3.0].map(f32::to_le_bytes).concat();
        let tensors = [
            TensorToWrite { name: "a".into(), dtype: "F32", shape: vec![3], data: &data },
            TensorToWrite { name: "b".into(), dtype: "U8", shape: vec![2, 1], data: &[7, 8] },
        ];
        write_safetensors(&path, &[("note", "x".into())], &tensors).unwrap();
        let bytes = Bytes::from(fs::read(&path).unwrap());
        let read = crate::safetensors::read(&path, &bytes).unwrap();
        assert_eq!((&read["a"].data[..], &read["a"].shape[..]), (&data[..], &[3][..]));
        assert_eq!((&read["b"].data[..], &read["b"].shape[..]), (&[7, 8][..], &[2, 1][..]));
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        fs::write(&path, "old").unwrap();
        let failed = write_atomically(&path, |out| {
            out.write_all(b"new")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write_atomically(&path, |out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }
}
