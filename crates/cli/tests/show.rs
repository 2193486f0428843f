//! `gptoss show` as a user meets it: text, JSON, and errors in one line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use expect_test::expect;
use serde_json::{Value, json};

/// Runs the program with an empty cache and store in `home`.
fn gptoss(home: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gptoss"));
    for variable in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "GPTOSS_MODEL"] {
        command.env_remove(variable);
    }
    command.env("HF_HOME", home.join("hf")).env("GPTOSS_HOME", home.join("store"));
    command.args(words).output().unwrap()
}

/// What a successful `show` prints.
fn show(words: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let output = gptoss(home.path(), &[&["show"], words].concat());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/models").join(name)
}

#[test]
fn the_built_in_model_is_shown_by_default() {
    expect![[r#"
        Model          nano
        Source         part of this program
        Architecture   gpt-oss
        Layers         8 (4 with a window of 128, 4 full)
        Width          256 hidden, 256 in each expert
        Heads          8 query, 2 key and value, 32 wide
        Experts        8 in each layer, 2 a token
        Vocabulary     4,096
        Context        1,024 tokens
        RoPE           theta 10000, not stretched
        SwiGLU limit   7
        RMSNorm eps    1e-5
        Parameters     16.1 M (16,065,920)
          active       5.5 M a token (5,543,296)
        Files          13.0 MiB in 1 file, Hugging Face's layout
          embedding    BF16     2.0 MiB
          attention    BF16     2.5 MiB
          router       BF16    32.0 KiB
          experts      MXFP4    6.4 MiB
          unembedding  BF16     2.0 MiB
          vectors      BF16   114.8 KiB
        Tokenizer      tokenizer.json
        Stop tokens    2, 1, 8
    "#]]
    .assert_eq(&show(&[]).split_inclusive('\n').take(23).collect::<String>());
}

#[test]
fn presets_are_shown_without_weights() {
    expect![[r#"
        Model          gpt-oss-20b
        Source         preset without weights: published by OpenAI
        Architecture   gpt-oss
        Layers         24 (12 with a window of 128, 12 full)
        Width          2880 hidden, 2880 in each expert
        Heads          64 query, 8 key and value, 64 wide
        Experts        32 in each layer, 4 a token
        Vocabulary     201,088
        Context        131,072 tokens
        RoPE           theta 150000, YaRN ×32 of 4,096, beta 32 to 1, range not rounded
        SwiGLU limit   7
        RMSNorm eps    1e-5
        Parameters     20.9 B (20,914,757,184)
          active       3.6 B a token (3,608,307,264)
        Weights        12.8 GiB with MXFP4 experts and BF16 elsewhere
        Memory         15.8 GiB at 131,072 tokens of context (weights 12.8 GiB, KV cache 3.0 GiB)
    "#]]
    .assert_eq(&show(&["gpt-oss-20b", "--context", "131072"]));
}

#[test]
fn json_has_every_number() {
    let path = testdata("t64/model.gguf");
    let shown: Value =
        serde_json::from_str(&show(&[path.to_str().unwrap(), "--json", "--tensors"])).unwrap();
    assert_eq!(shown["architecture"], "gpt-oss");
    assert_eq!(shown["layout"], "gguf");
    assert_eq!(shown["source"]["kind"], "path");
    assert_eq!(shown["config"]["num_local_experts"], 8);
    assert_eq!(shown["config"]["layer_types"].as_array().unwrap().len(), 4);
    assert_eq!(shown["config"]["rope_scaling"]["factor"], 8.0);
    assert_eq!(shown["parameters"], json!({ "total": 550_528, "active": 318_080 }));
    assert_eq!(shown["memory"]["context"], 512);
    // Two full layers of 512 and two sliding ones of 16 + 128 positions, in blocks of 64; each
    // position has 2 · 2 · 16 elements of two bytes.
    assert_eq!(shown["memory"]["kv_cache_bytes"], 2 * (512 + 192) * 64 * 2);
    let formats = shown["formats"].as_array().unwrap();
    let experts = formats.iter().find(|row| row["part"] == "experts").unwrap();
    assert_eq!(experts["format"], "MXFP4");
    let tensors = shown["tensors"].as_array().unwrap();
    let bytes: u64 = tensors.iter().map(|tensor| tensor["bytes"].as_u64().unwrap()).sum();
    assert_eq!(shown["weight_bytes"], bytes);
    assert_eq!(shown["tokenizer"], "none");
    assert_eq!(shown["licence"], Value::Null);
}

#[test]
fn tensors_are_listed_when_asked_for() {
    let text = show(&[testdata("t64/mxfp4").to_str().unwrap(), "--tensors"]);
    let lines: Vec<&str> =
        text.lines().filter(|line| line.starts_with("model.layers.3.")).collect();
    assert_eq!(lines.len(), 19);
    assert!(lines.iter().any(|line| line.contains("self_attn.sinks") && line.contains("[8]")));
}

#[test]
fn what_cannot_be_shown_is_said_in_one_line() {
    let home = tempfile::tempdir().unwrap();
    let fails = |name: &str| {
        let output = gptoss(home.path(), &["show", name]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(output.stdout.is_empty(), "{name}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        text.replace(home.path().to_str().unwrap(), "HOME")
    };
    assert_eq!(
        fails("gpt-oss-2b"),
        "gptoss: no model `gpt-oss-2b`: looked for a file or folder `gpt-oss-2b`, `gpt-oss-2b` in \
         HOME/store/models; did you mean gpt-oss-20b or gpt-oss-120b?\n"
    );
    let empty = home.path().join("empty.gguf");
    std::fs::write(&empty, b"").unwrap();
    expect![[r#"
        gptoss: HOME/empty.gguf: expected a GGUF file (first bytes `GGUF`), found an empty file
    "#]]
    .assert_eq(&fails(empty.to_str().unwrap()));
}
