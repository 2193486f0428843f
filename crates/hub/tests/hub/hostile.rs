//! Hubs that lie.

use gptoss_hub::HubError;

use crate::server::{COMMIT, Fault, noise, sha256};
use crate::{Bench, REPO, names_in, request, token, weights};

/// Everything below a folder that is a file or a link.
fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for name in names_in(folder) {
        let path = folder.join(name);
        match std::fs::symlink_metadata(&path).unwrap().is_dir() {
            true => found.extend(files_below(&path)),
            false => found.push(path),
        }
    }
    found
}

#[test]
fn names_that_leave_the_cache_are_refused() {
    let hostile = [
        "../../../evil.safetensors",
        "/evil.safetensors",
        "a/../../evil.safetensors",
        "..\\evil.safetensors",
        "C:\\evil.safetensors",
        "a//evil.safetensors",
        "evil\0.safetensors",
        "evil\u{1b}[2J.safetensors",
        "./evil.safetensors",
        "nul.safetensors",
        "C:evil.safetensors",
        "COM1.safetensors",
        "evil.safetensors:stream.safetensors",
    ];
    for name in hostile {
        let bench = Bench::new();
        bench.hub.add_lfs(REPO, name, b"evil");
        let error = bench.pull().unwrap_err();
        assert!(matches!(error, HubError::Name { .. }), "{name:?}: {error}");
        let message = error.to_string();
        assert!(message.starts_with("file name in the listing `"), "{message}");
        assert!(!message.chars().any(char::is_control), "{message:?}");
        assert_eq!(files_below(bench.folder.path()), [""; 0].map(std::path::PathBuf::from));
    }
}

#[test]
fn devices_that_nobody_asked_for_do_no_harm() {
    let bench = Bench::new();
    bench.hub.add(REPO, "docs/aux.md", b"about the auxiliary losses");
    bench.pull().unwrap();
}

#[test]
fn bad_listings_are_refused() {
    let entry = |oid: &str, lfs: &str| {
        format!(r#"[{{"type":"file","path":"config.json","size":1,"oid":"{oid}"{lfs}}}]"#)
    };
    let sha1 = "0".repeat(40);
    let twice = format!("[{0},{0}]", entry(&sha1, "").trim_matches(['[', ']']));
    let cases = [
        ("/tree/", "not json".to_owned(), "expected a list in JSON"),
        ("/tree/", "[".repeat(100_000), "expected a list in JSON"),
        ("/tree/", r#"{"error":"x"}"#.to_owned(), "expected a list in JSON"),
        ("/tree/", r#"[{"type":"file","path":"a","size":-1}]"#.to_owned(), "expected a list"),
        ("/tree/", entry("../../x", ""), "expected a checksum"),
        ("/tree/", entry(&sha1, r#","lfs":{"oid":"sha256:xyz","size":3}"#), "expected a checksum"),
        ("/tree/", twice, "listed twice"),
        ("/revision/", r#"{"sha":"../../../x"}"#.to_owned(), "expected a commit"),
        ("/revision/", r#"{"id":"x"}"#.to_owned(), "expected a list in JSON"),
    ];
    for (part, body, expected) in cases {
        let bench = Bench::new();
        bench.hub.fault(part, 1, Fault::Body(body.into_bytes()));
        let message = bench.pull().unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains('\n') && message.len() < 400, "{message}");
        assert!(!bench.settings.cache.exists());
    }
}

#[test]
fn sizes_beyond_all_disks_are_refused() {
    let bench = Bench::new();
    bench.hub.add_lying(REPO, "model.safetensors", &weights(), u64::MAX);
    let error = bench.pull().unwrap_err().to_string();
    assert!(error.contains("more than 2^64 bytes"), "{error}");
}

#[test]
fn endless_answers_end() {
    let bench = Bench::new();
    bench.hub.fault("/tree/", 1, Fault::Endless);
    let error = bench.pull().unwrap_err().to_string();
    assert!(error.contains("at most 16777216 bytes, found more"), "{error}");
    bench.hub.fault(&sha256(&weights()), 1, Fault::Endless);
    let error = bench.pull().unwrap_err().to_string();
    assert!(error.contains("model.safetensors: expected 300000 bytes, found more"), "{error}");
    let left = bench.names("blobs");
    assert!(!left.iter().any(|name| name.ends_with(".incomplete")), "{left:?}");
}

#[test]
fn endless_pages_end() {
    let bench = Bench::new();
    let next = format!("{}/api/models/org/model/tree/{COMMIT}", bench.hub.endpoint());
    let page =
        format!("HTTP/1.1 200 OK\r\nlink: <{next}>; rel=\"next\"\r\ncontent-length: 2\r\n\r\n[]");
    bench.hub.fault("/tree/", usize::MAX, Fault::Raw(page.into_bytes()));
    let error = bench.pull().unwrap_err().to_string();
    assert!(error.contains("found more"), "{error}");
    assert_eq!(bench.hub.requests("/tree/").len(), 1000);
}

#[test]
fn redirects_end_and_stay_on_the_web() {
    let cases = [
        ("/api/models/org/model/revision/main", "at most 10 redirects"),
        ("file:///etc/passwd", "expected a redirect to an http(s) address"),
        ("ftp://127.0.0.1/", "expected a redirect to an http(s) address"),
        ("http://user:word@127.0.0.1/", "expected a redirect to an http(s) address"),
    ];
    for (to, expected) in cases {
        let bench = Bench::new();
        bench.hub.fault("/revision/", 100, Fault::Redirect(to.to_owned()));
        let error = bench.pull().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn headers_of_any_size_and_answers_of_any_kind_are_errors() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    for raw in [long.into_bytes(), b"SSH-2.0-OpenSSH\r\n".to_vec(), noise(9, 5000), Vec::new()] {
        let bench = Bench::new();
        bench.hub.fault("/revision/", 100, Fault::Raw(raw));
        let error = bench.pull().unwrap_err().to_string();
        assert!(!error.chars().any(char::is_control), "{error:?}");
    }
}

#[test]
fn secrets_are_in_no_message() {
    let faults = [
        ("/cdn/", Fault::Status(500, "")),
        ("/cdn/", Fault::CutAfter(0)),
        ("/cdn/", Fault::Corrupt),
        ("/cdn/", Fault::Redirect("file:///x?signature=s3cret".into())),
        ("/resolve/", Fault::Status(403, "x-error-message: Bearer hf_topsecret\r\n")),
        ("/resolve/", Fault::Redirect("http://127.0.0.1:1/x?signature=s3cret".into())),
    ];
    for (part, fault) in faults {
        let mut bench = Bench::new();
        bench.settings.token = Some(token());
        bench.hub.fault(part, 100, fault.clone());
        let error = bench.client().pull(&request(), &mut ()).unwrap_err();
        let shown = format!("{error} {error:?} {:?}", bench.client());
        assert!(!shown.contains("topsecret") && !shown.contains("s3cret"), "{fault:?}: {shown}");
    }
}
