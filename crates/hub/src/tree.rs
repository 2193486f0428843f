//! The files of a repository at one commit, as the hub lists them.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::digest::{Checksum, is_commit};
use crate::error::HubError;
use crate::http::{Http, Subject};
use crate::progress::Progress;
use crate::remote_path::RemotePath;
use crate::repo::RepoId;
use crate::url::encode;

/// Files of one repository that are listed at most; large datasets have this many, models do not.
const FILES_MAX: usize = 100_000;
/// Pages of a listing that are read at most.
const PAGES_MAX: usize = 1000;

/// One file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Where it lies in the repository.
    pub path: RemotePath,
    /// Its length.
    pub bytes: u64,
    /// What its content is checked against.
    pub checksum: Checksum,
}

/// A repository at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// All files, by path.
    pub files: Vec<RemoteFile>,
}

/// `GET /api/models/{id}/revision/{rev}`; the many other fields are of no use here.
#[derive(Deserialize)]
struct RevisionAnswer {
    sha: String,
}

/// One entry of `GET /api/models/{id}/tree/{rev}`.
#[derive(Deserialize)]
struct TreeEntry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    oid: String,
    #[serde(default)]
    size: u64,
    lfs: Option<LfsEntry>,
}

/// What stands in for the content of a large file in git.
#[derive(Deserialize)]
struct LfsEntry {
    oid: String,
    size: u64,
}

/// Asks the hub for the commit behind a revision and lists its files.
///
/// # Errors
/// All that a request can end in, and `HubError::BadAnswer` or `HubError::Name` for listings that
/// no git repository could have.
pub(crate) fn read_tree(
    http: &Http,
    repo: &RepoId,
    revision: &RemotePath,
    progress: &mut dyn Progress,
) -> Result<Tree, HubError> {
    let subject = Subject { repo: repo.as_str(), revision: revision.as_str(), file: None };
    let api = |kind: &str, revision: &str| {
        let tail = format!("/api/models/{repo}/{kind}/{}", encode(revision, ""));
        http.endpoint().with_tail(&tail)
    };
    let at = api("revision", revision.as_str());
    let (answer, _) = http.get_json::<RevisionAnswer>(&at, subject, progress)?;
    let commit = answer.sha;
    if !is_commit(&commit) {
        let found: String = commit.escape_debug().take(60).collect();
        let problem = format!("expected a commit of 40 hexadecimal digits, found `{found}`");
        return Err(HubError::BadAnswer { place: subject.place(), problem });
    }
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    let mut page = Some(api("tree", &commit).with_query("recursive=true"));
    for _ in 0..PAGES_MAX {
        let Some(at) = page else { break };
        let (entries, next) = http.get_json::<Vec<TreeEntry>>(&at, subject, progress)?;
        for entry in entries.into_iter().filter(|entry| entry.kind == "file") {
            let file = read_entry(entry, &subject)?;
            if !seen.insert(file.path.clone()) {
                let problem = format!("the file {} is listed twice", file.path);
                return Err(HubError::BadAnswer { place: subject.place(), problem });
            }
            files.push(file);
        }
        page = next;
        if files.len() > FILES_MAX {
            break;
        }
    }
    if page.is_some() {
        let problem = format!("expected at most {FILES_MAX} files, found more");
        return Err(HubError::BadAnswer { place: subject.place(), problem });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Tree { commit, files })
}

fn read_entry(entry: TreeEntry, subject: &Subject<'_>) -> Result<RemoteFile, HubError> {
    let path = RemotePath::parse("file name in the listing", &entry.path)?;
    let (bytes, checksum) = match &entry.lfs {
        // Some mirrors write the algorithm before the digits, as the pointer file does.
        Some(lfs) => {
            let oid = lfs.oid.strip_prefix("sha256:").unwrap_or(&lfs.oid);
            (lfs.size, Checksum::sha256(oid))
        }
        None => (entry.size, Checksum::git_sha1(&entry.oid)),
    };
    let checksum = checksum.ok_or_else(|| HubError::BadAnswer {
        place: format!("{}: {path}", subject.repo),
        problem: "expected a checksum in the listing, found none of the known kinds".to_owned(),
    })?;
    Ok(RemoteFile { path, bytes, checksum })
}
