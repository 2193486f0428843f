//! What is on this machine: list, names, removal.

use std::fs;

use gptoss_hub::{HubError, Source};

use crate::server::{COMMIT, noise, sha256};
use crate::{Bench, names_in, request, weights};

const OLD: &str = "1111111111111111111111111111111111111111";

/// A second revision that shares `config.json` and has weights of its own.
fn add_old_revision(bench: &Bench) -> std::path::PathBuf {
    let folder = bench.repo_folder();
    let old = folder.join("snapshots").join(OLD);
    fs::create_dir_all(&old).unwrap();
    fs::write(folder.join("blobs/oldblob"), noise(7, 1234)).unwrap();
    link("../../blobs/oldblob", &old.join("model.safetensors"));
    let shared = fs::read_link(folder.join("snapshots").join(COMMIT).join("config.json")).unwrap();
    link(shared.to_str().unwrap(), &old.join("config.json"));
    fs::create_dir_all(folder.join("refs")).unwrap();
    fs::write(folder.join("refs/v1"), OLD).unwrap();
    old
}

fn link(target: &str, path: &std::path::Path) {
    #[cfg(unix)]
    std::os::unix::fs::symlink(target, path).unwrap();
    #[cfg(windows)]
    std::os::windows::fs::symlink_file(target, path).unwrap();
}

#[test]
fn an_empty_machine_has_no_models() {
    assert_eq!(Bench::empty().client().cached_models(), []);
}

#[test]
fn complete_and_partial_models_are_listed() {
    let bench = Bench::new();
    bench.pull().unwrap();
    add_old_revision(&bench);
    fs::write(bench.repo_folder().join("blobs/x.incomplete"), vec![0; 77]).unwrap();
    let other = bench.settings.cache.join("models--someone--half/snapshots").join(OLD);
    fs::create_dir_all(&other).unwrap();
    let index = r#"{"weight_map":{"a":"model-00001-of-00002.safetensors",
        "b":"model-00002-of-00002.safetensors"}}"#;
    fs::write(other.join("model.safetensors.index.json"), index).unwrap();
    fs::write(other.join("model-00002-of-00002.safetensors"), "x").unwrap();
    link("../../blobs/gone", &other.join("tokenizer.json"));
    // Neither of these is a model.
    fs::create_dir_all(bench.settings.cache.join("datasets--a--b/snapshots").join(OLD)).unwrap();
    let notes = bench.settings.cache.join("models--a--notes/snapshots").join(OLD);
    fs::create_dir_all(&notes).unwrap();
    fs::write(notes.join("README.md"), "notes").unwrap();

    let models = bench.client().cached_models();
    let found: Vec<_> =
        models.iter().map(|m| (m.name.as_str(), m.commit.as_deref().unwrap())).collect();
    assert_eq!(found, [("org/model", OLD), ("org/model", COMMIT), ("someone/half", OLD)]);
    let main = &models[1];
    assert_eq!((main.files, main.bytes, main.is_complete()), (4, 305_034, true));
    assert_eq!(main.references, ["main"]);
    assert_eq!(main.model_type.as_deref(), Some("gpt_oss"));
    assert!(main.modified.is_some());
    let half = &models[2];
    assert_eq!(half.missing, ["model-00001-of-00002.safetensors", "tokenizer.json"]);
}

#[test]
fn an_interrupted_pull_is_listed_as_partial() {
    let bench = Bench::new();
    bench.hub.fault(&sha256(&weights()), 1, crate::server::Fault::CutAfter(100_000));
    bench.hub.fault(&sha256(&weights()), 9, crate::server::Fault::CutAfter(0));
    bench.pull().unwrap_err();
    let models = bench.client().cached_models();
    assert_eq!(models.len(), 1);
    assert_eq!((models[0].is_complete(), models[0].bytes), (false, 105_034));
    assert_eq!(models[0].missing, ["its weights"]);
}

#[test]
fn parts_of_a_divided_gguf_file_are_missed() {
    let bench = Bench::empty();
    let folder = bench.settings.store.join("big");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("m-00002-of-00003.gguf"), "x").unwrap();
    fs::write(bench.settings.store.join("single.gguf"), "xyz").unwrap();
    let models = bench.client().cached_models();
    assert_eq!(models.len(), 2);
    assert_eq!(models[0].missing, ["m-00001-of-00003.gguf", "m-00003-of-00003.gguf"]);
    assert_eq!((models[1].name.as_str(), models[1].bytes), ("single", 3));
    assert_eq!(models[1].source, Source::Store);
    for name in ["single", "single.gguf"] {
        assert_eq!(bench.client().plan_removal(name).unwrap().bytes, 3);
    }
}

