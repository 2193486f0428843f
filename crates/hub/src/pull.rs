//! From a model's name to its files in the cache.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::cache::RepoCache;
use crate::digest::is_commit;
use crate::download::Download;
use crate::error::HubError;
use crate::http::Http;
use crate::progress::{Event, Progress};
use crate::remote_path::RemotePath;
use crate::repo::RepoId;
use crate::select::{Wanted, choose, select};
use crate::settings::Settings;
use crate::snapshot::Contents;
use crate::store;
use crate::tree::{RemoteFile, read_tree};

/// What to download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The repository.
    pub repo: RepoId,
    /// Branch, tag or commit; `main` if nobody says otherwise.
    pub revision: RemotePath,
    /// Which of its files.
    pub wanted: Wanted,
    /// A name of our own for the model in the store.
    pub name: Option<String>,
}

impl PullRequest {
    /// All that a model at `main` needs.
    pub fn new(repo: RepoId) -> Self {
        let revision = RemotePath::parse("revision", "main").expect("main is a path");
        Self { repo, revision, wanted: Wanted::default(), name: None }
    }
}

/// One file of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// The file as the hub lists it.
    pub file: RemoteFile,
    /// Whether the cache has it whole.
    pub cached: bool,
    /// Bytes of it that an interrupted download left.
    pub partial_bytes: u64,
}

/// What a pull will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The repository.
    pub repo: RepoId,
    /// The commit that the revision stands for.
    pub commit: String,
    /// Files in the order of their download.
    pub files: Vec<PlannedFile>,
    /// Files that were not asked for.
    pub skipped: Vec<RemoteFile>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes that are not yet on this machine.
    pub missing_bytes: u64,
}

/// A model whose files are all on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The repository.
    pub repo: RepoId,
    /// The commit.
    pub commit: String,
    /// The folder that looks like the repository.
    pub snapshot: PathBuf,
    /// The model's entry in the store if a name was asked for.
    pub stored: Option<PathBuf>,
    /// Bytes received from the network.
    pub received_bytes: u64,
}

/// A client of one hub, with the cache and the store of this machine.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
    http: Http,
}

impl Hub {
    /// The hub, cache and store that the environment names.
    ///
    /// # Errors
    /// As [`Settings::from_env`].
    pub fn from_env() -> Result<Self, HubError> {
        Self::new(Settings::from_env()?)
    }

    /// A hub of the given settings.
    ///
    /// # Errors
    /// `HubError::Setting` for an endpoint that is no address.
    pub fn new(settings: Settings) -> Result<Self, HubError> {
        let http = Http::new(&settings)?;
        Ok(Self { settings, http })
    }

    /// The settings that the hub was made of.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Asks the hub what a pull would download. Writes nothing.
    ///
    /// # Errors
    /// Everything that a request can end in, `HubError::Selection` if no file fits, and
    /// `HubError::Offline` in offline mode.
    pub fn plan(
        &self,
        request: &PullRequest,
        progress: &mut dyn Progress,
    ) -> Result<Plan, HubError> {
        if self.settings.offline {
            let problem = "a plan needs the list of files".to_owned();
            return Err(HubError::Offline { repo: request.repo.to_string(), problem });
        }
        let tree = read_tree(&self.http, &request.repo, &request.revision, progress)?;
        let selection = select(request.repo.as_str(), &tree.files, &request.wanted)?;
        let cache = RepoCache::new(&self.settings.cache, &request.repo);
        let files: Vec<PlannedFile> = selection
            .files
            .into_iter()
            .map(|file| PlannedFile {
                cached: cache.holds(&tree.commit, &file) || cache.has_blob(&file),
                partial_bytes: cache.partial_bytes(&file),
                file,
            })
            .collect();
        let too_large = || HubError::BadAnswer {
            place: request.repo.to_string(),
            problem: "expected sizes that a disk can hold, found more than 2^64 bytes".to_owned(),
        };
        let bytes = sum(files.iter().map(|f| f.file.bytes)).ok_or_else(too_large)?;
        // Files of the same content share a blob, and it is downloaded once.
        let mut blobs = BTreeSet::new();
        let missing = files.iter().filter(|f| !f.cached && blobs.insert(f.file.checksum.as_str()));
        let missing_bytes =
            sum(missing.map(|f| f.file.bytes - f.partial_bytes)).ok_or_else(too_large)?;
        Ok(Plan {
            repo: request.repo.clone(),
            commit: tree.commit,
            files,
            skipped: selection.skipped,
            bytes,
            missing_bytes,
        })
    }

