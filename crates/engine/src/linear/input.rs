//! Activations of some tokens, in the forms that weights want.

use gptoss_kernels::int8::{ActivationBlock, Activations, BLOCK, BlockLayout, quantize};
use gptoss_kernels::{FloatTokens, Isa};

use crate::compute::Compute;

/// Activations `[T, cols]`: f32, and in eight bits for each layout of weights they will meet.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// Elements of a token.
    pub(crate) cols: usize,
    /// `[T, cols]`
    pub(crate) floats: Vec<f32>,
    /// One for each of [`BlockLayout::ALL`], `[T, cols / 32]` or empty.
    blocks: [Vec<ActivationBlock>; BlockLayout::ALL.len()],
    /// The floats in the order of many tokens, where that is used.
    packed: Vec<f32>,
}

impl Input {
    /// Room for `tokens` tokens; the floats are to be filled, then [`Input::quantize`]d.
    pub(crate) fn resize(&mut self, tokens: usize, cols: usize) {
        self.cols = cols;
        self.floats.resize(tokens * cols, 0.0);
    }

    /// Makes the forms for `layouts` from the floats; `None` is a weight that meets f32.
    pub(crate) fn quantize(&mut self, compute: &Compute, layouts: &[Option<BlockLayout>]) {
        if layouts.contains(&None) {
            let len = FloatTokens::packed_len(compute.isa, self.tokens(), self.cols);
            self.packed.resize(len, 0.0);
            let (floats, cols) = (&self.floats, self.cols);
            let panels: Vec<_> = FloatTokens::panels(compute.isa, self.tokens()).collect();
            let ends: Vec<usize> = panels.iter().map(|panel| panel.end * cols).collect();
            compute.pool.pieces_mut(&mut self.packed, &ends, &|i, packed| {
                let tokens = &floats[panels[i].start * cols..panels[i].end * cols];
                FloatTokens::pack_panel(tokens, cols, packed);
            });
        }
        for (layout, blocks) in BlockLayout::ALL.into_iter().zip(&mut self.blocks) {
            if !layouts.contains(&Some(layout)) {
                blocks.clear();
                continue;
            }
            let width = self.cols / BLOCK;
            blocks.resize(self.floats.len() / BLOCK, ActivationBlock::default());
            compute.rows_mut(blocks, width, &|token, blocks| {
                let floats = &self.floats[token * self.cols..(token + 1) * self.cols];
                quantize(compute.isa, layout, floats, blocks);
            });
        }
    }

    /// All tokens in f32; [`Input::quantize`] was told of it.
    pub(super) fn all_floats(&self, isa: Isa) -> FloatTokens<'_> {
        FloatTokens::packed(isa, &self.floats, self.cols, &self.packed)
    }

    /// The eight-bit form for weights of `layout`.
    pub(crate) fn activations(&self, layout: BlockLayout) -> Activations<'_> {
        let (_, data) = BlockLayout::ALL
            .into_iter()
            .zip(&self.blocks)
            .find(|(of, _)| *of == layout)
            .expect("`ALL` has every layout");
        Activations { data, blocks: self.cols / BLOCK }
    }

    /// Number of tokens.
    pub(crate) fn tokens(&self) -> usize {
        self.floats.len() / self.cols
    }
}
