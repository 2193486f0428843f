//! Beginnings of earlier sequences that need not be computed again.
//!
//! Full pages are the nodes of a tree whose edges are the ids of their tokens, so that what has
//! the same beginning is held once. A snapshot hangs on the node of its last full page, with the
//! ids behind it and the page that they lie in. To go on somewhere takes a snapshot, so a node
//! without a snapshot at or below it is dropped, and what is evicted are snapshots, those first
//! that were not used for the longest time.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use gptoss_harmony::TokenId;

use crate::kv_cache::{CacheSnapshot, PAGE, Page};
use crate::session::common;

/// The node of the empty sequence, which has no page.
const ROOT: usize = 0;

/// The tree.
#[derive(Debug)]
pub(super) struct PrefixIndex {
    /// By a number that is never used twice.
    nodes: BTreeMap<usize, Node>,
    snapshots: BTreeMap<usize, Kept>,
    snapshots_max: usize,
    /// The next number of a node or snapshot, and the time of uses.
    clock: usize,
}

/// Nodes by the ids of their pages.
type Children = BTreeMap<Box<[TokenId]>, usize>;

#[derive(Debug, Default)]
struct Node {
    parent: usize,
    /// None for the root.
    page: Option<Page>,
    children: Children,
    snapshots: Vec<usize>,
}

#[derive(Debug)]
struct Kept {
    node: usize,
    /// Behind the node's last token; fewer than a page.
    tail: Box<[TokenId]>,
    /// Holds the tail, if it is not empty; other ids may follow there.
    page: Option<Page>,
    snapshot: Arc<CacheSnapshot>,
    used: usize,
}

/// Where a sequence can go on.
#[derive(Debug)]
pub(super) struct Found {
    /// Tokens that need not be computed.
    pub(super) positions: usize,
    /// Their pages; behind these positions the last one may hold anything.
    pub(super) pages: Vec<Page>,
    pub(super) snapshot: Arc<CacheSnapshot>,
}

/// What is known of a sequence.
#[derive(Debug)]
pub(super) struct Match {
    pub(super) found: Option<Found>,
    /// First tokens that some earlier sequence had too, whether or not one can go on there.
    pub(super) common: usize,
}

/// A snapshot and the position where it can be used.
#[derive(Clone, Copy)]
struct Candidate {
    positions: usize,
    kept: usize,
}

/// The first child that is not before `ids`.
fn first_from<'a>(children: &'a Children, ids: &[TokenId]) -> Option<(&'a [TokenId], usize)> {
    let from = (Bound::Included(ids), Bound::Unbounded);
    children.range::<[TokenId], _>(from).next().map(|(ids, child)| (&**ids, *child))
}

/// The last child before `ids`.
fn last_before<'a>(children: &'a Children, ids: &[TokenId]) -> Option<(&'a [TokenId], usize)> {
    let before = (Bound::Unbounded, Bound::Excluded(ids));
    children.range::<[TokenId], _>(before).next_back().map(|(ids, child)| (&**ids, *child))
}

impl PrefixIndex {
    /// An empty index of up to `snapshots_max` snapshots.
    pub(super) fn new(snapshots_max: usize) -> PrefixIndex {
        let nodes = BTreeMap::from([(ROOT, Node::default())]);
        PrefixIndex { nodes, snapshots: BTreeMap::new(), snapshots_max, clock: ROOT + 1 }
    }

    fn tick(&mut self) -> usize {
        self.clock += 1;
        self.clock
    }

    /// The last position, up to `positions_max`, where `tokens` can go on.
    pub(super) fn find(&mut self, tokens: &[TokenId], positions_max: usize) -> Match {
        let (mut node, mut depth) = (ROOT, 0);
        let mut pages: Vec<Page> = Vec::new();
        let mut all = Match { found: None, common: 0 };
        let mut best: Option<Candidate> = None;
        loop {
            let rest = &tokens[depth * PAGE..];
            for kept in &self.nodes[&node].snapshots {
                let same = depth * PAGE + common(&self.snapshots[kept].tail, rest);
                self.offer(&mut best, *kept, same.min(positions_max));
                all.common = all.common.max(same);
            }
            let next = rest.get(..PAGE).and_then(|ids| self.nodes[&node].children.get(ids));
            let Some(next) = next else { break };
            node = *next;
            depth += 1;
            pages.extend(self.nodes[&node].page.clone());
        }
        // A page of which only the beginning is the same: its neighbours in order of ids have the
        // longest one, and snapshots in it lead back a few positions.
        let rest = &tokens[depth * PAGE..];
        let children = &self.nodes[&node].children;
        let neighbours = [last_before(children, rest), first_from(children, rest)];
        for (ids, child) in neighbours.into_iter().flatten() {
            let same = depth * PAGE + common(ids, rest);
            all.common = all.common.max(same);
            for kept in &self.nodes[&child].snapshots {
                self.offer(&mut best, *kept, same.min(positions_max));
            }
        }
        all.found = best.map(|candidate| self.go_on(candidate, pages, node));
        all
    }

