//! The tiny models open in every layout, and hold the same weights in each.

use std::path::{Path, PathBuf};

use gptoss_checkpoint::{Layout, Model};

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/models").join(name)
}

#[test]
fn every_layout_opens() {
    for (name, layout) in [
        ("t64/mxfp4", Layout::HuggingFace),
        ("t64/bf16", Layout::HuggingFace),
        ("t64/original", Layout::Original),
        ("t64/model.gguf", Layout::Gguf),
        ("t96/model.gguf", Layout::Gguf),
        ("t96/mxfp4", Layout::HuggingFace),
        ("t96/original", Layout::Original),
    ] {
        let model = Model::open(&model(name)).unwrap();
        assert_eq!(model.layout, layout, "{name}");
        assert_eq!(model.weights.layers.len(), 4, "{name}");
        assert!(model.tensors.iter().all(|tensor| tensor.used), "{name}");
    }
}
