//! Bytes of tokens to text, piece by piece: a token may end in the middle of a code point.

/// A streaming decoder from bytes to text that never splits a code point and loses nothing.
///
/// The pieces together are what [`String::from_utf8_lossy`] makes of all bytes at once, wherever
/// the input was cut. At most three bytes are held back.
///
/// ```
/// let mut stream = gptoss_harmony::Utf8Stream::default();
/// assert_eq!(stream.push(b"caf\xC3"), "caf");
/// assert_eq!(stream.push(b"\xA9 \xE4"), "é ");
/// assert_eq!(stream.finish(), "\u{FFFD}");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Utf8Stream {
    /// A code point that has begun and may still be completed.
    tail: Vec<u8>,
}

impl Utf8Stream {
    /// A stream that has seen nothing.
    pub fn new() -> Utf8Stream {
        Utf8Stream::default()
    }

    /// The text that is complete after `bytes`; invalid bytes become U+FFFD.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.tail.extend_from_slice(bytes);
        let mut text = String::new();
        let mut unfinished = 0;
        let mut chunks = self.tail.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            if chunk.invalid().is_empty() {
                continue;
            }
            if chunks.peek().is_none() && may_be_completed(chunk.invalid()) {
                unfinished = chunk.invalid().len();
            } else {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.tail.drain(..self.tail.len() - unfinished);
        text
    }

    /// What is left at the end: nothing, or U+FFFD for a code point that was not finished.
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.tail).into_owned();
        self.tail.clear();
        text
    }
}

/// Whether the bytes at the end of the input are the beginning of a code point.
fn may_be_completed(invalid: &[u8]) -> bool {
    // No `error_len` means that the input ended where more was expected.
    std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_point_comes_whole_or_not_at_all() {
        let mut stream = Utf8Stream::new();
        let pieces: Vec<String> = "a😀".bytes().map(|byte| stream.push(&[byte])).collect();
        assert_eq!(pieces, ["a", "", "", "", "😀"]);
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn an_unfinished_code_point_is_replaced_at_the_end_once() {
        let mut stream = Utf8Stream::new();
        assert_eq!(stream.push(b"\xF0\x9F\x98"), "");
        assert_eq!(stream.finish(), "\u{FFFD}");
        assert_eq!(stream.finish(), "");
    }

    /// Bytes that are mostly near the edges of UTF-8.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            any::<u8>(),
            prop::sample::select(vec![
                0x41, 0x80, 0xBF, 0xC0, 0xC2, 0xC3, 0xE0, 0xA0, 0xED, 0x9F, 0xF0, 0x90, 0xF4, 0x8F
            ])
        ];
        prop_oneof![
            prop::collection::vec(byte, 0..40),
            any::<String>().prop_map(String::into_bytes)
        ]
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_text_of_the_whole(
            bytes in bytes(),
            cuts in prop::collection::vec(0usize..5, 0..60),
        ) {
            let mut stream = Utf8Stream::new();
            let (mut text, mut rest) = (String::new(), bytes.as_slice());
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                text.push_str(&stream.push(piece));
                rest = after;
            }
            text.push_str(&stream.push(rest));
            text.push_str(&stream.finish());
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