#[test]
fn a_name_of_the_store_is_links_into_the_cache() {
    let bench = Bench::new();
    let mut named = request();
    named.name = Some("mine".to_owned());
    for _ in 0..2 {
        let stored = bench.client().pull(&named, &mut ()).unwrap().stored.unwrap();
        assert_eq!(stored, bench.settings.store.join("mine"));
        assert_eq!(fs::read(stored.join("model.safetensors")).unwrap(), weights());
        assert_eq!(names_in(&bench.settings.store), ["mine"]);
    }
    let models = bench.client().cached_models();
    assert_eq!((models[0].name.as_str(), models[0].bytes), ("mine", 305_034));
    let removal = bench.client().plan_removal("mine").unwrap();
    assert_eq!((removal.is_name_only, removal.bytes), (true, 0));
    bench.client().remove(&removal).unwrap();
    assert_eq!(names_in(&bench.settings.store), [""; 0]);
    assert_eq!(bench.names("blobs").len(), 4);
}

#[test]
fn a_name_that_stands_for_own_files_is_not_replaced() {
    let bench = Bench::new();
    let own = bench.settings.store.join("mine");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("model.safetensors"), "my own").unwrap();
    for name in ["mine", "nano", "../x", "a/b", "", ".hidden", "-x", "con", "x.gguf"] {
        let mut named = request();
        named.name = Some(name.to_owned());
        let error = bench.client().pull(&named, &mut ()).unwrap_err();
        assert!(matches!(error, HubError::Name { .. }), "{name}: {error}");
    }
    assert_eq!(fs::read(own.join("model.safetensors")).unwrap(), b"my own");
}

#[test]
fn a_repository_is_removed_with_its_names_and_locks() {
    let bench = Bench::new();
    let mut named = request();
    named.name = Some("mine".to_owned());
    bench.client().pull(&named, &mut ()).unwrap();
    let removal = bench.client().plan_removal("org/model").unwrap();
    assert_eq!(removal.store_names, ["mine"]);
    // 40 bytes of the reference besides the files.
    assert_eq!(removal.bytes, 305_034 + 40);
    assert_eq!(bench.client().remove(&removal).unwrap(), removal.bytes);
    assert!(!bench.repo_folder().exists());
    assert!(!bench.settings.cache.join(".locks/models--org--model").exists());
    assert_eq!(bench.client().cached_models(), []);
}

#[test]
fn a_revision_takes_only_what_no_other_needs() {
    let bench = Bench::new();
    bench.pull().unwrap();
    let old = add_old_revision(&bench);
    let client = bench.client();
    for name in ["org/model@v1", "org/model@1111111", &format!("org/model@{OLD}")] {
        let removal = client.plan_removal(name).unwrap();
        assert_eq!(removal.bytes, 1234 + 40, "{name}");
    }
    client.remove(&client.plan_removal("org/model@v1").unwrap()).unwrap();
    assert!(!old.exists() && !bench.repo_folder().join("blobs/oldblob").exists());
    assert_eq!(bench.names("refs"), ["main"]);
    assert_eq!(bench.names("blobs").len(), 4);
    bench.hub.forget_requests();
    assert_eq!(bench.pull().unwrap().received_bytes, 0, "the other revision is whole");
}

#[test]
fn links_to_elsewhere_are_not_followed() {
    let bench = Bench::new();
    bench.pull().unwrap();
    let old = add_old_revision(&bench);
    let precious = bench.folder.path().join("precious");
    fs::create_dir_all(&precious).unwrap();
    fs::write(precious.join("letters"), "dear all").unwrap();
    let file = precious.join("letters");
    link(file.to_str().unwrap(), &old.join("letters"));
    link("../../../../precious/letters", &old.join("more"));
    #[cfg(unix)]
    link(precious.to_str().unwrap(), &old.join("folder"));
    let client = bench.client();
    client.remove(&client.plan_removal("org/model@v1").unwrap()).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"dear all");
    #[cfg(unix)]
    link(precious.to_str().unwrap(), &bench.repo_folder().join("folder"));
    client.remove(&client.plan_removal("org/model").unwrap()).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"dear all");
}

#[test]
fn unknown_names_give_near_ones() {
    let bench = Bench::new();
    bench.pull().unwrap();
    let client = bench.client();
    for (name, expected) in [
        ("org/modle", "org/modle: no such model on this machine; did you mean org/model?"),
        ("model", "model: no such model on this machine; did you mean org/model?"),
        (
            "elsewhere/entirely-other",
            "elsewhere/entirely-other: no such model on this machine; `gptoss list` shows what \
             there is",
        ),
    ] {
        assert_eq!(client.plan_removal(name).unwrap_err().to_string(), expected);
    }
    assert!(client.plan_removal("org/model@nope").is_err());
    assert!(client.plan_removal("..").is_err());
    assert!(client.plan_removal("").is_err());
}