    /// Takes a snapshot as the best if it leads back to a later position.
    fn offer(&self, best: &mut Option<Candidate>, kept: usize, wanted: usize) {
        let at = self.snapshots[&kept].snapshot.resumes_at(wanted);
        if let Some(positions) = at.filter(|at| *at > best.map_or(0, |best| best.positions)) {
            *best = Some(Candidate { positions, kept });
        }
    }

    /// The pages of a candidate, of which `pages` are those of `node` and what is above it.
    fn go_on(&mut self, candidate: Candidate, mut pages: Vec<Page>, node: usize) -> Found {
        let Candidate { positions, kept } = candidate;
        let used = self.tick();
        let kept = self.snapshots.get_mut(&kept).expect("candidates are kept");
        kept.used = used;
        if positions > pages.len() * PAGE {
            // In the tail, or in the page of a child that is the same up to there.
            let is_tail = kept.node == node;
            pages.extend(if is_tail {
                kept.page.clone()
            } else {
                self.nodes[&kept.node].page.clone()
            });
        }
        pages.truncate(positions.div_ceil(PAGE));
        Found { positions, pages, snapshot: kept.snapshot.clone() }
    }

    /// Whether a snapshot at the end of `tokens` would be kept and is not there; if it is there, it
    /// counts as used.
    pub(super) fn wants(&mut self, tokens: &[TokenId]) -> bool {
        self.snapshots_max > 0 && !self.has(tokens)
    }

    fn has(&mut self, tokens: &[TokenId]) -> bool {
        let (full, tail) = tokens.as_chunks::<PAGE>();
        let mut node = ROOT;
        for ids in full {
            match self.nodes[&node].children.get(&ids[..]) {
                Some(child) => node = *child,
                None => return false,
            }
        }
        let used = self.tick();
        let mut snapshots = self.nodes[&node].snapshots.iter();
        let same = snapshots.find(|kept| *self.snapshots[kept].tail == *tail).copied();
        let same = same.and_then(|kept| self.snapshots.get_mut(&kept));
        same.map(|kept| kept.used = used).is_some()
    }

    /// Keeps a snapshot at the end of `tokens`, which lie in `pages`.
    ///
    /// # Panics
    /// If it is at another position, or the pages are not those of all tokens.
    pub(super) fn insert(&mut self, tokens: &[TokenId], pages: &[Page], snapshot: CacheSnapshot) {
        assert_eq!(snapshot.positions(), tokens.len(), "prefix: snapshot of another position");
        assert_eq!(pages.len(), tokens.len().div_ceil(PAGE), "prefix: pages");
        if !self.wants(tokens) {
            return;
        }
        while self.snapshots.len() >= self.snapshots_max {
            self.evict(|_| true);
        }
        let (full, tail) = tokens.as_chunks::<PAGE>();
        let node =
            full.iter().zip(pages).fold(ROOT, |node, (ids, page)| self.child(node, ids, page));
        let used = self.tick();
        let page = pages.get(full.len()).map(|page| self.page_of_tail(node, tail, page));
        let snapshot = Arc::new(snapshot);
        self.snapshots.insert(used, Kept { node, tail: tail.into(), page, snapshot, used });
        self.node_mut(node).snapshots.push(used);
    }

    fn node_mut(&mut self, node: usize) -> &mut Node {
        self.nodes.get_mut(&node).expect("a node is dropped with the last link to it")
    }

    /// The child of `node` for a full page; made if there is none.
    fn child(&mut self, node: usize, ids: &[TokenId; PAGE], page: &Page) -> usize {
        if let Some(child) = self.nodes[&node].children.get(&ids[..]) {
            return *child;
        }
        self.share(node, ids, page);
        let child = self.tick();
        let new = Node { parent: node, page: Some(page.clone()), ..Node::default() };
        self.nodes.insert(child, new);
        self.node_mut(node).children.insert(ids.as_slice().into(), child);
        child
    }

