//! Syntax of the shell and Python files of the repository, checked without running them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::step::Outcome;

/// Parses the file named as its argument and runs nothing; writes no cache either.
const PARSE_PYTHON: &str = "import ast, sys\n\
    ast.parse(open(sys.argv[1], encoding='utf-8').read(), sys.argv[1])";

/// A language of scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Shell,
    Python,
}

impl Language {
    /// By the ending of the name, else by the interpreter of the first line.
    fn of(path: &Path) -> Option<Language> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("sh") => Some(Language::Shell),
            Some("py") => Some(Language::Python),
            Some(_) => None,
            None => Self::of_text(&std::fs::read_to_string(path).ok()?),
        }
    }

    fn of_text(text: &str) -> Option<Language> {
        let interpreter = text.lines().next()?.strip_prefix("#!")?;
        let last = interpreter.split(['/', ' ']).next_back()?;
        match last {
            "bash" | "sh" => Some(Language::Shell),
            "python3" | "python" => Some(Language::Python),
            _ => None,
        }
    }

    fn interpreter(self) -> &'static str {
        match self {
            Language::Shell => "bash",
            Language::Python => "python3",
        }
    }

    fn check(self, path: &Path) -> Command {
        let mut command = Command::new(self.interpreter());
        match self {
            Language::Shell => command.arg("-n"),
            Language::Python => command.args(["-c", PARSE_PYTHON]),
        };
        command.arg(path);
        command
    }
}

/// Checks every script below `root`; a missing interpreter skips the step and says so.
pub fn check(root: &Path) -> Outcome {
    let mut scripts = Vec::new();
    if let Err(error) = find(root, &mut scripts) {
        return Outcome::Failed(error);
    }
    let mut wrong = 0;
    let mut missing = Vec::new();
    for (path, language) in &scripts {
        println!("{}", path.strip_prefix(root).unwrap_or(path).display());
        match language.check(path).stdin(Stdio::null()).status() {
            Ok(status) if status.success() => {}
            Ok(_) => wrong += 1,
            Err(_) if missing.contains(&language.interpreter()) => {}
            Err(_) => missing.push(language.interpreter()),
        }
    }
    if wrong > 0 {
        Outcome::Failed(format!("{wrong} of {} scripts have errors of syntax", scripts.len()))
    } else if !missing.is_empty() {
        Outcome::Skipped(format!("this machine has no {}", missing.join(" and no ")))
    } else {
        Outcome::Passed
    }
}

/// Collects the scripts below a folder in the order of their names, without build output.
fn find(folder: &Path, scripts: &mut Vec<(PathBuf, Language)>) -> Result<(), String> {
    let error = |e: std::io::Error| format!("{}: cannot list the folder: {e}", folder.display());
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .and_then(Iterator::collect::<std::io::Result<Vec<std::fs::DirEntry>>>)
        .map_err(error)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // Links are not followed, so that a loop of folders cannot trap the search.
        let kind = entry.file_type().map_err(error)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if kind.is_dir() {
            let hidden = name.starts_with('.') && name != ".ci";
            if !hidden && name != "target" {
                find(&path, scripts)?;
            }
        } else if kind.is_file()
            && let Some(language) = Language::of(&path)
        {
            scripts.push((path, language));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_is_told_by_ending_or_first_line() {
        assert_eq!(Language::of(Path::new("a/b.sh")), Some(Language::Shell));
        assert_eq!(Language::of(Path::new("make.py")), Some(Language::Python));
        assert_eq!(Language::of(Path::new("lib.rs")), None);
        assert_eq!(Language::of_text("#!/usr/bin/env bash\n"), Some(Language::Shell));
        assert_eq!(Language::of_text("#!/bin/sh\n"), Some(Language::Shell));
        assert_eq!(Language::of_text("#!/usr/bin/env python3\n"), Some(Language::Python));
        assert_eq!(Language::of_text("#!/usr/bin/perl\n"), None);
        assert_eq!(Language::of_text("plain text\n"), None);
    }

    #[test]
    fn an_error_of_syntax_fails_and_build_output_is_left_out() {
        let folder = std::env::temp_dir().join(format!("xtask-scripts-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("target")).unwrap();
        std::fs::create_dir_all(folder.join(".ci")).unwrap();
        std::fs::write(folder.join("target/bad.sh"), "if\n").unwrap();
        std::fs::write(folder.join(".ci/run"), "#!/usr/bin/env bash\ntrue\n").unwrap();
        std::fs::write(folder.join("good.py"), "x = 1\n").unwrap();
        let mut found = Vec::new();
        find(&folder, &mut found).unwrap();
        let good = check(&folder);
        std::fs::write(folder.join("bad.py"), "def\n").unwrap();
        std::fs::write(folder.join("bad.sh"), "if\n").unwrap();
        let bad = check(&folder);
        std::fs::remove_dir_all(&folder).unwrap();

        assert_eq!(found.len(), 2, "{found:?}");
        assert!(!matches!(good, Outcome::Failed(_)), "{good:?}");
        // A machine without an interpreter cannot see the error; none has neither.
        assert!(matches!(bad, Outcome::Failed(_)), "{bad:?}");
    }
}
