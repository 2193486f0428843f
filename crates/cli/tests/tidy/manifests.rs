//! Rules on manifests: who may depend on whom, where versions stand, how many packages.

use crate::Finding;

/// The program is 190 of them; HTTP, SQLite, OpenAPI, TOML and logs of the server are 54 more, and
/// constrained decoding is 6. Each was built with as few features as will do.
const PACKAGES_MAX: usize = 270;

/// For each crate the crates of ours that it may use.
const ARROWS: [(&str, &[&str]); 11] = [
    ("kernels", &[]),
    ("threads", &[]),
    ("harmony", &[]),
    ("checkpoint", &["kernels"]),
    ("engine", &["kernels", "threads", "harmony", "checkpoint"]),
    ("grammar", &["harmony", "engine"]),
    ("hub", &["checkpoint"]),
    ("eval", &["harmony", "engine"]),
    ("server", &["harmony", "checkpoint", "engine", "grammar"]),
    ("cli", &["kernels", "threads", "harmony", "checkpoint", "engine", "hub", "eval", "server"]),
    ("xtask", &[]),
];

/// One entry of a table of dependencies.
#[derive(Debug, PartialEq, Eq)]
struct Dependency<'a> {
    line: usize,
    name: &'a str,
    /// What stands behind the name.
    value: &'a str,
}

/// Entries of the tables whose header satisfies `is_table`.
fn dependencies(text: &str, is_table: fn(&str) -> bool) -> Vec<Dependency<'_>> {
    let mut found = Vec::new();
    let mut inside = false;
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = is_table(line.trim_matches(['[', ']']));
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let end = line.find(['.', '=', ' ']).unwrap_or(line.len());
            let (name, value) = line.split_at(end);
            found.push(Dependency { line: i + 1, name, value });
        }
    }
    found
}

/// Ordinary, test, build and per-platform dependencies of a crate.
fn is_dependency_table(header: &str) -> bool {
    header.ends_with("dependencies")
}

/// `kernels` for `crates/kernels/Cargo.toml`, `xtask` for `xtask/Cargo.toml`.
fn crate_of(path: &str) -> &str {
    path.trim_end_matches("/Cargo.toml").rsplit('/').next().unwrap_or(path)
}

/// Dependencies on crates of ours against the agreed direction.
pub fn arrows(path: &str, text: &str) -> Vec<Finding> {
    let name = crate_of(path);
    let finding = |line, message| Finding { path: path.to_string(), line, message };
    let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
        return vec![finding(1, format!("crate `{name}` is not in the table of arrows"))];
    };
    let mut findings = Vec::new();
    for dependency in dependencies(text, is_dependency_table) {
        let Some(to) = dependency.name.strip_prefix("gptoss-") else { continue };
        if !allowed.contains(&to) {
            findings.push(finding(dependency.line, format!("`{name}` may not use `{to}`")));
        }
    }
    findings
}

/// Versions in a crate's own manifest, and crates without the lints of the workspace.
pub fn not_inherited(path: &str, text: &str) -> Vec<Finding> {
    let finding = |line, message: &str| Finding {
        path: path.to_string(),
        line,
        message: message.to_string(),
    };
    let mut findings = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.starts_with('[') && line.contains("dependencies.") {
            findings.push(finding(i + 1, "write a dependency as one line of its table"));
        }
    }
    for dependency in dependencies(text, is_dependency_table) {
        if !dependency.value.replace(' ', "").contains("workspace=true") {
            findings.push(finding(dependency.line, "a version stands in the root manifest only"));
        }
    }
    if !text.replace(' ', "").contains("[lints]\nworkspace=true") {
        findings.push(finding(1, "the lints of the workspace are not inherited"));
    }
    findings
}

/// Dependencies of the root manifest without a comment above their group of lines.
///
/// Crates of the workspace itself need none.
pub fn unexplained(path: &str, text: &str) -> Vec<Finding> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_table = |header: &str| header == "workspace.dependencies";
    let mut findings = Vec::new();
    for dependency in dependencies(text, is_table) {
        let above = lines[..dependency.line - 1].iter().rev().take_while(|line| !line.is_empty());
        let explained = above.into_iter().any(|line| line.starts_with('#'));
        if !explained && !dependency.value.contains("path =") {
            let message = format!("`{}` has no comment that says why", dependency.name);
            findings.push(Finding { path: path.to_string(), line: dependency.line, message });
        }
    }
    findings
}

/// A lock file that nobody can read any more.
pub fn too_many_packages(path: &str, text: &str) -> Vec<Finding> {
    let packages = text.lines().filter(|line| *line == "[[package]]").count();
    if (1..=PACKAGES_MAX).contains(&packages) {
        return Vec::new();
    }
    let message = format!("{packages} packages, expected 1 to {PACKAGES_MAX}");
    vec![Finding { path: path.to_string(), line: 1, message }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_against_the_direction_is_found() {
        let path = "crates/harmony/Cargo.toml";
        for text in [
            "[dependencies]\nserde.workspace = true\ngptoss-kernels.workspace = true\n",
            "[dev-dependencies]\n\ngptoss-engine = { workspace = true }\n",
            "[target.'cfg(unix)'.dependencies]\n# Why.\ngptoss-hub.workspace = true\n",
        ] {
            let lines: Vec<usize> = arrows(path, text).iter().map(|f| f.line).collect();
            assert_eq!(lines, [3], "{text}");
        }
        assert_eq!(arrows("crates/engine/Cargo.toml", "[dependencies]\ngptoss-harmony = 1"), []);
        assert_eq!(arrows("crates/brandnew/Cargo.toml", "").len(), 1);
    }

    #[test]
    fn a_version_in_a_crate_is_found() {
        let lints = "[lints]\nworkspace = true\n";
        let findings = |text: &str| not_inherited("crates/a/Cargo.toml", text).len();
        assert_eq!(findings(&format!("[dependencies]\nserde = \"1\"\n{lints}")), 1);
        assert_eq!(findings(&format!("[dependencies.serde]\nworkspace = true\n{lints}")), 1);
        assert_eq!(findings("[dependencies]\nserde.workspace = true\n"), 1);
        let good = "[dependencies]\nserde = { workspace = true, features = [] }\n";
        assert_eq!(findings(&format!("{good}{lints}")), 0);
    }

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let text = "[workspace.dependencies]\nours = { path = \"ours\" }\n\n# Why a.\na = \"1\"\n\
                    b = \"1\"\n\nc = \"1\"\n[profile.dev]\nd = 1\n";
        let findings = unexplained("Cargo.toml", text);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].line, 8);
    }

    #[test]
    fn too_many_packages_are_found() {
        let lock = |count: usize| "[[package]]\nname = \"a\"\n".repeat(count);
        assert_eq!(too_many_packages("Cargo.lock", &lock(PACKAGES_MAX)), []);
        assert_eq!(too_many_packages("Cargo.lock", &lock(PACKAGES_MAX + 1)).len(), 1);
        assert_eq!(too_many_packages("Cargo.lock", "").len(), 1);
    }
}
