//! Where the header ends and the text begins if `<|message|>` is missing.

use crate::conversation::Role;
use crate::parse::channel::CHANNELS;
use crate::parse::header::Origin;
use crate::parse::header_buffer::{Piece, flatten};

/// What was written before the end of a message without `<|message|>`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Split {
    /// The part that is a header.
    pub(crate) header: Vec<Piece>,
    /// The part that is text, byte for byte but for white space after the header.
    pub(crate) text: Vec<u8>,
    /// Whether the text is one word where a role, a channel or `to=` belongs, so that it may be the
    /// beginning of these.
    pub(crate) may_be_header: bool,
}

/// Splits into the fields at the beginning that are certain, and the text after them.
pub(crate) fn split(pieces: &[Piece], origin: Origin) -> Split {
    let last_marker = pieces.iter().rposition(|piece| *piece == Piece::Channel);
    let mut cursor = Cursor::new(pieces, last_marker.map_or(0, |i| i + 1));
    if last_marker.is_none() {
        cursor.take_role(origin);
    }
    let named = cursor.take_channel(last_marker.is_some());
    while cursor.take_field() {}
    if cursor.has_taken() {
        cursor.skip_spaces();
    }
    let text = cursor.rest();
    let word = text.trim_ascii();
    let is_word = !word.is_empty() && !word.iter().any(u8::is_ascii_whitespace);
    let expected = match (last_marker, origin) {
        (Some(_), _) => !named,
        (None, Origin::Start) => !cursor.has_taken(),
        (None, _) => false,
    };
    Split { header: cursor.header(), may_be_header: is_word && expected || word == b"to", text }
}

/// A position between the pieces that are taken as header and those that are left.
struct Cursor<'a> {
    pieces: &'a [Piece],
    /// Index of the current piece and the bytes taken of it.
    piece: usize,
    offset: usize,
}

impl<'a> Cursor<'a> {
    fn new(pieces: &'a [Piece], piece: usize) -> Self {
        Self { pieces, piece, offset: 0 }
    }

    /// The rest of the current text; empty before a special token and at the end.
    fn text(&self) -> &'a [u8] {
        match self.pieces.get(self.piece) {
            Some(Piece::Text(text)) => &text[self.offset..],
            _ => &[],
        }
    }

    fn take(&mut self, bytes: usize) {
        self.offset += bytes;
        if let Some(Piece::Text(text)) = self.pieces.get(self.piece)
            && self.offset == text.len()
        {
            self.piece += 1;
            self.offset = 0;
        }
    }

    fn spaces(&self) -> usize {
        self.text().iter().take_while(|byte| byte.is_ascii_whitespace()).count()
    }

    fn skip_spaces(&mut self) {
        self.take(self.spaces());
    }

    /// The word of letters after white space, and the bytes up to its end.
    fn letters(&self) -> (&'a [u8], usize) {
        let spaces = self.spaces();
        let text = &self.text()[spaces..];
        let len = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        (&text[..len], spaces + len)
    }

    /// Takes a role: any after `<|start|>`, else only the assistant's, because a text may well
    /// begin with the word `user`.
    fn take_role(&mut self, origin: Origin) {
        let (word, end) = self.letters();
        let role = std::str::from_utf8(word).ok().and_then(Role::from_word);
        if role.is_some_and(|role| origin == Origin::Start || role == Role::Assistant) {
            self.take(end);
        }
    }

    /// Takes a channel's name and says whether there was one. Without a marker `final` may be
    /// the first word of the answer; the channel is the same if it is left there.
    fn take_channel(&mut self, after_marker: bool) -> bool {
        let names = if after_marker { &CHANNELS[..] } else { &CHANNELS[..2] };
        let spaces = self.spaces();
        let text = &self.text()[spaces..];
        for name in names {
            // Also `finalThe answer`, but not `finally`.
            if let Some(rest) = text.strip_prefix(name.as_bytes())
                && !rest.first().is_some_and(u8::is_ascii_lowercase)
            {
                self.take(spaces + name.len());
                return true;
            }
        }
        false
    }

    /// Takes `to=…`, `<|constrain|>…`, or `json` before an object, and says whether it did.
    fn take_field(&mut self) -> bool {
        let spaces = self.spaces();
        let text = &self.text()[spaces..];
        if text.starts_with(b"to=") {
            let name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_.:-/".contains(byte);
            let len = text[3..].iter().take_while(name).count();
            self.take(spaces + 3 + len);
            return true;
        }
        if self.has_taken() && text.starts_with(b"json") {
            let object = text[4..].trim_ascii_start();
            if object.starts_with(b"{") || object.starts_with(b"[") {
                self.take(spaces + 4);
                return true;
            }
        }
        let next = self.piece + usize::from(spaces > 0);
        if text.is_empty() && self.pieces.get(next) == Some(&Piece::Constrain) {
            self.piece = next + 1;
            self.offset = 0;
            // Content types are in lower case, and their text may follow without a space.
            let spaces = self.spaces();
            let name = self.text()[spaces..].iter().take_while(|byte| byte.is_ascii_lowercase());
            self.take(spaces + name.count());
            return true;
        }
        false
    }

    fn has_taken(&self) -> bool {
        (self.piece, self.offset) != (0, 0)
    }

    fn header(&self) -> Vec<Piece> {
        let mut header = self.pieces[..self.piece].to_vec();
        if let Some(Piece::Text(text)) = self.pieces.get(self.piece)
            && self.offset > 0
        {
            header.push(Piece::Text(text[..self.offset].to_vec()));
        }
        header
    }

    fn rest(&self) -> Vec<u8> {
        let Some(Piece::Text(text)) = self.pieces.get(self.piece) else {
            return flatten(self.pieces.get(self.piece..).unwrap_or_default());
        };
        let after = flatten(&self.pieces[self.piece + 1..]);
        [&text[self.offset..], after.as_slice()].concat()
    }
}
