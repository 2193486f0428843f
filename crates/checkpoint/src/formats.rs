//! Which parts of a model are stored in which formats.

use std::collections::BTreeMap;

use crate::model::Model;
use crate::weights::{ExpertLayout, Experts, Matrix};

/// A part of a model, in the order in which a token meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Part {
    /// The input embedding.
    Embedding,
    /// Query, key, value and output matrices of all layers.
    Attention,
    /// The routers' matrices.
    Router,
    /// The experts' matrices.
    Experts,
    /// The matrices of a dense model's perceptrons.
    Mlp,
    /// The output embedding.
    Unembedding,
    /// Norms, biases and sinks.
    Vectors,
}

impl Part {
    /// The part in one word.
    pub fn name(self) -> &'static str {
        match self {
            Part::Embedding => "embedding",
            Part::Attention => "attention",
            Part::Router => "router",
            Part::Experts => "experts",
            Part::Mlp => "perceptron",
            Part::Unembedding => "unembedding",
            Part::Vectors => "vectors",
        }
    }
}

/// The bytes of a part that are in one format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatUse {
    /// The part.
    pub part: Part,
    /// The format, as files spell it.
    pub format: &'static str,
    /// Bytes in the files.
    pub bytes: u64,
}

impl Model {
    /// The formats of each part, with their bytes in the files.
    pub fn formats(&self) -> Vec<FormatUse> {
        let mut uses = Uses::default();
        let weights = &self.weights;
        uses.matrix(Part::Embedding, &weights.embedding);
        if !self.config.tie_word_embeddings {
            uses.matrix(Part::Unembedding, &weights.unembedding);
        }
        for layer in &weights.layers {
            for matrix in [&layer.q, &layer.k, &layer.v, &layer.out] {
                uses.matrix(Part::Attention, matrix);
            }
            let part = match &layer.router {
                Some(router) => {
                    uses.matrix(Part::Router, router);
                    Part::Experts
                }
                None => Part::Mlp,
            };
            uses.experts(part, &layer.gate_up);
            uses.experts(part, &layer.down);
        }
        // What the files hold besides matrices are vectors.
        let mut vectors: BTreeMap<&'static str, u64> = BTreeMap::new();
        for tensor in self.tensors.iter().filter(|tensor| tensor.used) {
            *vectors.entry(tensor.dtype).or_default() += tensor.bytes;
        }
        for (format, bytes) in &uses.by_dtype {
            let total = vectors.entry(format).or_default();
            *total = total.saturating_sub(*bytes);
        }
        for (format, bytes) in vectors.into_iter().filter(|(_, bytes)| *bytes > 0) {
            uses.parts.insert((Part::Vectors, format), bytes);
        }
        let parts = uses.parts.into_iter();
        parts.map(|((part, format), bytes)| FormatUse { part, format, bytes }).collect()
    }

    /// Bytes of all tensors that the model is computed with.
    pub fn weight_bytes(&self) -> u64 {
        self.tensors.iter().filter(|tensor| tensor.used).map(|tensor| tensor.bytes).sum()
    }
}

#[derive(Default)]
struct Uses {
    parts: BTreeMap<(Part, &'static str), u64>,
    /// The matrices' bytes by the type that the file gives them.
    by_dtype: BTreeMap<&'static str, u64>,
}

impl Uses {
    fn add(&mut self, part: Part, format: &'static str, dtype: &'static str, bytes: usize) {
        *self.parts.entry((part, format)).or_default() += bytes as u64;
        *self.by_dtype.entry(dtype).or_default() += bytes as u64;
    }

    fn matrix(&mut self, part: Part, matrix: &Matrix) {
        self.add(part, matrix.format.name(), matrix.format.name(), matrix.data.len());
    }

    fn experts(&mut self, part: Part, experts: &Experts) {
        match &experts.layout {
            // Safetensors files call the codes and the scales plain bytes.
            ExpertLayout::Mxfp4 { blocks, scales } => {
                self.add(part, "MXFP4", "U8", blocks.len() + scales.len());
            }
            ExpertLayout::Rows(matrix) => self.matrix(part, matrix),
            ExpertLayout::GateAndUp { gate, up } => {
                self.matrix(part, gate);
                self.matrix(part, up);
            }
            ExpertLayout::Transposed { format, data } => {
                self.add(part, format.name(), format.name(), data.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_in_one_part() {
        let model = crate::embedded::nano().unwrap();
        let formats = model.formats();
        assert_eq!(formats.len(), 6);
        assert_eq!(formats.iter().map(|f| f.bytes).sum::<u64>(), model.weight_bytes());
        let experts = formats.iter().find(|f| f.part == Part::Experts).unwrap();
        assert_eq!((experts.format, experts.bytes), ("MXFP4", 8 * 8 * 3 * 256 * 256 / 32 * 17));
    }
}
