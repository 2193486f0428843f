//! Downloads in which nothing goes wrong.

use std::fs;

use gptoss_hub::{HubError, RemotePath, Wanted};

use crate::server::{COMMIT, Fault, git_sha1, noise, sha256};
use crate::{Bench, Notes, REPO, request, token, weights};

#[test]
fn a_model_arrives_in_the_layout_of_the_shared_cache() {
    let bench = Bench::new();
    let pulled = bench.pull().unwrap();
    assert_eq!(pulled.commit, COMMIT);
    assert_eq!(pulled.snapshot, bench.repo_folder().join("snapshots").join(COMMIT));
    let expected = ["README.md", "config.json", "model.safetensors", "tokenizer.json"];
    assert_eq!(bench.names(&format!("snapshots/{COMMIT}")), expected);
    let mut blobs = vec![
        git_sha1(b"# a model\n"),
        git_sha1(br#"{"model_type":"gpt_oss"}"#),
        sha256(&weights()),
        sha256(&noise(1, 5_000)),
    ];
    blobs.sort();
    assert_eq!(bench.names("blobs"), blobs);
    assert_eq!(fs::read_to_string(bench.repo_folder().join("refs/main")).unwrap(), COMMIT);
    assert_eq!(fs::read(pulled.snapshot.join("model.safetensors")).unwrap(), weights());
    #[cfg(unix)]
    {
        let link = fs::read_link(pulled.snapshot.join("config.json")).unwrap();
        let blob = git_sha1(br#"{"model_type":"gpt_oss"}"#);
        assert_eq!(link, std::path::Path::new("../../blobs").join(blob));
    }
    let bytes: usize = 10 + 24 + 300_000 + 5_000;
    assert_eq!(pulled.received_bytes, bytes as u64);
}

#[test]
fn the_second_pull_downloads_nothing() {
    let bench = Bench::new();
    bench.pull().unwrap();
    bench.hub.forget_requests();
    assert_eq!(bench.pull().unwrap().received_bytes, 0);
    assert_eq!(bench.hub.requests("/api/").len(), 2);
    assert_eq!(bench.hub.requests("").len(), 2, "only the API was asked");
}

#[test]
fn blobs_that_are_there_are_used() {
    let bench = Bench::new();
    // As another revision, or a Python tool, left it.
    let blobs = bench.repo_folder().join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(sha256(&weights())), weights()).unwrap();
    let pulled = bench.pull().unwrap();
    assert_eq!(bench.hub.requests("resolve").len(), 3, "all but the weights");
    assert_eq!(bench.hub.requests(&sha256(&weights())).len(), 0);
    assert_eq!(fs::read(pulled.snapshot.join("model.safetensors")).unwrap(), weights());
}

#[test]
fn a_blob_of_another_length_is_downloaded_again() {
    let bench = Bench::new();
    let blobs = bench.repo_folder().join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(sha256(&weights())), b"cut short").unwrap();
    let pulled = bench.pull().unwrap();
    assert_eq!(fs::read(pulled.snapshot.join("model.safetensors")).unwrap(), weights());
}

#[test]
fn listings_come_in_pages() {
    let bench = Bench::new();
    bench.hub.set_page_files(3);
    bench.pull().unwrap();
    let pages = bench.hub.requests("/tree/");
    let targets: Vec<&str> = pages.iter().map(|r| r.target.as_str()).collect();
    assert_eq!(targets.len(), 3, "{targets:?}");
    assert!(targets[2].ends_with("cursor=6"), "{targets:?}");
}

#[test]
fn a_plan_writes_nothing() {
    let bench = Bench::new();
    let plan = bench.client().plan(&request(), &mut ()).unwrap();
    assert_eq!((plan.files.len(), plan.skipped.len()), (4, 4));
    assert_eq!((plan.bytes, plan.missing_bytes), (305_034, 305_034));
    let names: Vec<&str> = plan.files.iter().map(|f| f.file.path.as_str()).collect();
    assert_eq!(names, ["README.md", "config.json", "tokenizer.json", "model.safetensors"]);
    assert!(!bench.settings.cache.exists());
}

