//! Rules on the text of Rust files: size, names, what must not be committed, who may print.

use crate::Finding;
use crate::source::Source;

const COLUMNS_MAX: usize = 100;
const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 600;

/// Functions that may be longer: file, name, and why cutting them would hide more than it shows.
const LONG_FUNCTIONS: [(&str, &str, &str); 0] = [];

/// Names that say nothing about what is inside.
const VAGUE: [&str; 9] =
    ["utils", "util", "common", "helpers", "helper", "types", "misc", "stuff", "shared"];

/// Markers of unfinished work. They are put together here so that this file has none.
const UNFINISHED_COMMENTS: [&str; 3] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];

/// Code that is unfinished, or a test that does not test.
const UNFINISHED_CODE: [&str; 5] =
    ["todo!", "unimplemented!", "dbg!", "#[ignore", "#[should_panic"];

/// Output and the end of the process.
const PRINTS: [&str; 5] = ["println!", "eprintln!", "print!", "eprint!", "process::exit"];

fn at(source: &Source, line: usize, message: impl Into<String>) -> Finding {
    Finding { path: source.path.clone(), line, message: message.into() }
}

/// Lines of more than 100 columns.
pub fn long_lines(source: &Source) -> Vec<Finding> {
    let widths = source.text.lines().map(|line| line.chars().count()).enumerate();
    widths
        .filter(|&(_, width)| width > COLUMNS_MAX)
        .map(|(i, width)| at(source, i + 1, format!("{width} columns, at most {COLUMNS_MAX}")))
        .collect()
}

/// Functions of more than 70 lines that are not among the exceptions.
pub fn long_functions(source: &Source) -> Vec<Finding> {
    let excepted = |name: &str| {
        LONG_FUNCTIONS.iter().any(|(path, function, _)| *path == source.path && *function == name)
    };
    let functions = source.functions().into_iter();
    functions
        .filter(|f| f.lines > FUNCTION_LINES_MAX && !excepted(&f.name))
        .map(|f| {
            let message =
                format!("function `{}`: {} lines, at most {FUNCTION_LINES_MAX}", f.name, f.lines);
            at(source, f.line, message)
        })
        .collect()
}

/// Exceptions for functions that are gone or short enough.
pub fn needless_exceptions(sources: &[Source]) -> Vec<Finding> {
    let needed = |(path, name, _): &(&str, &str, &str)| {
        sources.iter().filter(|source| source.path == *path).any(|source| {
            let mut functions = source.functions().into_iter();
            functions.any(|f| f.name == *name && f.lines > FUNCTION_LINES_MAX)
        })
    };
    let needless = LONG_FUNCTIONS.iter().filter(|exception| !needed(exception));
    needless
        .map(|(path, name, _)| Finding {
            path: path.to_string(),
            line: 1,
            message: format!("function `{name}` needs no exception for its length"),
        })
        .collect()
}

/// Files of more than 600 lines whose first line does not say why.
pub fn long_files(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    let first = source.text.lines().next().unwrap_or_default();
    let justified = first.starts_with("//") && first.contains("one file because");
    if lines <= FILE_LINES_MAX || justified {
        return Vec::new();
    }
    let message = format!(
        "{lines} lines, at most {FILE_LINES_MAX}: split the file, or let its first line say \
         `one file because …`"
    );
    vec![at(source, 1, message)]
}

/// Files and folders whose name is no idea.
pub fn vague_names(source: &Source) -> Vec<Finding> {
    let mut parts = source.path.split(['/', '.']);
    let vague = parts.find(|part| VAGUE.contains(part));
    vague.map(|part| at(source, 1, format!("`{part}` names no idea"))).into_iter().collect()
}

/// Unfinished code, muted tests and notes to oneself.
pub fn unfinished(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (i, line) in source.text.lines().enumerate() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut words = line.split(|c| !is_word(c));
        if let Some(word) = words.find(|word| UNFINISHED_COMMENTS.contains(word)) {
            findings.push(at(source, i + 1, format!("`{word}` is not committed")));
        }
    }
    for (i, line) in source.code.lines().enumerate() {
        for word in UNFINISHED_CODE.iter().filter(|word| line.contains(**word)) {
            findings.push(at(source, i + 1, format!("`{word}` is not committed")));
        }
    }
    findings
}

