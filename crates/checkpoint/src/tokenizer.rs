//! Where the tokenizer of a model comes from. What it means is not known here.

use crate::bytes::Bytes;

/// Tokens in o200k_harmony, the vocabulary of the published models.
pub const O200K_HARMONY_TOKENS: usize = 201_088;

/// The tokenizer that came with a model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TokenizerSource {
    /// The bytes of a `tokenizer.json`.
    Json(Bytes),
    /// None came with it, but the vocabulary has the size of o200k_harmony's.
    O200kHarmony,
    /// None came with it. Such a model can be run on token ids.
    Missing,
}
