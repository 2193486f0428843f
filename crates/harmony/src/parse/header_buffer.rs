//! The tokens of a header, collected until `<|message|>` or whatever comes in its place.

use crate::encoding::CONSTRAIN;

/// Name of the token before a channel.
const CHANNEL: &str = "<|channel|>";

/// A run of ordinary text, or a special token that has a meaning in headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes of ordinary tokens; never empty, and never beside another text.
    Text(Vec<u8>),
    /// `<|channel|>`.
    Channel,
    /// `<|constrain|>`.
    Constrain,
}

/// A header as far as it has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeaderBuffer {
    pieces: Vec<Piece>,
    tokens: usize,
}

impl HeaderBuffer {
    /// The pieces in order.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The number of tokens pushed.
    pub(crate) fn tokens(&self) -> usize {
        self.tokens
    }

    /// Adds the bytes of an ordinary token.
    pub(crate) fn push_text(&mut self, bytes: &[u8]) {
        self.tokens += 1;
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.extend_from_slice(bytes),
            _ if bytes.is_empty() => {}
            _ => self.pieces.push(Piece::Text(bytes.to_vec())),
        }
    }

    /// Adds a special token.
    pub(crate) fn push_marker(&mut self, marker: Piece) {
        self.tokens += 1;
        self.pieces.push(marker);
    }
}

/// The pieces as text, special tokens by name.
pub(crate) fn flatten(pieces: &[Piece]) -> Vec<u8> {
    let bytes = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => text.as_slice(),
        Piece::Channel => CHANNEL.as_bytes(),
        Piece::Constrain => CONSTRAIN.as_bytes(),
    });
    bytes.collect::<Vec<_>>().concat()
}

/// A word of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// `to=` and what follows it.
    To(String),
    /// What follows `<|constrain|>`.
    Constrain(String),
    /// Anything else.
    Plain(String),
}

/// The words between two channel markers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    /// Whether white space came before the first word.
    pub(crate) indented: bool,
    /// The words in order.
    pub(crate) words: Vec<Word>,
}

/// The words before the first channel marker, then those after each marker.
pub(crate) fn parts(pieces: &[Piece]) -> Vec<Part> {
    let mut parts = vec![Part::default()];
    for (i, piece) in pieces.iter().enumerate() {
        let part = parts.last_mut().expect("the list begins with one part and only grows");
        match piece {
            Piece::Channel => parts.push(Part::default()),
            Piece::Constrain => part.words.push(Word::Constrain(String::new())),
            Piece::Text(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                part.indented |= part.words.is_empty() && text.starts_with(is_space);
                let mut words = text.split_ascii_whitespace();
                // The content type may follow its marker with or without a space.
                let after_constrain = i > 0 && pieces[i - 1] == Piece::Constrain;
                if after_constrain && !text.trim_start().starts_with("to=") {
                    part.words.pop();
                    part.words.push(Word::Constrain(words.next().unwrap_or("").to_owned()));
                }
                part.words.extend(words.map(word));
            }
        }
    }
    parts
}

fn word(text: &str) -> Word {
    match text.strip_prefix("to=") {
        Some(recipient) => Word::To(recipient.to_owned()),
        None => Word::Plain(text.to_owned()),
    }
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace()
}
