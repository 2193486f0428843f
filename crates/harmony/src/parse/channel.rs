//! The channel that a model meant.

/// The channels of gpt-oss.
pub(crate) const CHANNELS: [&str; 3] = ["analysis", "commentary", "final"];

/// The fewest letters that stand for a longer name: `comment` for `commentary`.
const PREFIX_LETTERS_MIN: usize = 5;

/// The channel that `found` stands for: the one it is when case and anything but letters are
/// ignored, or the one it begins or is the beginning of; `analysis` otherwise.
///
/// Only spelling leads to `final`: reasoning that is shown by mistake is worse than an answer
/// that is folded away.
pub(crate) fn nearest_channel(found: &str) -> &'static str {
    let letters: String =
        found.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect();
    if letters == "final" {
        return "final";
    }
    let near = |name: &&&str| {
        letters.starts_with(**name)
            || letters.len() >= PREFIX_LETTERS_MIN && name.starts_with(letters.as_str())
            || edits(&letters, name) <= 1
    };
    CHANNELS[..2].iter().find(near).copied().unwrap_or("analysis")
}

/// The number of letters to insert, remove or replace to get from one word to the other, or 2 if
/// it is more than 1.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 1 {
        return 2;
    }
    let same_start = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[same_start..], &b[same_start..]);
    let same_end = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    (a.len().max(b.len()) - same_end).min(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_leads_to_the_channel_and_anything_else_to_analysis() {
        let cases = [
            ("comment", "commentary"),
            ("––commentary", "commentary"),
            ("commentary?", "commentary"),
            ("Commentary", "commentary"),
            ("commentaryjson", "commentary"),
            ("comentary", "commentary"),
            ("analysiss", "analysis"),
            ("analys", "analysis"),
            ("final.", "final"),
            ("FINAL", "final"),
            ("??", "analysis"),
            ("", "analysis"),
            ("com", "analysis"),
            ("finally", "analysis"),
            ("finalanalysis", "analysis"),
            ("fin", "analysis"),
            ("I", "analysis"),
        ];
        for (found, used) in cases {
            assert_eq!(nearest_channel(found), used, "{found}");
        }
    }

    #[test]
    fn edits_are_counted_up_to_two() {
        let cases = [
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "ac", 1),
            ("abc", "abcd", 1),
            ("ab", "ba", 2),
        ];
        for (a, b, count) in cases {
            assert_eq!(edits(a, b), count, "{a} {b}");
        }
    }
}
