//! Safetensors files: headers, offsets, and the index over several files.

use serde_json::{Map, Value, json};

use super::config_files::MARK;
use super::tensors::{Dtype, TensorPlan};
use super::write::{FilePlan, Piece};

/// Tensors are put into one file until it has this many bytes, as in the published models.
const SHARD_BYTES: u64 = 5_000_000_000;

/// One file of all tensors.
pub(super) fn single(tensors: &[TensorPlan], seed: u64) -> Vec<FilePlan> {
    vec![file("model.safetensors".to_owned(), tensors, seed)]
}

/// Files of at most 5 GB unless one tensor is larger, with an index if there are several.
pub(super) fn sharded(tensors: &[TensorPlan], seed: u64) -> Vec<FilePlan> {
    let shards = split(tensors);
    if shards.len() == 1 {
        return single(tensors, seed);
    }
    let count = shards.len();
    let mut map = Map::new();
    let mut files = Vec::new();
    for (index, shard) in shards.into_iter().enumerate() {
        let name = format!("model-{:05}-of-{count:05}.safetensors", index + 1);
        for tensor in shard {
            map.insert(tensor.name.clone(), json!(name));
        }
        files.push(file(name, shard, seed));
    }
    let total: u64 = tensors.iter().map(TensorPlan::bytes).sum();
    let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
    files.push(FilePlan::json("model.safetensors.index.json", &index));
    files
}

fn split(tensors: &[TensorPlan]) -> Vec<&[TensorPlan]> {
    let mut shards = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, tensor) in tensors.iter().enumerate() {
        if index > start && bytes + tensor.bytes() > SHARD_BYTES {
            shards.push(&tensors[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += tensor.bytes();
    }
    shards.push(&tensors[start..]);
    shards
}

fn file(name: String, tensors: &[TensorPlan], seed: u64) -> FilePlan {
    let mut header = Map::new();
    let metadata = json!({ "format": "pt", MARK: format!("seed {seed}") });
    header.insert("__metadata__".to_owned(), metadata);
    let mut end = 0;
    for tensor in tensors {
        let start = end;
        end += tensor.bytes();
        let dtype = match tensor.dtype {
            Dtype::U8 => "U8",
            Dtype::Bf16 => "BF16",
            Dtype::F32 => "F32",
            Dtype::Q8_0 | Dtype::Mxfp4 => unreachable!("types of GGUF files"),
        };
        let entry = json!({ "dtype": dtype, "shape": tensor.shape, "data_offsets": [start, end] });
        header.insert(tensor.name.clone(), entry);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // The data starts at a multiple of 64, which lets programs read it where it lies.
    let padded = (header.len() + 8).next_multiple_of(64) - 8;
    header.resize(padded, b' ');
    let mut head = (header.len() as u64).to_le_bytes().to_vec();
    head.append(&mut header);
    let mut offset = head.len() as u64;
    let mut pieces = Vec::new();
    for segment in tensors.iter().flat_map(|tensor| &tensor.segments) {
        pieces.push(Piece { offset, segment: *segment });
        offset += segment.bytes();
    }
    FilePlan { name, head, pieces, bytes: offset }
}

#[cfg(test)]
mod tests {
    use super::super::source::Sources;
    use super::super::tensors;
    use super::*;
    use crate::presets;

    #[test]
    fn published_sizes_are_split_into_files_of_five_gigabytes() {
        let config = presets::find("gpt-oss-20b").unwrap().config;
        let tensors = tensors::hugging_face(Sources { config: &config, seed: 0 });
        let files = sharded(&tensors, 0);
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "model-00001-of-00003.safetensors",
                "model-00002-of-00003.safetensors",
                "model-00003-of-00003.safetensors",
                "model.safetensors.index.json"
            ]
        );
        let data: u64 = files[..3].iter().map(|file| file.bytes - file.head.len() as u64).sum();
        assert_eq!(data, config.published_bytes());
        let index: Value = serde_json::from_slice(&files[3].head).unwrap();
        assert_eq!(index["metadata"]["total_size"], data);
        assert_eq!(index["weight_map"].as_object().unwrap().len(), tensors.len());
    }
}
