//! Models of the Hugging Face hub: download, list and remove, in the cache that Python tools share.
//!
//! Reading order, from a name to files on disk: [`error`], `url`, [`remote_path`] (names that
//! stay in their folder), [`repo`] (names of models), `glob`, [`digest`] (checksums),
//! [`settings`] (environment), [`progress`], `http` (redirects, retries, the token), [`tree`]
//! (what the hub has), [`select`] (what a model needs), `cache` (the layout on disk), `snapshot`
//! (what is there), [`store`] (our own names), `download` (one file), [`pull`] (all of them),
//! [`rows`] (documents of a data set), [`models`] (list), [`remove`].
//!
//! # Example
//! ```no_run
//! use gptoss_hub::{Hub, PullRequest, RepoId};
//!
//! # fn main() -> Result<(), gptoss_hub::HubError> {
//! let hub = Hub::from_env()?;
//! let request = PullRequest::new(RepoId::parse("openai/gpt-oss-20b")?);
//! let pulled = hub.pull(&request, &mut ())?;
//! println!("{}", pulled.snapshot.display());
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod digest;
pub mod error;
pub mod models;
pub mod progress;
pub mod pull;
pub mod remote_path;
pub mod remove;
pub mod repo;
pub mod rows;
pub mod select;
pub mod settings;
pub mod store;
pub mod tree;

mod cache;
mod download;
mod glob;
mod http;
mod snapshot;
mod url;

pub use error::HubError;
pub use models::{CachedModel, Source};
pub use progress::{Event, Progress};
pub use pull::{Hub, Plan, PlannedFile, PullRequest, Pulled};
pub use remote_path::RemotePath;
pub use remove::{Removal, near_names};
pub use repo::{RepoId, parse_model};
pub use rows::RowsRequest;
pub use select::Wanted;
pub use settings::{Patience, Settings, Token};
