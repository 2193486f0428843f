//! The bytes of every token by id, and the way back from bytes to the id.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::TokenId;

/// The bytes of the tokens, one after another; ids may have gaps.
#[derive(Default)]
pub(super) struct TokenTable {
    bytes: Vec<u8>,
    /// Start and length of each token in `bytes`; a length of `ABSENT` is an unused id.
    spans: Vec<(usize, u32)>,
}

/// The length that marks an unused id.
const ABSENT: u32 = u32::MAX;

impl TokenTable {
    /// Enters a token; the caller has checked that the id is not absurdly large.
    ///
    /// # Panics
    /// If the token has 4 GiB or more.
    pub(super) fn insert(&mut self, id: TokenId, token: &[u8]) {
        let len = u32::try_from(token.len()).ok().filter(|&len| len != ABSENT);
        let len = len.expect("a token is shorter than 4 GiB");
        let index = id as usize;
        if index >= self.spans.len() {
            self.spans.resize(index + 1, (0, ABSENT));
        }
        self.spans[index] = (self.bytes.len(), len);
        self.bytes.extend_from_slice(token);
    }

    /// The bytes of a token; `None` if there is no such id.
    pub(super) fn get(&self, id: TokenId) -> Option<&[u8]> {
        let &(start, len) = self.spans.get(id as usize)?;
        (len != ABSENT).then(|| &self.bytes[start..start + len as usize])
    }

    /// The largest id plus one.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// All ids that are used, in order, with their bytes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (TokenId, &[u8])> {
        (0..).take(self.spans.len()).filter_map(|id| Some((id, self.get(id)?)))
    }
}

/// From the bytes of a token to its id: a hash table of ids with open addressing.
///
/// The keys lie in a [`TokenTable`] and are not copied. The hash is keyed at random, so that a
/// hostile vocabulary cannot make its tokens collide; the order of the slots is never seen.
pub(super) struct TokenIndex {
    hasher: RandomState,
    /// The length of the longest token.
    bytes_max: usize,
    /// Ids plus one; 0 is a free slot. The length is a power of two, at most half of it used.
    slots: Vec<u32>,
}

impl TokenIndex {
    /// An index of these ids of `table`; of two with the same bytes the first is kept.
    pub(super) fn new(table: &TokenTable, ids: impl Iterator<Item = TokenId>) -> TokenIndex {
        let slots = (2 * table.len()).next_power_of_two().max(2);
        let mut index =
            TokenIndex { hasher: RandomState::default(), bytes_max: 0, slots: vec![0; slots] };
        for id in ids {
            if let Some(bytes) = table.get(id) {
                index.bytes_max = index.bytes_max.max(bytes.len());
                let slot = index.find(table, bytes);
                if index.slots[slot] == 0 {
                    index.slots[slot] = id + 1;
                }
            }
        }
        index
    }

    /// The id of the token with exactly these bytes; `table` holds the tokens of the index.
    pub(super) fn get(&self, table: &TokenTable, bytes: &[u8]) -> Option<TokenId> {
        if bytes.len() > self.bytes_max {
            return None;
        }
        self.slots[self.find(table, bytes)].checked_sub(1)
    }

    /// The slot of these bytes, or the free one where they belong.
    fn find(&self, table: &TokenTable, bytes: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = self.hasher.hash_one(bytes) as usize & mask;
        while let Some(id) = self.slots[slot].checked_sub(1) {
            if table.get(id) == Some(bytes) {
                break;
            }
            slot = (slot + 1) & mask;
        }
        slot
    }
}
