//! One file from the hub into its blob: resumed, checked, and put in place in one step.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use crate::cache::{RepoCache, sync_folder};
use crate::digest::Hasher;
use crate::error::HubError;
use crate::http::{Answer, Attempts, Failure, Http, Subject, broken_read};
use crate::progress::{Event, Progress};
use crate::tree::RemoteFile;
use crate::url::{Url, encode};

/// Bytes read and written at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// The parts of a download that do not change between attempts.
pub(crate) struct Download<'a> {
    pub http: &'a Http,
    pub cache: &'a RepoCache,
    pub repo: &'a str,
    pub commit: &'a str,
    pub file: &'a RemoteFile,
}

/// What has arrived, on disk and in the checksum.
struct Partial {
    file: File,
    hasher: Hasher,
    bytes: u64,
    /// The hub's name for the content; another one means that the file is another.
    etag: Option<String>,
}

impl Download<'_> {
    /// Brings the file into the cache unless it is there; gives the bytes received for it.
    pub fn run(&self, progress: &mut dyn Progress) -> Result<u64, HubError> {
        let name = self.file.path.as_str();
        if self.cache.has_blob(self.file) {
            return Ok(0);
        }
        let checksum = &self.file.checksum;
        let _lock = self.cache.lock(checksum, || progress.event(Event::Waiting { file: name }))?;
        if self.cache.has_blob(self.file) {
            return Ok(0);
        }
        let path = self.cache.partial(checksum);
        let mut partial = self.open_partial(&path)?;
        let resumed = partial.bytes;
        progress.event(Event::FileStarted { file: name, bytes: self.file.bytes, resumed });
        let received = self.receive_all(&mut partial, &path, progress)?;
        self.finish(partial, &path)?;
        Ok(received)
    }

    /// Opens what an earlier attempt left, and reads it for the checksum.
    fn open_partial(&self, path: &Path) -> Result<Partial, HubError> {
        let error = |source| HubError::io(path, "open")(source);
        let mut file =
            OpenOptions::new().create(true).read(true).append(true).open(path).map_err(error)?;
        let mut hasher = Hasher::new(&self.file.checksum, self.file.bytes);
        let mut bytes = file.metadata().map_err(error)?.len();
        if bytes > self.file.bytes {
            file.set_len(0).map_err(error)?;
            bytes = 0;
        }
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut left = bytes;
        while left > 0 {
            let n = file.read(&mut buffer).map_err(HubError::io(path, "read"))?;
            if n == 0 {
                let error = std::io::Error::from(ErrorKind::UnexpectedEof);
                return Err(HubError::io(path, "read")(error));
            }
            hasher.update(&buffer[..n]);
            left = left.saturating_sub(n as u64);
        }
        Ok(Partial { file, hasher, bytes, etag: None })
    }

    /// Asks for the missing bytes until all are there; gives how many came.
    fn receive_all(
        &self,
        partial: &mut Partial,
        path: &Path,
        progress: &mut dyn Progress,
    ) -> Result<u64, HubError> {
        let subject = self.subject();
        let mut attempts = Attempts::new(self.http.patience(), subject.place());
        let mut received = 0;
        // A server that always starts over and always breaks off brings nothing new.
        let mut farthest = partial.bytes;
        while partial.bytes < self.file.bytes {
            let outcome = self.receive(partial, path, progress, &mut received);
            if partial.bytes > farthest {
                farthest = partial.bytes;
                attempts.succeeded();
            }
            match outcome {
                Ok(()) if partial.bytes == self.file.bytes => {}
                Ok(()) => {
                    let cause = format!(
                        "the answer ended at byte {} of {}",
                        partial.bytes, self.file.bytes
                    );
                    let failure = Failure::Passing { cause, retry_after: None };
                    attempts.pause(failure, progress)?;
                }
                Err(Failure::Final(error)) => {
                    if matches!(error, HubError::Mismatch { .. }) {
                        remove(path)?;
                    }
                    return Err(error);
                }
                Err(failure) => attempts.pause(failure, progress)?,
            }
        }
        Ok(received)
    }

    /// One request, and its body to the end or to the first trouble.
    fn receive(
        &self,
        partial: &mut Partial,
        path: &Path,
        progress: &mut dyn Progress,
        received: &mut u64,
    ) -> Result<(), Failure> {
        let answer = self.http.get(&self.address(), partial.bytes, None, self.subject())?;
        let changed =
            answer.etag.is_some() && partial.etag.is_some() && answer.etag != partial.etag;
        let etag = answer.etag.clone();
        let restart = match answer.status {
            _ if changed => Some("it changed on the hub"),
            200 if partial.bytes > 0 => Some("the server sends files from the start only"),
            416 => Some("the server has nothing from there on"),
            206 if answer.content_range().is_none_or(|(first, _)| first != partial.bytes) => {
                Some("the server sent another part than was asked for")
            }
            _ => None,
        };
        if let Some(reason) = restart {
            let usable = answer.status == 200;
            self.restart(partial, path, reason, progress)?;
            if !usable {
                let cause = reason.to_owned();
                return Err(Failure::Passing { cause, retry_after: None });
            }
        }
        partial.etag = etag;
        self.check_announced(&answer, partial.bytes)?;
        self.read_body(answer, partial, path, progress, received)
    }

    /// Throws away what has arrived.
    fn restart(
        &self,
        partial: &mut Partial,
        path: &Path,
        reason: &str,
        progress: &mut dyn Progress,
    ) -> Result<(), HubError> {
        partial.file.set_len(0).map_err(HubError::io(path, "empty"))?;
        let lost = partial.bytes;
        partial.bytes = 0;
        partial.hasher = Hasher::new(&self.file.checksum, self.file.bytes);
        partial.etag = None;
        progress.event(Event::Restarted { file: self.file.path.as_str(), lost, reason });
        Ok(())
    }

    /// Refuses an answer that announces a file of another size than the listing.
    fn check_announced(&self, answer: &Answer, from: u64) -> Result<(), HubError> {
        let total = match answer.status {
            206 => answer.content_range().and_then(|(_, total)| total),
            _ => answer.content_length().map(|bytes| bytes.saturating_add(from)),
        };
        match total {
            Some(total) if total != self.file.bytes => Err(self.wrong_size(format!("{total}"))),
            _ => Ok(()),
        }
    }

    fn read_body(
        &self,
        answer: Answer,
        partial: &mut Partial,
        path: &Path,
        progress: &mut dyn Progress,
        received: &mut u64,
    ) -> Result<(), Failure> {
        let url = answer.url.clone();
        let mut body = answer.into_body();
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let n = body.read(&mut buffer).map_err(|error| broken_read(error, &url))?;
            if n == 0 {
                return Ok(());
            }
            if n as u64 > self.file.bytes - partial.bytes {
                return Err(self.wrong_size("more".to_owned()).into());
            }
            partial
                .file
                .write_all(&buffer[..n])
                .map_err(|e| self.write_failed(path, e, partial))?;
            partial.hasher.update(&buffer[..n]);
            partial.bytes += n as u64;
            *received += n as u64;
            progress.event(Event::Received { bytes: n as u64 });
        }
    }

    /// Compares length and checksum and makes the partial file the blob.
    fn finish(&self, partial: Partial, path: &Path) -> Result<(), HubError> {
        let Partial { file, hasher, .. } = partial;
        // Another writer, where locks do not work, would have made the file longer.
        let len = file.metadata().map_err(HubError::io(path, "inspect"))?.len();
        let found = hasher.finish();
        let checksum = &self.file.checksum;
        let outcome = if len != self.file.bytes {
            Err(self.wrong_size(format!("{len}")))
        } else if found != checksum.as_str() {
            Err(HubError::Mismatch {
                file: format!("{}: {}", self.repo, self.file.path),
                expected: format!("{} {}", checksum.kind(), checksum.as_str()),
                found,
            })
        } else {
            Ok(())
        };
        if outcome.is_err() {
            drop(file);
            remove(path)?;
            return outcome;
        }
        file.sync_all().map_err(HubError::io(path, "write to disk"))?;
        drop(file);
        let blob = self.cache.blob(checksum);
        fs::rename(path, &blob).map_err(HubError::io(&blob, "create"))?;
        if let Some(folder) = blob.parent() {
            sync_folder(folder);
        }
        Ok(())
    }

    fn address(&self) -> Url {
        let path = encode(self.file.path.as_str(), "/");
        self.http.endpoint().with_tail(&format!("/{}/resolve/{}/{path}", self.repo, self.commit))
    }

    fn subject(&self) -> Subject<'_> {
        let file = Some(self.file.path.as_str());
        Subject { repo: self.repo, revision: self.commit, file }
    }

    fn wrong_size(&self, found: String) -> HubError {
        HubError::Mismatch {
            file: format!("{}: {}", self.repo, self.file.path),
            expected: format!("{} bytes", self.file.bytes),
            found,
        }
    }

    fn write_failed(&self, path: &Path, error: std::io::Error, partial: &Partial) -> HubError {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => HubError::DiskFull {
                path: path.to_path_buf(),
                needed: self.file.bytes - partial.bytes,
                free: path.parent().and_then(|p| fs4::available_space(p).ok()).unwrap_or(0),
            },
            _ => HubError::io(path, "write")(error),
        }
    }
}

fn remove(path: &Path) -> Result<(), HubError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(HubError::io(path, "delete")(error))
        }
        _ => Ok(()),
    }
}
