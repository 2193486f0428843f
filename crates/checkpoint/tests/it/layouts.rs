//! The tiny models open in every layout, and hold the same weights in each.

use std::path::Path;

use gptoss_checkpoint::{
    Bytes, Dtype, LayerWeights, Layout, Model, TensorToWrite, TokenizerSource, embedded,
    safetensors, write_safetensors,
};

use crate::gguf_file::{GgufFile, Value};
use crate::{copy_of, dequantise, testdata};

/// Asserts that two models are the same function, and returns how many numbers were compared.
fn assert_same(name: &str, a: &Model, b: &Model) -> usize {
    assert_eq!(a.config, b.config, "{name}");
    let mut compared = 0;
    let mut same = |part: &str, a: &[f32], b: &[f32]| {
        assert_eq!(a.len(), b.len(), "{name}: {part}");
        let differs = a.iter().zip(b).position(|(a, b)| a != b);
        assert_eq!(differs, None, "{name}: {part}");
        compared += a.len();
    };
    let matrix = dequantise::matrix;
    let experts = dequantise::experts;
    same("embedding", &matrix(&a.weights.embedding), &matrix(&b.weights.embedding));
    same("unembedding", &matrix(&a.weights.unembedding), &matrix(&b.weights.unembedding));
    same("norm", &a.weights.norm, &b.weights.norm);
    assert_eq!(a.weights.layers.len(), b.weights.layers.len());
    for (a, b) in a.weights.layers.iter().zip(&b.weights.layers) {
        same("attn_norm", &a.attn_norm, &b.attn_norm);
        same("q", &matrix(&a.q), &matrix(&b.q));
        same("q_bias", &a.q_bias, &b.q_bias);
        same("k", &matrix(&a.k), &matrix(&b.k));
        same("k_bias", &a.k_bias, &b.k_bias);
        same("v", &matrix(&a.v), &matrix(&b.v));
        same("v_bias", &a.v_bias, &b.v_bias);
        same("sinks", &a.sinks, &b.sinks);
        same("out", &matrix(&a.out), &matrix(&b.out));
        same("out_bias", &a.out_bias, &b.out_bias);
        same("mlp_norm", &a.mlp_norm, &b.mlp_norm);
        let router = |layer: &LayerWeights| layer.router.as_ref().map(matrix).unwrap_or_default();
        same("router", &router(a), &router(b));
        same("router_bias", &a.router_bias, &b.router_bias);
        same("gate_up", &experts(&a.gate_up), &experts(&b.gate_up));
        same("gate_up_bias", &a.gate_up_bias, &b.gate_up_bias);
        same("down", &experts(&a.down), &experts(&b.down));
        same("down_bias", &a.down_bias, &b.down_bias);
    }
    compared
}

#[test]
fn every_layout_holds_the_same_weights() {
    for (reference, others) in [
        (
            "t64/mxfp4",
            vec![
                ("t64/bf16", Layout::HuggingFace),
                ("t64/original", Layout::Original),
                ("t64/model.gguf", Layout::Gguf),
            ],
        ),
        ("t96/mxfp4", vec![("t96/original", Layout::Original), ("t96/model.gguf", Layout::Gguf)]),
    ] {
        let reference = Model::open(&testdata(reference)).unwrap();
        assert_eq!(reference.layout, Layout::HuggingFace);
        assert!(matches!(reference.tokenizer, TokenizerSource::Missing));
        for (name, layout) in others {
            let model = Model::open(&testdata(name)).unwrap();
            assert_eq!(model.layout, layout, "{name}");
            assert!(model.tensors.iter().all(|tensor| tensor.used), "{name}");
            let compared = assert_same(name, &reference, &model);
            assert_eq!(compared as u64, reference.config.parameters().total, "{name}");
        }
    }
}

#[test]
fn the_embedded_model_is_the_one_in_the_repository() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/nano");
    let disk = Model::open(&folder).unwrap();
    let embedded = embedded::nano().unwrap();
    assert!(assert_same("nano", &disk, &embedded) > 16_000_000);
    assert_eq!(disk.chat, embedded.chat);
    assert_eq!(disk.licence, embedded.licence);
    assert_eq!(disk.files.len(), 1, "golden.safetensors does not belong to the weights");
}

