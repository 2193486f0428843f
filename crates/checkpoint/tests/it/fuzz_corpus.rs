//! What the fuzz targets were given and what they found, replayed.

use std::path::Path;

use gptoss_checkpoint::fuzz;

/// Runs `target` on every file of its corpus, and returns how many it accepted.
fn replay(name: &str, target: fn(&[u8]) -> bool) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let inputs = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    inputs.filter(|path| target(&std::fs::read(path).unwrap())).count()
}

/// The inputs that the corpus started with are right; those that were found later need not be.
#[test]
fn saved_inputs_give_no_panic() {
    assert!(replay("safetensors_header", fuzz::safetensors_header) >= 2);
    assert!(replay("gguf", fuzz::gguf) >= 2);
    assert!(replay("config", fuzz::config) >= 4);
}
