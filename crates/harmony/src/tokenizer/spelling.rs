//! How a vocabulary writes the bytes of its tokens.

use std::borrow::Cow;

use serde_json::Value;

use super::TokenizerError;
use super::byte_alphabet;

/// SentencePiece's sign for a space, U+2581.
pub(super) const SPACE: char = '▁';

/// From the name of an ordinary token to its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Each character stands for a byte, see [`byte_alphabet`].
    ByteAlphabet,
    /// Text in which `▁` stands for a space.
    SentencePiece {
        /// `<0x0A>` stands for the byte 10.
        has_byte_tokens: bool,
    },
}

impl Spelling {
    /// What the decoder of a tokenizer.json undoes.
    pub(super) fn from_decoder(decoder: &Value) -> Result<Spelling, TokenizerError> {
        let unsupported = |found: &Value| {
            let expected = "ByteLevel, Metaspace, or a Sequence with Replace of ▁";
            let found = found["type"].as_str().unwrap_or("a decoder without a type");
            TokenizerError::unsupported("tokenizer.json: decoder", expected, found)
        };
        let one = std::slice::from_ref(decoder);
        let steps = match decoder["type"].as_str() {
            Some("Sequence") => decoder["decoders"].as_array().map_or(one, Vec::as_slice),
            _ => one,
        };
        let (mut spelling, mut has_byte_tokens) = (None, false);
        for step in steps {
            match step["type"].as_str() {
                Some("ByteLevel") => spelling = Some(Spelling::ByteAlphabet),
                Some("ByteFallback") => has_byte_tokens = true,
                Some("Metaspace") if is_space(&step["replacement"]) => {
                    spelling = Some(Spelling::SentencePiece { has_byte_tokens: false });
                }
                Some("Replace") if is_space(&step["pattern"]["String"]) => {
                    if step["content"] != " " {
                        return Err(unsupported(step));
                    }
                    spelling = Some(Spelling::SentencePiece { has_byte_tokens: false });
                }
                // Joining is what decoding does anyway; a space is stripped only at the beginning
                // of a whole text, which the tokens of an answer are not.
                Some("Fuse" | "Strip") => {}
                _ => return Err(unsupported(step)),
            }
        }
        match spelling {
            Some(Spelling::SentencePiece { .. }) => Ok(Spelling::SentencePiece { has_byte_tokens }),
            Some(Spelling::ByteAlphabet) => Ok(Spelling::ByteAlphabet),
            None => Err(unsupported(decoder)),
        }
    }

    /// The bytes of an ordinary token.
    ///
    /// A name that does not follow the alphabet of bytes stands for itself, as in Hugging Face's
    /// decoder.
    pub(super) fn bytes_of(self, name: &str) -> Cow<'_, [u8]> {
        match self {
            Spelling::ByteAlphabet => match byte_alphabet::bytes_of(name) {
                Some(bytes) => Cow::Owned(bytes),
                None => Cow::Borrowed(name.as_bytes()),
            },
            Spelling::SentencePiece { has_byte_tokens } => match byte_token(name) {
                Some(byte) if has_byte_tokens => Cow::Owned(vec![byte]),
                _ if name.contains(SPACE) => Cow::Owned(name.replace(SPACE, " ").into_bytes()),
                _ => Cow::Borrowed(name.as_bytes()),
            },
        }
    }
}

/// Whether a JSON value is SentencePiece's space.
fn is_space(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.chars().eq([SPACE]))
}

/// The byte of a token such as `<0x0A>`.
pub(super) fn byte_token(name: &str) -> Option<u8> {
    let digits = name.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_hex = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_hex { u8::from_str_radix(digits, 16).ok() } else { None }
}
