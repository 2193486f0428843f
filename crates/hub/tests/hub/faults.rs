//! Downloads in which the network or the server fails.

use std::fs;
use std::time::{Duration, Instant};

use gptoss_hub::HubError;

use crate::server::{Fault, sha256};
use crate::{Bench, Notes, REPO, request, token, weights};

/// Where ranges began, in the order of the requests for the weights.
fn starts(bench: &Bench) -> Vec<u64> {
    let requests = bench.hub.requests(&sha256(&weights()));
    requests.iter().map(|r| r.range_from().unwrap_or(0)).collect()
}

fn partial(bench: &Bench) -> std::path::PathBuf {
    bench.repo_folder().join("blobs").join(format!("{}.incomplete", sha256(&weights())))
}

fn assert_whole(bench: &Bench) {
    let blob = bench.repo_folder().join("blobs").join(sha256(&weights()));
    assert_eq!(fs::read(blob).unwrap(), weights());
    assert!(!partial(bench).exists());
}

#[test]
fn a_cut_connection_is_taken_up_where_it_broke() {
    let bench = Bench::new();
    let name = sha256(&weights());
    bench.hub.fault(&name, 1, Fault::CutAfter(100_000));
    bench.hub.fault(&name, 1, Fault::CutAfter(50_000));
    let mut notes = Notes::default();
    let pulled = bench.client().pull(&request(), &mut notes).unwrap();
    assert_eq!(starts(&bench), [0, 100_000, 150_000]);
    assert_eq!(pulled.received_bytes, 305_034, "no byte came twice");
    assert_eq!(notes.0.iter().filter(|n| n.starts_with("Retrying")).count(), 2, "{:?}", notes.0);
    assert_whole(&bench);
}

#[test]
fn progress_between_cuts_resets_the_patience() {
    let bench = Bench::new();
    // More cuts than attempts, but each brings something.
    bench.hub.fault(&sha256(&weights()), 8, Fault::CutAfter(20_000));
    bench.pull().unwrap();
    assert_eq!(starts(&bench), (0..9).map(|i| i * 20_000).collect::<Vec<_>>());
    assert_whole(&bench);
}

#[test]
fn a_later_pull_goes_on_with_what_an_earlier_one_left() {
    let bench = Bench::new();
    bench.hub.fault(&sha256(&weights()), 1, Fault::CutAfter(100_000));
    // The cut that brought something is the first of four attempts.
    bench.hub.fault(&sha256(&weights()), 3, Fault::CutAfter(0));
    let error = bench.pull().unwrap_err();
    assert!(matches!(error, HubError::GaveUp { .. }), "{error}");
    assert_eq!(fs::metadata(partial(&bench)).unwrap().len(), 100_000);
    assert!(!bench.repo_folder().join("refs/main").exists(), "main is not whole yet");
    bench.hub.forget_requests();
    let plan = bench.client().plan(&request(), &mut ()).unwrap();
    assert_eq!(plan.missing_bytes, 200_000);
    bench.pull().unwrap();
    assert_eq!(starts(&bench), [100_000]);
    assert_whole(&bench);
}

#[test]
fn a_partial_file_of_the_whole_length_needs_no_request() {
    let bench = Bench::new();
    fs::create_dir_all(bench.repo_folder().join("blobs")).unwrap();
    fs::write(partial(&bench), weights()).unwrap();
    bench.pull().unwrap();
    assert_eq!(starts(&bench), [0; 0]);
    assert_whole(&bench);
}

#[test]
fn a_damaged_partial_file_is_found_out() {
    let bench = Bench::new();
    fs::create_dir_all(bench.repo_folder().join("blobs")).unwrap();
    fs::write(partial(&bench), vec![0; 1000]).unwrap();
    let error = bench.pull().unwrap_err().to_string();
    assert!(error.contains("model.safetensors: expected sha256"), "{error}");
    assert!(error.ends_with("the partial file was deleted"), "{error}");
    assert!(!partial(&bench).exists());
    bench.pull().unwrap();
    assert_whole(&bench);
}