    /// Lets tails of `node` that `ids` begin with lie in `page`, which holds them too.
    fn share(&mut self, node: usize, ids: &[TokenId], page: &Page) {
        for kept in &self.nodes[&node].snapshots {
            let kept = self.snapshots.get_mut(kept).expect("nodes list what is kept");
            if kept.page.is_some() && ids.starts_with(&kept.tail) {
                kept.page = Some(page.clone());
            }
        }
    }

    /// A page that holds `tail`: one that is held anyway, or `page`.
    fn page_of_tail(&mut self, node: usize, tail: &[TokenId], page: &Page) -> Page {
        let child = first_from(&self.nodes[&node].children, tail);
        if let Some((_, child)) = child.filter(|(ids, _)| ids.starts_with(tail)) {
            return self.nodes[&child].page.clone().expect("only the root has no page");
        }
        let others = self.nodes[&node].snapshots.iter().map(|kept| &self.snapshots[kept]);
        let longer = others.filter(|kept| kept.tail.starts_with(tail)).find_map(|k| k.page.clone());
        if let Some(longer) = longer {
            return longer;
        }
        self.share(node, tail, page);
        page.clone()
    }

    /// Drops the snapshot that was not used for the longest time among those that hold pages which
    /// no other needs; tells whether there was one.
    pub(super) fn evict_pages(&mut self) -> bool {
        self.evict(|node| node.children.is_empty())
    }

    fn evict(&mut self, is_eligible: impl Fn(&Node) -> bool) -> bool {
        let eligible =
            self.snapshots.iter().filter(|(_, kept)| is_eligible(&self.nodes[&kept.node]));
        let Some((&oldest, _)) = eligible.min_by_key(|(_, kept)| kept.used) else { return false };
        let kept = self.snapshots.remove(&oldest).expect("it was just found");
        self.node_mut(kept.node).snapshots.retain(|other| *other != oldest);
        self.prune(kept.node);
        true
    }

    /// Drops `node` and those above it that lead to no snapshot.
    fn prune(&mut self, mut node: usize) {
        while node != ROOT {
            let Node { parent, children, snapshots, .. } = &self.nodes[&node];
            if !children.is_empty() || !snapshots.is_empty() {
                return;
            }
            let parent = *parent;
            self.nodes.remove(&node);
            self.node_mut(parent).children.retain(|_, child| *child != node);
            node = parent;
        }
    }

    /// The tokens, pages and snapshot of everything that is kept, last used first.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let mut kept: Vec<&Kept> = self.snapshots.values().collect();
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.used));
        kept.into_iter().map(|kept| self.entry(kept)).collect()
    }

    fn entry(&self, kept: &Kept) -> Entry {
        let (mut pieces, mut pages, mut node) = (Vec::new(), Vec::new(), kept.node);
        while node != ROOT {
            let Node { parent, page, .. } = &self.nodes[&node];
            let siblings = &self.nodes[parent].children;
            pieces.extend(siblings.iter().find(|(_, child)| **child == node).map(|(ids, _)| ids));
            pages.extend(page.clone());
            node = *parent;
        }
        pages.reverse();
        pages.extend(kept.page.clone());
        let mut tokens: Vec<TokenId> =
            pieces.into_iter().rev().flat_map(|ids| ids.iter().copied()).collect();
        tokens.extend_from_slice(&kept.tail);
        Entry { tokens, pages, snapshot: kept.snapshot.clone() }
    }

    /// Number of snapshots.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.snapshots.len()
    }
}

/// One thing that is kept.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) tokens: Vec<TokenId>,
    pub(super) pages: Vec<Page>,
    pub(super) snapshot: Arc<CacheSnapshot>,
}

#[cfg(test)]
mod tests {
    use gptoss_checkpoint::presets;
    use gptoss_kernels::cached_attention::CacheElement;

    use super::*;
    use crate::kv_cache::{CacheShape, KvCache, KvPool};

    fn pool(pages: usize) -> KvPool {
        let mut config = presets::find("gpt-oss-20b").unwrap().config;
        (config.num_hidden_layers, config.num_key_value_heads, config.head_dim) = (2, 1, 16);
        config.layer_types.truncate(2);
        KvPool::new(CacheShape::new(&config, CacheElement::F32).unwrap(), pages)
    }

