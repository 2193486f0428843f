//! Methods of Python's `str` where Rust's differ.

/// Whether `str.isspace` holds: Unicode white space, and the four separators U+001C to U+001F.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `str.strip()`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.rstrip()`.
pub fn strip_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// `str.capitalize()`: the first character in title case, the others in lower case.
pub fn capitalize(text: &str) -> String {
    let Some(first) = text.chars().next() else { return String::new() };
    // The whole is lowered first: whether a sigma is a final one depends on what is before it.
    let lowered = text.to_lowercase();
    let rest = lowered.chars().skip(first.to_lowercase().count());
    title(first).chars().chain(rest).collect()
}

/// One character in title case.
fn title(c: char) -> String {
    // Digraphs have a form of their own, of which only the first letter is large.
    let digraph = match c {
        'Ǆ' | 'ǅ' | 'ǆ' => Some('ǅ'),
        'Ǉ' | 'ǈ' | 'ǉ' => Some('ǈ'),
        'Ǌ' | 'ǋ' | 'ǌ' => Some('ǋ'),
        'Ǳ' | 'ǲ' | 'ǳ' => Some('ǲ'),
        _ => None,
    };
    if let Some(digraph) = digraph {
        return digraph.to_string();
    }
    // An apostrophe before the letter: both in upper case.
    if c == 'ŉ' {
        return c.to_uppercase().collect();
    }
    // `Ss` for `ß`: one character becomes two, of which the second is small.
    let mut upper = c.to_uppercase();
    let first = upper.next();
    first.into_iter().chain(upper.flat_map(char::to_lowercase)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_what_python_calls_space() {
        assert_eq!(strip("\u{1c}\u{a0} a b\u{2003}\u{1f}\n"), "a b");
        assert_eq!(strip_end(" a\u{85}\u{3000}"), " a");
        // No space in either language.
        assert_eq!(strip("\u{200b}a\u{feff}"), "\u{200b}a\u{feff}");
    }

    #[test]
    fn capitalizes_as_python_does() {
        // Each expected value is what CPython 3.11 prints.
        for (text, expected) in [
            ("", ""),
            ("hELLO World", "Hello world"),
            ("ßa", "Ssa"),
            ("ǆX", "ǅx"),
            ("ŉX", "ʼNx"),
            ("İX", "İx"),
            ("ΑΣ", "Ας"),
            ("1A", "1a"),
            ("ﬁX", "Fix"),
        ] {
            assert_eq!(capitalize(text), expected, "{text}");
        }
    }
}
