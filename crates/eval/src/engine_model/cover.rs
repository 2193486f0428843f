//! Which nodes of a plan are computed together, and whose cache they go on from.
//!
//! Nodes are begun in depth-first order as long as there is room, and several are computed in one
//! pass. A node goes on from a fork of its parent's cache, the last child from the cache itself.
//!
//! The first node that is not finished always has room, so that every plan ends: another one is
//! begun only if, with all its pages taken, there are enough left for the longest path. What the
//! nodes before the first one held was given back, and what lies on its path was taken from these.

use std::collections::{BTreeMap, BTreeSet};

use gptoss_engine::{Engine, KvCache, KvPool, LogitRows, Segment, forward_batch};

use crate::EvalError;
use crate::plan::{Node, Plan};

/// What is computed together at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Tokens of a pass.
    pub(super) tokens: usize,
    /// Tokens of a pass whose logits are wanted.
    pub(super) rows: usize,
    /// Caches at once.
    pub(super) sequences: usize,
    /// Positions of pages beside those of the longest path.
    pub(super) spare_positions: usize,
}

/// Some tokens of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// The node.
    pub(super) node: usize,
    /// Its first token that is computed.
    pub(super) from: usize,
    /// How many.
    pub(super) tokens: usize,
    /// Whose logits are wanted.
    pub(super) rows: LogitRows,
}

impl Piece {
    /// The tokens of the node whose logits there are.
    pub(super) fn offsets(&self) -> std::ops::Range<usize> {
        let end = self.from + self.tokens;
        match self.rows {
            LogitRows::None => end..end,
            LogitRows::Last => end - 1..end,
            LogitRows::All => self.from..end,
        }
    }
}

/// How far a plan is.
pub(super) struct Cover<'a> {
    plan: &'a Plan,
    bounds: Bounds,
    pool: KvPool,
    context_length: usize,
    /// Pages of the longest path.
    path_pages: usize,
    children: Vec<Vec<usize>>,
    /// Nodes whose parent is finished and that are not.
    open: BTreeSet<usize>,
    begun: BTreeMap<usize, Begun>,
    finished: BTreeMap<usize, Finished>,
}

/// A node that is being computed.
struct Begun {
    cache: KvCache,
    /// Tokens that are computed.
    done: usize,
}

/// A node from which others go on.
struct Finished {
    cache: KvCache,
    /// Children that did not begin.
    waiting: usize,
}

