//! Which tokens are computed once for many requests: a tree of shared beginnings.
//!
//! The five examples of an MMLU subject are computed once for all its questions, a question once
//! for its choices, and four answers of one token come from one forward pass, because the last
//! token of a request is only looked up and never computed.

use gptoss_harmony::TokenId;

use crate::tokens::TokenPair;

/// The ids of a request that have to be computed: all but the last.
fn computed(pair: &TokenPair) -> &[TokenId] {
    &pair.ids[..pair.ids.len().saturating_sub(1)]
}

/// A place of a node at which logits are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// The token of the node behind which the logits are.
    pub offset: usize,
    /// Which request asks, by its place in what was planned.
    pub request: usize,
    /// The token whose log-probability is read.
    pub token: TokenId,
}

/// Tokens that follow those of the parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What is computed before; a root has nothing before it. Smaller than the node's own place.
    pub parent: Option<usize>,
    /// Tokens before this node.
    pub start: usize,
    /// The tokens of this node.
    pub tokens: Vec<TokenId>,
    /// Sorted by offset, then by request.
    pub reads: Vec<Read>,
}

/// What a plan costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Requests that were planned.
    pub requests: usize,
    /// Tokens that a client computes that asks one request after the other.
    pub naive_tokens: usize,
    /// Tokens that the plan computes.
    pub computed_tokens: usize,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.requests += other.requests;
        self.naive_tokens += other.naive_tokens;
        self.computed_tokens += other.computed_tokens;
    }
}

/// Requests as a forest of shared beginnings.
///
/// Nodes are in depth-first order: a cache that is cut back to [`Node::start`] holds what the next
/// node needs. Reads of a request, taken by node and offset, are its tokens from left to right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// For each request the number of its reads.
    pub reads: Vec<usize>,
    /// What it costs.
    pub cost: Cost,
}

/// A node in the making. The lower part of a node that is cut in two keeps its place.
struct Draft {
    parent: Option<usize>,
    /// Which request, in sorted order, came first through this node.
    first: usize,
    start: usize,
    end: usize,
}

impl Plan {
    /// Plans requests: the log-probabilities of the ids behind each context. A request without ids
    /// to compute asks for nothing and gets no reads.
    pub fn new(requests: &[TokenPair]) -> Plan {
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by(|a, b| computed(&requests[*a]).cmp(computed(&requests[*b])));
        let (drafts, leaves) = drafts(requests, &order);
        let mut by_place: Vec<usize> = (0..drafts.len()).collect();
        by_place.sort_by_key(|i| (drafts[*i].first, drafts[*i].start));
        let mut place_of = vec![0; drafts.len()];
        for (place, draft) in by_place.iter().enumerate() {
            place_of[*draft] = place;
        }
        let node = |draft: &usize| {
            let draft = &drafts[*draft];
            let ids = computed(&requests[order[draft.first]]);
            Node {
                parent: draft.parent.map(|parent| place_of[parent]),
                start: draft.start,
                tokens: ids[draft.start..draft.end].to_vec(),
                reads: Vec::new(),
            }
        };
        let mut plan = Plan {
            nodes: by_place.iter().map(node).collect(),
            reads: vec![0; requests.len()],
            cost: Cost { requests: requests.len(), ..Cost::default() },
        };
        for (sorted, leaf) in leaves.iter().enumerate() {
            if let Some(leaf) = leaf {
                plan.add_reads(order[sorted], &requests[order[sorted]], place_of[*leaf]);
            }
        }
        for node in &mut plan.nodes {
            node.reads.sort_by_key(|read| (read.offset, read.request));
        }
        plan.cost.naive_tokens = requests.iter().map(|pair| computed(pair).len()).sum();
        plan.cost.computed_tokens = plan.nodes.iter().map(|node| node.tokens.len()).sum();
        plan
    }

    /// Enters what a request reads, from its last token up the path.
    fn add_reads(&mut self, request: usize, pair: &TokenPair, leaf: usize) {
        let mut node = leaf;
        for place in (pair.context_len..pair.ids.len()).rev() {
            while self.nodes[node].start >= place {
                let Some(parent) = self.nodes[node].parent else { return };
                node = parent;
            }
            let offset = place - 1 - self.nodes[node].start;
            self.nodes[node].reads.push(Read { offset, request, token: pair.ids[place] });
            self.reads[request] += 1;
        }
    }
}

