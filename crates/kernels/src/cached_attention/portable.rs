//! The definition, head by head.

use super::Queries;
use super::cache::{Block, Element, PerPosition, Rows, TILE};
use crate::dot::sum;
use crate::exp::exp;

pub(super) fn attend<E: Element>(rows: &Rows<'_, E>, q: &Queries<'_>, out: &mut [f32]) {
    let k = rows.head_dim;
    let heads = q.queries.chunks_exact(k).zip(out.chunks_exact_mut(k)).zip(q.sinks);
    for ((query, out), sink) in heads {
        let (mut max, mut sums) = (*sink, [0.0; TILE]);
        out.fill(0.0);
        for index in Rows::<E>::blocks(q.first, q.end) {
            let block = rows.block(index, q.first, q.end);
            let scores = scores(query, &block, q.scale);
            let visible = || block.visible.clone().map(|j| (j, scores[j / TILE][j % TILE]));
            // NaN does not become the maximum.
            let new = visible().fold(max, |max, (_, s)| if s > max { s } else { max });
            let factor = if new > max { exp(max - new) } else { 1.0 };
            max = new;
            sums.iter_mut().for_each(|sum| *sum *= factor);
            out.iter_mut().for_each(|out| *out *= factor);
            for (j, score) in visible() {
                let weight = exp(score - max);
                sums[j % TILE] += weight;
                add_value(&block, j, weight, out);
            }
        }
        let reciprocal = 1.0 / (sum(&sums) + exp(*sink - max));
        out.iter_mut().for_each(|out| *out *= reciprocal);
    }
}

/// Scores of all rows of a block: Σ query·key in order of `d`, times the key's scale if it has
/// one, times `scale`.
fn scores<E: Element>(query: &[f32], block: &Block<'_, E>, scale: f32) -> PerPosition {
    let mut scores = PerPosition::default();
    let tiles = scores.iter_mut().zip(block.keys.chunks_exact(query.len()));
    for (t, (scores, tile)) in tiles.enumerate() {
        for (query, keys) in query.iter().zip(tile) {
            for (score, key) in scores.iter_mut().zip(keys) {
                *score = query.mul_add(key.to_f32(), *score);
            }
        }
        for (lane, score) in scores.iter_mut().enumerate() {
            *score *= block.key_scales.map_or(1.0, |scales| scales[t][lane]);
            *score *= scale;
        }
    }
    scores
}

/// Adds weight·value of row `j` of a block; for codes, the weight is multiplied with their scale
/// and rounded first.
fn add_value<E: Element>(block: &Block<'_, E>, j: usize, weight: f32, out: &mut [f32]) {
    let weight = weight * block.value_scales.map_or(1.0, |scales| scales[j / TILE][j % TILE]);
    let groups = out.len() / TILE;
    let row = block.values[j * groups..][..groups].as_flattened();
    for (out, value) in out.iter_mut().zip(row) {
        *out = weight.mul_add(value.to_f32(), *out);
    }
}