    /// Downloads what is missing, checks it, and makes it appear in the cache.
    ///
    /// An interrupted pull is taken up where it stopped by the next one. In offline mode nothing
    /// is asked: the snapshot of the revision is given if it is in the cache and whole.
    ///
    /// # Errors
    /// Everything a [`HubError`] can be, but `UnknownModel`. Files that did arrive stay.
    pub fn pull(
        &self,
        request: &PullRequest,
        progress: &mut dyn Progress,
    ) -> Result<Pulled, HubError> {
        if let Some(name) = &request.name {
            store::check_name(name)?;
        }
        if self.settings.offline {
            return self.find_cached(request);
        }
        let plan = self.plan(request, progress)?;
        progress.event(Event::Planned(&plan));
        let cache = RepoCache::new(&self.settings.cache, &plan.repo);
        // A whole snapshot needs no right to write, as in a cache that several people share.
        if plan.files.iter().any(|planned| !cache.holds(&plan.commit, &planned.file)) {
            cache.create(&plan.commit)?;
            self.check_space(plan.missing_bytes)?;
        }
        let mut received_bytes = 0;
        for planned in &plan.files {
            let file = &planned.file;
            if !cache.holds(&plan.commit, file) {
                let download = Download {
                    http: &self.http,
                    cache: &cache,
                    repo: plan.repo.as_str(),
                    commit: &plan.commit,
                    file,
                };
                received_bytes += download.run(progress)?;
                cache.place(&plan.commit, file)?;
            }
            progress.event(Event::FileDone { file: file.path.as_str() });
        }
        if request.revision.as_str() != plan.commit {
            cache.write_reference(&request.revision, &plan.commit)?;
        }
        let snapshot = cache.snapshot(&plan.commit);
        let names: Vec<&str> = plan.files.iter().map(|f| f.file.path.as_str()).collect();
        let stored = self.store(request, &snapshot, &names)?;
        Ok(Pulled { repo: plan.repo, commit: plan.commit, snapshot, stored, received_bytes })
    }

    /// The snapshot of the revision as the cache has it.
    fn find_cached(&self, request: &PullRequest) -> Result<Pulled, HubError> {
        let missing = |problem: String| HubError::Offline {
            repo: format!("{} at {}", request.repo, request.revision),
            problem,
        };
        let cache = RepoCache::new(&self.settings.cache, &request.repo);
        let revision = request.revision.as_str();
        let commit = match is_commit(revision) {
            true => revision.to_owned(),
            false => cache
                .read_reference(&request.revision)
                .ok_or_else(|| missing("it is not in the cache".to_owned()))?,
        };
        let snapshot = cache.snapshot(&commit);
        let contents = Contents::read(&snapshot);
        if contents.files.is_empty() {
            return Err(missing("it is not in the cache".to_owned()));
        }
        let paths: Vec<&str> = contents.files.iter().map(|f| f.path.as_str()).collect();
        let chosen = choose(request.repo.as_str(), &paths, &request.wanted)?;
        if let Some(file) = contents.missing().first() {
            return Err(missing(format!("the cache holds it without {file}")));
        }
        let chosen: Vec<&str> = chosen.into_iter().collect();
        let stored = self.store(request, &snapshot, &chosen)?;
        Ok(Pulled { repo: request.repo.clone(), commit, snapshot, stored, received_bytes: 0 })
    }

    fn store(
        &self,
        request: &PullRequest,
        snapshot: &Path,
        files: &[&str],
    ) -> Result<Option<PathBuf>, HubError> {
        let Some(name) = &request.name else { return Ok(None) };
        store::add(&self.settings.store, name, snapshot, files).map(Some)
    }

    /// Refuses to begin what the disk cannot hold.
    fn check_space(&self, needed: u64) -> Result<(), HubError> {
        let path = &self.settings.cache;
        let free = match fs4::available_space(path) {
            Ok(free) => free,
            // Some network file systems do not say; writing will.
            Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
            Err(error) => return Err(HubError::io(path, "ask for free space")(error)),
        };
        if needed > free {
            return Err(HubError::DiskFull { path: path.clone(), needed, free });
        }
        Ok(())
    }
}

/// The sum, unless it exceeds 64 bits.
fn sum(mut bytes: impl Iterator<Item = u64>) -> Option<u64> {
    bytes.try_fold(0, u64::checked_add)
}