#[test]
fn a_partial_file_that_is_too_long_begins_again() {
    let bench = Bench::new();
    fs::create_dir_all(bench.repo_folder().join("blobs")).unwrap();
    fs::write(partial(&bench), vec![0; 300_001]).unwrap();
    bench.pull().unwrap();
    assert_eq!(starts(&bench), [0]);
    assert_whole(&bench);
}

#[test]
fn a_server_without_ranges_starts_over() {
    let bench = Bench::new();
    let name = sha256(&weights());
    bench.hub.fault(&name, 1, Fault::CutAfter(100_000));
    bench.hub.fault(&name, 1, Fault::IgnoreRange);
    let mut notes = Notes::default();
    let pulled = bench.client().pull(&request(), &mut notes).unwrap();
    assert_eq!(pulled.received_bytes, 405_034);
    let restarted = notes.0.iter().any(|n| n.starts_with("Restarted") && n.contains("100000"));
    assert!(restarted, "{:?}", notes.0);
    assert_whole(&bench);
}

#[test]
fn a_range_that_is_refused_starts_over() {
    let bench = Bench::new();
    let name = sha256(&weights());
    bench.hub.fault(&name, 1, Fault::CutAfter(100_000));
    bench.hub.fault(&name, 1, Fault::Status(416, "content-range: bytes */300000\r\n"));
    bench.pull().unwrap();
    assert_eq!(starts(&bench), [0, 100_000, 0]);
    assert_whole(&bench);
}

#[test]
fn a_part_that_was_not_asked_for_starts_over() {
    let bench = Bench::new();
    let name = sha256(&weights());
    bench.hub.fault(&name, 1, Fault::CutAfter(100_000));
    let other = b"HTTP/1.1 206 X\r\ncontent-range: bytes 5-9/300000\r\n\
                  content-length: 5\r\n\r\nabcde";
    bench.hub.fault(&name, 1, Fault::Raw(other.to_vec()));
    bench.pull().unwrap();
    assert_eq!(starts(&bench), [0, 100_000, 0]);
    assert_whole(&bench);
}

#[test]
fn another_etag_starts_over() {
    let bench = Bench::new();
    let readme = vec![b'x'; 50_000];
    bench.hub.add(REPO, "README.md", &readme);
    bench.hub.fault("README.md", 1, Fault::CutAfter(10_000));
    bench.hub.fault("README.md", 1, Fault::Etag("another"));
    bench.pull().unwrap();
    let asked: Vec<_> = bench.hub.requests("README.md").iter().map(|r| r.range_from()).collect();
    assert_eq!(asked, [None, Some(10_000), None]);
}

#[test]
fn wrong_content_is_refused_and_deleted() {
    let bench = Bench::new();
    bench.hub.fault(&sha256(&weights()), 1, Fault::Corrupt);
    let error = bench.pull().unwrap_err().to_string();
    let expected = format!("org/model: model.safetensors: expected sha256 {}", sha256(&weights()));
    assert!(error.starts_with(&expected), "{error}");
    assert!(!partial(&bench).exists());
    assert!(!bench.names("blobs").contains(&sha256(&weights())));
    bench.hub.fault("README.md", 1, Fault::Corrupt);
    fs::remove_dir_all(bench.repo_folder()).unwrap();
    let error = bench.pull().unwrap_err().to_string();
    assert!(error.contains("README.md: expected git sha1"), "{error}");
}

#[test]
fn another_length_than_listed_is_refused() {
    for (listed, found) in [(299_999, "300000"), (300_001, "300000")] {
        let bench = Bench::new();
        bench.hub.add_lying(REPO, "model.safetensors", &weights(), listed);
        let error = bench.pull().unwrap_err().to_string();
        let expected = format!("model.safetensors: expected {listed} bytes, found {found}");
        assert!(error.contains(&expected), "{error}");
        assert!(!partial(&bench).exists());
        assert_eq!(starts(&bench).len(), 1, "another attempt would end the same");
    }
}

