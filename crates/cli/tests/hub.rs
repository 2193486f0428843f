//! `gptoss pull`, `list` and `rm` as programs, against a small hub on loopback.

#[path = "../../hub/tests/server/mod.rs"]
mod server;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use expect_test::expect;
use server::{COMMIT, Fault, TestHub, noise, sha256};

const REPO: &str = "org/model";

/// A hub with one model, and an empty home.
struct Bench {
    hub: TestHub,
    home: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let hub = TestHub::start();
        hub.add(REPO, "config.json", br#"{"model_type":"gpt_oss"}"#);
        hub.add(REPO, "LICENSE", b"Apache-2.0\n");
        hub.add_lfs(REPO, "model.safetensors", &weights());
        hub.add_lfs(REPO, "original/model.safetensors", &noise(3, 2_000));
        hub.add_lfs(REPO, "original/dtypes.json", &noise(4, 500));
        hub.add(REPO, ".gitattributes", b"*.safetensors lfs\n");
        Self { hub, home: tempfile::tempdir().unwrap() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gptoss"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let upper = name.to_ascii_uppercase();
            if upper.ends_with("_PROXY") || upper.starts_with("HF_") || upper.contains("OFFLINE") {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .env("HF_ENDPOINT", self.hub.endpoint())
            .env("HF_HOME", self.home.path().join("hf"))
            .env("GPTOSS_HOME", self.home.path().join("gptoss"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Standard output and error of a command that must succeed.
    fn succeed(&self, args: &[&str]) -> (String, String) {
        let output = self.run(args);
        let (out, err) = texts(&output);
        assert!(output.status.success(), "{args:?}: {out}{err}");
        (out, err)
    }

    /// The last line of standard error of a command that must end in an error.
    fn fail(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {out}{err}");
        assert_eq!(out, "");
        err.lines().last().unwrap_or_default().to_owned()
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("hf/hub/models--org--model")
    }

    fn snapshot(&self) -> PathBuf {
        self.folder().join("snapshots").join(COMMIT)
    }

    fn partial(&self) -> PathBuf {
        self.folder().join("blobs").join(format!("{}.incomplete", sha256(&weights())))
    }

    /// Starts a pull that the hub draws out, and waits until part of the weights is on disk.
    fn start_slow_pull(&self) -> Child {
        self.hub.fault(&sha256(&weights()), 1, Fault::Slow(Duration::from_millis(50)));
        let child = self.command(&["pull", REPO]).spawn().unwrap();
        let start = Instant::now();
        while fs::metadata(self.partial()).map_or(0, |m| m.len()) < 50_000 {
            assert!(start.elapsed() < Duration::from_secs(20), "nothing arrives");
            std::thread::sleep(Duration::from_millis(5));
        }
        child
    }
}

fn weights() -> Vec<u8> {
    noise(2, 1_000_000)
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn pull_says_what_it_does_and_prints_the_folder() {
    let bench = Bench::new();
    let (out, err) = bench.succeed(&["pull", REPO]);
    assert_eq!(out.trim_end(), bench.snapshot().to_str().unwrap());
    expect![[r#"
        org/model at c0ffee012345: 3 files, 1.0 MB, 1.0 MB to download
        left out: .gitattributes (18 B), original/ (2 files, 2.5 kB); see --include
        Ctrl-C stops; the same command goes on where it stopped
        downloaded 1.0 MB, checked
    "#]]
    .assert_eq(&err);
    assert_eq!(fs::read(bench.snapshot().join("model.safetensors")).unwrap(), weights());
    let (_, err) = bench.succeed(&["pull", REPO]);
    assert!(err.ends_with("everything was there already\n"), "{err}");
}

#[test]
fn a_killed_pull_is_taken_up_where_it_stopped() {
    let bench = Bench::new();
    let mut child = bench.start_slow_pull();
    // SIGKILL on Unix, TerminateProcess on Windows: no time to tidy up.
    child.kill().unwrap();
    child.wait().unwrap();
    let there = fs::metadata(bench.partial()).unwrap().len();
    assert!((50_000..1_000_000).contains(&there), "{there}");
    let (list, _) = bench.succeed(&["list"]);
    assert!(list.contains("partial, without its weights"), "{list}");
    bench.hub.forget_requests();
    let (_, err) = bench.succeed(&["pull", REPO]);
    assert!(err.contains("model.safetensors: going on after "), "{err}");
    let requests = bench.hub.requests(&sha256(&weights()));
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].range_from(), Some(there));
    assert_eq!(fs::read(bench.snapshot().join("model.safetensors")).unwrap(), weights());
    assert!(!bench.partial().exists());
}

#[test]
#[cfg(unix)]
fn ctrl_c_says_how_to_go_on() {
    let bench = Bench::new();
    let child = bench.start_slow_pull();
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let (out, err) = texts(&output);
    assert_eq!(out, "");
    let expected = "\ngptoss: interrupted; the same command goes on where it stopped\n";
    assert!(err.ends_with(expected), "{err}");
    assert!(fs::metadata(bench.partial()).unwrap().len() >= 50_000);
}

#[test]
fn a_cut_connection_is_mended() {
    let bench = Bench::new();
    bench.hub.fault(&sha256(&weights()), 1, Fault::CutAfter(300_000));
    let (_, err) = bench.succeed(&["pull", REPO]);
    assert!(err.contains("was cut; next attempt in 0.1 s"), "{err}");
    let starts: Vec<_> =
        bench.hub.requests("/cdn/").iter().map(server::Request::range_from).collect();
    assert_eq!(starts, [None, Some(300_000)]);
}

#[test]
fn two_pulls_at_once_share_the_work() {
    let bench = Bench::new();
    let first = bench.start_slow_pull();
    let (out, err) = bench.succeed(&["pull", REPO]);
    let expected = "model.safetensors: another process downloads it; waiting";
    assert!(err.contains(expected), "{err}");
    let output = first.wait_with_output().unwrap();
    assert_eq!(texts(&output).0, out);
    assert_eq!(bench.hub.requests("/cdn/").len(), 1);
    assert_eq!(fs::read(bench.snapshot().join("model.safetensors")).unwrap(), weights());
}

#[test]
fn dry_run_shows_files_and_writes_nothing() {
    let bench = Bench::new();
    let (out, err) = bench.succeed(&["pull", REPO, "--dry-run", "--exclude", "LIC*"]);
    expect![[r#"
             24 B  missing         config.json
           1.0 MB  missing         model.safetensors
        org/model at c0ffee012345: 2 files, 1.0 MB, 1.0 MB to download
        left out: .gitattributes (18 B), LICENSE (11 B), original/ (2 files, 2.5 kB); see --include
    "#]]
    .assert_eq(&out);
    assert_eq!(err, "");
    assert_eq!(fs::read_dir(bench.home.path()).unwrap().count(), 0);
}

#[test]
fn offline_mode_uses_the_cache_only() {
    let bench = Bench::new();
    let offline =
        |args: &[&str]| texts(&bench.command(args).env("HF_HUB_OFFLINE", "1").output().unwrap());
    let (out, err) = offline(&["pull", REPO]);
    assert_eq!(out, "");
    assert!(err.contains("it is not in the cache, and HF_HUB_OFFLINE forbids"), "{err}");
    bench.succeed(&["pull", REPO]);
    bench.hub.forget_requests();
    let (out, _) = offline(&["pull", REPO]);
    assert_eq!(out.trim_end(), bench.snapshot().to_str().unwrap());
    assert_eq!(bench.hub.requests("").len(), 0);
}

#[test]
fn the_token_is_sent_and_never_shown() {
    let bench = Bench::new();
    fs::create_dir_all(bench.home.path().join("hf")).unwrap();
    fs::write(bench.home.path().join("hf/token"), "hf_topsecret\n").unwrap();
    let failing = [
        Fault::Status(401, "x-error-code: GatedRepo\r\n"),
        Fault::Status(403, ""),
        Fault::Status(404, ""),
        Fault::Body(b"hf_topsecret".to_vec()),
        Fault::Redirect("file:///hf_topsecret".to_owned()),
    ];
    for fault in failing {
        bench.hub.fault("/revision/", 1, fault);
        let line = bench.fail(&["pull", REPO]);
        assert!(line.starts_with("gptoss: ") && !line.contains("topsecret"), "{line}");
    }
    let (out, err) = bench.succeed(&["pull", REPO]);
    assert!(!out.contains("topsecret") && !err.contains("topsecret"));
    let asked = bench.hub.requests("");
    let header = |r: &server::Request| r.headers.get("authorization").cloned();
    let (to_hub, elsewhere): (Vec<_>, Vec<_>) =
        asked.iter().partition(|r| !r.target.starts_with("/cdn/"));
    assert_eq!((to_hub.len(), elsewhere.len()), (5 + 2 + 3, 1));
    assert!(to_hub.iter().all(|r| header(r).as_deref() == Some("Bearer hf_topsecret")));
    assert!(elsewhere.iter().all(|r| header(r).is_none()));
}

#[test]
fn errors_are_one_line_and_exit_code_2() {
    let bench = Bench::new();
    let cases: [(&[&str], &str); 6] = [
        (&["pull", "nonsense"], "gptoss: model `nonsense`: expected ORG/NAME of letters"),
        (&["pull", "org/none"], "gptoss: org/none: the hub has no such model (404)"),
        (
            &["pull", REPO, "--revision", "v9"],
            "gptoss: org/model at v9: the hub has no such revision",
        ),
        (&["pull", REPO, "--revision", "../x"], "gptoss: revision `../x`: expected names"),
        (&["pull", "org/model:Q8_0"], "gptoss: org/model: no file fits `Q8_0`; it has no GGUF"),
        (&["pull", REPO, "--name", "nano"], "gptoss: name `nano`: expected"),
    ];
    for (args, expected) in cases {
        let line = bench.fail(args);
        assert!(line.starts_with(expected), "{line}");
    }
}

#[test]
fn list_shows_the_models_of_store_and_cache() {
    let bench = Bench::new();
    let (out, _) = bench.succeed(&["list"]);
    assert_eq!(out.lines().count(), 2, "{out}");
    let nano: Vec<&str> = out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((nano[0], nano[1], *nano.last().unwrap()), ("nano", "built-in", "complete"));

    let (stored, _) = bench.succeed(&["pull", REPO, "--name", "mine"]);
    let expected = bench.home.path().join("gptoss/models/mine");
    assert_eq!(stored.trim_end(), expected.to_str().unwrap());
    let (out, _) = bench.succeed(&["list"]);
    let words = |n: usize| out.lines().nth(n).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(words(0), ["NAME", "REVISION", "FILES", "SIZE", "MODIFIED", "STATE"]);
    assert_eq!(words(2)[..5], ["mine", "store", "3", "1.0", "MB"]);
    assert_eq!(words(3)[..6], [REPO, "main", "c0ffee012345", "3", "1.0", "MB"]);

    let (json, _) = bench.succeed(&["list", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    let cached = &rows[2];
    assert_eq!(cached["name"], REPO);
    assert_eq!(cached["source"], "cache");
    assert_eq!(cached["commit"], COMMIT);
    assert_eq!(cached["references"], serde_json::json!(["main"]));
    assert_eq!(cached["model_type"], "gpt_oss");
    assert_eq!(cached["bytes"], 1_000_000 + 24 + 11);
    assert_eq!(cached["complete"], true);
    assert_eq!(cached["modified"].as_str().unwrap().len(), "2026-01-31T12:00:00Z".len());
}

#[test]
fn rm_deletes_after_a_yes_only() {
    let bench = Bench::new();
    bench.succeed(&["pull", REPO, "--name", "mine"]);
    let line = bench.fail(&["rm", REPO]);
    assert_eq!(line, "gptoss: org/model: deleting needs --yes where nobody can be asked");
    let line = bench.fail(&["rm", "org/modell", "--yes"]);
    let expected = "gptoss: org/modell: no such model on this machine; did you mean org/model?";
    assert_eq!(line, expected);
    let line = bench.fail(&["rm", "nano", "--yes"]);
    assert_eq!(line, "gptoss: nano is part of this program and cannot be deleted");
    assert!(bench.snapshot().join("model.safetensors").exists());

    let (out, _) = bench.succeed(&["rm", "mine", "--yes"]);
    assert_eq!(out, "deleted the name mine; its files stay in the cache\n");
    let (out, _) = bench.succeed(&["rm", REPO, "--yes"]);
    assert_eq!(out, "deleted org/model, freed 1000075 bytes (1.0 MB)\n");
    assert!(!bench.folder().exists());
    assert_eq!(bench.succeed(&["list"]).0.lines().count(), 2);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let bench = Bench::new();
    let mut child = bench.command(&["list", "--json"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(texts(&output).1, "");
    assert!(output.status.success());
}
