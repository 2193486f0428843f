//! Byte-pair encoding of one piece: the pair that the vocabulary ranks first is merged first.
//!
//! Sennrich, Haddow & Birch 2016 (arXiv:1508.07909). Of several pairs with the same rank the
//! leftmost goes first. In a short piece, which almost all are, the best pair is searched for; in
//! a long one the pairs wait in a heap, so that n symbols take O(n log n).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::TokenId;

/// A part of the piece: the bytes from `start` to `end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol {
    /// The token, or any number that `merged` of [`merge`] understands.
    pub(super) id: TokenId,
    /// Offset of its first byte.
    pub(super) start: usize,
    /// Offset after its last byte; 0 marks a symbol that went into its left neighbour.
    pub(super) end: usize,
}

/// What a pair becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Merged {
    /// The smallest goes first.
    pub(super) rank: u32,
    /// The token of both.
    pub(super) id: TokenId,
}

/// A pair that could be merged when it was found; it may be out of date by now.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    rank: u32,
    left: usize,
    id: TokenId,
    /// Where the right symbol ended.
    end: usize,
}

/// The number of symbols up to which searching takes less time than a heap.
const SHORT_MAX: usize = 32;

/// Merges the symbols of a piece until `merged` knows no more pair; the result is in order.
///
/// The symbols lie next to each other and none is empty.
pub(super) fn merge(
    symbols: &mut Vec<Symbol>,
    merged: impl Fn(&Symbol, &Symbol) -> Option<Merged>,
) {
    if symbols.len() <= SHORT_MAX {
        merge_short(symbols, merged);
    } else {
        merge_long(symbols, merged);
    }
}

/// As [`merge`]; looks at all pairs for each merge.
fn merge_short(symbols: &mut Vec<Symbol>, merged: impl Fn(&Symbol, &Symbol) -> Option<Merged>) {
    let mut pairs: Vec<Option<Merged>> =
        symbols.windows(2).map(|pair| merged(&pair[0], &pair[1])).collect();
    loop {
        let known = pairs.iter().enumerate().filter_map(|(left, pair)| Some((left, (*pair)?)));
        // Of equal ranks this gives the first, which is the leftmost.
        let Some((left, pair)) = known.min_by_key(|(_, pair)| pair.rank) else { return };
        symbols[left].id = pair.id;
        symbols[left].end = symbols.remove(left + 1).end;
        pairs.remove(left);
        if left < pairs.len() {
            pairs[left] = merged(&symbols[left], &symbols[left + 1]);
        }
        if left > 0 {
            pairs[left - 1] = merged(&symbols[left - 1], &symbols[left]);
        }
    }
}

/// As [`merge`]; the pairs wait in a heap.
fn merge_long(symbols: &mut Vec<Symbol>, merged: impl Fn(&Symbol, &Symbol) -> Option<Merged>) {
    let candidate = |symbols: &[Symbol], left: usize, right: usize| {
        let pair = merged(&symbols[left], &symbols[right])?;
        Some(Reverse(Candidate { rank: pair.rank, left, id: pair.id, end: symbols[right].end }))
    };
    // Neighbours by index; symbol 0 has no left and the last no right neighbour.
    let count = symbols.len();
    let mut left_of: Vec<usize> = (0..count).map(|i| i.wrapping_sub(1)).collect();
    let mut right_of: Vec<usize> = (1..=count).collect();
    let mut heap: BinaryHeap<_> =
        (1..count).filter_map(|right| candidate(symbols, right - 1, right)).collect();

    while let Some(Reverse(Candidate { left, id, end, .. })) = heap.pop() {
        let right = right_of[left];
        // Symbols only grow: the pair is the same if its right symbol still ends there.
        if symbols[left].end == 0 || right == count || symbols[right].end != end {
            continue;
        }
        symbols[left].id = id;
        symbols[left].end = end;
        symbols[right].end = 0;
        let after = right_of[right];
        right_of[left] = after;
        if after < count {
            left_of[after] = left;
            heap.extend(candidate(symbols, left, after));
        }
        if left > 0 {
            heap.extend(candidate(symbols, left_of[left], left));
        }
    }
    symbols.retain(|symbol| symbol.end != 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition read aloud: look at all pairs, merge the first of the best, repeat.
    fn naive(text: &[u8], rank_of: impl Fn(&[u8]) -> Option<u32>) -> Vec<&[u8]> {
        let mut parts: Vec<&[u8]> = text.chunks(1).collect();
        let mut start_of: Vec<usize> = (0..text.len()).collect();
        loop {
            let pair =
                |i: usize| &text[start_of[i]..start_of[i] + parts[i].len() + parts[i + 1].len()];
            let ranked =
                (0..parts.len().saturating_sub(1)).filter_map(|i| Some((rank_of(pair(i))?, i)));
            let Some((_, best)) = ranked.min() else { return parts };
            parts[best] = pair(best);
            parts.remove(best + 1);
            start_of.remove(best + 1);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn agrees_with_the_definition(
            text in prop::collection::vec(prop::sample::select(b"abc".to_vec()), 0..90),
            vocabulary in prop::collection::vec("[abc]{2,6}", 0..20),
            // Scores of SentencePiece may be equal: then the leftmost goes first.
            ranks in prop::collection::vec(0u32..6, 20),
        ) {
            let rank_of = |bytes: &[u8]| {
                let found = vocabulary.iter().position(|token| token.as_bytes() == bytes)?;
                Some(ranks[found])
            };
            let mut symbols: Vec<Symbol> =
                (0..text.len()).map(|start| Symbol { id: 0, start, end: start + 1 }).collect();
            merge(&mut symbols, |left, right| {
                Some(Merged { rank: rank_of(&text[left.start..right.end])?, id: 0 })
            });
            let parts: Vec<&[u8]> = symbols.iter().map(|s| &text[s.start..s.end]).collect();
            prop_assert_eq!(parts, naive(&text, rank_of));
        }
    }
}
