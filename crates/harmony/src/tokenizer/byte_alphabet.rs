//! The alphabet in which GPT-2 and its successors write bytes as printable characters.
//!
//! Printable bytes of Latin-1 stand for themselves; the others, in order, for U+0100 and on: a
//! space is `Ġ`. Radford et al. 2019, openai/gpt-2, `src/encoder.py`, `bytes_to_unicode`.

use std::sync::OnceLock;

/// The first character that stands for a byte that cannot be printed.
const FIRST_SHIFTED: u32 = 0x100;

/// Whether the byte stands for itself.
fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// The bytes that are written as U+0100, U+0101 and so on.
fn shifted() -> &'static [u8] {
    static SHIFTED: OnceLock<Vec<u8>> = OnceLock::new();
    SHIFTED.get_or_init(|| (0..=u8::MAX).filter(|&byte| !is_printable(byte)).collect())
}

/// The bytes that a token of such a vocabulary stands for; `None` if a character is no byte.
pub(super) fn bytes_of(token: &str) -> Option<Vec<u8>> {
    token.chars().map(byte_of).collect()
}

/// The byte that a character stands for.
fn byte_of(c: char) -> Option<u8> {
    match u8::try_from(c) {
        Ok(byte) => is_printable(byte).then_some(byte),
        Err(_) => shifted().get((u32::from(c) - FIRST_SHIFTED) as usize).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_has_every_byte_once() {
        let mut found: Vec<u8> =
            (0..0x200).filter_map(char::from_u32).filter_map(byte_of).collect();
        found.sort_unstable();
        assert_eq!(found, (0..=u8::MAX).collect::<Vec<u8>>());
    }

    #[test]
    fn known_characters_are_the_published_bytes() {
        // From openai/gpt-2: space, line feed, delete, no-break space, soft hyphen.
        assert_eq!(bytes_of("ĠĊġł\u{143}a!ÿ").unwrap(), b" \n\x7F\xA0\xADa!\xFF");
        assert_eq!(bytes_of("a b"), None);
        assert_eq!(bytes_of("\u{144}"), None);
    }
}
