//! nano under other names, with the template that says what harmony says.

use std::collections::BTreeMap;
use std::path::Path;

/// Writes the files of the model into a folder.
pub fn write(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (nano, template) = (root.join("models/nano"), root.join("testdata/templates/nano"));
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(nano.join(file), folder.join(file)).unwrap();
    }
    for file in ["generation_config.json", "tokenizer_config.json"] {
        std::fs::copy(template.join(file), folder.join(file)).unwrap();
    }
    let names: BTreeMap<String, String> =
        serde_json::from_str(&read(&template.join("names.json"))).unwrap();
    let renamed = names
        .iter()
        .fold(read(&nano.join("tokenizer.json")), |text, (old, new)| text.replace(old, new));
    std::fs::write(folder.join("tokenizer.json"), renamed).unwrap();
}
