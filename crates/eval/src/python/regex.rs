//! Regular expressions with the meaning that Python's `re` gives them.
//!
//! A pattern is rewritten for the engine where the two languages differ (`$`, `\s`, `\Z`, literal
//! braces, brackets inside classes); what the rewriting does not know is refused. Source: CPython
//! 3.11 `Lib/re/_parser.py`, and `Modules/_sre` for where a scan continues after an empty match.

use fancy_regex::{Captures, RegexBuilder};

use crate::EvalError;

/// Steps after which a match of one text is given up: hostile texts must not take for ever.
const BACKTRACK_STEPS_MAX: usize = 10_000_000;

/// Bytes of a pattern.
const PATTERN_BYTES_MAX: usize = 4096;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Regex {
    pattern: String,
    engine: fancy_regex::Regex,
    /// The same pattern that must end behind the place where the search begins.
    advancing: fancy_regex::Regex,
}

impl Regex {
    /// Compiles a pattern of Python's `re` for text.
    ///
    /// # Errors
    /// If the pattern is wrong, or has something that is not supported.
    pub fn new(pattern: &str) -> Result<Regex, EvalError> {
        let fail = |message: String| EvalError::Pattern { pattern: pattern.into(), message };
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(fail(format!("longer than {PATTERN_BYTES_MAX} bytes")));
        }
        let (flags, body) = Translation::of(pattern).map_err(fail)?;
        let compile = |text: &str| {
            RegexBuilder::new(text)
                .backtrack_limit(BACKTRACK_STEPS_MAX)
                .build()
                .map_err(|error| fail(error.to_string()))
        };
        // A comment at the end of a verbose pattern must not swallow the parenthesis.
        let end = if flags.contains('x') { "\n" } else { "" };
        Ok(Regex {
            pattern: pattern.into(),
            engine: compile(&format!("{flags}{body}"))?,
            advancing: compile(&format!("{flags}(?:{body}{end})(?!\\G)"))?,
        })
    }

    /// `re.search`: the groups of the first match, the whole match first.
    ///
    /// # Errors
    /// If the search takes too many steps.
    pub fn search<'t>(&self, text: &'t str) -> Result<Option<Captures<'t>>, EvalError> {
        self.engine.captures_from_pos(text, 0).map_err(|error| self.cost(&error))
    }

    /// `re.findall`: for each match its groups, or the whole match if the pattern has none. A
    /// group that did not take part is empty.
    ///
    /// # Errors
    /// If the search takes too many steps.
    pub fn find_all(&self, text: &str) -> Result<Vec<Vec<String>>, EvalError> {
        let mut found = Vec::new();
        self.scan(text, |captures| {
            let first = usize::from(captures.len() > 1);
            let group = |i| captures.get(i).map_or("", |group| group.as_str()).to_string();
            found.push((first..captures.len()).map(group).collect());
        })?;
        Ok(found)
    }

    /// `re.sub(pattern, "", text)`: the text without its matches.
    ///
    /// # Errors
    /// If the search takes too many steps.
    pub fn remove(&self, text: &str) -> Result<String, EvalError> {
        self.replace(text, "")
    }

    /// `re.sub` with a replacement that is taken as it is.
    ///
    /// # Errors
    /// If the search takes too many steps.
    pub fn replace(&self, text: &str, replacement: &str) -> Result<String, EvalError> {
        let mut kept = String::with_capacity(text.len());
        let mut from = 0;
        self.scan(text, |captures| {
            if let Some(whole) = captures.get(0) {
                kept.push_str(&text[from..whole.start()]);
                kept.push_str(replacement);
                from = whole.end();
            }
        })?;
        kept.push_str(&text[from..]);
        Ok(kept)
    }

    /// Every match from left to right. After an empty match the next one may begin at the same
    /// place if it is not empty too; an empty one may stand right behind another.
    fn scan(&self, text: &str, mut each: impl FnMut(&Captures<'_>)) -> Result<(), EvalError> {
        let mut at = 0;
        let mut after_empty = false;
        while at <= text.len() {
            let engine = if after_empty { &self.advancing } else { &self.engine };
            let found = engine.captures_from_pos(text, at).map_err(|error| self.cost(&error))?;
            let Some(captures) = found else { break };
            let Some(whole) = captures.get(0) else { break };
            each(&captures);
            after_empty = whole.start() == whole.end();
            at = whole.end();
        }
        Ok(())
    }

    fn cost(&self, error: &fancy_regex::Error) -> EvalError {
        EvalError::Pattern { pattern: self.pattern.clone(), message: error.to_string() }
    }
}

