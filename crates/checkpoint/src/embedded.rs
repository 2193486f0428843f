//! The model that is part of the program.

use crate::error::CheckpointError;
use crate::model::Model;

/// The name under which the embedded model is found.
pub const NANO: &str = "nano";

const NANO_FILES: [(&str, &[u8]); 6] = [
    ("README.md", include_bytes!("../../../models/nano/README.md")),
    ("config.json", include_bytes!("../../../models/nano/config.json")),
    ("generation_config.json", include_bytes!("../../../models/nano/generation_config.json")),
    ("harmony.json", include_bytes!("../../../models/nano/harmony.json")),
    ("model.safetensors", include_bytes!("../../../models/nano/model.safetensors")),
    ("tokenizer.json", include_bytes!("../../../models/nano/tokenizer.json")),
];

/// Opens the embedded model `nano`, of 16 million parameters; its bytes stay in the program.
///
/// # Errors
/// As [`Model::open`]; the tests open it, so that an error means a damaged program.
pub fn nano() -> Result<Model, CheckpointError> {
    Model::open_embedded(NANO, &NANO_FILES)
}

/// A file of the embedded model, as it lies in `models/nano`.
pub fn nano_file(name: &str) -> Option<&'static [u8]> {
    NANO_FILES.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::TokenizerSource;

    #[test]
    fn nano_opens_from_the_program() {
        let model = nano().unwrap();
        assert_eq!(model.config.num_hidden_layers, 8);
        assert_eq!(model.weights.layers.len(), 8);
        assert_eq!(model.config.rope_scaling, None, "rope_type default means no YaRN");
        assert_eq!(model.config.rope_theta, 10_000.0);
        assert_eq!(model.chat.eos_token_ids, [2, 1, 8]);
        let harmony = model.chat.harmony.as_ref().unwrap();
        assert_eq!(harmony.system_message, None);
        assert_eq!(harmony.assistant_prefill, "<|channel|>final<|message|>");
        assert!(matches!(model.tokenizer, TokenizerSource::Json(_)));
        assert!(model.licence.as_deref().unwrap().starts_with("Apache-2.0"));
        assert!(model.tensors.iter().all(|tensor| tensor.used));
    }
}