#[test]
fn the_token_goes_to_the_hub_and_nowhere_else() {
    let mut bench = Bench::new();
    bench.settings.token = Some(token());
    bench.pull().unwrap();
    let authorized = |part| {
        let all = bench.hub.requests(part);
        let with = all.iter().filter(|r| r.headers.contains_key("authorization")).count();
        (with, all.len())
    };
    assert_eq!(authorized("/api/"), (2, 2));
    assert_eq!(authorized("/resolve/"), (4, 4));
    // The file server has another host name.
    assert_eq!(authorized("/cdn/"), (0, 2));
    let request = &bench.hub.requests("/api/")[0];
    assert_eq!(request.headers["authorization"], "Bearer hf_topsecret");
}

#[test]
fn a_redirect_within_the_hub_keeps_the_token() {
    let mut bench = Bench::new();
    bench.settings.token = Some(token());
    // What the hub answers for a repository that was renamed.
    let to = format!("/api/models/{REPO}/revision/main");
    bench.hub.fault("/api/models/org/old", 1, Fault::Redirect(to));
    let mut old = request();
    old.repo = gptoss_hub::RepoId::parse("org/old").unwrap();
    bench.client().plan(&old, &mut ()).unwrap_err();
    let requests = bench.hub.requests("/revision/main");
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|r| r.headers.contains_key("authorization")));
}

#[test]
fn revisions_are_encoded_and_remembered() {
    let bench = Bench::new();
    let mut pr = request();
    pr.revision = RemotePath::parse("revision", "refs/pr/1").unwrap();
    bench.client().pull(&pr, &mut ()).unwrap();
    assert_eq!(bench.hub.requests("/revision/refs%2Fpr%2F1").len(), 1);
    let reference = bench.repo_folder().join("refs/refs/pr/1");
    assert_eq!(fs::read_to_string(reference).unwrap(), COMMIT);

    let mut commit = request();
    commit.revision = RemotePath::parse("revision", COMMIT).unwrap();
    bench.client().pull(&commit, &mut ()).unwrap();
    assert_eq!(bench.names("refs"), ["refs"], "a commit needs no reference");
}

#[test]
fn offline_mode_uses_the_cache_and_asks_nobody() {
    let mut bench = Bench::new();
    bench.settings.offline = true;
    let error = bench.pull().unwrap_err();
    let expected = "org/model at main: it is not in the cache, and HF_HUB_OFFLINE forbids to ask \
                    the hub";
    assert_eq!(error.to_string(), expected);
    bench.settings.offline = false;
    let online = bench.pull().unwrap();
    bench.hub.forget_requests();
    bench.settings.offline = true;
    let offline = bench.pull().unwrap();
    assert_eq!((offline.snapshot, offline.received_bytes), (online.snapshot.clone(), 0));
    assert_eq!(bench.hub.requests("").len(), 0);
    fs::remove_file(online.snapshot.join("model.safetensors")).unwrap();
    assert!(matches!(bench.pull(), Err(HubError::Offline { .. } | HubError::Selection { .. })));
}