/// A pattern on its way from one language to the other.
struct Translation<'p> {
    rest: std::iter::Peekable<std::str::Chars<'p>>,
    multi_line: bool,
    out: String,
}

impl<'p> Translation<'p> {
    /// Flags at the beginning, and what is behind them.
    fn of(pattern: &'p str) -> Result<(String, String), String> {
        let (flags, body) = leading_flags(pattern)?;
        let rest = body.chars().peekable();
        let mut work = Translation { rest, multi_line: flags.contains('m'), out: String::new() };
        while let Some(c) = work.rest.next() {
            match c {
                '\\' => work.escape(false)?,
                '[' => work.class()?,
                '$' if !work.multi_line => work.out.push_str("(?=\\n?\\z)"),
                '{' => work.brace(),
                '}' => work.out.push_str("\\}"),
                '(' => work.group()?,
                c => work.out.push(c),
            }
        }
        let flags = if flags.is_empty() { String::new() } else { format!("(?{flags})") };
        Ok((flags, work.out))
    }

    /// What is behind an opening parenthesis decides nothing here, except flags inside a pattern,
    /// which would change the meaning of `$` half-way.
    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        let mut ahead = self.rest.clone();
        if ahead.next() == Some('?') && ahead.next().is_some_and(|c| "aiLmsux-".contains(c)) {
            return Err("not supported: flags that are not at the beginning".into());
        }
        Ok(())
    }

    /// What follows a backslash.
    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let c = self.rest.next().ok_or("a backslash at the end")?;
        match c {
            's' if in_class => self.out.push_str("\\s\\x1c-\\x1f"),
            's' => self.out.push_str("[\\s\\x1c-\\x1f]"),
            'S' => self.out.push_str("[^\\s\\x1c-\\x1f]"),
            'Z' if !in_class => self.out.push_str("\\z"),
            'b' if in_class => self.out.push_str("\\x08"),
            'A' | 'b' | 'B' if !in_class => self.literal_escape(c),
            'd' | 'D' | 'w' | 'W' | 'f' | 'n' | 'r' | 't' | 'x' => self.literal_escape(c),
            'a' => self.out.push_str("\\x07"),
            'v' => self.out.push_str("\\x0b"),
            'u' => self.code_point(4)?,
            'U' => self.code_point(8)?,
            '1'..='9' if !in_class => self.literal_escape(c),
            c if c.is_ascii_alphanumeric() => return Err(format!("not supported: `\\{c}`")),
            c => self.literal(c),
        }
        Ok(())
    }

    fn literal_escape(&mut self, c: char) {
        self.out.push('\\');
        self.out.push(c);
    }

    /// A character that stands for itself in both languages and inside classes.
    fn literal(&mut self, c: char) {
        if c.is_ascii_punctuation() || c == ' ' || c == '\n' {
            self.out.push_str(&format!("\\x{:02x}", u32::from(c)));
        } else {
            self.out.push(c);
        }
    }

    fn code_point(&mut self, digits: usize) -> Result<(), String> {
        let hex: String = self.rest.by_ref().take(digits).collect();
        if hex.len() != digits || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("expected {digits} hexadecimal digits, found `{hex}`"));
        }
        self.out.push_str(&format!("\\x{{{hex}}}"));
        Ok(())
    }

    /// A class: brackets, `&`, `~` and white space inside it are ordinary characters in Python.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        if self.rest.next_if_eq(&']').is_some() {
            self.literal(']');
        }
        loop {
            let Some(first) = self.rest.next() else { return Err("a class without an end".into()) };
            if first == ']' {
                break;
            }
            self.class_item(first)?;
            // Behind an item, a hyphen makes a range unless it is the last of the class.
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('-') && ahead.peek().is_some_and(|c| *c != ']') {
                self.rest = ahead;
                self.out.push('-');
                let last = self.rest.next().unwrap_or_default();
                self.class_item(last)?;
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn class_item(&mut self, c: char) -> Result<(), String> {
        if c == '\\' {
            return self.escape(true);
        }
        self.literal(c);
        Ok(())
    }

    /// A repetition, or a brace that stands for itself.
    fn brace(&mut self) {
        let mut ahead = self.rest.clone();
        let digits = |ahead: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut text = String::new();
            while let Some(digit) = ahead.next_if(char::is_ascii_digit) {
                text.push(digit);
            }
            text
        };
        let low = digits(&mut ahead);
        let comma = ahead.next_if_eq(&',').is_some();
        let high = if comma { digits(&mut ahead) } else { String::new() };
        if ahead.next() != Some('}') || (low.is_empty() && !comma) {
            self.out.push_str("\\{");
            return;
        }
        self.rest = ahead;
        let low = if low.is_empty() { "0" } else { &low };
        let comma = if comma { "," } else { "" };
        self.out.push_str(&format!("{{{low}{comma}{high}}}"));
    }
}

