//! The folder of one repository in the cache that Python's `huggingface_hub` shares.
//!
//! ```text
//! models--ORG--NAME/
//!   blobs/CHECKSUM              content, named by sha256 (large files) or git sha1
//!   blobs/CHECKSUM.incomplete   what has arrived of it
//!   snapshots/COMMIT/PATH       relative link to a blob
//!   refs/REVISION               the commit that a branch or tag stood for
//! .locks/models--ORG--NAME/CHECKSUM.lock
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::digest::Checksum;
use crate::error::HubError;
use crate::remote_path::RemotePath;
use crate::repo::RepoId;
use crate::tree::RemoteFile;

/// Marks folders that backup programs leave out; the text is fixed by bford.info/cachedir.
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # Downloads from the Hugging Face hub, which can be repeated at any time.\n";

/// One repository's part of the cache. It need not exist.
#[derive(Debug, Clone)]
pub(crate) struct RepoCache {
    cache: PathBuf,
    folder_name: String,
}

impl RepoCache {
    /// The folder of a repository in a cache.
    pub fn new(cache: &Path, repo: &RepoId) -> Self {
        Self { cache: cache.to_path_buf(), folder_name: repo.folder_name() }
    }

    /// The folder of the repository.
    pub fn folder(&self) -> PathBuf {
        self.cache.join(&self.folder_name)
    }

    /// The folder of the repository's lock files.
    pub fn locks(&self) -> PathBuf {
        self.cache.join(".locks").join(&self.folder_name)
    }

    /// The content of a file.
    pub fn blob(&self, checksum: &Checksum) -> PathBuf {
        self.folder().join("blobs").join(checksum.as_str())
    }

    /// What has arrived of a file. Any process goes on with it, as the name fixes the content.
    pub fn partial(&self, checksum: &Checksum) -> PathBuf {
        self.folder().join("blobs").join(format!("{}.incomplete", checksum.as_str()))
    }

    /// The folder that looks like the repository at a commit.
    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder().join("snapshots").join(commit)
    }

    fn reference(&self, revision: &RemotePath) -> PathBuf {
        self.folder().join("refs").join(revision.to_local())
    }

    /// The commit that the revision stood for when it was last downloaded.
    pub fn read_reference(&self, revision: &RemotePath) -> Option<String> {
        let path = self.reference(revision);
        let small = fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() <= 64);
        let commit = if small { fs::read_to_string(path).ok()? } else { return None };
        crate::digest::is_commit(commit.trim()).then(|| commit.trim().to_owned())
    }

    /// Makes the folders that a download into a commit needs.
    pub fn create(&self, commit: &str) -> Result<(), HubError> {
        for folder in [self.folder().join("blobs"), self.snapshot(commit), self.locks()] {
            fs::create_dir_all(&folder).map_err(HubError::io(&folder, "create the folder"))?;
        }
        let tag = self.cache.join("CACHEDIR.TAG");
        if let Ok(mut file) = OpenOptions::new().write(true).create_new(true).open(tag) {
            // A courtesy to backup programs: the download goes on without it.
            let _ = file.write_all(CACHEDIR_TAG.as_bytes());
        }
        Ok(())
    }

    /// Remembers what a revision stands for. Last of all: a reference names a whole snapshot.
    pub fn write_reference(&self, revision: &RemotePath, commit: &str) -> Result<(), HubError> {
        let path = self.reference(revision);
        if self.read_reference(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(&path);
        fs::create_dir_all(folder).map_err(HubError::io(folder, "create the folder"))?;
        // Not below refs/, where every file counts as a reference.
        let part = self.folder().join(scratch_name("ref"));
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&part)?;
            file.write_all(commit.as_bytes())?;
            file.sync_all()?;
            fs::rename(&part, &path)
        };
        write().map_err(HubError::io(&path, "write"))?;
        sync_folder(folder);
        Ok(())
    }

    /// Whether the snapshot holds the file with its listed size, be it a link or a copy.
    pub fn holds(&self, commit: &str, file: &RemoteFile) -> bool {
        is_file_of(&self.snapshot(commit).join(file.path.to_local()), file.bytes)
    }

    /// Whether the blob is there with its listed size. Its content was checked when it arrived.
    pub fn has_blob(&self, file: &RemoteFile) -> bool {
        is_file_of(&self.blob(&file.checksum), file.bytes)
    }

    /// Bytes that an interrupted download left of the file.
    pub fn partial_bytes(&self, file: &RemoteFile) -> u64 {
        fs::metadata(self.partial(&file.checksum)).map_or(0, |m| m.len().min(file.bytes))
    }

    /// Makes the file appear in the snapshot: as a relative link, else a hard link, else moved.
    pub fn place(&self, commit: &str, file: &RemoteFile) -> Result<(), HubError> {
        self.place_with(commit, file, symlink_file)
    }

    fn place_with(
        &self,
        commit: &str,
        file: &RemoteFile,
        symlink: fn(&Path, &Path) -> std::io::Result<()>,
    ) -> Result<(), HubError> {
        let entry = self.snapshot(commit).join(file.path.to_local());
        let blob = self.blob(&file.checksum);
        // blobs/ and snapshots/ are neighbours: up from the file's folder, the commit, snapshots/.
        let up: PathBuf = std::iter::repeat_n("..", file.path.depth() + 2).collect();
        let target = up.join("blobs").join(file.checksum.as_str());
        if fs::read_link(&entry).is_ok_and(|found| found == target) {
            return Ok(());
        }
        let folder = entry.parent().unwrap_or(&entry);
        fs::create_dir_all(folder).map_err(HubError::io(folder, "create the folder"))?;
        // Under a name of its own first: the rename replaces whatever is there in one step.
        let part = self.folder().join("blobs").join(scratch_name("link"));
        let write = || -> std::io::Result<()> {
            match fs::remove_file(&part) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            // Only the text of the link counts, so it may be made in another folder than its own.
            if symlink(&target, &part).is_ok() || fs::hard_link(&blob, &part).is_ok() {
                fs::rename(&part, &entry)?;
                // Renaming onto another hard link of the same file leaves both names.
                return fs::remove_file(&part).or(Ok(()));
            }
            fs::rename(&blob, &entry)
        };
        write().map_err(HubError::io(&entry, "create"))?;
        sync_folder(folder);
        Ok(())
    }

    /// The right to write a blob, held until dropped; `busy` is called before waiting for it.
    pub fn lock(&self, checksum: &Checksum, busy: impl FnOnce()) -> Result<File, HubError> {
        let path = self.locks().join(format!("{}.lock", checksum.as_str()));
        let error = |source| HubError::io(&path, "lock")(source);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(error)?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) => busy(),
            // The file system has no locks: as in huggingface_hub, they are a courtesy. What was
            // written is still checked by length and checksum.
            Err(fs::TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {
                return Ok(file);
            }
            Err(fs::TryLockError::Error(e)) => return Err(error(e)),
        }
        file.lock().map_err(error)?;
        Ok(file)
    }
}