#[test]
fn passing_failures_are_tried_again() {
    for status in [429, 500, 502, 503, 408] {
        let bench = Bench::new();
        bench.hub.fault("/revision/", 2, Fault::Status(status, ""));
        bench.hub.fault("/resolve/", 1, Fault::Status(status, ""));
        bench.hub.fault("/cdn/", 1, Fault::Status(status, "retry-after: 0\r\n"));
        bench.pull().unwrap_or_else(|error| panic!("{status}: {error}"));
        assert_eq!(bench.hub.requests("/revision/").len(), 3);
        assert_whole(&bench);
    }
}

#[test]
fn attempts_are_bounded() {
    let bench = Bench::new();
    bench.hub.fault("/resolve/", 100, Fault::Status(500, ""));
    let error = bench.pull().unwrap_err().to_string();
    assert_eq!(bench.hub.requests("/resolve/").len(), 4);
    let host = bench.hub.endpoint().replace("http://", "");
    let expected = format!(
        "org/model: README.md: {host} answered 500 (gave up after 4 attempts; run it again to go \
         on)"
    );
    assert_eq!(error, expected);
}

#[test]
fn a_server_that_starts_over_and_breaks_off_is_given_up() {
    let bench = Bench::new();
    let name = sha256(&weights());
    bench.hub.fault(&name, 1, Fault::CutAfter(100_000));
    let mut whole = b"HTTP/1.1 200 X\r\ncontent-length: 300000\r\n\r\n".to_vec();
    whole.extend(&weights()[..50_000]);
    bench.hub.fault(&name, 100, Fault::Raw(whole));
    let error = bench.pull().unwrap_err();
    assert!(matches!(error, HubError::GaveUp { attempts: 4, .. }), "{error}");
    assert!(starts(&bench).len() <= 6, "{:?}", starts(&bench));
}

#[test]
fn retry_after_is_honoured_within_reason() {
    let bench = Bench::new();
    bench.hub.fault("/revision/", 1, Fault::Status(429, "retry-after: 1\r\n"));
    let start = Instant::now();
    bench.pull().unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    bench.hub.fault("/revision/", 1, Fault::Status(429, "retry-after: 86400\r\n"));
    let error = bench.pull().unwrap_err().to_string();
    assert!(error.contains("asks to wait 86400 seconds"), "{error}");
}

#[test]
fn refusals_say_what_to_do() {
    let mut bench = Bench::new();
    let say = |bench: &Bench, status, headers| {
        bench.hub.forget_requests();
        bench.hub.fault("/revision/", 1, Fault::Status(status, headers));
        let error = bench.pull().unwrap_err().to_string();
        assert_eq!(bench.hub.requests("").len(), 1, "{status} is not tried again");
        error
    };
    let gated = say(&bench, 401, "x-error-code: GatedRepo\r\n");
    assert!(
        gated.contains(&format!("ask for it at {}/org/model", bench.hub.endpoint())),
        "{gated}"
    );
    assert!(gated.contains("HF_TOKEN"), "{gated}");
    let gated = say(&bench, 403, "x-error-code: GatedRepo\r\n");
    assert!(gated.contains("on request only"), "{gated}");
    let stranger = say(&bench, 401, "");
    assert!(stranger.contains("check the name, or set HF_TOKEN (401)"), "{stranger}");
    let forbidden = say(&bench, 403, "");
    assert!(forbidden.contains("refuses access"), "{forbidden}");
    let revision = say(&bench, 404, "x-error-code: RevisionNotFound\r\n");
    assert_eq!(revision, "org/model at main: the hub has no such revision");
    let model = say(&bench, 404, "");
    assert_eq!(model, "org/model: the hub has no such model (404)");
    bench.settings.token = Some(token());
    let known = say(&bench, 401, "");
    assert!(known.contains("token in use is not valid"), "{known}");
    assert!(!known.contains("topsecret"), "{known}");
}

