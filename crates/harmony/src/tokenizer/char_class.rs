//! The classes of characters that split patterns ask for, as one byte per code point.

use std::sync::OnceLock;

use regex_syntax::hir::{Class, HirKind};

/// What a split pattern can ask about a character; the classes do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum CharClass {
    /// Neither letter, mark, number nor white space: punctuation, symbols, unassigned.
    Other,
    /// `[\p{Lu}\p{Lt}]`.
    Upper,
    /// `\p{Ll}`.
    Lower,
    /// `[\p{Lm}\p{Lo}]`: letters without case.
    Caseless,
    /// `\p{M}`.
    Mark,
    /// `\p{N}`.
    Number,
    /// `\s`.
    Space,
}

impl CharClass {
    /// Whether `\p{L}` matches.
    pub(super) fn is_letter(self) -> bool {
        matches!(self, CharClass::Upper | CharClass::Lower | CharClass::Caseless)
    }
}

/// The class of every code point.
pub(super) struct CharClasses(Vec<CharClass>);

impl CharClasses {
    /// The table, made at the first call (1.1 MB).
    ///
    /// The classes come from regex-syntax, so that they are of the same Unicode version as in the
    /// regular expressions of tokenizers that are written in Rust.
    pub(super) fn get() -> &'static CharClasses {
        static TABLE: OnceLock<CharClasses> = OnceLock::new();
        TABLE.get_or_init(|| {
            let mut table = vec![CharClass::Other; char::MAX as usize + 1];
            fill(&mut table, r"\s", CharClass::Space);
            fill(&mut table, r"\p{N}", CharClass::Number);
            fill(&mut table, r"\p{M}", CharClass::Mark);
            fill(&mut table, r"[\p{Lm}\p{Lo}]", CharClass::Caseless);
            fill(&mut table, r"\p{Ll}", CharClass::Lower);
            fill(&mut table, r"[\p{Lu}\p{Lt}]", CharClass::Upper);
            CharClasses(table)
        })
    }

    /// The class of a character.
    pub(super) fn of(&self, c: char) -> CharClass {
        self.0[c as usize]
    }
}

/// Enters `class` for all characters of `pattern`, which is one character class.
fn fill(table: &mut [CharClass], pattern: &str, class: CharClass) {
    let hir = regex_syntax::parse(pattern).expect("the pattern is a constant and valid");
    let HirKind::Class(Class::Unicode(ranges)) = hir.kind() else {
        unreachable!("the pattern is a constant and one class");
    };
    for range in ranges.ranges() {
        table[range.start() as usize..=range.end() as usize].fill(class);
    }
}
