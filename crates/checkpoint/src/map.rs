//! Files as memory. The only place of this crate with `unsafe`.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::bytes::Bytes;

/// The bytes of a file, mapped and not read.
///
/// Whoever cuts a file short while it is mapped makes this process end with SIGBUS on the next
/// access behind the new end (on Windows the system refuses to cut it); whoever writes into it
/// changes the weights under a running model. Replace model files by renaming a complete one
/// over the old one, as downloads of this program do: the old file then lives on until it is
/// unmapped.
///
/// # Errors
/// Whatever the operating system says. An empty file gives empty bytes.
pub(crate) fn map(path: &Path) -> io::Result<Bytes> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    if metadata.len() == 0 {
        return Ok(Bytes::from(Vec::new()));
    }
    #[allow(unsafe_code)]
    // SAFETY: the mapping is private to this process and read-only, so that nothing in this
    // program writes to it; other programs must not either, as the documentation above says.
    let map = unsafe { memmap2::Mmap::map(&file) }?;
    Ok(Bytes::from(map))
}
