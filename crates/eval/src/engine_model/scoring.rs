//! A whole plan: what its requests read.

use super::cover::{Bounds, Cover};
use super::reading::Sums;
use super::{EngineModel, room};
use crate::EvalError;
use crate::model::{Done, Scored};
use crate::plan::{Node, Plan, Read};

/// Tokens of a pass: as in the engine's own prefill.
const PASS_TOKENS: usize = 512;
/// Bytes of the logits of a pass, at most, unless one row is longer.
const LOGITS_BYTES_MAX: usize = 128 << 20;

/// See [`EvalModel::score`](crate::model::EvalModel::score).
pub(super) fn score(
    model: &mut EngineModel,
    plan: &Plan,
    done: Done<'_, Scored>,
) -> Result<(), EvalError> {
    check(model, plan)?;
    if plan.nodes.is_empty() {
        return Ok(());
    }
    let vocab_size = model.engine.config().vocab_size;
    let bounds = Bounds {
        tokens: PASS_TOKENS,
        rows: (LOGITS_BYTES_MAX / (4 * vocab_size)).max(1),
        sequences: model.options.sequences_max,
        spare_positions: room::spare_positions(&model.engine),
    };
    let mut cover = Cover::new(&model.engine, plan, bounds)?;
    let mut sums = Sums::new(plan);
    while !cover.is_done() {
        model.check_stop()?;
        let pieces = cover.choose()?;
        let logits = cover.forward(&model.engine, &pieces);
        cover.advance(&pieces);
        let mut rows = logits.chunks_exact(vocab_size);
        for piece in &pieces {
            model.cost.computed_tokens += piece.tokens;
            let node = &plan.nodes[piece.node];
            for (offset, row) in piece.offsets().zip(&mut rows) {
                for (request, scored) in sums.add(reads_at(node, offset), row)? {
                    model.cost.requests += 1;
                    model.cost.naive_tokens += node.start + offset + 1;
                    done(request, scored)?;
                }
            }
        }
    }
    Ok(())
}

/// What is read behind a token of a node.
fn reads_at(node: &Node, offset: usize) -> &[Read] {
    let first = node.reads.partition_point(|read| read.offset < offset);
    let end = node.reads.partition_point(|read| read.offset <= offset);
    &node.reads[first..end]
}

/// Everything that the engine would panic at.
fn check(model: &EngineModel, plan: &Plan) -> Result<(), EvalError> {
    let vocab_size = model.engine.config().vocab_size;
    let length = model.options.limit.max_length();
    for node in &plan.nodes {
        let end = node.start + node.tokens.len();
        if end > length {
            let message = format!("a sequence of {end} tokens does not fit into {length}");
            return Err(EvalError::Model(message));
        }
        if let Some(id) = node.tokens.iter().find(|id| **id as usize >= vocab_size) {
            let message = format!("token id {id} is not in the vocabulary of {vocab_size}");
            return Err(EvalError::Model(message));
        }
    }
    Ok(())
}