impl Cover<'_> {
    /// The beginning of a plan, which is not empty.
    ///
    /// # Errors
    /// If there is no memory for the longest path.
    pub(super) fn new<'a>(
        engine: &Engine,
        plan: &'a Plan,
        bounds: Bounds,
    ) -> Result<Cover<'a>, EvalError> {
        let mut children = vec![Vec::new(); plan.nodes.len()];
        let mut depths = vec![1; plan.nodes.len()];
        let (mut longest, mut deepest) = (1, 1);
        for (i, node) in plan.nodes.iter().enumerate() {
            if let Some(parent) = node.parent {
                children[parent].push(i);
                depths[i] = depths[parent] + 1;
            }
            longest = longest.max(node.start + node.tokens.len());
            deepest = deepest.max(depths[i]);
        }
        let page = KvPool::PAGE_POSITIONS;
        // Where a node begins in the middle of a page it has a copy of that page.
        let path_pages = longest.div_ceil(page) + deepest;
        let most = path_pages.saturating_mul(bounds.sequences);
        let pages = path_pages + (bounds.spare_positions / page).min(most);
        let pool = KvPool::of_model(engine.config(), pages, engine.cache_element());
        Ok(Cover {
            plan,
            bounds,
            pool: pool.map_err(super::failed)?,
            context_length: longest,
            path_pages,
            open: (0..children.len()).filter(|i| plan.nodes[*i].parent.is_none()).collect(),
            children,
            begun: BTreeMap::new(),
            finished: BTreeMap::new(),
        })
    }

    /// Whether all is computed.
    pub(super) fn is_done(&self) -> bool {
        self.open.is_empty()
    }

    /// What is computed next: one piece of each of some nodes, in the order of the nodes.
    ///
    /// # Errors
    /// If the first node has no room, which would be a fault of ours.
    pub(super) fn choose(&mut self) -> Result<Vec<Piece>, EvalError> {
        let candidates: Vec<usize> =
            self.open.iter().take(self.bounds.sequences).copied().collect();
        let (mut tokens, mut rows) = (self.bounds.tokens, self.bounds.rows);
        let mut pieces = Vec::new();
        for node in candidates {
            let has_begun = self.begun.contains_key(&node);
            if tokens == 0 || !has_begun && !self.begin(node, pieces.is_empty())? {
                break;
            }
            let piece = next_piece(self.plan, node, self.begun[&node].done, (tokens, rows));
            if piece.tokens == 0 {
                break;
            }
            tokens -= piece.tokens;
            rows -= piece.offsets().len();
            pieces.push(piece);
        }
        Ok(pieces)
    }

    /// Gives a node its cache with room for all its tokens; tells whether there was room.
    fn begin(&mut self, node: usize, is_first: bool) -> Result<bool, EvalError> {
        let Node { parent, start, tokens, .. } = &self.plan.nodes[node];
        if !is_first {
            let page = KvPool::PAGE_POSITIONS;
            let wanted = (start + tokens.len()).div_ceil(page) - start / page;
            let free = self.pool.pages() - self.pool.pages_used();
            let live = self.begun.len() + self.finished.len();
            if live >= self.bounds.sequences || free < wanted + self.path_pages {
                return Ok(false);
            }
        }
        let mut cache = match parent {
            None => KvCache::in_pool(&self.pool, self.context_length),
            Some(parent) => self.cache_of_child(*parent),
        };
        if !cache.reserve(tokens.len()) {
            return Err(EvalError::Model("no pages are left for the first sequence".into()));
        }
        self.begun.insert(node, Begun { cache, done: 0 });
        Ok(true)
    }

    /// The cache at the end of a finished node, for its next child.
    fn cache_of_child(&mut self, parent: usize) -> KvCache {
        let expected = "a node is open when its parent is finished";
        let finished = self.finished.get_mut(&parent).expect(expected);
        finished.waiting -= 1;
        match finished.waiting {
            0 => self.finished.remove(&parent).expect(expected).cache,
            _ => finished.cache.fork(),
        }
    }

    /// Computes pieces, and gives their logits, `[rows, V]`, one piece after the other.
    pub(super) fn forward(&mut self, engine: &Engine, pieces: &[Piece]) -> Vec<f32> {
        let mut rest = pieces.iter().peekable();
        let mut segments = Vec::with_capacity(pieces.len());
        for (node, begun) in &mut self.begun {
            if let Some(piece) = rest.next_if(|piece| piece.node == *node) {
                let tokens = &self.plan.nodes[*node].tokens[piece.from..][..piece.tokens];
                segments.push(Segment { cache: &mut begun.cache, tokens, rows: piece.rows });
            }
        }
        forward_batch(engine.forward_model(), &mut segments, &mut ())
    }

    /// Counts pieces as computed.
    pub(super) fn advance(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            let Some(begun) = self.begun.get_mut(&piece.node) else { continue };
            begun.done += piece.tokens;
            if begun.done < self.plan.nodes[piece.node].tokens.len() {
                continue;
            }
            self.open.remove(&piece.node);
            let children = &self.children[piece.node];
            self.open.extend(children);
            if let Some(Begun { cache, .. }) = self.begun.remove(&piece.node)
                && !children.is_empty()
            {
                self.finished.insert(piece.node, Finished { cache, waiting: children.len() });
            }
        }
    }
}

