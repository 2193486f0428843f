//! A Rust file as the rules see it: its lines, and its code without comments and strings.

use std::ops::Range;

/// One Rust file.
pub struct Source {
    /// From the folder of the repository, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// The same lines with comments, strings and characters replaced by spaces.
    pub code: String,
    /// Lines of `#[cfg(test)]` items, counted from 1.
    tests: Vec<Range<usize>>,
}

/// A function with its lines, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub line: usize,
    /// From `fn` to the closing brace.
    pub lines: usize,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let code = without_comments_and_strings(text);
        let tests = test_items(&code);
        Source { path: path.to_string(), text: text.to_string(), code, tests }
    }

    /// The folder below `crates/`, if the file is in one.
    pub fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Whether a line belongs to tests, benches, examples or fuzz targets.
    pub fn is_test(&self, line: usize) -> bool {
        let folder = |name: &str| self.path.split('/').any(|part| part == name);
        let whole = ["tests", "benches", "examples", "fuzz"].iter().any(|name| folder(name))
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("/testing.rs");
        whole || self.tests.iter().any(|lines| lines.contains(&line))
    }

    /// Lines, counted from 1, in which `word` stands as a word of the code.
    pub fn lines_with_word(&self, word: &str) -> Vec<usize> {
        self.words(word).map(|at| line_of(&self.code, at)).collect()
    }

    /// Byte offsets of `word` in the code where no letter, digit or `_` touches it.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let touches = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        self.code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
            !touches(self.code[..at].chars().next_back())
                && !touches(self.code[at + word.len()..].chars().next())
        })
    }

    /// Every function with a body, nested ones too.
    pub fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        for at in self.words("fn") {
            let after = self.code[at + 2..].trim_start();
            let name: String =
                after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if name.is_empty() {
                continue; // A type, as in `fn(u8) -> u8`.
            }
            if let Some(body) = body_after(&self.code, at) {
                let line = line_of(&self.code, at);
                let lines = line_of(&self.code, body.end - 1) - line + 1;
                functions.push(Function { name, line, lines });
            }
        }
        functions
    }
}

/// The line, counted from 1, of a byte offset.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The braces, inclusive, that open after `from` before the item ends with `;`.
fn body_after(code: &str, from: usize) -> Option<Range<usize>> {
    let mut depth = 0_i32;
    let mut start = None;
    for (at, c) in code[from..].char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ';' if depth == 0 && start.is_none() => return None,
            '{' => {
                if depth == 0 && start.is_none() {
                    start = Some(from + at);
                }
                depth += 1;
            }
            '}' => {
                depth -= 1;
                if depth == 0
                    && let Some(start) = start
                {
                    return Some(start..from + at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Lines of the items behind `#[cfg(test)]` and `#[cfg(all(test, …))]`.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items = Vec::new();
    for attribute in ["#[cfg(test", "#[cfg(all(test"] {
        for (at, _) in code.match_indices(attribute) {
            let Some(end) = code[at..].find(")]") else { continue };
            if let Some(body) = body_after(code, at + end + 2) {
                items.push(line_of(code, at)..line_of(code, body.end) + 1);
            }
        }
    }
    items
}

/// Replaces comments, strings and character literals by spaces and keeps the lines.
fn without_comments_and_strings(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let end = literal_end(&chars, i);
        if end == i {
            code.push(chars[i]);
            i += 1;
        } else {
            code.extend(chars[i..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            i = end;
        }
    }
    code
}

/// The end of the comment or literal that starts at `i`; `i` itself if none does.
fn literal_end(chars: &[char], i: usize) -> usize {
    let next = |n: usize| chars.get(i + n).copied();
    match (chars[i], next(1)) {
        ('/', Some('/')) => line_end(chars, i),
        ('/', Some('*')) => block_comment_end(chars, i),
        ('"', _) => string_end(chars, i + 1),
        ('\'', Some('\\')) => {
            let close = chars[i + 3..].iter().position(|&c| c == '\'');
            close.map_or(chars.len(), |n| i + 3 + n + 1)
        }
        // Else it is a lifetime.
        ('\'', Some(_)) if next(2) == Some('\'') => i + 3,
        ('r', Some('"' | '#')) if starts_word(chars, i) => raw_string_end(chars, i),
        _ => i,
    }
}

/// Whether the `r` at `i` can begin a raw string: alone, or after `b` or `c`.
fn starts_word(chars: &[char], i: usize) -> bool {
    let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
    match i.checked_sub(1).map(|at| &chars[at]) {
        Some('b' | 'c') => i < 2 || !is_word(&chars[i - 2]),
        Some(c) => !is_word(c),
        None => true,
    }
}

fn line_end(chars: &[char], i: usize) -> usize {
    chars[i..].iter().position(|&c| c == '\n').map_or(chars.len(), |n| i + n)
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut i = start;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                i += 1;
                continue;
            }
        }
        i += 2;
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn string_end(chars: &[char], mut i: usize) -> usize {
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

fn raw_string_end(chars: &[char], start: usize) -> usize {
    let hashes = chars[start + 1..].iter().take_while(|&&c| c == '#').count();
    let open = start + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return start; // A raw identifier, as in `r#type`.
    }
    let closes = |i: usize| {
        chars[i] == '"'
            && chars[i + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes
    };
    (open + 1..chars.len()).find(|&i| closes(i)).map_or(chars.len(), |i| i + 1 + hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_leave_spaces() {
        let text = "let a = \"x // \\\" {\"; // }\n/* { /* } */ { */ let b = '{'; let c: &'a str;\n\
                    let d = r#\"\"{\"#; let e = br\"{\"; let f = b'\\''; let r#type = '\\u{7b}';";
        let code = without_comments_and_strings(text);
        assert_eq!(code.matches('\n').count(), 2);
        assert!(!code.contains(['{', '}', '"']), "{code}");
        for kept in ["let a", "let b", "&'a str", "let d", "let e", "let f", "r#type"] {
            assert!(code.contains(kept), "{kept} in {code}");
        }
        assert!(without_comments_and_strings("\"open { ").trim().is_empty());
        assert!(without_comments_and_strings("/* open { ").trim().is_empty());
    }

    #[test]
    fn functions_have_names_and_lines() {
        let text = "fn one() {}\ntrait T { fn two(); }\nfn three<const N: usize>(a: [u8; 2])\n\
                    {\n    if a == \"}\" {\n    }\n}\ntype F = fn(u8) -> u8;\n";
        let found = Source::new("a.rs", text).functions();
        let expected = [
            Function { name: "one".into(), line: 1, lines: 1 },
            Function { name: "three".into(), line: 3, lines: 5 },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn lines_of_tests_are_known() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let source = Source::new("crates/x/src/lib.rs", text);
        let tests: Vec<bool> = (1..=6).map(|line| source.is_test(line)).collect();
        assert_eq!(tests, [false, true, true, true, true, false]);
        assert!(Source::new("crates/x/tests/a.rs", text).is_test(1));
        assert!(!Source::new("crates/x/src/contests.rs", text).is_test(1));
    }

    #[test]
    fn words_are_whole() {
        let source = Source::new("a.rs", "unsafe_code; unsafe {} // unsafe\n\"unsafe\"; (unsafe)");
        assert_eq!(source.lines_with_word("unsafe"), [1, 2]);
    }
}
