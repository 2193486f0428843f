//! Names that lead to models, and names that do not.

use std::path::{Path, PathBuf};

use gptoss_checkpoint::locate::{Located, Places, locate_in};

use crate::{message, testdata};

const COMMIT: &str = "6cee5e81ee83917806bbde320786a8fb61efebee";

/// A cache and a store in a temporary folder.
struct Machine {
    folder: tempfile::TempDir,
    places: Places,
}

impl Machine {
    fn new() -> Machine {
        let folder = tempfile::tempdir().unwrap();
        let places = Places {
            hub_cache: Some(folder.path().join("hub")),
            store: Some(folder.path().join("store")),
        };
        Machine { folder, places }
    }

    fn snapshot(&self, commit: &str) -> PathBuf {
        let repository = self.folder.path().join("hub/models--openai--gpt-oss-20b");
        let snapshot = repository.join("snapshots").join(commit);
        std::fs::create_dir_all(&snapshot).unwrap();
        for entry in std::fs::read_dir(testdata("t64/mxfp4")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), snapshot.join(entry.file_name())).unwrap();
        }
        snapshot
    }

    fn reference(&self, revision: &str, commit: &str) {
        let refs = self.folder.path().join("hub/models--openai--gpt-oss-20b/refs");
        std::fs::create_dir_all(&refs).unwrap();
        std::fs::write(refs.join(revision), commit).unwrap();
    }

    fn find(&self, name: &str) -> Result<Located, String> {
        locate_in(&self.places, name).map_err(|error| message(self.folder.path(), &error))
    }

    fn error(&self, name: &str) -> String {
        self.find(name).unwrap_err()
    }
}

#[test]
fn the_embedded_model_needs_nothing() {
    let located = locate_in(&Places::default(), "nano").unwrap();
    assert_eq!(located, Located::Embedded);
    assert_eq!(located.open().unwrap().config.num_hidden_layers, 8);
}

#[test]
fn paths_are_models() {
    let path = testdata("t64/mxfp4");
    let located = locate_in(&Places::default(), path.to_str().unwrap()).unwrap();
    assert_eq!(located, Located::Path(path));
    assert!(located.open().is_ok());
}

#[test]
fn repositories_are_found_in_the_cache() {
    let machine = Machine::new();
    let path = machine.snapshot(COMMIT);
    machine.reference("main", &format!("{COMMIT}\n"));
    let expected = Located::Hub {
        repository: "openai/gpt-oss-20b".into(),
        commit: COMMIT.into(),
        path: path.clone(),
    };
    for name in ["openai/gpt-oss-20b", "gpt-oss-20b", &format!("openai/gpt-oss-20b@{COMMIT}")] {
        assert_eq!(machine.find(name), Ok(expected.clone()), "{name}");
    }
    assert!(expected.open().is_ok());
    machine.reference("v1.0", COMMIT);
    assert_eq!(machine.find("openai/gpt-oss-20b@v1.0"), Ok(expected));
}

#[test]
fn a_single_snapshot_needs_no_reference() {
    let mut messages = crate::Messages::of("locating/a_single_snapshot_needs_no_reference");
    let machine = Machine::new();
    let path = machine.snapshot(COMMIT);
    assert!(matches!(machine.find("gpt-oss-20b"), Ok(Located::Hub { path: p, .. }) if p == path));
    machine.snapshot("0123456789abcdef");
    messages.push(machine.error("gpt-oss-20b"));
    messages.check();
}

#[test]
fn names_in_the_store_are_folders_files_or_links() {
    let mut messages =
        crate::Messages::of("locating/names_in_the_store_are_folders_files_or_links");
    let machine = Machine::new();
    let models = machine.folder.path().join("store/models");
    std::fs::create_dir_all(&models).unwrap();
    std::fs::copy(testdata("t64/model.gguf"), models.join("tiny.gguf")).unwrap();
    let found = |name: &str, path: &Path| {
        let expected = Located::Store { name: name.into(), path: path.to_owned() };
        assert_eq!(machine.find(name), Ok(expected.clone()));
        assert!(expected.open().is_ok());
    };
    found("tiny", &models.join("tiny.gguf"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(testdata("t64/mxfp4"), models.join("linked")).unwrap();
        found("linked", &models.join("linked"));
    }
    messages.push(machine.error("tin"));
    messages.check();
}

#[test]
fn what_is_not_found_says_where_it_was_looked_for() {
    let mut messages =
        crate::Messages::of("locating/what_is_not_found_says_where_it_was_looked_for");
    let machine = Machine::new();
    messages.push(machine.error("gpt-oss-20b"));
    messages.push(machine.error("someone/model"));
    messages.push(machine.error("gpt-oss-1b"));
    messages.push(machine.error("zzz"));
    messages.push(machine.error("./model.gguf"));
    messages.push(machine.error(""));
    let nowhere = locate_in(&Places::default(), "zzz").unwrap_err();
    messages.push(message(Path::new("/nowhere"), &nowhere));
    messages.check();
}

#[test]
fn names_cannot_lead_out_of_the_folders() {
    let mut messages = crate::Messages::of("locating/names_cannot_lead_out_of_the_folders");
    let machine = Machine::new();
    machine.snapshot(COMMIT);
    messages.push(machine.error("a:b"));
    messages.push(machine.error("openai/.."));
    messages.push(machine.error("openai/gpt-oss-20b@../x"));
    machine.reference("main", "../../../elsewhere");
    messages.push(machine.error("gpt-oss-20b"));
    messages.check();
}
