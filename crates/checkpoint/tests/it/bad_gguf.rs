//! GGUF files that must not open, and what is said about each.

use gptoss_checkpoint::Model;

use crate::gguf_file::{GgufFile, Value};
use crate::{open_error, testdata};

fn t64() -> GgufFile {
    GgufFile::of(&Model::open(&testdata("t64/model.gguf")).unwrap(), "gpt-oss")
}

/// The message for a file with these bytes.
fn error_of(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.gguf"), bytes).unwrap();
    open_error(folder.path(), "m.gguf")
}

/// The message for t64 after a change.
fn changed(change: impl Fn(&mut GgufFile)) -> String {
    let mut file = t64();
    change(&mut file);
    error_of(&file.write())
}

/// The message after a metadata value was replaced.
fn set(key: &str, value: Value) -> String {
    changed(|file| *file.value(key) = value.clone())
}

#[test]
fn files_that_end_too_early() {
    let mut messages = crate::Messages::of("bad_gguf/files_that_end_too_early");
    let bytes = t64().write();
    messages.push(error_of(b"GG"));
    messages.push(error_of(&bytes[..4]));
    messages.push(error_of(&bytes[..20]));
    messages.push(error_of(&bytes[..64]));
    messages.push(error_of(&bytes[..1500]));
    messages.push(error_of(&bytes[..bytes.len() - 1000]));
    messages.check();
}

#[test]
fn versions_and_byte_orders() {
    let mut messages = crate::Messages::of("bad_gguf/versions_and_byte_orders");
    let version = |version: u32| changed(|file| file.version = version);
    messages.push(version(1));
    messages.push(version(4));
    messages.push(version(3u32.swap_bytes()));
    messages.check();
}

