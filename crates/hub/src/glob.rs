//! Patterns over file names, as Python's `fnmatch` reads them: what the hub's own tools accept.

/// Whether `pattern` fits the whole of `path`: `*` any run, `?` one character, `[a-z]` or `[!a-z]`
/// one of a set; `*` also passes over `/`, and a pattern that ends in `/` means all below it.
///
/// Case matters. Takes time proportional to both lengths multiplied, for any pattern.
pub fn matches(pattern: &str, path: &str) -> bool {
    let mut pattern: Vec<char> = pattern.chars().collect();
    if pattern.last() == Some(&'/') {
        pattern.push('*');
    }
    let path: Vec<char> = path.chars().collect();
    let (mut p, mut s) = (0, 0);
    // Where to go on when a later part fails: after the last `*`, which then takes one more.
    let mut retry: Option<(usize, usize)> = None;
    while s < path.len() {
        if pattern.get(p) == Some(&'*') {
            p += 1;
            retry = Some((p, s));
            continue;
        }
        if let Some(next) = match_one(&pattern, p, path[s]) {
            p = next;
            s += 1;
            continue;
        }
        let Some((after_star, taken)) = retry else { return false };
        p = after_star;
        s = taken + 1;
        retry = Some((after_star, s));
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// Whether the text holds characters that make it a pattern and not a plain name.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The index after the element at `p` if it fits `c`.
fn match_one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match *pattern.get(p)? {
        '?' => Some(p + 1),
        '[' => match set_end(pattern, p) {
            Some(end) => in_set(&pattern[p + 1..end], c).then_some(end + 1),
            // Without a closing bracket it is an ordinary character.
            None => (c == '[').then_some(p + 1),
        },
        literal => (literal == c).then_some(p + 1),
    }
}

/// The index of the `]` that ends the set begun at `p`; one right at its start is a member.
fn set_end(pattern: &[char], p: usize) -> Option<usize> {
    let first = if pattern.get(p + 1) == Some(&'!') { p + 2 } else { p + 1 };
    (first + 1..pattern.len()).find(|&i| pattern[i] == ']')
}

fn in_set(set: &[char], c: char) -> bool {
    let (set, wanted) = match set.first() {
        Some('!') => (&set[1..], false),
        _ => (set, true),
    };
    let mut i = 0;
    let mut found = false;
    while i < set.len() {
        if i + 2 < set.len() && set[i + 1] == '-' {
            found |= (set[i]..=set[i + 2]).contains(&c);
            i += 3;
        } else {
            found |= set[i] == c;
            i += 1;
        }
    }
    found == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_python() {
        // Each line was answered by Python 3.11: fnmatch.fnmatchcase(path, pattern).
        let cases = [
            ("*.safetensors", "model.safetensors", true),
            ("*.safetensors", "original/model.safetensors", true),
            ("original/*", "original/a/b.json", true),
            ("original/*", "metal/model.bin", false),
            ("*Q4_?*.gguf", "gpt-oss-20b-Q4_0.gguf", true),
            ("*Q4_?*.gguf", "gpt-oss-20b-Q8_0.gguf", false),
            ("[!.]*", ".gitattributes", false),
            ("[!.]*", "README.md", true),
            ("model-0000[1-3]-*", "model-00002-of-00004.safetensors", true),
            ("model-0000[1-3]-*", "model-00004-of-00004.safetensors", false),
            ("[]a]x", "]x", true),
            ("[x", "[x", true),
            ("a[", "a[", true),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**b", "aab", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
            ("README.MD", "README.md", false),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(matches(pattern, path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn a_folder_means_all_below_it() {
        assert!(matches("original/", "original/config.json"));
        assert!(!matches("original/", "config.json"));
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = "*a".repeat(200) + "b";
        assert!(!matches(&pattern, &"a".repeat(2000)));
    }
}
