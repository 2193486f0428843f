//! `gptoss bench` and `gptoss doctor` as a user meets them: tables, JSON, CSV, errors in one line.

#[allow(dead_code)] // Only some of the tests need a reasoning model.
mod program;

use program::{command, gptoss_with_input};
use serde_json::Value;

/// Small enough for a test; on nano.
const TINY: [&str; 9] = [
    "bench",
    "--prefill=3,5",
    "--decode=2",
    "--depth=0,4",
    "--batch=2,1",
    "--repetitions=2",
    "--threads=1",
    "--isa=portable",
    "--precision=exact",
];

/// The tests of [`TINY`]: kind, n, depth, batch.
const TESTS: [(&str, u64, u64, u64); 5] = [
    ("prefill", 3, 0, 1),
    ("prefill", 5, 0, 1),
    ("decode", 2, 0, 1),
    ("decode", 2, 4, 1),
    ("decode", 2, 0, 2),
];

fn gptoss(arguments: &[&str]) -> program::Output {
    gptoss_with_input(arguments, "")
}

/// Fails if `value` is no positive number.
fn positive(value: &Value, what: &str) {
    assert!(value.as_f64().is_some_and(|x| x > 0.0), "{what}: {value}");
}

#[test]
fn json_has_every_test_and_the_limits() {
    let text = gptoss(&[&TINY[..], &["--json"]].concat()).success();
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["model"], "nano");
    assert_eq!(found["threads"], 1);
    assert_eq!(found["isa"], "portable");
    assert_eq!(found["precision"], "exact");
    assert_eq!(found["parameters"], 16_065_920);
    assert_eq!(found["formats"], "MXFP4 experts, BF16 attention");
    let limits = &found["limits"]["all_threads"];
    for rate in ["read_bytes", "int8_operations", "f32_operations"] {
        positive(&limits[format!("{rate}_per_second")]["best"], rate);
    }
    let tests = found["tests"].as_array().unwrap();
    assert_eq!(tests.len(), TESTS.len());
    for (row, (test, n, depth, batch)) in tests.iter().zip(TESTS) {
        assert_eq!((&row["test"], &row["n"]), (&Value::from(test), &Value::from(n)));
        assert_eq!((&row["depth"], &row["batch"]), (&Value::from(depth), &Value::from(batch)));
        assert_eq!(row["repetitions"], 2);
        for number in ["median", "min", "max", "limit", "share"] {
            positive(&row[number], number);
        }
        assert!(row["min"].as_f64() <= row["median"].as_f64());
        assert!(row["median"].as_f64() <= row["max"].as_f64());
    }
}

#[test]
fn a_file_has_csv_and_the_terminal_the_table() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("speed.csv");
    let output = command(home.path()).args(TINY).arg("--output").arg(&file).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(table.contains("decode 2 × 2") && table.contains("decode 2 at 4"), "{table}");
    assert!(table.lines().skip(1).all(|line| line.chars().count() <= 80), "{table}");
    let csv = std::fs::read_to_string(&file).unwrap();
    let columns = "date,commit,version,model,bytes,threads,isa,precision,test,n,depth,batch,\
                   repetitions,median,min,max,limit,share";
    assert_eq!(csv.lines().next(), Some(format!("machine,{columns}").as_str()));
    assert_eq!(csv.lines().count(), 1 + TESTS.len());
    for (line, (test, n, depth, batch)) in csv.lines().skip(1).zip(TESTS) {
        // The processor's name may have commas.
        let fields: Vec<&str> = line.rsplitn(19, ',').collect();
        assert_eq!(fields.len(), 19, "{line}");
        let field = |name: &str| {
            let from_end = columns.split(',').rev().position(|column| column == name).unwrap();
            fields[from_end]
        };
        assert_eq!(field("test"), test, "{line}");
        let number = |name: &str| field(name).parse::<f64>().unwrap();
        assert_eq!(
            [number("n"), number("depth"), number("batch")],
            [n, depth, batch].map(|x| x as f64)
        );
        for name in ["bytes", "median", "min", "max", "limit", "share"] {
            assert!(number(name) > 0.0, "{name}: {line}");
        }
    }
    // Nothing but the file is left behind.
    let names: Vec<_> = std::fs::read_dir(home.path()).unwrap().flatten().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn the_table_of_llama_bench_has_a_line_for_each_test() {
    let table = gptoss(&[&TINY[..], &["--vs", "llama-bench"]].concat()).success();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2 + TESTS.len());
    for (line, name) in lines[2..].iter().zip(["pp3", "pp5", "tg2", "tg2 @ d4", "tg2 b2"]) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!((cells.len(), cells[0], cells[5]), (7, "nano", name), "{line}");
        let (mean, deviation) = cells[6].split_once(" ± ").unwrap();
        assert!(mean.parse::<f64>().unwrap() > 0.0 && deviation.parse::<f64>().unwrap() >= 0.0);
    }
}