    /// Keeps `tokens` as if they had been computed one after the other.
    fn keep(index: &mut PrefixIndex, pool: &KvPool, tokens: &[TokenId]) {
        let mut cache = KvCache::in_pool(pool, 4096);
        for _ in tokens {
            assert!(cache.reserve(1), "the pool is large enough");
            cache.advance(1);
        }
        index.insert(tokens, cache.pages(), cache.snapshot());
    }

    fn ids(len: usize, seed: u32) -> Vec<TokenId> {
        (0..len as u32).map(|i| (i * 7 + seed * (i + 1)) % 1000).collect()
    }

    fn positions(index: &mut PrefixIndex, tokens: &[TokenId]) -> Option<usize> {
        let found = index.find(tokens, tokens.len().saturating_sub(1)).found?;
        assert_eq!(found.pages.len(), found.positions.div_ceil(PAGE));
        Some(found.positions)
    }

    #[test]
    fn a_sequence_goes_on_where_an_earlier_one_was_kept() {
        let (pool, mut index) = (pool(64), PrefixIndex::new(8));
        let first = ids(700, 1);
        assert_eq!(positions(&mut index, &first), None);
        keep(&mut index, &pool, &first[..300]);
        keep(&mut index, &pool, &first[..640]);
        // The last token is computed again.
        assert_eq!(positions(&mut index, &first[..300]), Some(299));
        assert_eq!(positions(&mut index, &first[..640]), Some(639));
        assert_eq!(positions(&mut index, &first), Some(640));
        assert_eq!(positions(&mut index, &first[..600]), Some(300));
        // What comes between two snapshots is known, but nobody can go on there.
        let mut other = first[..500].to_vec();
        other.extend(ids(50, 2));
        let found = index.find(&other, 549);
        assert_eq!((found.found.unwrap().positions, found.common), (300, 500));
        assert_eq!(positions(&mut index, &ids(700, 3)), None);
    }

    #[test]
    fn pages_of_the_same_tokens_are_held_once() {
        let (pool, mut index) = (pool(64), PrefixIndex::new(8));
        let tokens = ids(400, 1);
        keep(&mut index, &pool, &tokens[..300]);
        assert_eq!(pool.pages_used(), 3);
        keep(&mut index, &pool, &tokens[..310]);
        assert_eq!(pool.pages_used(), 3, "the longer tail's page holds the shorter one too");
        keep(&mut index, &pool, &tokens);
        assert_eq!(pool.pages_used(), 4, "as does the full page");
        keep(&mut index, &pool, &tokens[..290]);
        keep(&mut index, &pool, &tokens[..300]);
        assert_eq!((pool.pages_used(), index.len()), (4, 4));
        let mut other = tokens[..256].to_vec();
        other.extend(ids(100, 2));
        keep(&mut index, &pool, &other);
        assert_eq!(pool.pages_used(), 5);
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_goes_first() {
        let (pool, mut index) = (pool(64), PrefixIndex::new(3));
        let all: Vec<_> = (1..5).map(|seed| ids(200, seed)).collect();
        for tokens in &all[..3] {
            keep(&mut index, &pool, tokens);
        }
        assert_eq!(positions(&mut index, &all[0]), Some(199));
        keep(&mut index, &pool, &all[3]);
        let found: Vec<_> = all.iter().map(|tokens| positions(&mut index, tokens)).collect();
        assert_eq!(found, [Some(199), None, Some(199), Some(199)]);
        assert_eq!(pool.pages_used(), 6, "pages go with their snapshots");
        while index.evict_pages() {}
        assert_eq!((pool.pages_used(), index.len(), index.nodes.len()), (0, 0, 1));
    }

    #[test]
    fn entries_are_what_was_kept() {
        let (pool, mut index) = (pool(64), PrefixIndex::new(8));
        let (short, long) = (ids(256, 1), ids(300, 2));
        keep(&mut index, &pool, &short);
        keep(&mut index, &pool, &long);
        let entries = index.entries();
        let tokens: Vec<_> = entries.iter().map(|entry| &entry.tokens).collect();
        assert_eq!(tokens, [&long, &short]);
        assert_eq!(entries.iter().map(|entry| entry.pages.len()).collect::<Vec<_>>(), [3, 2]);
    }
}