/// What of a node is computed in a pass that has room for so many tokens and rows. The logits of
/// tokens before the first read are not computed.
fn next_piece(plan: &Plan, node: usize, from: usize, room: (usize, usize)) -> Piece {
    let (tokens, rows) = room;
    let Node { tokens: all, reads, .. } = &plan.nodes[node];
    let (len, left) = (all.len(), all.len() - from);
    let first_read = reads.first().map_or(len, |read| read.offset);
    let piece = |tokens, rows| Piece { node, from, tokens, rows };
    if from >= first_read {
        return piece(left.min(tokens).min(rows), LogitRows::All);
    }
    if first_read + 1 == len && left <= tokens && rows > 0 {
        return piece(left, LogitRows::Last);
    }
    piece((first_read - from).min(tokens), LogitRows::None)
}

#[cfg(test)]
mod tests {
    use gptoss_engine::Engine;
    use proptest::prelude::*;

    use super::*;
    use crate::tokens::TokenPair;

    fn requests(texts: &[(Vec<u32>, usize)]) -> Vec<TokenPair> {
        let request = |(ids, context_len): &(Vec<u32>, usize)| {
            let context_len = (*context_len).clamp(1, ids.len() - 1);
            TokenPair { ids: ids.clone(), context_len, lost: 0 }
        };
        texts.iter().map(request).collect()
    }

    #[test]
    fn logits_are_computed_from_the_first_read_on() {
        let plan = Plan::new(&requests(&[((0..10).collect(), 6)]));
        let piece = |from, room| {
            let piece = next_piece(&plan, 0, from, room);
            (piece.tokens, piece.rows)
        };
        // Nine tokens are computed; the sixth is the first that is read.
        assert_eq!(piece(0, (100, 100)), (5, LogitRows::None));
        assert_eq!(piece(3, (1, 100)), (1, LogitRows::None));
        assert_eq!(piece(5, (100, 100)), (4, LogitRows::All));
        assert_eq!(piece(5, (100, 3)), (3, LogitRows::All));
        assert_eq!(piece(8, (100, 0)).0, 0);
        let letters = Plan::new(&requests(&[((0..10).collect(), 9)]));
        let last = next_piece(&letters, 0, 0, (9, 1));
        assert_eq!((last.tokens, last.rows, last.offsets()), (9, LogitRows::Last, 8..9));
        assert_eq!(next_piece(&letters, 0, 0, (9, 0)).tokens, 8);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        /// Every plan ends with the fewest pages and any bounds, and computes each token once.
        #[test]
        fn every_plan_ends(
            texts in prop::collection::vec(
                (prop::collection::vec(0u32..3, 2..200), 1usize..200), 1..10),
            tokens in 1usize..200,
            rows in 1usize..40,
            sequences in 1usize..6,
            spare_positions in prop_oneof![Just(0), Just(1 << 12)],
        ) {
            let engine = Engine::load("nano").unwrap();
            let plan = Plan::new(&requests(&texts));
            let bounds = Bounds { tokens, rows, sequences, spare_positions };
            let mut cover = Cover::new(&engine, &plan, bounds).unwrap();
            let mut computed = vec![0; plan.nodes.len()];
            while !cover.is_done() {
                let pieces = cover.choose().unwrap();
                prop_assert!(!pieces.is_empty());
                prop_assert!(pieces.iter().map(|piece| piece.tokens).sum::<usize>() <= tokens);
                prop_assert!(pieces.iter().map(|p| p.offsets().len()).sum::<usize>() <= rows);
                // What the caches hold is counted, not what is in them.
                for piece in &pieces {
                    prop_assert_eq!(piece.from, computed[piece.node]);
                    computed[piece.node] += piece.tokens;
                }
                cover.forward(&engine, &pieces);
                cover.advance(&pieces);
            }
            let expected: Vec<usize> = plan.nodes.iter().map(|node| node.tokens.len()).collect();
            prop_assert_eq!(computed, expected);
            prop_assert_eq!(cover.pool.pages_used(), 0);
        }
    }
}
