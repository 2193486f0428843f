//! Split patterns: the pieces of a text that byte-pair encoding then treats one by one.
//!
//! Published as regular expressions; here they are read off by hand, because a look-ahead makes
//! regular-expression engines backtrack, with a limit that a long run of spaces reaches. Every
//! step looks at each character a fixed number of times, so the time grows with the length.

use super::char_class::{CharClass, CharClasses};

/// A published split pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SplitPattern {
    /// No split: the text is one piece.
    Whole,
    /// GPT-2, without upper-case contractions, see [`GPT2`].
    Gpt2,
    /// Every `\p{N}` is a piece; what lies between them is split as by `Gpt2`.
    DigitsThenGpt2,
    /// cl100k_base (`digits_max` 3), Llama 3 (3), Qwen 2 (1), see [`cl100k_regex`].
    Cl100k {
        /// Digits in one piece.
        digits_max: usize,
    },
    /// o200k_base and o200k_harmony (`digits_max` 3), see [`o200k_regex`].
    O200k {
        /// Digits in one piece.
        digits_max: usize,
    },
}

/// The pattern of GPT-2 as published.
pub(super) const GPT2: &str =
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// How the patterns of cl100k_base and o200k_base end.
const BLANKS: &str = r"\s*[\r\n]+|\s+(?!\S)|\s+";

/// The pattern of cl100k_base as tokenizer files write it, with `\p{N}` for one digit.
pub(super) fn cl100k_regex(digits: &str) -> String {
    format!(
        "{}|{}|{digits}|{}|{BLANKS}",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)", r"[^\r\n\p{L}\p{N}]?\p{L}+", r" ?[^\s\p{L}\p{N}]+[\r\n]*"
    )
}

/// The pattern of o200k_base as tokenizer files write it, with `\p{N}` for one digit.
pub(super) fn o200k_regex(digits: &str) -> String {
    let suffix = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?";
    let (prefix, upper) = (r"[^\r\n\p{L}\p{N}]?", r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]");
    let lower = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]";
    format!(
        "{prefix}{upper}*{lower}+{suffix}|{prefix}{upper}+{lower}*{suffix}|{digits}|{}|{BLANKS}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*"
    )
}

impl SplitPattern {
    /// The pattern that a regular expression stands for, if it is one of the published ones.
    pub(super) fn from_regex(regex: &str) -> Option<SplitPattern> {
        let digits = [(1, r"\p{N}"), (3, r"\p{N}{1,3}")];
        if regex == GPT2 {
            return Some(SplitPattern::Gpt2);
        }
        digits.into_iter().find_map(|(digits_max, digits)| {
            if regex == cl100k_regex(digits) {
                Some(SplitPattern::Cl100k { digits_max })
            } else if regex == o200k_regex(digits) {
                Some(SplitPattern::O200k { digits_max })
            } else {
                None
            }
        })
    }

    /// The pieces of the text in order; together they are the text.
    pub(super) fn pieces(self, text: &str) -> Pieces<'_> {
        Pieces { pattern: self, scan: Scan { text, classes: CharClasses::get() } }
    }
}

/// Iterator over the pieces of a text.
pub(super) struct Pieces<'t> {
    pattern: SplitPattern,
    scan: Scan<'t>,
}

impl<'t> Iterator for Pieces<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        if self.scan.text.is_empty() {
            return None;
        }
        let len = match self.pattern {
            SplitPattern::Whole => self.scan.text.len(),
            SplitPattern::Gpt2 => self.scan.gpt2(),
            SplitPattern::DigitsThenGpt2 => self.scan.digit_then_gpt2(),
            SplitPattern::Cl100k { digits_max } => self.scan.cl100k(digits_max),
            SplitPattern::O200k { digits_max } => self.scan.o200k(digits_max),
        };
        let (piece, rest) = self.scan.text.split_at(len);
        self.scan.text = rest;
        Some(piece)
    }
}

/// The rest of a text; positions are byte offsets into it.
#[derive(Clone, Copy)]
struct Scan<'t> {
    text: &'t str,
    classes: &'static CharClasses,
}

