//! Documents of a data set, in pages of rows.

use serde_json::{Value, json};

use gptoss_hub::{HubError, RepoId, RowsRequest};

use crate::Bench;
use crate::server::Fault;

const TOTAL: usize = 230;

fn request() -> RowsRequest {
    let repo = RepoId::parse("org/set").unwrap();
    RowsRequest { repo, config: "ARC Easy".into(), split: "test".into() }
}

fn page(from: usize, len: usize) -> Value {
    let row =
        |i: usize| json!({ "row_idx": i, "row": { "z": i, "a": "é" }, "truncated_cells": [] });
    let rows: Vec<Value> = (from..from + len).map(row).collect();
    json!({ "features": [], "rows": rows, "num_rows_total": TOTAL, "partial": false })
}

fn answer(bench: &Bench, from: usize, body: &Value) {
    let part = format!("&offset={from}&");
    bench.hub.fault(&part, 1, Fault::Body(body.to_string().into_bytes()));
}

#[test]
fn all_rows_come_in_order() {
    let bench = Bench::empty();
    bench.hub.fault("&offset=100&", 1, Fault::Status(503, ""));
    for (from, len) in [(0, 100), (100, 100), (200, 30)] {
        answer(&bench, from, &page(from, len));
    }
    let rows = bench.client().rows(&request(), &mut ()).unwrap();
    assert_eq!(rows.len(), TOTAL);
    assert!(rows.iter().enumerate().all(|(i, row)| row["z"] == i));
    let fields: Vec<&String> = rows[7].keys().collect();
    assert_eq!(fields, ["z", "a"], "the order of fields is kept");
    let asked = bench.hub.requests("/rows?");
    let expected = "/rows?dataset=org%2Fset&config=ARC%20Easy&split=test&offset=0&length=100";
    assert_eq!(asked[0].target, expected);
}

#[test]
fn what_is_not_whole_is_refused() {
    let mut shortened = page(0, 100);
    shortened["rows"][3]["truncated_cells"] = json!(["a"]);
    let mut partial = page(0, 100);
    partial["partial"] = json!(true);
    let mut many = page(0, 100);
    many["num_rows_total"] = json!(10_000_000);
    for (body, message) in [
        (shortened, "row 3: `a` is shortened"),
        (partial, "only a part"),
        (many, "at most"),
        (page(1, 99), "expected row 0, found 1"),
        (page(0, 0), "expected 230 rows, found 0"),
    ] {
        let bench = Bench::empty();
        answer(&bench, 0, &body);
        let error = bench.client().rows(&request(), &mut ()).unwrap_err();
        assert!(matches!(error, HubError::BadAnswer { .. }), "{error}");
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.to_string().starts_with("org/set: ARC Easy/test: "), "{error}");
    }
    let bench = Bench::empty();
    let error = bench.client().rows(&request(), &mut ()).unwrap_err();
    assert!(matches!(error, HubError::NotFound { .. }), "{error}");
    assert!(error.to_string().contains("no such data set"), "{error}");
}