/// Splits `(?ims)` from the beginning of a pattern; `u`, the default, is left out.
fn leading_flags(pattern: &str) -> Result<(String, &str), String> {
    let mut flags = String::new();
    let mut body = pattern;
    while let Some(rest) = body.strip_prefix("(?") {
        let len = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (letters, behind) = rest.split_at(len);
        let Some(behind) = behind.strip_prefix(')').filter(|_| len > 0) else { break };
        for letter in letters.chars() {
            match letter {
                'i' | 'm' | 's' | 'x' if !flags.contains(letter) => flags.push(letter),
                'i' | 'm' | 's' | 'x' | 'u' => {}
                other => return Err(format!("not supported: flag `{other}`")),
            }
        }
        body = behind;
    }
    Ok((flags, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pattern: &str, text: &str) -> Vec<Vec<String>> {
        Regex::new(pattern).unwrap().find_all(text).unwrap()
    }

    #[test]
    fn agrees_with_recorded_vectors() {
        // Made by testdata/eval/make_regex.py with CPython 3.11.7.
        let text = include_str!("../../../../testdata/eval/regex.jsonl");
        let mut compared = 0;
        for line in text.lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let field = |name: &str| case[name].as_str().unwrap();
            let regex = Regex::new(field("pattern")).unwrap();
            let expected: Vec<Vec<String>> =
                serde_json::from_value(case["findall"].clone()).unwrap();
            assert_eq!(regex.find_all(field("text")).unwrap(), expected, "{line}");
            assert_eq!(regex.replace(field("text"), "-").unwrap(), field("sub"), "{line}");
            compared += 1;
        }
        assert!(compared >= 300, "only {compared} cases");
    }

    #[test]
    fn an_empty_match_may_stand_behind_another() {
        assert_eq!(all("x*", "axbc"), [[""], ["x"], [""], [""], [""]]);
        assert_eq!(all("a??", "aa"), [[""], ["a"], [""], ["a"], [""]]);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for pattern in ["(", "a(?i)b", "[a", "\\", "\\q", "(?L)a", "\\u12", "(?P<n>"] {
            assert!(Regex::new(pattern).is_err(), "{pattern}");
        }
        assert!(Regex::new(&"a".repeat(PATTERN_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn a_text_that_costs_too_much_is_an_error() {
        let regex = Regex::new(r"(?=(a+)+\1$)").unwrap();
        let error = regex.find_all(&("a".repeat(60) + "b")).unwrap_err();
        assert!(error.to_string().contains("regular expression"), "{error}");
    }
}