#[test]
fn hostile_counts_and_lengths() {
    let mut messages = crate::Messages::of("bad_gguf/hostile_counts_and_lengths");
    let mut bytes = t64().write();
    bytes[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    messages.push(error_of(&bytes));
    let mut bytes = t64().write();
    bytes[16..24].copy_from_slice(&(u64::MAX / 2).to_le_bytes());
    messages.push(error_of(&bytes));
    let mut bytes = t64().write();
    bytes[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    messages.push(error_of(&bytes));

    let raw = |kind: u32, bytes: &[u8]| {
        changed(|file| file.metadata.insert(0, ("x".into(), Value::Raw(kind, bytes.to_vec()))))
    };
    messages.push(raw(8, &u64::MAX.to_le_bytes()));
    let list = |kind: u32, count: u64| [&kind.to_le_bytes()[..], &count.to_le_bytes()].concat();
    messages.push(raw(9, &list(4, u64::MAX)));
    messages.push(raw(9, &list(8, 1 << 60)));
    messages.push(raw(9, &list(9, 1 << 60)));
    messages.push(raw(9, &list(9, 1).repeat(100)));
    messages.push(raw(13, &[]));
    messages.push(raw(7, &[2]));
    messages.push(raw(8, &[&1u64.to_le_bytes()[..], b"\xff"].concat()));
    messages.check();
}

#[test]
fn metadata_that_contradicts_itself() {
    let mut messages = crate::Messages::of("bad_gguf/metadata_that_contradicts_itself");
    messages.push(changed(|file| {
        file.add("general.architecture", Value::Text("gpt-oss".into()));
    }));
    messages.push(changed(|file| file.add("general.alignment", Value::U32(24))));
    messages.push(changed(|file| file.add("gpt-oss.vocab_size", Value::U32(5))));
    messages.push(set("gpt-oss.attention.value_length", Value::U32(8)));
    messages.push(changed(|file| {
        *file.value("tokenizer.ggml.model") = Value::Text("gpt2".into());
        file.add("tokenizer.ggml.tokens", Value::Texts(vec!["a".into(); 513]));
    }));
    messages.push(changed(|file| {
        *file.value("tokenizer.ggml.model") = Value::Text("gpt2".into());
        file.add("tokenizer.ggml.tokens", Value::Texts(vec!["a".into(); 4]));
        file.add("tokenizer.ggml.token_type", Value::I32s(vec![1; 3]));
    }));
    messages.check();
}

#[test]
fn metadata_that_is_missing_or_of_another_type() {
    let mut messages = crate::Messages::of("bad_gguf/metadata_that_is_missing_or_of_another_type");
    messages.push(changed(|file| file.remove("general.architecture")));
    messages.push(set("general.architecture", Value::Text("qwen3".into())));
    messages.push(set("general.architecture", Value::U32(1)));
    messages.push(changed(|file| file.remove("gpt-oss.block_count")));
    messages.push(set("gpt-oss.block_count", Value::Text("4".into())));
    messages.push(set("gpt-oss.block_count", Value::U32(u32::MAX)));
    let counts = Value::I32s(vec![2, 2, 1, 2]);
    messages.push(set("gpt-oss.attention.head_count_kv", counts));
    messages.push(set("gpt-oss.rope.freq_base", Value::F32(f32::NAN)));
    messages.push(changed(|file| {
        file.add("tokenizer.ggml.eos_token_id", Value::I32s(vec![-1]));
    }));
    messages.check();
}

#[test]
fn settings_that_are_not_computed_are_refused() {
    let mut messages = crate::Messages::of("bad_gguf/settings_that_are_not_computed_are_refused");
    let key = "gpt-oss.rope.scaling.type";
    messages.push(set(key, Value::Text("linear".into())));
    messages.push(changed(|file| {
        file.add("gpt-oss.rope.scaling.attn_factor", Value::F32(2.0));
    }));
    messages.push(changed(|file| {
        file.add("gpt-oss.attention.sliding_window_pattern", Value::U32(6));
    }));
    messages.check();
}

#[test]
fn tensors_with_impossible_tables() {
    let mut messages = crate::Messages::of("bad_gguf/tensors_with_impossible_tables");
    let tensor = |change: &dyn Fn(&mut crate::gguf_file::Tensor)| {
        changed(|file| change(file.tensor("blk.0.attn_q.weight")))
    };
    messages.push(tensor(&|tensor| tensor.kind = 20));
    messages.push(tensor(&|tensor| tensor.kind = 77));
    messages.push(tensor(&|tensor| tensor.kind = 12));
    messages.push(tensor(&|tensor| tensor.sizes = vec![]));
    messages.push(tensor(&|tensor| tensor.sizes = vec![1; 5]));
    messages.push(tensor(&|tensor| tensor.sizes = vec![1 << 40, 1 << 40]));
    messages.push(tensor(&|tensor| tensor.name = "blk.0.attn_k.weight".into()));
    messages.check();
}

#[test]
fn offsets_that_overlap_or_run_out_of_the_file() {
    let mut messages = crate::Messages::of("bad_gguf/offsets_that_overlap_or_run_out_of_the_file");
    let moved = |to: &dyn Fn(u64) -> u64| {
        let name = "blk.0.attn_q.weight";
        error_of(
            &t64().write_with(|tensor, offset| if tensor == name { to(offset) } else { offset }),
        )
    };
    messages.push(moved(&|offset| offset + 1));
    messages.push(moved(&|offset| offset - 64));
    messages.push(moved(&|_| 1 << 62));
    messages.push(moved(&|_| u64::MAX - 31));
    messages.check();
}

#[test]
fn tensors_that_contradict_the_metadata() {
    let mut messages = crate::Messages::of("bad_gguf/tensors_that_contradict_the_metadata");
    messages.push(changed(|file| {
        file.tensor("blk.2.attn_sinks.weight").name = "blk.2.sinks".into();
    }));
    messages.push(set("gpt-oss.embedding_length", Value::U32(96)));
    messages.push(set("gpt-oss.expert_count", Value::U32(16)));
    messages.push(changed(|file| {
        let router = file.tensor("blk.0.ffn_gate_inp.weight");
        router.kind = 26;
    }));
    messages.push(changed(|file| {
        let bias = file.tensor("blk.0.ffn_gate_exps.bias");
        bias.kind = 39;
        bias.data.truncate(8 * 2 * 17);
    }));
    messages.push(changed(|file| {
        file.tensors.retain(|tensor| tensor.name != "token_embd.weight");
    }));
    messages.check();
}