#[test]
fn what_cannot_be_measured_is_said_in_one_line() {
    let home = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (&["bench", "--depth", "5000"][..], "at most 1024 tokens of context, found 5128"),
        (&["bench", "--prefill", "0", "--decode", "0"], "nothing to measure"),
        (&["bench", "--output", "speed"], "speed: expected a name that ends in .json or .csv"),
        (&["bench", "no-such-model"], "no model `no-such-model`"),
        (&["doctor", "no-such-model"], "no model `no-such-model`"),
    ] {
        let output = command(home.path()).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(text.contains(words) && text.lines().count() == 1, "{words}: {text}");
    }
    for (arguments, words) in [
        (&["bench", "--prefill", "x"][..], "invalid value 'x' for '--prefill"),
        (&["bench", "--batch", "0"], "0 is not in 1..=1024"),
        (&["bench", "--threads", "0"], "expected 1 to 256, found `0`"),
        (&["bench", "--isa", "sse9"], "found `sse9`"),
        (&["bench", "--vs", "other"], "possible values: llama-bench"),
        (&["doctor", "--isa", "sse9"], "found `sse9`"),
    ] {
        let output = command(home.path()).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn the_doctor_s_json_has_its_fields() {
    let text = gptoss(&["doctor", "nano", "--threads", "2", "--json"]).success();
    let found: Value = serde_json::from_str(&text).unwrap();
    for field in [
        "version",
        "processor",
        "instructions",
        "isa",
        "isa_chosen",
        "processors",
        "cores",
        "affinity",
        "cpu_quota",
        "threads",
        "threads_available",
        "memory",
        "swap",
        "huge_pages",
        "governor",
        "store",
        "limits",
        "models",
        "advice",
    ] {
        assert!(found.get(field).is_some(), "{field} is missing: {text}");
    }
    assert_eq!(found["threads"], 2);
    assert_eq!(found["limits"]["all_threads"]["threads"], 2);
    for threads in ["one_thread", "all_threads"] {
        for rate in ["read_bytes", "int8_operations", "f32_operations"] {
            positive(&found["limits"][threads][format!("{rate}_per_second")]["best"], rate);
        }
    }
    let models = found["models"]["list"].as_array().unwrap();
    let names: Vec<&str> = models.iter().map(|model| model["name"].as_str().unwrap()).collect();
    // The model that was asked for comes first.
    let gpt_oss = ["nano", "gpt-oss-120b", "gpt-oss-20b", "gpt-oss-3.6b", "gpt-oss-1b"];
    let dense = ["llama-3-8b", "mistral-7b", "deepseek-coder-6.7b", "smollm2-135m", "nano"];
    let expected = [gpt_oss, dense].concat();
    assert_eq!(names, expected);
    for model in models {
        positive(&model["decode_tokens_per_second"], "decode");
        positive(&model["prefill_tokens_per_second"], "prefill");
    }
    assert!(found["advice"].is_array());
}

#[test]
fn the_doctor_s_text_fits_into_80_columns() {
    let home = tempfile::tempdir().unwrap();
    let output = command(home.path())
        .args(["doctor", "--isa", "portable"])
        .env("HF_HOME", "hub")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    for label in ["Processor", "Code for", "Cores", "Memory", "At most", "read memory", "Model"] {
        assert!(text.lines().any(|line| line.trim_start().starts_with(label)), "{label}: {text}");
    }
    assert!(text.contains("portable (as chosen)"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}
