//! Stop strings in streamed text: nothing of a stop string is ever shown, and nothing that
//! cannot become one is held back.
//!
//! The match that ends first counts, the longest among those that end together; so the result
//! does not depend on how the text is cut into pieces.

/// Looks for the first of several strings in text that arrives in pieces.
#[derive(Clone, Debug)]
pub struct StopStrings {
    strings: Vec<String>,
    /// The end of the text so far that could be the beginning of a stop string.
    held: String,
    found: bool,
}

impl StopStrings {
    /// Stops at the first occurrence of any of `strings`; empty ones are ignored.
    pub fn new(strings: impl IntoIterator<Item = String>) -> StopStrings {
        let strings = strings.into_iter().filter(|s| !s.is_empty()).collect();
        StopStrings { strings, held: String::new(), found: false }
    }

    /// Adds text and gives back what may be shown. After a stop string was found, that is nothing.
    pub fn push(&mut self, text: &str) -> String {
        if self.found {
            return String::new();
        }
        for c in text.chars() {
            self.held.push(c);
            let ends = |s: &&String| self.held.ends_with(s.as_str());
            if let Some(longest) = self.strings.iter().filter(ends).map(String::len).max() {
                self.found = true;
                self.held.truncate(self.held.len() - longest);
                return std::mem::take(&mut self.held);
            }
        }
        let shown = self.held.len() - self.open_end();
        let rest = self.held.split_off(shown);
        std::mem::replace(&mut self.held, rest)
    }

    /// The text that was held back, when no more will come.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Whether a stop string was found.
    pub fn found(&self) -> bool {
        self.found
    }

    /// Bytes at the end of the held text that begin a stop string.
    fn open_end(&self) -> usize {
        let begins = |s: &String, n: usize| {
            s.is_char_boundary(n) && self.held.as_bytes().ends_with(&s.as_bytes()[..n])
        };
        let longest = |s: &String| (1..s.len()).rev().find(|n| begins(s, *n));
        self.strings.iter().filter_map(longest).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shows_everything_before_the_first_stop_string() {
        let mut stop = StopStrings::new(["\n\n".into(), "END".into(), String::new()]);
        assert_eq!(stop.push("one\n"), "one");
        assert_eq!(stop.push("two E"), "\ntwo ");
        assert_eq!(stop.push("x EN"), "Ex ");
        assert_eq!(stop.push("D and more"), "");
        assert!(stop.found());
        assert_eq!((stop.push("more"), stop.finish()), (String::new(), String::new()));
    }

    proptest! {
        #[test]
        fn cutting_the_text_changes_nothing(
            text in "[abé]{0,40}",
            strings in prop::collection::vec("[abé]{0,4}", 0..4),
            cuts in prop::collection::vec(0usize..40, 0..6),
        ) {
            let mut stop = StopStrings::new(strings.clone());
            let mut shown = String::new();
            let mut from = 0;
            let mut ends: Vec<usize> =
                cuts.into_iter().filter(|c| text.is_char_boundary(*c)).collect();
            ends.sort_unstable();
            for end in ends.into_iter().chain([text.len()]) {
                shown += &stop.push(&text[from..end]);
                from = end;
            }
            shown += &stop.finish();
            let mut whole = StopStrings::new(strings);
            let expected = whole.push(&text) + &whole.finish();
            prop_assert_eq!(shown, expected);
            prop_assert_eq!(stop.found(), whole.found());
        }
    }
}
