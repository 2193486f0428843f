//! The style of this repository as tests: what a machine can see of STYLE.md and ARCHITECTURE.md.
//!
//! Reading order: `tree` (the files), `source` (Rust text without comments and strings), then the
//! rules: `code` (on Rust files), `safety` (on unsafe code), `manifests` (on crates and their
//! dependencies), `papers` (on documents and on every text). Each rule is a function from a text
//! to findings, and is shown beside it to find something in a bad example.

#![forbid(unsafe_code)]

mod code;
mod manifests;
mod papers;
mod safety;
mod source;
mod tree;

use std::fmt;

use source::Source;
use tree::Tree;

/// A place where a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    /// From the folder of the repository, with `/` on every platform.
    path: String,
    /// Counted from 1.
    line: usize,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Fails with one line for each finding.
fn none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "{} findings\n{}", lines.len(), lines.join("\n"));
}

/// Holds every Rust file of the repository against one rule.
fn every_source(rule: fn(&Source) -> Vec<Finding>) {
    let sources = Tree::of_repository().sources();
    // The number shows that the search has found the repository and not an empty folder.
    assert!(sources.len() >= 20, "only {} Rust files were found", sources.len());
    none(&sources.iter().flat_map(rule).collect::<Vec<_>>());
}

#[test]
fn lines_have_at_most_100_columns() {
    every_source(code::long_lines);
}

#[test]
fn functions_have_at_most_70_lines() {
    every_source(code::long_functions);
}

#[test]
fn every_exception_for_a_long_function_is_needed() {
    none(&code::needless_exceptions(&Tree::of_repository().sources()));
}

#[test]
fn files_have_at_most_600_lines() {
    every_source(code::long_files);
}

#[test]
fn files_are_named_after_their_idea() {
    every_source(code::vague_names);
}

#[test]
fn nothing_unfinished_is_committed() {
    every_source(code::unfinished);
}

#[test]
fn results_are_unwrapped_in_tests_only() {
    every_source(code::unwraps);
}

#[test]
fn only_the_program_prints_and_exits() {
    every_source(code::prints);
}

#[test]
fn only_the_server_is_async() {
    every_source(code::asynchronous);
}

#[test]
fn unsafe_code_lies_in_its_places() {
    every_source(safety::misplaced);
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    every_source(safety::unexplained);
}

#[test]
fn every_other_crate_forbids_unsafe_code() {
    every_source(safety::not_forbidden);
}

#[test]
fn crates_depend_in_the_agreed_direction() {
    let tree = Tree::of_repository();
    let manifests = tree.manifests();
    assert!(manifests.len() >= 7, "only {} crates were found", manifests.len());
    none(
        &manifests
            .iter()
            .flat_map(|(path, text)| manifests::arrows(path, text))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn versions_and_lints_stand_in_the_root_manifest() {
    let tree = Tree::of_repository();
    let inherited = |(path, text): &(String, String)| manifests::not_inherited(path, text);
    none(&tree.manifests().iter().flat_map(inherited).collect::<Vec<_>>());
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let tree = Tree::of_repository();
    none(&manifests::unexplained("Cargo.toml", &tree.text("Cargo.toml")));
}

#[test]
fn the_lock_file_stays_readable() {
    let tree = Tree::of_repository();
    none(&manifests::too_many_packages("Cargo.lock", &tree.text("Cargo.lock")));
}

#[test]
fn every_crate_is_in_the_architecture() {
    let tree = Tree::of_repository();
    let Some(text) = tree.text_if_any("ARCHITECTURE.md") else { return };
    none(&papers::missing_crates("ARCHITECTURE.md", &text, &tree.crate_names()));
}

#[test]
fn the_change_log_has_a_place_for_the_next_change() {
    let tree = Tree::of_repository();
    none(&papers::no_unreleased("CHANGELOG.md", &tree.text("CHANGELOG.md")));
}

#[test]
fn the_papers_stay_short() {
    let tree = Tree::of_repository();
    for (path, limit) in [("STYLE.md", 120), ("ARCHITECTURE.md", 200)] {
        if let Some(text) = tree.text_if_any(path) {
            none(&papers::too_long(path, &text, limit));
        }
    }
}

#[test]
fn no_text_names_a_private_place() {
    let tree = Tree::of_repository();
    let mut texts = 0;
    let mut findings = Vec::new();
    tree.each_text(|path, text| {
        texts += 1;
        findings.extend(papers::private_names(path, text));
    });
    assert!(texts >= 40, "only {texts} text files were found");
    none(&findings);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let tree = Tree::of_repository();
    let documents = tree.documents();
    assert!(documents.len() >= 3, "only {} documents were found", documents.len());
    let broken = |(path, text): &(String, String)| {
        papers::broken_links(path, text, |target| tree.has(target))
    };
    none(&documents.iter().flat_map(broken).collect::<Vec<_>>());
}

#[test]
fn commands_of_the_readme_exist() {
    let tree = Tree::of_repository();
    let Some(text) = tree.text_if_any("README.md") else { return };
    none(&papers::unknown_commands("README.md", &text, |command| {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_gptoss"));
        let output = program.args([command, "--help"]).output();
        output.expect("the program was built beside this test").status.success()
    }));
}