#[test]
fn a_file_inside_a_folder_opens_the_folder() {
    let reference = Model::open(&testdata("t64/mxfp4")).unwrap();
    for file in ["model.safetensors", "config.json"] {
        let model = Model::open(&testdata("t64/mxfp4").join(file)).unwrap();
        assert!(assert_same(file, &reference, &model) > 0);
    }
}

/// Splits a copy of t64 into two files, every other tensor in each.
fn sharded() -> tempfile::TempDir {
    let folder = copy_of("t64/mxfp4");
    let whole = folder.path().join("model.safetensors");
    let bytes = Bytes::from(std::fs::read(&whole).unwrap());
    std::fs::remove_file(&whole).unwrap();
    let tensors = safetensors::read(&whole, &bytes).unwrap();
    for part in 0..2 {
        let mine = tensors.iter().skip(part).step_by(2);
        let to_write: Vec<TensorToWrite> = mine
            .map(|(name, tensor)| TensorToWrite {
                name: name.clone(),
                dtype: tensor.dtype.name(),
                shape: tensor.shape.clone(),
                data: &tensor.data,
            })
            .collect();
        let file = folder.path().join(shard(part));
        write_safetensors(&file, &[], &to_write).unwrap();
    }
    folder
}

fn shard(part: usize) -> String {
    format!("model-0000{}-of-00002.safetensors", part + 1)
}

fn index_of(folder: &Path) -> serde_json::Value {
    let mut map = serde_json::Map::new();
    for part in 0..2 {
        let path = folder.join(shard(part));
        let bytes = Bytes::from(std::fs::read(&path).unwrap());
        for name in safetensors::read(&path, &bytes).unwrap().keys() {
            map.insert(name.clone(), shard(part).into());
        }
    }
    serde_json::json!({ "metadata": { "total_size": 0 }, "weight_map": map })
}

#[test]
fn shards_open_with_and_without_an_index() {
    let folder = sharded();
    let reference = Model::open(&testdata("t64/mxfp4")).unwrap();
    let without = Model::open(folder.path()).unwrap();
    assert!(assert_same("without an index", &reference, &without) > 0);
    let by_file = Model::open(&folder.path().join(shard(1))).unwrap();
    assert!(assert_same("by one of the files", &reference, &by_file) > 0);

    let index = folder.path().join("model.safetensors.index.json");
    std::fs::write(&index, index_of(folder.path()).to_string()).unwrap();
    let with = Model::open(folder.path()).unwrap();
    assert!(assert_same("with an index", &reference, &with) > 0);
    assert_eq!(with.files.len(), 2);
}

#[test]
fn damaged_sets_of_shards_name_the_file() {
    let mut messages = crate::Messages::of("layouts/damaged_sets_of_shards_name_the_file");
    let folder = sharded();
    let path = folder.path();
    let index = path.join("model.safetensors.index.json");
    let good = index_of(path);

    let mut bad = good.clone();
    bad["weight_map"]["model.extra.weight"] = shard(0).into();
    std::fs::write(&index, bad.to_string()).unwrap();
    messages.push(crate::open_error(path, ""));

    for name in ["../secret.safetensors", "/etc/passwd", "a\\b", "C:x", ""] {
        let mut bad = good.clone();
        bad["weight_map"]["lm_head.weight"] = name.into();
        std::fs::write(&index, bad.to_string()).unwrap();
        let expected = format!(
            "model.safetensors.index.json: field `weight_map`: expected names of files in the \
             same folder, found `{name}`"
        );
        assert_eq!(crate::open_error(path, ""), expected);
    }

    std::fs::write(&index, "{}").unwrap();
    messages.push(crate::open_error(path, ""));

    std::fs::write(&index, good.to_string()).unwrap();
    std::fs::remove_file(path.join(shard(1))).unwrap();
    messages.push(crate::open_error(path, ""));
    std::fs::remove_file(&index).unwrap();
    messages.push(crate::open_error(path, ""));
    messages.check();
}

