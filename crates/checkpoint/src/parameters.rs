//! How large a model is: parameters, bytes of weights, bytes of the KV cache.

use crate::config::{Architecture, LayerType, ModelConfig};

/// Numbers of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// All of them.
    pub total: u64,
    /// Those that one token is multiplied with: without the input embedding, of which a token
    /// reads one row, and with `num_experts_per_tok` experts in each layer.
    pub active: u64,
    /// Those in the matrices of the experts, which published files store as MXFP4; 0 in a dense
    /// model.
    pub expert_matrices: u64,
}

/// These hold for configurations that pass [`ModelConfig::check`], which bounds every product.
impl ModelConfig {
    /// The numbers of parameters, in closed form.
    ///
    /// | part | gpt-oss | llama |
    /// |---|---|---|
    /// | embedding, unembedding | V·D each | V·D each, or V·D if tied |
    /// | norms | D after the last layer, 2D in each | the same |
    /// | attention | (H + 2G)K·(D + 1) + H + D·(HK + 1) | (H + 2G)K·D + D·HK |
    /// | router | E·(D + 1) | none |
    /// | each expert, or the perceptron | 2F·(D + 1) + D·(F + 1) | 3F·D |
    pub fn parameters(&self) -> Parameters {
        let [v, d, f, e] =
            [self.vocab_size, self.hidden_size, self.intermediate_size, self.num_local_experts]
                .map(|n| n as u64);
        let [h, g, k] =
            [self.num_attention_heads, self.num_key_value_heads, self.head_dim].map(|n| n as u64);
        let (layers, chosen) = (self.num_hidden_layers as u64, self.num_experts_per_tok as u64);
        let (matrices, mlp) = ((h + 2 * g) * k * d + d * h * k, 3 * f * d);
        let (attention, router, expert, expert_matrices) = match self.architecture {
            Architecture::GptOss => {
                let biases = (h + 2 * g) * k + h + d;
                (matrices + biases, e * (d + 1), mlp + 2 * f + d, layers * e * mlp)
            }
            Architecture::Llama => (matrices, 0, mlp, 0),
        };
        let shared = 2 * d + attention + router;
        let embeddings = if self.tie_word_embeddings { 1 } else { 2 };
        Parameters {
            total: embeddings * v * d + d + layers * (shared + e * expert),
            active: v * d + d + layers * (shared + chosen * expert),
            expert_matrices,
        }
    }

    /// Bytes of the weights as the published files store them: experts as MXFP4 (17 bytes for 32
    /// elements), everything else as BF16.
    pub fn published_bytes(&self) -> u64 {
        let parameters = self.parameters();
        let plain = parameters.total - parameters.expert_matrices;
        parameters.expert_matrices / 32 * 17 + 2 * plain
    }

    /// Bytes of keys and values of one sequence of `positions` tokens: 2·G·K elements a layer and
    /// position, of which sliding layers keep `sliding_window` positions.
    pub fn kv_cache_bytes(&self, positions: usize, element_bytes: u64) -> u64 {
        let position = 2 * self.num_key_value_heads as u64 * self.head_dim as u64 * element_bytes;
        let kept = |layer: &LayerType| match layer {
            LayerType::SlidingAttention => positions.min(self.sliding_window) as u64,
            LayerType::FullAttention => positions as u64,
        };
        self.layer_types.iter().map(kept).fold(0, |sum, kept| {
            // `positions` is the caller's and may be anything.
            kept.saturating_mul(position).saturating_add(sum)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::presets;

    #[test]
    fn published_sizes_are_those_of_the_files() {
        let of = |name| presets::find(name).unwrap().config;
        // MXFP4 10,152,345,600 + BF16 3,608,911,488 and 60,914,073,600 + 4,334,754,432 bytes.
        assert_eq!(of("gpt-oss-20b").published_bytes(), 13_761_264_768);
        assert_eq!(of("gpt-oss-120b").published_bytes(), 65_248_815_744);
    }

    #[test]
    fn sliding_layers_keep_their_window_only() {
        let config = presets::find("gpt-oss-20b").unwrap().config;
        // 2048 bytes a layer and position; 12 full layers, 12 sliding ones of 128 positions.
        assert_eq!(config.kv_cache_bytes(1, 2), 24 * 2048);
        assert_eq!(config.kv_cache_bytes(131_072, 2), 12 * 2048 * (131_072 + 128));
        assert_eq!(config.kv_cache_bytes(usize::MAX, 2), u64::MAX);
    }
}