#[test]
fn a_gguf_file_is_chosen_by_the_end_of_its_name() {
    let bench = Bench::empty();
    for name in ["m-Q8_0.gguf", "m-F16.gguf", "m-BF16-00001-of-00002.gguf"] {
        bench.hub.add_lfs("org/gguf", name, name.as_bytes());
    }
    bench.hub.add_lfs("org/gguf", "m-BF16-00002-of-00002.gguf", b"second");
    bench.hub.add("org/gguf", "LICENSE", b"free");
    let plan = |part: Option<&str>, include: &[&str], exclude: &[&str]| {
        let mut request = request();
        request.repo = gptoss_hub::RepoId::parse("org/gguf").unwrap();
        request.wanted = Wanted {
            part: part.map(str::to_owned),
            include: include.iter().map(|&p| p.to_owned()).collect(),
            exclude: exclude.iter().map(|&p| p.to_owned()).collect(),
        };
        let plan = bench.client().plan(&request, &mut ()).map_err(|e| e.to_string())?;
        let names = plan.files.iter().map(|f| f.file.path.to_string());
        Ok::<_, String>(names.collect::<Vec<_>>().join(" "))
    };
    /// Part, patterns to include and to exclude, and the files chosen.
    type Case<'a> = (Option<&'a str>, &'a [&'a str], &'a [&'a str], &'a str);
    let cases: [Case<'_>; 8] = [
        (Some("m-F16.gguf"), &[], &[], "LICENSE m-F16.gguf"),
        (Some("f16"), &[], &[], "LICENSE m-F16.gguf"),
        (Some("Q8_0"), &[], &["LIC*"], "m-Q8_0.gguf"),
        (Some("BF16"), &[], &["LIC*"], "m-BF16-00001-of-00002.gguf m-BF16-00002-of-00002.gguf"),
        (Some("*F16.gguf"), &[], &[], "LICENSE m-F16.gguf"),
        (None, &["*Q8*"], &[], "m-Q8_0.gguf"),
        (None, &["*.gguf"], &["*BF16*"], "m-F16.gguf m-Q8_0.gguf"),
        (Some("F16"), &["*Q8*"], &["LIC*"], "m-F16.gguf m-Q8_0.gguf"),
    ];
    for (part, include, exclude, expected) in cases {
        assert_eq!(plan(part, include, exclude).as_deref(), Ok(expected), "{part:?} {include:?}");
    }
    let refused: [(Option<&str>, &[&str], &str); 3] = [
        (
            None,
            &[],
            "org/gguf: holds several GGUF models: m-BF16, m-F16, m-Q8_0; choose one, as in \
             org/gguf:m-BF16.gguf or by the end of its name",
        ),
        (Some("Q4"), &[], "org/gguf: no file fits `Q4`; there are m-BF16, m-F16, m-Q8_0"),
        (None, &["*.bin"], "org/gguf: none of its 5 files is asked for"),
    ];
    for (part, include, expected) in refused {
        assert_eq!(plan(part, include, &[]), Err(expected.to_owned()));
    }
}

#[test]
fn the_only_gguf_file_needs_no_name() {
    let bench = Bench::empty();
    bench.hub.add_lfs(REPO, "gpt-oss-20b-mxfp4.gguf", b"weights");
    bench.hub.add(REPO, "notes.txt", b"notes");
    bench.pull().unwrap();
    assert_eq!(bench.names(&format!("snapshots/{COMMIT}")), ["gpt-oss-20b-mxfp4.gguf"]);
}

#[test]
fn an_empty_file_arrives() {
    let bench = Bench::new();
    bench.hub.add(REPO, "LICENSE", b"");
    let pulled = bench.pull().unwrap();
    assert_eq!(fs::read(pulled.snapshot.join("LICENSE")).unwrap(), b"");
    let empty = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
    assert!(bench.names("blobs").contains(&empty.to_owned()));
}

#[test]
fn pulls_at_once_share_the_work() {
    let bench = Bench::new();
    bench.hub.fault("/cdn/", 3, Fault::Slow(std::time::Duration::from_millis(2)));
    std::thread::scope(|scope| {
        let pulls: Vec<_> = (0..4).map(|_| scope.spawn(|| bench.pull())).collect();
        let received: u64 =
            pulls.into_iter().map(|p| p.join().unwrap().unwrap().received_bytes).sum();
        assert_eq!(received, 305_034, "every byte came once");
    });
    assert_eq!(bench.hub.requests("/cdn/").len(), 2);
    let snapshot = bench.repo_folder().join("snapshots").join(COMMIT);
    assert_eq!(fs::read(snapshot.join("model.safetensors")).unwrap(), weights());
    assert_eq!(bench.names("blobs").len(), 4);
    assert_eq!(crate::names_in(&bench.repo_folder()), ["blobs", "refs", "snapshots"]);
}

#[test]
fn progress_tells_every_step() {
    let bench = Bench::new();
    let mut notes = Notes::default();
    bench.client().pull(&request(), &mut notes).unwrap();
    assert_eq!(notes.0[0], "4 files, 305034 bytes");
    assert!(notes.0.contains(&"model.safetensors: 0 of 300000".to_owned()), "{:?}", notes.0);
    assert_eq!(notes.0.iter().filter(|n| n.starts_with("FileDone")).count(), 4);
}