#[test]
fn a_tensor_in_two_files_is_refused() {
    let mut messages = crate::Messages::of("layouts/a_tensor_in_two_files_is_refused");
    let folder = sharded();
    std::fs::copy(folder.path().join(shard(0)), folder.path().join(shard(1))).unwrap();
    messages.push(crate::open_error(folder.path(), ""));
    messages.check();
}

fn write_gguf(file: &GgufFile) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, file.write()).unwrap();
    (folder, path)
}

#[test]
fn ollamas_names_and_keys_are_understood() {
    let reference = Model::open(&testdata("t64/model.gguf")).unwrap();
    let mut file = GgufFile::of(&reference, "gptoss");
    // Ollama's files leave these out; the type of scaling is YaRN all the same.
    file.remove("gptoss.rope.scaling.type");
    file.remove("gptoss.expert_feed_forward_length");
    file.remove("gptoss.attention.key_length");
    for tensor in &mut file.tensors {
        tensor.name = tensor
            .name
            .replace(".attn_output.", ".attn_out.")
            .replace(".attn_sinks.weight", ".attn_sinks")
            .replace(".post_attention_norm.", ".ffn_norm.");
    }
    let (_folder, path) = write_gguf(&file);
    let model = Model::open(&path).unwrap();
    assert!(assert_same("Ollama", &reference, &model) > 0);
    assert_eq!(model.licence.as_deref(), Some("apache-2.0"));
    assert!(model.tensors.iter().all(|tensor| tensor.used));
}

#[test]
fn version_two_and_lists_of_head_counts_open() {
    let reference = Model::open(&testdata("t96/model.gguf")).unwrap();
    let mut file = GgufFile::of(&reference, "gpt-oss");
    file.version = 2;
    *file.value("gpt-oss.attention.head_count_kv") = Value::I32s(vec![2; 4]);
    let pattern = Value::Bools(vec![true, false, true, false]);
    file.add("gpt-oss.attention.sliding_window_pattern", pattern);
    let (_folder, path) = write_gguf(&file);
    assert!(assert_same("version 2", &reference, &Model::open(&path).unwrap()) > 0);
}

#[test]
fn vocabulary_and_stop_tokens_come_from_the_file() {
    let reference = Model::open(&testdata("t64/model.gguf")).unwrap();
    let mut file = GgufFile::of(&reference, "gpt-oss");
    *file.value("tokenizer.ggml.model") = Value::Text("gpt2".into());
    file.add("tokenizer.ggml.pre", Value::Text("gpt-4o".into()));
    let tokens: Vec<String> = ["a", "b", "ab", "<|end|>"].map(String::from).to_vec();
    file.add("tokenizer.ggml.tokens", Value::Texts(tokens.clone()));
    file.add("tokenizer.ggml.token_type", Value::I32s(vec![1, 1, 1, 3]));
    file.add("tokenizer.ggml.merges", Value::Texts(vec!["a b".into()]));
    file.add("tokenizer.ggml.eos_token_ids", Value::I32s(vec![3, 2]));
    file.add("tokenizer.ggml.eos_token_id", Value::U32(3));
    file.add("tokenizer.ggml.bos_token_id", Value::U32(1));
    file.add("tokenizer.ggml.unknown_token_id", Value::U32(9));
    file.add("tokenizer.ggml.add_bos_token", Value::Raw(7, vec![1]));
    file.add("tokenizer.chat_template", Value::Text("{{ bos_token }}".into()));
    file.add("general.sampling.temp", Value::F32(0.7));
    let (_folder, path) = write_gguf(&file);
    let model = Model::open(&path).unwrap();
    let TokenizerSource::Gguf(vocabulary) = &model.tokenizer else { panic!("no vocabulary") };
    assert_eq!(vocabulary.tokens.iter().collect::<Vec<_>>(), tokens);
    assert_eq!(vocabulary.token_types, [1, 1, 1, 3]);
    assert_eq!(vocabulary.merges.as_ref().unwrap().iter().collect::<Vec<_>>(), ["a b"]);
    assert_eq!(vocabulary.pre.as_deref(), Some("gpt-4o"));
    assert_eq!(model.chat.eos_token_ids, [3, 2]);
    assert_eq!(model.chat.bos_token_id, Some(1));
    assert_eq!(model.chat.temperature, Some(0.7));
    assert_eq!(model.chat.add_bos_token, Some(true));
    assert_eq!(model.chat.chat_template.as_deref(), Some("{{ bos_token }}"));
    assert_eq!(model.chat.bos_token.as_deref(), Some("b"));
    assert_eq!(model.chat.eos_token.as_deref(), Some("<|end|>"));
    assert_eq!(model.chat.unk_token, None, "no token has this id");
}

