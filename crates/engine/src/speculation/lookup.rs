//! Where the last tokens of a sequence stood before.

use std::collections::HashMap;

use gptoss_harmony::TokenId;

/// Earlier places that are compared for the longest match.
const PLACES: usize = 8;
/// Tokens of the longest match that is told apart.
pub(super) const MATCH_MAX: usize = 8;

/// An index of the pairs of tokens of one sequence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookup {
    /// Ends (exclusive) of the pairs, in ascending order.
    ends: HashMap<[TokenId; 2], Vec<u32>>,
    /// Tokens that are indexed.
    len: usize,
}

/// What followed the longest match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate<'a> {
    /// Tokens that matched, 2 to 8.
    pub(crate) matched: usize,
    /// What came after them.
    pub(crate) following: &'a [TokenId],
}

impl Lookup {
    /// The candidate for what follows `tokens`, if their last two stood together before: what
    /// followed the longest match, and of equally long ones the latest.
    ///
    /// `tokens` may be longer than in the last call, or shorter, but only its end may differ after
    /// [`Lookup::truncate`].
    pub(crate) fn find<'a>(&mut self, tokens: &'a [TokenId]) -> Option<Candidate<'a>> {
        self.truncate(tokens);
        for end in self.len.max(2)..tokens.len() {
            // The pair at the very end is what is looked for.
            let pair = [tokens[end - 2], tokens[end - 1]];
            self.ends.entry(pair).or_default().push(end as u32);
        }
        self.len = tokens.len().max(self.len);
        let [.., a, b] = tokens else { return None };
        let ends = self.ends.get(&[*a, *b])?;
        let matched = |end: usize| {
            let backwards = tokens[..end].iter().rev().zip(tokens.iter().rev());
            backwards.take(MATCH_MAX).take_while(|(a, b)| a == b).count()
        };
        let best = ends.iter().rev().take(PLACES).map(|end| *end as usize);
        // The first of equals in reverse order is the latest.
        let (matched, end) = best
            .map(|end| (matched(end), end))
            .reduce(|best, other| if other.0 > best.0 { other } else { best })?;
        Some(Candidate { matched, following: &tokens[end..] })
    }

    /// Forgets what lies behind `tokens`, which are a beginning of what was indexed.
    fn truncate(&mut self, tokens: &[TokenId]) {
        if tokens.len() >= self.len {
            return;
        }
        self.len = tokens.len();
        for ends in self.ends.values_mut() {
            while ends.last().is_some_and(|end| *end as usize >= tokens.len().max(1)) {
                ends.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_match_wins_and_then_the_latest() {
        let mut lookup = Lookup::default();
        assert_eq!(lookup.find(&[1]), None);
        assert_eq!(lookup.find(&[1, 2]), None);
        // 7 1 2 → 3, then 9 1 2 → 4; the end 7 1 2 matches the first longer.
        let tokens = [7, 1, 2, 3, 9, 1, 2, 4, 7, 1, 2];
        let found = lookup.find(&tokens).unwrap();
        assert_eq!((found.matched, found.following[0]), (3, 3));
        let tokens = [5, 1, 2, 3, 9, 1, 2, 4, 8, 1, 2];
        let mut lookup = Lookup::default();
        let found = lookup.find(&tokens).unwrap();
        assert_eq!((found.matched, found.following[0]), (2, 4));
    }

    #[test]
    fn token_by_token_finds_what_a_fresh_index_finds() {
        let tokens: Vec<TokenId> = (0..200).map(|i: u32| (i * i / 7) % 5).collect();
        let mut grown = Lookup::default();
        for len in 0..tokens.len() {
            let tokens = &tokens[..len];
            assert_eq!(grown.find(tokens), Lookup::default().find(tokens), "{len}");
        }
        // Back and on with other tokens.
        let mut other = tokens[..90].to_vec();
        grown.truncate(&other);
        other.extend([1, 2, 1, 2, 1]);
        assert_eq!(grown.find(&other), Lookup::default().find(&other));
    }
}
