//! `random.Random` of CPython: the Mersenne Twister MT19937 and `sample`.
//!
//! Sources: Matsumoto and Nishimura, "Mersenne Twister" (1998), reference code of 2002;
//! CPython 3.11 `Modules/_randommodule.c` (seeding, `getrandbits`) and `Lib/random.py` (`sample`,
//! `_randbelow_with_getrandbits`).

const N: usize = 624;
const M: usize = 397;
const MATRIX: u32 = 0x9908_b0df;
const UPPER: u32 = 0x8000_0000;
const LOWER: u32 = 0x7fff_ffff;

/// The generator `random.Random(seed)`.
#[derive(Clone)]
pub struct Random {
    state: [u32; N],
    next: usize,
}

impl Random {
    /// The generator that `random.Random(seed)` gives for a seed that is not negative.
    pub fn new(seed: u64) -> Random {
        let low = seed as u32;
        let high = (seed >> 32) as u32;
        if high == 0 { Self::from_key(&[low]) } else { Self::from_key(&[low, high]) }
    }

    /// `init_genrand` of the reference code.
    fn from_word(seed: u32) -> Random {
        let mut state = [0; N];
        state[0] = seed;
        for i in 1..N {
            let previous: u32 = state[i - 1];
            let mixed = 1_812_433_253u32.wrapping_mul(previous ^ (previous >> 30));
            state[i] = mixed.wrapping_add(i as u32);
        }
        Random { state, next: N }
    }

    /// `init_by_array` of the reference code.
    fn from_key(key: &[u32]) -> Random {
        let mut random = Self::from_word(19_650_218);
        let state = &mut random.state;
        let (mut i, mut j) = (1, 0);
        for _ in 0..N.max(key.len()) {
            let previous = state[i - 1] ^ (state[i - 1] >> 30);
            state[i] = (state[i] ^ previous.wrapping_mul(1_664_525))
                .wrapping_add(key[j])
                .wrapping_add(j as u32);
            i += 1;
            j = (j + 1) % key.len();
            if i >= N {
                state[0] = state[N - 1];
                i = 1;
            }
        }
        for _ in 0..N - 1 {
            let previous = state[i - 1] ^ (state[i - 1] >> 30);
            state[i] = (state[i] ^ previous.wrapping_mul(1_566_083_941)).wrapping_sub(i as u32);
            i += 1;
            if i >= N {
                state[0] = state[N - 1];
                i = 1;
            }
        }
        state[0] = 0x8000_0000;
        random
    }

    /// The next 32 random bits.
    pub fn word(&mut self) -> u32 {
        if self.next >= N {
            self.refill();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn refill(&mut self) {
        for k in 0..N {
            let y = (self.state[k] & UPPER) | (self.state[(k + 1) % N] & LOWER);
            let odd = if y & 1 == 1 { MATRIX } else { 0 };
            self.state[k] = self.state[(k + M) % N] ^ (y >> 1) ^ odd;
        }
        self.next = 0;
    }

    /// A number below `n`, as `_randbelow` draws it: bits are drawn until they are below.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "no number is below 0");
        let bits = u32::BITS - n.leading_zeros();
        loop {
            let drawn = self.word() >> (32 - bits);
            if drawn < n {
                return drawn;
            }
        }
    }

    /// `sample(range(population), count)`: places of distinct members, in the order drawn.
    /// Nothing if there are fewer members than asked for.
    pub fn sample(&mut self, population: u32, count: u32) -> Option<Vec<u32>> {
        if count > population {
            return None;
        }
        // A small population is copied and drawn from; of a large one, what was drawn already is
        // drawn again. The bound decides which random bits are used, so it is part of the result.
        let mut set_size = 21u64;
        if count > 5 {
            let mut power = 1u64;
            while power < u64::from(count) * 3 {
                power *= 4;
            }
            set_size += power;
        }
        if u64::from(population) <= set_size {
            let mut pool: Vec<u32> = (0..population).collect();
            let draw = |i: u32| {
                let at = self.below(population - i) as usize;
                let drawn = pool[at];
                pool[at] = pool[(population - i - 1) as usize];
                drawn
            };
            return Some((0..count).map(draw).collect());
        }
        let mut seen = std::collections::HashSet::new();
        let mut drawn = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let mut at = self.below(population);
            while !seen.insert(at) {
                at = self.below(population);
            }
            drawn.push(at);
        }
        Some(drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_as_cpython_does() {
        let mut random = Random::new(1234);
        let arc = [
            902, 239, 15, 185, 71, 171, 201, 726, 484, 35, 63, 32, 708, 991, 949, 304, 186, 374,
            234, 29, 1030, 996, 511, 132, 1108,
        ];
        assert_eq!(random.sample(1119, 25).unwrap(), arc);
        let next = random.sample(1119, 25).unwrap();
        assert_eq!(next[..7], [954, 140, 182, 1054, 94, 552, 129]);

        let mut random = Random::new(1234);
        assert_eq!(random.sample(7473, 5).unwrap(), [6374, 3610, 957, 61, 742]);
        assert_eq!(random.sample(7473, 5).unwrap(), [7462, 6610, 4769, 286, 5501]);
        let mut random = Random::new(1234);
        assert_eq!(random.sample(2251, 5).unwrap(), [1805, 478, 30, 371, 143]);
        assert_eq!(random.sample(2251, 5).unwrap(), [343, 403, 1452, 969, 71]);
    }

    #[test]
    fn agrees_with_recorded_vectors() {
        // Made by testdata/eval/make_random.py with CPython 3.11.7.
        let text = include_str!("../../../../testdata/eval/random.jsonl");
        let mut compared = 0;
        for line in text.lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let number = |name: &str| case[name].as_u64().unwrap();
            let mut random = Random::new(number("seed"));
            for draw in case["draws"].as_array().unwrap() {
                let expected: Vec<u32> =
                    draw.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u32).collect();
                let found = random.sample(number("n") as u32, number("k") as u32).unwrap();
                assert_eq!(found, expected, "{line}");
                compared += 1;
            }
        }
        assert!(compared >= 100, "only {compared} draws");
    }

    #[test]
    fn draws_no_more_than_there_is() {
        assert_eq!(Random::new(0).sample(3, 4), None);
        assert_eq!(Random::new(0).sample(0, 0), Some(Vec::new()));
        let mut all = Random::new(7).sample(50, 50).unwrap();
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
    }
}