/// Nodes of the tree, and for each request in sorted order the lowest node of its path.
fn drafts(requests: &[TokenPair], order: &[usize]) -> (Vec<Draft>, Vec<Option<usize>>) {
    let mut drafts: Vec<Draft> = Vec::new();
    let mut leaves: Vec<Option<usize>> = Vec::new();
    // The path of the request before, from the root.
    let mut path: Vec<usize> = Vec::new();
    let mut before: &[TokenId] = &[];
    for (sorted, request) in order.iter().enumerate() {
        let ids = computed(&requests[*request]);
        let shared = ids.iter().zip(before).take_while(|(a, b)| a == b).count();
        while path.last().is_some_and(|node| drafts[*node].start >= shared) {
            path.pop();
        }
        if let Some(last) = path.last().copied()
            && drafts[last].end > shared
        {
            let Draft { parent, first, start, .. } = drafts[last];
            drafts.push(Draft { parent, first, start, end: shared });
            let upper = drafts.len() - 1;
            drafts[last].parent = Some(upper);
            drafts[last].start = shared;
            path.pop();
            path.push(upper);
        }
        if ids.len() > shared {
            let parent = path.last().copied();
            drafts.push(Draft { parent, first: sorted, start: shared, end: ids.len() });
            path.push(drafts.len() - 1);
        }
        leaves.push(path.last().copied());
        before = ids;
    }
    (drafts, leaves)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(context: &[TokenId], continuation: &[TokenId]) -> TokenPair {
        let ids = [context, continuation].concat();
        TokenPair { ids, context_len: context.len(), lost: 0 }
    }

    /// The ids from the root to a read.
    fn path(plan: &Plan, node: usize, offset: usize) -> Vec<TokenId> {
        let mut ids = plan.nodes[node].tokens[..=offset].to_vec();
        let mut at = plan.nodes[node].parent;
        while let Some(node) = at {
            ids.splice(0..0, plan.nodes[node].tokens.iter().copied());
            at = plan.nodes[node].parent;
        }
        ids
    }

    /// Every read stands behind the right ids, all of them are there in order, and no node is
    /// computed twice.
    fn check(requests: &[TokenPair]) {
        let plan = Plan::new(requests);
        let mut found: Vec<Vec<TokenId>> = vec![Vec::new(); requests.len()];
        for (i, node) in plan.nodes.iter().enumerate() {
            assert!(!node.tokens.is_empty());
            assert!(node.parent.is_none_or(|parent| parent < i));
            let siblings = plan.nodes.iter().filter(|other| other.parent == node.parent);
            assert_eq!(siblings.filter(|other| other.tokens[0] == node.tokens[0]).count(), 1);
            for read in &node.reads {
                let before = path(&plan, i, read.offset);
                let ids = &requests[read.request].ids;
                assert_eq!(before, ids[..before.len()]);
                assert_eq!(before.len(), node.start + read.offset + 1);
                assert_eq!(ids[before.len()], read.token);
                found[read.request].push(read.token);
            }
        }
        for (pair, found) in requests.iter().zip(&found) {
            assert_eq!(*found, pair.ids[pair.context_len..]);
        }
        let counts: Vec<usize> = found.iter().map(Vec::len).collect();
        assert_eq!(plan.reads, counts);
    }

    #[test]
    fn four_letters_cost_one_forward() {
        let context = [1, 2, 3, 4, 5];
        let requests: Vec<TokenPair> = (10..14).map(|letter| pair(&context, &[letter])).collect();
        let plan = Plan::new(&requests);
        assert_eq!(plan.nodes.len(), 1);
        assert_eq!(plan.nodes[0].reads.len(), 4);
        assert_eq!(plan.cost, Cost { requests: 4, naive_tokens: 20, computed_tokens: 5 });
        check(&requests);
    }

    #[test]
    fn examples_and_questions_are_shared() {
        let requests = [
            pair(&[1, 2, 3, 4], &[9, 8]),
            pair(&[1, 2, 3, 4], &[9, 7]),
            pair(&[1, 2, 5], &[6]),
            pair(&[7], &[1]),
        ];
        check(&requests);
        let plan = Plan::new(&requests);
        assert_eq!(plan.cost.computed_tokens, "1 2 3 4 9 5 7".split(' ').count());
        assert_eq!(plan.cost.naive_tokens, 5 + 5 + 3 + 1);
    }

    proptest! {
        #[test]
        fn every_request_finds_its_reads(
            lists in prop::collection::vec(prop::collection::vec(0u32..3, 2..9), 0..24),
            cuts in prop::collection::vec(1usize..8, 24),
        ) {
            let request = |(ids, cut): (&Vec<TokenId>, &usize)| {
                TokenPair { ids: ids.clone(), context_len: (*cut).min(ids.len() - 1), lost: 0 }
            };
            check(&lists.iter().zip(&cuts).map(request).collect::<Vec<_>>());
        }
    }
}
