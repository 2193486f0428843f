//! Rules on documents, and on every text of the repository.

use crate::Finding;

/// Folders and names of the machines and tools that files were made with: they mean nothing to a
/// reader. They are put together here so that this file has none.
const PRIVATE: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("/fa", "rm/"),
    concat!("bash", "_jobs"),
    concat!("fa", "rm-"),
    concat!("/ro", "ot/."),
];

fn at(path: &str, line: usize, message: String) -> Finding {
    Finding { path: path.to_string(), line, message }
}

/// Names of private folders and tools.
pub fn private_names(path: &str, text: &str) -> Vec<Finding> {
    // Most texts have none, and some are long: look before counting lines.
    if !PRIVATE.iter().any(|name| text.contains(name)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (i, line) in text.lines().enumerate() {
        for name in PRIVATE.iter().filter(|name| line.contains(**name)) {
            findings.push(at(path, i + 1, format!("`{name}` is a private name")));
        }
    }
    findings
}

/// Crates that the architecture does not speak of.
pub fn missing_crates(path: &str, text: &str, crates: &[String]) -> Vec<Finding> {
    let named = |name: &str| {
        text.contains(&format!("`{name}`"))
            || text.contains(&format!("`crates/{name}`"))
            || text.contains(&format!("crates/{name}/"))
    };
    let missing = crates.iter().filter(|name| !named(name));
    missing.map(|name| at(path, 1, format!("crate `{name}` is not named"))).collect()
}

/// A change log without a place for the next change.
pub fn no_unreleased(path: &str, text: &str) -> Vec<Finding> {
    if text.lines().any(|line| line.trim_end() == "## [Unreleased]") {
        return Vec::new();
    }
    vec![at(path, 1, "the heading `## [Unreleased]` is missing".into())]
}

/// A document of more lines than a reader should have to read.
pub fn too_long(path: &str, text: &str, limit: usize) -> Vec<Finding> {
    let lines = text.lines().count();
    if lines <= limit {
        return Vec::new();
    }
    vec![at(path, limit + 1, format!("{lines} lines, at most {limit}"))]
}

/// A line of a document and the kind of block it stands in: none for ordinary text.
fn lines_with_fence(text: &str) -> Vec<(usize, Option<&str>, &str)> {
    let mut fence = None;
    let mut lines = Vec::new();
    for (i, line) in text.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), fence) {
            (Some(kind), None) => fence = Some(kind.trim()),
            (Some(_), Some(_)) => fence = None,
            (None, _) => lines.push((i + 1, fence, line)),
        }
    }
    lines
}

/// Links to files of the repository that do not exist.
///
/// `has` tells whether a path from the folder of the repository exists.
pub fn broken_links(path: &str, text: &str, has: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, fence, line) in lines_with_fence(text) {
        if fence.is_some() {
            continue;
        }
        for target in link_targets(line) {
            let file = target.split(['#', '?']).next().unwrap_or_default();
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if file.is_empty() || elsewhere {
                continue;
            }
            if !resolve(path, file).is_some_and(|found| has(&found)) {
                findings.push(at(path, number, format!("link to `{target}` leads nowhere")));
            }
        }
    }
    findings
}

/// What stands in `](…)` outside code.
fn link_targets(line: &str) -> Vec<String> {
    // Every second part between back quotes is code.
    let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
    let behind = prose.split("](").skip(1);
    let inner = behind.filter_map(|rest| rest.split(')').next());
    inner.filter_map(|inner| Some(inner.split_whitespace().next()?.to_string())).collect()
}

/// The path of a link from the folder of the repository; nothing if it leaves that folder.
fn resolve(document: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" if parts.is_empty() => return None,
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Command lines of a document whose subcommand the program does not have.
pub fn unknown_commands(path: &str, text: &str, has: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, fence, line) in lines_with_fence(text) {
        // A console shows what was typed behind `$`, and the answers between.
        let typed = match fence {
            Some("console") => line.trim_start().strip_prefix("$ "),
            Some("sh" | "bash") => Some(line),
            _ => None,
        };
        let commands = typed.map(subcommands).unwrap_or_default();
        for command in commands.into_iter().filter(|command| !has(command)) {
            findings.push(at(path, number, format!("`gptoss {command}` is no command")));
        }
    }
    findings
}

/// First words behind `gptoss` and `cargo run … --` in one line for a shell.
fn subcommands(line: &str) -> Vec<String> {
    let line = line.split(" # ").next().unwrap_or_default();
    let mut commands = Vec::new();
    for command in line.split(['|', ';', '&']).map(str::trim) {
        let is_setting = |word: &&str| word.contains('=') && !word.starts_with('-');
        let words: Vec<&str> = command.split_whitespace().skip_while(is_setting).collect();
        let rest = match words.as_slice() {
            ["cargo", "run", rest @ ..] => rest.iter().skip_while(|word| **word != "--").nth(1),
            [program, rest @ ..] if program.rsplit('/').next() == Some("gptoss") => rest.first(),
            _ => None,
        };
        commands.extend(rest.filter(|word| !word.starts_with('-')).map(|word| word.to_string()));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(findings: &[Finding]) -> Vec<usize> {
        findings.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_private_name_is_found() {
        for name in PRIVATE {
            assert_eq!(lines(&private_names("a.md", &format!("fine\nsee {name}x"))), [2], "{name}");
        }
        assert_eq!(private_names("a.md", "work/main and the farm"), []);
    }

    #[test]
    fn a_crate_without_a_place_in_the_architecture_is_found() {
        let crates = ["kernels".to_string(), "hub".to_string()];
        let text = "The `kernels` crate, and a hub.";
        let findings = missing_crates("ARCHITECTURE.md", text, &crates);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].message.contains("`hub`"));
    }

    #[test]
    fn a_change_log_without_unreleased_is_found() {
        assert_eq!(no_unreleased("CHANGELOG.md", "# Changes\n## [0.1.0]\nUnreleased").len(), 1);
        assert_eq!(no_unreleased("CHANGELOG.md", "# Changes\n\n## [Unreleased]\n"), []);
    }

    #[test]
    fn a_long_document_is_found() {
        assert_eq!(lines(&too_long("STYLE.md", "a\nb\nc\n", 2)), [3]);
        assert_eq!(too_long("STYLE.md", "a\nb\n", 2), []);
    }

    #[test]
    fn a_broken_link_is_found() {
        let has = |path: &str| ["README.md", "docs/log.md"].contains(&path);
        let text = "[a](log.md) [b](../README.md#top) [c](https://example.org/x) [d](#here)\n\
                    [e](gone.md \"title\") and [f](../../outside.md)\n\
                    `[g](code.md)`\n```\n[h](code.md)\n```\n[i](/README.md)\n";
        let findings = broken_links("docs/formats.md", text, has);
        assert_eq!(lines(&findings), [2, 2, 7], "{findings:?}");
        assert_eq!(lines(&broken_links("README.md", "[a](log.md) [b](./docs/log.md)", has)), [1]);
    }

    #[test]
    fn an_unknown_command_is_found() {
        let text = "gptoss nothing\n```console\n$ gptoss chat\ngptoss answers\n$ gptoss fly\n```\n\
                    ```sh\necho hi | HF_HOME=/x gptoss sing --json\ncargo run --release -- dance\n\
                    gptoss --help # gptoss jump\n```\n";
        let findings = unknown_commands("README.md", text, |command| command == "chat");
        assert_eq!(lines(&findings), [5, 8, 9], "{findings:?}");
    }
}