/// `unwrap()` outside tests: `expect` says why it holds, and an error says what is wrong.
pub fn unwraps(source: &Source) -> Vec<Finding> {
    let lines = source.code.lines().enumerate().map(|(i, line)| (i + 1, line));
    lines
        .filter(|(line, text)| text.contains(".unwrap()") && !source.is_test(*line))
        .map(|(line, _)| at(source, line, "`unwrap()` outside tests"))
        .collect()
}

/// Printing or exiting in a library.
pub fn prints(source: &Source) -> Vec<Finding> {
    let is_program = source.crate_name() == Some("cli") || source.path.starts_with("xtask/");
    if is_program || source.path.ends_with("/build.rs") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for word in PRINTS {
        let lines = source.lines_with_word(word).into_iter().filter(|line| !source.is_test(*line));
        findings
            .extend(lines.map(|line| at(source, line, format!("`{word}` outside the program"))));
    }
    findings
}

/// `async` outside the crate that serves requests.
pub fn asynchronous(source: &Source) -> Vec<Finding> {
    if source.crate_name() == Some("server") {
        return Vec::new();
    }
    let lines = source.lines_with_word("async").into_iter();
    lines.map(|line| at(source, line, "`async` outside crates/server")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(findings: &[Finding]) -> Vec<usize> {
        findings.iter().map(|finding| finding.line).collect()
    }

    fn library(text: &str) -> Source {
        Source::new("crates/engine/src/lib.rs", text)
    }

    #[test]
    fn a_line_of_101_columns_is_found() {
        let text = format!("{}\n{}\n", "é".repeat(100), "é".repeat(101));
        assert_eq!(lines(&long_lines(&library(&text))), [2]);
    }

    #[test]
    fn a_function_of_71_lines_is_found() {
        let function = |lines: usize| format!("fn f() {{{}}}\n", "\n".repeat(lines - 1));
        let text = format!("{}{}", function(70), function(71));
        assert_eq!(lines(&long_functions(&library(&text))), [71]);
    }

    #[test]
    fn an_exception_without_its_function_is_found() {
        assert_eq!(needless_exceptions(&[]).len(), LONG_FUNCTIONS.len());
    }

    #[test]
    fn a_file_of_601_lines_is_found() {
        assert!(long_files(&library(&"\n".repeat(600))).is_empty());
        assert_eq!(lines(&long_files(&library(&"\n".repeat(601)))), [1]);
        let justified = format!(
            "//! Tables; one file because they are read side by side.\n{}",
            "\n".repeat(600)
        );
        assert!(long_files(&library(&justified)).is_empty());
    }

    #[test]
    fn a_vague_name_is_found() {
        for path in ["crates/engine/src/utils.rs", "crates/engine/tests/common/mod.rs"] {
            assert_eq!(vague_names(&Source::new(path, "")).len(), 1, "{path}");
        }
        assert!(vague_names(&Source::new("crates/engine/src/uncommon.rs", "")).is_empty());
    }

    #[test]
    fn unfinished_work_is_found() {
        for word in UNFINISHED_COMMENTS {
            assert_eq!(lines(&unfinished(&library(&format!("\n// {word}: later")))), [2]);
        }
        for word in UNFINISHED_CODE {
            assert_eq!(lines(&unfinished(&library(&format!("\n\n{word}")))), [3], "{word}");
            assert!(unfinished(&library(&format!("// {word}\n\"{word}\""))).is_empty());
        }
    }

    #[test]
    fn an_unwrap_outside_tests_is_found() {
        let text = "fn a() { b().unwrap() }\n#[cfg(test)]\nmod tests { fn c() { d().unwrap() } }";
        assert_eq!(lines(&unwraps(&library(text))), [1]);
    }

    #[test]
    fn a_library_that_prints_is_found() {
        for word in PRINTS {
            let text = format!("fn a() {{ std::{word}(1) }}");
            assert_eq!(prints(&library(&text)).len(), 1, "{word}");
            for path in ["crates/cli/src/main.rs", "xtask/src/main.rs", "crates/engine/build.rs"] {
                assert!(prints(&Source::new(path, &text)).is_empty(), "{path}");
            }
        }
    }

    #[test]
    fn async_outside_the_server_is_found() {
        let text = "/// Not async.\npub async fn a() {}";
        assert_eq!(lines(&asynchronous(&library(text))), [2]);
        assert!(asynchronous(&Source::new("crates/server/src/app.rs", text)).is_empty());
    }
}