#[test]
fn a_file_that_is_gone_is_named() {
    let bench = Bench::new();
    let headers = "x-error-code: EntryNotFound\r\n";
    bench.hub.fault("/resolve/", 1, Fault::Status(404, headers));
    let error = bench.pull().unwrap_err().to_string();
    assert_eq!(error, "org/model: README.md: the hub has no such file at this revision");
}

#[test]
fn an_expired_address_of_the_file_server_is_renewed() {
    let bench = Bench::new();
    bench.hub.fault("/cdn/", 1, Fault::Status(403, ""));
    bench.pull().unwrap();
    assert_whole(&bench);
}

#[test]
fn a_silent_server_is_left_after_a_while() {
    let mut bench = Bench::new();
    bench.settings.patience.silence = Duration::from_millis(60);
    bench.hub.fault(&sha256(&weights()), 1, Fault::StallAfter(100_000));
    bench.pull().unwrap();
    assert_eq!(starts(&bench), [0, 100_000]);
    assert_whole(&bench);
}

#[test]
fn a_slow_server_is_waited_for() {
    let mut bench = Bench::new();
    // The whole body takes longer than the longest silence.
    bench.settings.patience.silence = Duration::from_millis(100);
    bench.hub.fault(&sha256(&weights()), 1, Fault::Slow(Duration::from_millis(15)));
    let start = Instant::now();
    bench.pull().unwrap();
    assert!(start.elapsed() > Duration::from_millis(200), "{:?}", start.elapsed());
    assert_eq!(starts(&bench), [0], "one request was enough");
    assert_whole(&bench);
}

#[test]
fn no_network_is_said_at_once() {
    let mut bench = Bench::new();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // No name has a part of more than 63 letters: it is refused without asking the network.
    let nowhere = format!("{}.test", "x".repeat(64));
    for host in [format!("127.0.0.1:{port}"), nowhere] {
        bench.settings.endpoint = format!("http://{host}");
        let mut notes = Notes::default();
        let error = bench.client().pull(&request(), &mut notes).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot reach {host}: ")), "{error}");
        assert_eq!(notes.0, [""; 0], "not tried again");
    }
}

#[test]
fn a_full_disk_is_said_before_the_download() {
    let bench = Bench::new();
    bench.hub.add_lying(REPO, "model.safetensors", &weights(), 1 << 60);
    let error = bench.pull().unwrap_err();
    match &error {
        HubError::DiskFull { needed, free, .. } => {
            assert_eq!(*needed, (1 << 60) + 5_034);
            assert!(*free > 0 && free < needed);
        }
        other => panic!("{other}"),
    }
    assert_eq!(bench.hub.requests("/resolve/").len(), 0);
}

/// Appends to the partial file behind the client's back, as where locks do not work.
struct OtherWriter(std::path::PathBuf);

impl gptoss_hub::Progress for OtherWriter {
    fn event(&mut self, event: gptoss_hub::Event<'_>) {
        use std::io::Write as _;
        let is_body = matches!(event, gptoss_hub::Event::Received { .. });
        if let (true, Ok(mut file)) = (is_body, fs::OpenOptions::new().append(true).open(&self.0)) {
            file.write_all(b"x").unwrap();
        }
    }
}

#[test]
fn a_second_writer_is_found_out() {
    let bench = Bench::new();
    let mut writer = OtherWriter(partial(&bench));
    let error = bench.client().pull(&request(), &mut writer).unwrap_err().to_string();
    assert!(error.contains("model.safetensors: expected 300000 bytes, found 3000"), "{error}");
    assert!(!partial(&bench).exists());
    bench.pull().unwrap();
    assert_whole(&bench);
}
