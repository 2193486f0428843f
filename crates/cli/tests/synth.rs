//! `gptoss synth`, run as a program: the same weights in every layout, written whole or not at all.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use gptoss_checkpoint::{Bytes, Layout, Model, TokenizerSource, safetensors};
use serde_json::{Value, json};

/// Runs the program with a cache and a store of its own.
fn gptoss(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gptoss"));
    for variable in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "GPTOSS_MODEL"] {
        command.env_remove(variable);
    }
    command.env("HF_HOME", home.path().join("hf")).env("GPTOSS_HOME", home.path());
    command.args(arguments).output().unwrap()
}

/// Standard output of a run that must have succeeded.
fn success(output: Output) -> String {
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Four layers of 64, eight experts, a vocabulary of 512.
fn tiny() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/models/t64/mxfp4");
    folder.join("config.json").to_str().unwrap().to_owned()
}

/// The tiny configuration with some fields changed, in a file of the folder.
fn changed(folder: &Path, fields: &Value) -> String {
    let mut config: Value = serde_json::from_slice(&fs::read(tiny()).unwrap()).unwrap();
    for (field, value) in fields.as_object().unwrap() {
        config[field] = value.clone();
    }
    let file = folder.join("changed.json");
    fs::write(&file, config.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Runs `gptoss synth --config CONFIG` with more arguments.
fn synth(config: &str, output: &Path, arguments: &[&str]) -> Output {
    let output = output.to_str().unwrap();
    gptoss(&[&["synth", "--config", config, "-o", output], arguments].concat())
}

/// Standard error of a run that must have failed, with `folder` left out of paths.
fn failure(folder: &Path, output: Output) -> String {
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(output.stdout.is_empty());
    errors.replace(&format!("{}/", folder.display()), "")
}

/// All files of a folder by name, or one file.
fn contents(path: &Path) -> Vec<(String, Vec<u8>)> {
    if path.is_file() {
        return vec![(String::new(), fs::read(path).unwrap())];
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// What `gptoss logits` computes for 200 tokens all over the vocabulary: the bytes of a tensor.
fn computed(folder: &Path, model: &Path) -> impl Fn(&str) -> Vec<u8> {
    let ids: Vec<String> = (0..200).map(|i| ((i * i * 7 + i % 3) % 512).to_string()).collect();
    let (ids_file, out) = (folder.join("ids.txt"), folder.join("out.safetensors"));
    fs::write(&ids_file, ids.join(" ")).unwrap();
    let [model, ids_file, out_name] =
        [model, &ids_file, &out].map(|path| path.to_str().unwrap().to_owned());
    success(gptoss(&["logits", &model, "--ids", &ids_file, "-o", &out_name]));
    let bytes = Bytes::from(fs::read(&out).unwrap());
    let tensors = safetensors::read(&out, &bytes).unwrap();
    move |name| tensors[name].data.to_vec()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn deviation(values: &[f32]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
    (values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count).sqrt()
}

#[test]
fn every_layout_holds_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let cases: [(&str, &[&str], Layout); 4] = [
        ("hf", &["--layout", "hf"], Layout::HuggingFace),
        ("original", &["--layout", "original"], Layout::Original),
        ("bf16.gguf", &["--layout", "gguf", "--dense", "bf16"], Layout::Gguf),
        ("f32.gguf", &["--layout", "gguf", "--dense", "f32"], Layout::Gguf),
    ];
    let mut logits: Vec<Vec<u8>> = Vec::new();
    for (name, arguments, layout) in cases {
        let printed = success(synth(&tiny(), &path(name), arguments));
        assert_eq!(printed, format!("{}\n", path(name).display()));
        let model = Model::open(&path(name)).unwrap();
        assert_eq!(model.layout, layout);
        assert!(matches!(model.tokenizer, TokenizerSource::Missing), "{name}");
        assert!(model.tensors.iter().all(|tensor| tensor.used), "{name}");
        logits.push(computed(folder.path(), &path(name))("logits"));
    }
    assert_eq!(logits[0].len(), 200 * 512 * 4);
    for (other, (name, ..)) in logits.iter().zip(cases).skip(1) {
        assert!(*other == logits[0], "{name}: other logits than hf");
    }
}

#[test]
fn activations_are_those_of_a_usual_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    success(synth(&tiny(), &path, &["--layout", "gguf"]));
    let tensor = computed(folder.path(), &path);
    let logits = floats(&tensor("logits"));
    assert!(logits.iter().all(|x| x.is_finite()));
    assert!((1.0..3.0).contains(&deviation(&logits)), "logits: {}", deviation(&logits));
    let hidden = floats(&tensor("hidden"));
    let layers: Vec<f64> = hidden.chunks(200 * 64).map(deviation).collect();
    assert_eq!(layers.len(), 6);
    assert!(layers[..5].iter().all(|x| (0.8..2.0).contains(x)), "residual stream: {layers:?}");
    let chosen: Vec<i32> =
        tensor("router_ids").as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect();
    for (layer, chosen) in chosen.chunks(200 * 4).enumerate() {
        for expert in 0..8 {
            let count = chosen.iter().filter(|id| **id == expert).count();
            // 100 if all were chosen equally often.
            assert!((30..=180).contains(&count), "layer {layer}, expert {expert}: {count}");
        }
    }
    // Q8_0 is near the values of the other layouts: its own logits, but no others.
    let exact = folder.path().join("exact.gguf");
    success(synth(&tiny(), &exact, &["--layout", "gguf", "--dense", "bf16"]));
    let exact = floats(&computed(folder.path(), &exact)("logits"));
    let differences: Vec<f32> = logits.iter().zip(&exact).map(|(a, b)| a - b).collect();
    let ratio = deviation(&differences) / deviation(&exact);
    assert!(ratio > 0.0 && ratio < 0.1, "difference of Q8_0 to BF16: {ratio}");
}

#[test]
fn the_bytes_depend_on_the_seed_and_on_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    for layout in ["hf", "original", "gguf"] {
        let made = |name: &str, arguments: &[&str]| {
            let path = folder.path().join(format!("{layout}-{name}"));
            success(synth(&tiny(), &path, &[&["--layout", layout], arguments].concat()));
            contents(&path)
        };
        let one = made("one", &["--threads", "1"]);
        assert!(one.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > 400_000);
        assert!(one == made("again", &["--threads", "1"]), "{layout}: another run differs");
        assert!(one == made("two", &["--threads", "2"]), "{layout}: two threads differ");
        assert!(one == made("many", &["--threads", "7"]), "{layout}: seven threads differ");
        let other = made("seed", &["--seed", "1"]);
        assert!(one != other, "{layout}: the seed changes nothing");
    }
}

#[test]
fn files_say_that_they_are_random() {
    let folder = tempfile::tempdir().unwrap();
    let (hf, gguf) = (folder.path().join("hf"), folder.path().join("x.gguf"));
    success(synth(&tiny(), &hf, &["--layout", "hf", "--seed", "7"]));
    success(synth(&tiny(), &gguf, &["--layout", "gguf", "--seed", "7"]));
    let readme = fs::read_to_string(hf.join("README.md")).unwrap();
    assert!(readme.contains("not a trained model") && readme.contains("gptoss.synthetic: seed 7"));
    let has = |path: &Path, text: &str| {
        let bytes = fs::read(path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    assert!(has(&hf.join("model.safetensors"), r#""gptoss.synthetic":"seed 7""#));
    assert!(has(&gguf, "Not a trained model: random weights in the shape of"));
    // Without a tokenizer nothing pretends to have one.
    assert!(has(&gguf, "no_vocab"));
    assert!(!hf.join("generation_config.json").exists());
}

#[test]
fn the_vocabulary_of_the_published_models_comes_along() {
    let folder = tempfile::tempdir().unwrap();
    let fields = json!({
        "vocab_size": 201_088, "hidden_size": 32, "intermediate_size": 32,
        "num_hidden_layers": 1, "layer_types": ["sliding_attention"],
    });
    let config = changed(folder.path(), &fields);
    let (hf, gguf) = (folder.path().join("hf"), folder.path().join("x.gguf"));
    success(synth(&config, &gguf, &["--layout", "gguf"]));
    let model = Model::open(&gguf).unwrap();
    assert!(matches!(model.tokenizer, TokenizerSource::Gguf(_)));
    assert_eq!(model.chat.eos_token_ids, [200_002, 199_999, 200_012]);
    assert_eq!(model.chat.bos_token_id, Some(199_998));
    let text = "Naïve Ξ tokens\n\n  12345 😀";
    let ids = |arguments: &[&str]| success(gptoss(&[&["tokenize"], arguments, &[text]].concat()));
    assert_eq!(ids(&["--model", gguf.to_str().unwrap()]), ids(&[]));
    // The other layouts need no file for it.
    success(synth(&config, &hf, &["--layout", "hf"]));
    let model = Model::open(&hf).unwrap();
    assert!(matches!(model.tokenizer, TokenizerSource::O200kHarmony));
    assert_eq!(model.chat.eos_token_ids, [200_002, 199_999, 200_012]);
}

#[test]
fn what_is_there_stays_unless_it_is_synthetic() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let fails = |name: &str, arguments: &[&str]| {
        failure(folder.path(), synth(&tiny(), &path(name), arguments))
    };
    fs::write(path("x.gguf"), "mine").unwrap();
    assert_eq!(
        fails("x.gguf", &["--layout", "gguf"]),
        "gptoss: x.gguf: expected a path where nothing is, found a file; --force replaces what \
         synth has made\n"
    );
    assert_eq!(fs::read(path("x.gguf")).unwrap(), b"mine");
    success(synth(&tiny(), &path("x.gguf"), &["--layout", "gguf", "--force"]));
    assert!(Model::open(&path("x.gguf")).is_ok());

    fs::create_dir(path("mine")).unwrap();
    fs::write(path("mine/config.json"), "{}").unwrap();
    let found = fails("mine", &["--layout", "hf", "--force"]);
    assert_eq!(
        found,
        "gptoss: mine: expected a synthetic checkpoint to replace, found a folder without a \
         README.md that says so\n"
    );
    fs::write(path("mine/thesis.tex"), "…").unwrap();
    let found = fails("mine", &["--layout", "hf", "--force"]);
    assert!(found.ends_with("found `thesis.tex` in it\n"), "{found}");
    assert_eq!(fs::read_dir(path("mine")).unwrap().count(), 2);

    success(synth(&tiny(), &path("hf"), &["--layout", "hf"]));
    let old = contents(&path("hf"));
    assert!(fails("hf", &["--layout", "hf"]).contains("found a folder; --force"));
    success(synth(&tiny(), &path("hf"), &["--layout", "hf", "--seed", "3", "--force"]));
    assert!(old != contents(&path("hf")));
}

#[test]
fn what_a_killed_run_left_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, layout) in [("clean.gguf", "gguf"), ("clean", "hf")] {
        success(synth(&tiny(), &path(name), &["--layout", layout]));
    }
    fs::write(path("x.gguf.synth-partial"), vec![0xAA; 2_000_000]).unwrap();
    fs::create_dir(path("x.synth-partial")).unwrap();
    fs::write(path("x.synth-partial/README.md"), "gptoss.synthetic").unwrap();
    fs::write(path("x.synth-partial/model-00001-of-00002.safetensors"), "half").unwrap();
    for (name, layout, clean) in [("x.gguf", "gguf", "clean.gguf"), ("x", "hf", "clean")] {
        success(synth(&tiny(), &path(name), &["--layout", layout]));
        assert!(contents(&path(name)) == contents(&path(clean)), "{name}");
    }
    let names: BTreeSet<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["clean", "clean.gguf", "x", "x.gguf"].map(String::from).into());
}

#[test]
fn two_writers_of_one_path_are_one_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let partial = folder.path().join("x.gguf.synth-partial");
    let other = fs::File::create(&partial).unwrap();
    other.lock().unwrap();
    let target = folder.path().join("x.gguf");
    assert_eq!(
        failure(folder.path(), synth(&tiny(), &target, &["--layout", "gguf"])),
        "gptoss: x.gguf.synth-partial: expected no other writer, found one that is at work\n"
    );
    assert!(partial.exists(), "the partial file of another writer was removed");
    drop(other);
    success(synth(&tiny(), &target, &["--layout", "gguf"]));
}

#[test]
fn what_cannot_be_made_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    let made = |fields: Value, arguments: &[&str]| {
        let config = changed(folder.path(), &fields);
        let text = failure(folder.path(), synth(&config, &output, arguments));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!output.exists() && !folder.path().join("out.synth-partial").exists());
        text
    };
    let gguf = ["--layout", "gguf"];
    assert_eq!(
        made(json!({ "swiglu_limit": 5.0 }), &gguf),
        "gptoss: layout gguf: field `swiglu_limit`: expected 7, found 5\n"
    );
    assert_eq!(
        made(json!({ "hidden_size": 72 }), &gguf),
        "gptoss: layout gguf: field `hidden_size`: expected a multiple of 32, the block of MXFP4, \
         found 72\n"
    );
    let full = json!({ "layer_types": vec!["full_attention"; 4] });
    assert_eq!(
        made(full, &["--layout", "original"]),
        "gptoss: layout original: field `layer_types`: expected sliding and full layers in turn, \
         found another order\n"
    );
    assert_eq!(
        made(json!({}), &["--layout", "hf", "--dense", "bf16"]),
        "gptoss: --dense is for --layout gguf; the other layouts store these weights as BF16\n"
    );
    // 128 layers of 16384 experts.
    let huge = json!({
        "num_hidden_layers": 128, "layer_types": null, "num_local_experts": 16_384,
        "hidden_size": 40_960, "intermediate_size": 40_960,
    });
    let text = made(huge, &gguf);
    assert!(text.contains(": expected 5.6 PB of free space, found "), "{text}");
    assert!(made(json!({ "vocab_size": 0 }), &gguf).contains("field `vocab_size`"));
}

#[test]
fn places_and_names_that_do_not_exist_are_said() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for (place, expected) in [
        ("nowhere/x.gguf", "gptoss: nowhere: cannot be written to: "),
        ("file/x.gguf", "gptoss: file/x.gguf: cannot be written: "),
    ] {
        let output = synth(&tiny(), &folder.path().join(place), &["--layout", "gguf"]);
        let text = failure(folder.path(), output).replace(folder.path().to_str().unwrap(), ".");
        assert!(text.starts_with(expected), "{text}");
    }
    let output = gptoss(&["synth", "gpt-oss-2b", "--layout", "hf", "-o", "x"]);
    assert_eq!(
        failure(folder.path(), output),
        "gptoss: expected one of gpt-oss-120b, gpt-oss-20b, gpt-oss-3.6b, gpt-oss-1b, llama-3-8b, \
         mistral-7b, deepseek-coder-6.7b, smollm2-135m, found `gpt-oss-2b`\n"
    );
}
