//! Documents of tasks: in a folder that the user gives, or fetched from the hub by name.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use flate2::read::MultiGzDecoder;
use gptoss_checkpoint::locate::store_dir;
use gptoss_checkpoint::write_atomically;
use gptoss_eval::data::{Data, Source};
use gptoss_eval::request::{PromptOptions, Questions, questions};
use gptoss_eval::task::Task;
use gptoss_hub::{Event, Hub, Progress, RepoId, RowsRequest};

use crate::terminal::say;

/// Below our own folder: what was fetched.
const FETCHED: &str = "benchmarks";

/// Where documents come from.
pub struct Benchmarks {
    data: Data,
    /// Set if missing documents may be fetched.
    hub: Option<Hub>,
}

impl Benchmarks {
    /// The folder that was given, else our own one, which the hub fills.
    ///
    /// # Errors
    /// If the folder is not there, or no home folder is known.
    pub fn open(folder: Option<&Path>) -> anyhow::Result<Benchmarks> {
        let (root, hub): (PathBuf, _) = match folder {
            Some(folder) if !folder.is_dir() => bail!("--data {}: no folder", folder.display()),
            Some(folder) => (folder.to_path_buf(), None),
            None => {
                let store = store_dir().context("no home folder is known: set GPTOSS_HOME")?;
                (store.join(FETCHED), Some(Hub::from_env()?))
            }
        };
        Ok(Benchmarks { data: Data::new(root).with_unpack(unpack), hub })
    }

    /// The questions of a task.
    ///
    /// # Errors
    /// If documents are missing and cannot be fetched, or the task does not fit them.
    pub fn questions(&self, task: &Task, options: &PromptOptions) -> anyhow::Result<Questions> {
        let shots = options.shots.unwrap_or(task.file.shots.count);
        let splits = [Some(&task.file.data.split), task.file.data.shots_split.as_ref()];
        for split in splits.into_iter().take(1 + usize::from(shots > 0)).flatten() {
            let source = task.source(split);
            if !self.data.has(source)? {
                self.fetch(task, source)?;
            }
        }
        Ok(questions(task, &self.data, options)?)
    }

    /// Gets the documents of a split.
    fn fetch(&self, task: &Task, source: Source<'_>) -> anyhow::Result<()> {
        let path = self.data.place(source)?;
        let missing = || format!("{}: no such data file", path.display());
        let Some((repo, config)) = task.hub()? else {
            bail!("{}; `{}` names no data set of the hub: see --data", missing(), task.name);
        };
        let split = source.split.to_owned();
        let Some(hub) = &self.hub else {
            bail!(
                "{}; it is the split {split} of {repo} ({config}) on the Hugging Face hub, as JSON \
                 lines; without --data it is fetched from there",
                missing()
            );
        };
        say(&format!("gptoss: fetching {repo} ({config}, {split})"));
        let request = RowsRequest { repo: RepoId::parse(&repo)?, config, split };
        let rows = hub.rows(&request, &mut Retries).with_context(|| {
            format!("the data of `{}` is not on this machine ({})", task.name, path.display())
        })?;
        let folder = path.parent().context("a data file lies in a folder")?;
        let failed = || format!("{}: cannot be written", path.display());
        std::fs::create_dir_all(folder).with_context(failed)?;
        let written = write_atomically(&path, |out: &mut dyn Write| {
            rows.iter().try_for_each(|row| {
                serde_json::to_writer(&mut *out, row)?;
                out.write_all(b"\n")
            })
        });
        written.with_context(failed)
    }
}

fn unpack(packed: Box<dyn Read>) -> Box<dyn Read> {
    Box::new(MultiGzDecoder::new(packed))
}

/// Says when the hub has to be asked again.
struct Retries;

impl Progress for Retries {
    fn event(&mut self, event: Event<'_>) {
        if let Event::Retrying { place, cause, pause } = event {
            let seconds = pause.as_secs_f64();
            say(&format!("{place}: {cause}; next attempt in {seconds:.1} s"));
        }
    }
}
