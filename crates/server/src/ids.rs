//! Names of answers, items and calls: a prefix and random digits.

/// Bytes of randomness: nobody guesses the id of somebody else's response.
const RANDOM_BYTES: usize = 16;

/// A fresh id, such as `chatcmpl-` and 32 hexadecimal digits.
pub(crate) fn fresh(prefix: &str) -> String {
    let digits: String = random().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}{digits}")
}

/// A seed for a request that brings none.
pub(crate) fn seed() -> u64 {
    let bytes = random();
    u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes of sixteen"))
}

fn random() -> [u8; RANDOM_BYTES] {
    let mut bytes = [0; RANDOM_BYTES];
    // Without randomness ids would repeat and could be guessed: there is nothing to go on with.
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_have_their_prefix_and_differ() {
        let (a, b) = (super::fresh("resp_"), super::fresh("resp_"));
        assert!(a.starts_with("resp_") && a.len() == 5 + 32, "{a}");
        assert_ne!(a, b);
    }
}