/// A file name that no other thread or process uses at the same time.
pub(crate) fn scratch_name(purpose: &str) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!(".{purpose}.{}.{count}.tmp", std::process::id())
}

/// Makes renames in a folder last through a crash, where folders can be opened.
pub(crate) fn sync_folder(folder: &Path) {
    // Not all systems open folders, and not all file systems sync them; the data is safe anyway.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

fn is_file_of(path: &Path, bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() == bytes)
}

#[cfg(unix)]
fn symlink_file(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink_file(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(not(any(unix, windows)))]
fn symlink_file(_target: &Path, _link: &Path) -> std::io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789012345678901234567890123456789";

    fn cache_with_blob(folder: &Path, content: &str) -> (RepoCache, RemoteFile) {
        let cache = RepoCache::new(folder, &RepoId::parse("org/name").unwrap());
        cache.create(COMMIT).unwrap();
        let file = RemoteFile {
            path: RemotePath::parse("file name", "a/b/config.json").unwrap(),
            bytes: content.len() as u64,
            checksum: Checksum::sha256(&"ab".repeat(32)).unwrap(),
        };
        fs::write(cache.blob(&file.checksum), content).unwrap();
        (cache, file)
    }

    #[test]
    fn a_snapshot_links_to_its_blobs() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, file) = cache_with_blob(folder.path(), "{}");
        assert!(!cache.holds(COMMIT, &file));
        for _ in 0..2 {
            cache.place(COMMIT, &file).unwrap();
            assert!(cache.holds(COMMIT, &file) && cache.has_blob(&file));
        }
        #[cfg(unix)]
        {
            let link = fs::read_link(cache.snapshot(COMMIT).join("a/b/config.json")).unwrap();
            assert_eq!(link, Path::new("../../../../blobs").join("ab".repeat(32)));
        }
        let left: Vec<_> = fs::read_dir(cache.folder().join("blobs")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn without_symlinks_the_file_is_there_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, file) = cache_with_blob(folder.path(), "{}");
        let none = |_: &Path, _: &Path| Err(ErrorKind::Unsupported.into());
        for _ in 0..2 {
            cache.place_with(COMMIT, &file, none).unwrap();
            assert!(cache.holds(COMMIT, &file) && cache.has_blob(&file));
        }
        let left: Vec<_> = fs::read_dir(cache.folder().join("blobs")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn references_are_commits_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, _) = cache_with_blob(folder.path(), "{}");
        for name in ["main", "refs/pr/1"] {
            let revision = RemotePath::parse("revision", name).unwrap();
            assert_eq!(cache.read_reference(&revision), None);
            cache.write_reference(&revision, COMMIT).unwrap();
            assert_eq!(cache.read_reference(&revision).as_deref(), Some(COMMIT));
        }
        fs::write(cache.folder().join("refs/main"), "../../elsewhere").unwrap();
        assert_eq!(cache.read_reference(&RemotePath::parse("revision", "main").unwrap()), None);
    }

    #[test]
    fn a_lock_is_held_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, file) = cache_with_blob(folder.path(), "{}");
        let first = cache.lock(&file.checksum, || panic!("nobody else has it")).unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| cache.lock(&file.checksum, || send.send(()).unwrap()).unwrap());
            receive.recv().unwrap();
            drop(first);
        });
    }
}
