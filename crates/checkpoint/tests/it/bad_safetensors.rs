//! Safetensors files that must not open, and what is said about each.

use crate::{copy_of, open_error};

/// The message for a folder whose `model.safetensors` has these bytes.
fn error_of(bytes: &[u8]) -> String {
    let folder = copy_of("t64/mxfp4");
    std::fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    open_error(folder.path(), "")
}

/// A file with this header and so many bytes of data.
fn file(header: &str, data_len: usize) -> Vec<u8> {
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.resize(out.len() + data_len, 0);
    out
}

fn header_error(header: &str, data_len: usize) -> String {
    error_of(&file(header, data_len))
}

/// The message after the header of t64 was changed by replacing `from`, which must be there.
fn changed(from: &str, to: &str) -> String {
    let folder = copy_of("t64/mxfp4");
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let header_len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&bytes[8..8 + header_len]).unwrap();
    assert_eq!(header.matches(from).count(), 1, "{from}");
    let header = header.replace(from, to);
    let mut out = file(&header, 0);
    out.extend(&bytes[8 + header_len..]);
    std::fs::write(&path, out).unwrap();
    open_error(folder.path(), "")
}

/// The entry of a tensor of t64 in its header.
fn entry(name: &str) -> String {
    let bytes = std::fs::read(crate::testdata("t64/mxfp4/model.safetensors")).unwrap();
    let header_len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&bytes[8..8 + header_len]).unwrap();
    let start = header.find(&format!("\"{name}\":")).unwrap();
    let end = start + header[start..].find('}').unwrap() + 1;
    header[start..end].to_owned()
}

#[test]
fn files_too_short_for_a_header() {
    let mut messages = crate::Messages::of("bad_safetensors/files_too_short_for_a_header");
    messages.push(error_of(b""));
    messages.push(error_of(b"1234"));
    messages.push(error_of(&u64::MAX.to_le_bytes()));
    messages.push(error_of(&[&1000u64.to_le_bytes()[..], b"{}"].concat()));
    messages.check();
}

#[test]
fn a_truncated_file_says_by_how_much() {
    let mut messages = crate::Messages::of("bad_safetensors/a_truncated_file_says_by_how_much");
    let bytes = std::fs::read(crate::testdata("t64/mxfp4/model.safetensors")).unwrap();
    messages.push(error_of(&bytes[..bytes.len() - 1000]));
    messages.push(error_of(&bytes[..3000]));
    messages.push(error_of(&[&bytes[..], b"more"].concat()));
    messages.check();
}

#[test]
fn headers_that_are_not_tables_of_tensors() {
    let mut messages =
        crate::Messages::of("bad_safetensors/headers_that_are_not_tables_of_tensors");
    messages.push(error_of(&[&2u64.to_le_bytes()[..], b"\xff\xfe"].concat()));
    messages.push(header_error("{\"a\":", 0));
    messages.push(header_error("[]", 0));
    messages.push(header_error("{\"a\":{\"shape\":[],\"data_offsets\":[0,0]}}", 0));
    messages
        .push(header_error("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,0]}}", 0));
    messages.push(header_error(
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}",
        4,
    ));
    messages.push(header_error(&"[".repeat(100_000), 0));
    messages.push(header_error("{}", 0));
    messages.check();
}

#[test]
fn offsets_that_overlap_or_run_out_of_the_file() {
    let mut messages =
        crate::Messages::of("bad_safetensors/offsets_that_overlap_or_run_out_of_the_file");
    let two = |a: &str, b: &str| {
        format!(
            "{{\"a\":{{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":{a}}},\
             \"b\":{{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":{b}}}}}"
        )
    };
    messages.push(header_error(&two("[0,4]", "[2,6]"), 6));
    messages.push(header_error(&two("[0,4]", "[8,12]"), 12));
    messages.push(header_error(&two("[0,4]", "[4,8]"), 6));
    messages.push(header_error(&two("[0,4]", "[8,4]"), 4));
    messages.push(header_error(&two("[0,4]", "[18446744073709551615,8]"), 8));
    messages.push(header_error(&two("[0,4]", "[4,18446744073709551615]"), 8));
    messages.push(header_error(
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\
          \"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
        2,
    ));
    messages.check();
}

#[test]
fn sizes_that_contradict_shape_and_type() {
    let mut messages = crate::Messages::of("bad_safetensors/sizes_that_contradict_shape_and_type");
    let one = |dtype: &str, shape: &str| {
        let (d, s) = (dtype, shape);
        format!("{{\"a\":{{\"dtype\":\"{d}\",\"shape\":{s},\"data_offsets\":[0,4]}}}}")
    };
    messages.push(header_error(&one("BF16", "[3]"), 4));
    messages.push(header_error(&one("F4", "[3]"), 4));
    messages.push(header_error(&one("Q4_0", "[8]"), 4));
    messages.push(header_error(&one("F32", "[4294967296,4294967296]"), 4));
    messages.check();
}

#[test]
fn tensors_that_contradict_the_config() {
    let mut messages = crate::Messages::of("bad_safetensors/tensors_that_contradict_the_config");
    let sinks = "model.layers.3.self_attn.sinks";
    let old = entry(sinks);
    messages.push(changed(&old, &old.replace("sinks", "sinkz")));
    messages.push(changed(&old, &old.replace("[8]", "[2,4]")));
    messages.push(changed(&old, &old.replace("BF16", "I16")));
    let blocks = entry("model.layers.0.mlp.experts.gate_up_proj_blocks");
    messages.push(changed(&blocks, &blocks.replace("U8", "I8")));
    messages.push(changed(&blocks, &blocks.replace("2,16]", "1,32]")));
    let router = entry("model.layers.1.mlp.router.weight");
    messages.push(changed(&router, &router.replace("BF16", "U16")));
    messages.check();
}

#[test]
fn names_of_tensors_cannot_write_on_the_terminal() {
    let mut messages =
        crate::Messages::of("bad_safetensors/names_of_tensors_cannot_write_on_the_terminal");
    let folder = copy_of("t64/mxfp4");
    let name = "\\u001b[31mred\\u202e";
    let entry = format!("{{\"{name}\":{{\"dtype\":\"?\",\"shape\":[],\"data_offsets\":[0,0]}}}}");
    std::fs::write(folder.path().join("model.safetensors"), file(&entry, 0)).unwrap();
    messages.push(open_error(folder.path(), ""));
    messages.check();
}

#[test]
fn a_weights_file_alone_lacks_its_config() {
    let mut messages = crate::Messages::of("bad_safetensors/a_weights_file_alone_lacks_its_config");
    let folder = copy_of("t64/mxfp4");
    std::fs::remove_file(folder.path().join("config.json")).unwrap();
    messages.push(open_error(folder.path(), "model.safetensors"));
    messages.check();
}