/// The parts of t64 in three GGUF files.
fn split() -> tempfile::TempDir {
    let reference = Model::open(&testdata("t64/model.gguf")).unwrap();
    let whole = GgufFile::of(&reference, "gpt-oss");
    let folder = tempfile::tempdir().unwrap();
    for part in 0..3 {
        let mut file = whole.clone();
        if part > 0 {
            file.metadata.clear();
        }
        file.add("split.no", Value::U32(part as u32));
        file.add("split.count", Value::U32(3));
        file.add("split.tensors.count", Value::U32(whole.tensors.len() as u32));
        file.tensors = whole.tensors.iter().skip(part).step_by(3).cloned().collect();
        let name = format!("tiny-0000{}-of-00003.gguf", part + 1);
        std::fs::write(folder.path().join(name), file.write()).unwrap();
    }
    folder
}

#[test]
fn split_files_open_by_any_part_and_by_the_folder() {
    let folder = split();
    let reference = Model::open(&testdata("t64/model.gguf")).unwrap();
    for path in ["", "tiny-00001-of-00003.gguf", "tiny-00003-of-00003.gguf"] {
        let model = Model::open(&folder.path().join(path)).unwrap();
        assert!(assert_same(path, &reference, &model) > 0);
        assert_eq!(model.files.len(), 3);
    }
}

#[test]
fn a_part_of_a_split_file_alone_is_refused() {
    let mut messages = crate::Messages::of("layouts/a_part_of_a_split_file_alone_is_refused");
    let folder = split();
    let path = folder.path();
    std::fs::copy(path.join("tiny-00001-of-00003.gguf"), path.join("alone.gguf")).unwrap();
    messages.push(crate::open_error(path, "alone.gguf"));
    std::fs::copy(path.join("tiny-00001-of-00003.gguf"), path.join("tiny-00002-of-00003.gguf"))
        .unwrap();
    messages.push(crate::open_error(path, "tiny-00001-of-00003.gguf"));
    std::fs::remove_file(path.join("tiny-00002-of-00003.gguf")).unwrap();
    messages.push(crate::open_error(path, "tiny-00001-of-00003.gguf"));
    messages.check();
}

#[test]
fn tensors_that_no_model_needs_are_marked() {
    let reference = Model::open(&testdata("t64/model.gguf")).unwrap();
    let mut file = GgufFile::of(&reference, "gpt-oss");
    let mut extra = file.tensor("output_norm.weight").clone();
    extra.name = "blk.0.extra.weight".into();
    file.tensors.push(extra);
    let (_folder, path) = write_gguf(&file);
    let model = Model::open(&path).unwrap();
    let unused: Vec<&str> =
        model.tensors.iter().filter(|t| !t.used).map(|t| t.name.as_str()).collect();
    assert_eq!(unused, ["blk.0.extra.weight"]);
}

#[test]
fn elements_of_other_types_can_be_read_from_safetensors() {
    let path = testdata("t64/golden.safetensors");
    let bytes = Bytes::from(std::fs::read(&path).unwrap());
    let tensors = safetensors::read(&path, &bytes).unwrap();
    let ids = &tensors["short.ids"];
    assert_eq!(ids.shape, [12]);
    assert!(matches!(ids.dtype, Dtype::Other { bits: 32 | 64, .. }));
}
