//! The hub client against a small hub on loopback.

mod faults;
mod hostile;
mod local;
mod pulls;
mod rows;
#[path = "../server/mod.rs"]
mod server;

use std::path::PathBuf;
use std::time::Duration;

use gptoss_hub::{
    Event, Hub, HubError, Patience, Progress, PullRequest, Pulled, RepoId, Settings, Token,
};
use server::{TestHub, noise};

/// The repository that most tests download.
const REPO: &str = "org/model";

/// A hub with one model, and a client with an empty cache.
struct Bench {
    hub: TestHub,
    folder: tempfile::TempDir,
    settings: Settings,
}

impl Bench {
    /// A model of the usual files, its weights 300 kB of noise.
    fn new() -> Self {
        let bench = Self::empty();
        bench.hub.add(REPO, "config.json", br#"{"model_type":"gpt_oss"}"#);
        bench.hub.add(REPO, "README.md", b"# a model\n");
        bench.hub.add(REPO, ".gitattributes", b"*.safetensors lfs\n");
        bench.hub.add_lfs(REPO, "tokenizer.json", &noise(1, 5_000));
        bench.hub.add_lfs(REPO, "model.safetensors", &weights());
        bench.hub.add(REPO, "original/config.json", b"{}");
        bench.hub.add_lfs(REPO, "original/model.safetensors", &noise(3, 1_000));
        bench.hub.add_lfs(REPO, "metal/model.bin", &noise(4, 1_000));
        bench
    }

    /// A hub without repositories.
    fn empty() -> Self {
        let hub = TestHub::start();
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            endpoint: hub.endpoint(),
            token: None,
            offline: false,
            progress_bars: false,
            cache: folder.path().join("hub"),
            store: folder.path().join("store"),
            patience: Patience {
                connect: Duration::from_secs(5),
                silence: Duration::from_secs(5),
                api_answer: Duration::from_secs(10),
                first_pause: Duration::from_millis(1),
                retry_after_max: Duration::from_secs(2),
                attempts: 4,
            },
        };
        Self { hub, folder, settings }
    }

    fn client(&self) -> Hub {
        Hub::new(self.settings.clone()).unwrap()
    }

    fn pull(&self) -> Result<Pulled, HubError> {
        self.client().pull(&request(), &mut ())
    }

    /// The folder of the model in the cache.
    fn repo_folder(&self) -> PathBuf {
        self.settings.cache.join("models--org--model")
    }

    /// The names in a folder of the model, sorted.
    fn names(&self, folder: &str) -> Vec<String> {
        names_in(&self.repo_folder().join(folder))
    }
}

fn names_in(folder: &std::path::Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The content of `model.safetensors`.
fn weights() -> Vec<u8> {
    noise(2, 300_000)
}

fn request() -> PullRequest {
    PullRequest::new(RepoId::parse(REPO).unwrap())
}

fn token() -> Token {
    Token::parse("HF_TOKEN", "hf_topsecret").unwrap()
}

/// Writes down every event as a line.
#[derive(Default)]
struct Notes(Vec<String>);

impl Progress for Notes {
    fn event(&mut self, event: Event<'_>) {
        self.0.push(match event {
            Event::Planned(plan) => format!("{} files, {} bytes", plan.files.len(), plan.bytes),
            Event::Received { .. } => return,
            Event::FileStarted { file, bytes, resumed } => format!("{file}: {resumed} of {bytes}"),
            other => format!("{other:?}"),
        });
    }
}