impl Scan<'_> {
    /// The length of the first piece by the pattern of o200k; the text is not empty.
    fn o200k(&self, digits_max: usize) -> usize {
        let body = self.word_prefix();
        let starts = [(body > 0).then_some(body), Some(0)];
        for start in starts.into_iter().flatten() {
            if let Some(end) = self.upper_then_lowers(start) {
                return self.contraction(end, true).unwrap_or(end);
            }
        }
        for start in starts.into_iter().flatten() {
            if let Some(end) = self.uppers_then_lower(start) {
                return self.contraction(end, true).unwrap_or(end);
            }
        }
        self.numbers(0, digits_max)
            .or_else(|| self.symbols().map(|end| self.run_of(end, &['\r', '\n', '/'])))
            .or_else(|| self.line_breaks())
            .unwrap_or_else(|| self.spaces())
    }

    /// The length of the first piece by the pattern of cl100k; the text is not empty.
    fn cl100k(&self, digits_max: usize) -> usize {
        self.contraction(0, true)
            .or_else(|| self.letters(self.word_prefix()))
            .or_else(|| self.numbers(0, digits_max))
            .or_else(|| self.symbols().map(|end| self.run_of(end, &['\r', '\n'])))
            .or_else(|| self.line_breaks())
            .unwrap_or_else(|| self.spaces())
    }

    /// The length of the first piece by the pattern of GPT-2; the text is not empty.
    fn gpt2(&self) -> usize {
        let body = usize::from(self.text.starts_with(' '));
        self.contraction(0, false)
            .or_else(|| self.letters(body))
            .or_else(|| self.numbers(body, usize::MAX))
            .or_else(|| self.symbols())
            .unwrap_or_else(|| self.spaces())
    }

    /// As `gpt2`, but a number is alone and ends what is before it like the end of the text.
    fn digit_then_gpt2(&self) -> usize {
        if let Some(end) = self.numbers(0, 1) {
            return end;
        }
        let is_number = |c| self.classes.of(c) == CharClass::Number;
        let end = self.text.find(is_number).unwrap_or(self.text.len());
        Scan { text: &self.text[..end], ..*self }.gpt2()
    }

    /// `[^\r\n\p{L}\p{N}]?`: its length.
    fn word_prefix(&self) -> usize {
        match self.at(0) {
            Some((c, class)) if !class.is_letter() && class != CharClass::Number => match c {
                '\r' | '\n' => 0,
                _ => c.len_utf8(),
            },
            _ => 0,
        }
    }

    /// `\p{L}+` from `start`: its end.
    fn letters(&self, start: usize) -> Option<usize> {
        let end = self.run(start, CharClass::is_letter);
        (end > start).then_some(end)
    }

    /// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+` from `start`: its end.
    ///
    /// The first part takes as much as it can. If no lower-case letter follows, it gives back
    /// characters until the last one that both parts accept, and the second part is that one.
    fn upper_then_lowers(&self, start: usize) -> Option<usize> {
        let mut last_of_both = None;
        let mut end = start;
        while let Some((c, class)) = self.at(end) {
            match class {
                CharClass::Upper => {}
                CharClass::Caseless | CharClass::Mark => last_of_both = Some(end + c.len_utf8()),
                CharClass::Lower => return Some(self.run(end, is_lower_or_both)),
                _ => break,
            }
            end += c.len_utf8();
        }
        last_of_both
    }

    /// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*` from `start`: its end.
    fn uppers_then_lower(&self, start: usize) -> Option<usize> {
        let middle = self.run(start, |class| {
            matches!(class, CharClass::Upper | CharClass::Caseless | CharClass::Mark)
        });
        (middle > start).then(|| self.run(middle, is_lower_or_both))
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d` from `start`: its end.
    ///
    /// Without case, `s` is also U+017F (long s), as Unicode's simple case folding has it.
    fn contraction(&self, start: usize, any_case: bool) -> Option<usize> {
        let mut chars = self.text.get(start..)?.strip_prefix('\'')?.chars();
        let mut next = || match chars.next() {
            Some('ſ') if any_case => Some(('s', 'ſ'.len_utf8())),
            Some(c) if any_case => Some((c.to_ascii_lowercase(), c.len_utf8())),
            Some(c) => Some((c, c.len_utf8())),
            None => None,
        };
        let (first, len) = next()?;
        match (first, next().map(|(second, _)| second)) {
            ('s' | 't' | 'm' | 'd', _) => Some(start + 1 + len),
            ('r' | 'v', Some('e')) | ('l', Some('l')) => Some(start + 3),
            _ => None,
        }
    }

    /// `\p{N}{1,max}` from `start`: its end.
    fn numbers(&self, start: usize, max: usize) -> Option<usize> {
        let mut end = start;
        for _ in 0..max {
            match self.at(end) {
                Some((c, CharClass::Number)) => end += c.len_utf8(),
                _ => break,
            }
        }
        (end > start).then_some(end)
    }

    /// ` ?[^\s\p{L}\p{N}]+`: its end.
    fn symbols(&self) -> Option<usize> {
        let start = usize::from(self.text.starts_with(' '));
        let end = self.run(start, |class| matches!(class, CharClass::Other | CharClass::Mark));
        (end > start).then_some(end)
    }

    /// `\s*[\r\n]+`: its end.
    fn line_breaks(&self) -> Option<usize> {
        let spaces = self.run(0, |class| class == CharClass::Space);
        Some(self.text[..spaces].rfind(['\r', '\n'])? + 1)
    }

    /// `\s+(?!\S)|\s+`: its end; the text begins with white space.
    ///
    /// A run of white space before something else leaves its last character to that.
    fn spaces(&self) -> usize {
        let end = self.run(0, |class| class == CharClass::Space);
        let last = self.text[..end].chars().next_back().map_or(0, char::len_utf8);
        if end == self.text.len() || end == last { end } else { end - last }
    }

    /// The end of a run of these characters from `start`.
    fn run_of(&self, start: usize, chars: &[char]) -> usize {
        let rest = &self.text[start..];
        start + rest.find(|c| !chars.contains(&c)).unwrap_or(rest.len())
    }

    /// The end of a run of characters of these classes from `start`.
    fn run(&self, start: usize, wanted: impl Fn(CharClass) -> bool) -> usize {
        let rest = &self.text[start..];
        start + rest.find(|c| !wanted(self.classes.of(c))).unwrap_or(rest.len())
    }

    /// The character at a position and its class.
    fn at(&self, position: usize) -> Option<(char, CharClass)> {
        let c = self.text[position..].chars().next()?;
        Some((c, self.classes.of(c)))
    }
}

/// `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`.
fn is_lower_or_both(class: CharClass) -> bool {
    matches!(class, CharClass::Lower | CharClass::Caseless | CharClass::Mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fancy_regex::Regex;
    use proptest::prelude::*;

    /// The patterns with the regular expressions that define them.
    fn published() -> Vec<(SplitPattern, Regex)> {
        let digits = [(1, r"\p{N}"), (3, r"\p{N}{1,3}")];
        let mut regexes = vec![GPT2.to_owned()];
        for (_, digits) in digits {
            regexes.extend([cl100k_regex(digits), o200k_regex(digits)]);
        }
        let pattern = |regex: &String| SplitPattern::from_regex(regex).unwrap();
        regexes.iter().map(|regex| (pattern(regex), Regex::new(regex).unwrap())).collect()
    }

    fn by_regex<'t>(regex: &Regex, text: &'t str) -> Vec<&'t str> {
        regex.find_iter(text).map(|found| found.unwrap().as_str()).collect()
    }

    #[test]
    fn the_pattern_of_gpt_oss_is_the_published_one() {
        // As in openai/tiktoken, `tiktoken_ext/openai_public.py`.
        let regex = concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
            r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        );
        assert_eq!(SplitPattern::from_regex(regex), Some(SplitPattern::O200k { digits_max: 3 }));
        assert_eq!(SplitPattern::from_regex(r"\p{L}+"), None);
    }

    #[test]
    fn every_character_alone_and_after_others_is_split_as_by_the_regex() {
        let mut compared = 0;
        let patterns = published();
        for (index, c) in ('\0'..=char::MAX).enumerate() {
            // All of the first planes' beginning, and a sample of the rest.
            if c > '\u{3100}' && index % 97 != 0 {
                continue;
            }
            let text = format!("{c}a{c}A{c} {c}\n{c}1{c}!{c}{c}'s{c}");
            for (pattern, regex) in &patterns {
                let pieces: Vec<&str> = pattern.pieces(&text).collect();
                assert_eq!(pieces, by_regex(regex, &text), "{pattern:?}, {c:?}");
                compared += 1;
            }
        }
        assert!(compared > 100_000, "{compared}");
    }

    #[test]
    fn digits_end_what_is_before_them() {
        let pieces = |text| SplitPattern::DigitsThenGpt2.pieces(text).collect::<Vec<_>>();
        assert_eq!(pieces("ab 12  3"), ["ab", " ", "1", "2", "  ", "3"]);
        assert_eq!(pieces("a's ½  x"), ["a", "'s", " ", "½", " ", " x"]);
    }

    /// Strings of what the patterns treat differently.
    fn text() -> impl Strategy<Value = String> {
        let parts = [
            "a", "B", "ǅ", "ʰ", "語", "\u{301}", "1", "²", "Ⅷ", " ", "\u{a0}", "\u{3000}", "\t",
            "\n", "\r", "/", "!", "'", "'s", "'S", "'ſ", "'re", "'VE", "'lL", "'d", "'x", "😀",
            "\u{200d}", "\u{378}", "\u{e000}", "\u{85}", "_",
        ];
        let part = prop_oneof![
            8 => prop::sample::select(parts.to_vec()).prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from)
        ];
        prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn any_text_is_split_as_by_the_regex(text in text()) {
            static PUBLISHED: std::sync::OnceLock<Vec<(SplitPattern, Regex)>> =
                std::sync::OnceLock::new();
            for (pattern, regex) in PUBLISHED.get_or_init(published) {
                let pieces: Vec<&str> = pattern.pieces(&text).collect();
                prop_assert_eq!(pieces, by_regex(regex, &text), "{:?}", pattern);
            }
            let pieces = SplitPattern::DigitsThenGpt2.pieces(&text).collect::<Vec<_>>();
            prop_assert_eq!(pieces.concat(), text);
        }
    }
}
