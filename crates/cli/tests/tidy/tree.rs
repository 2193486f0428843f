//! The files of the repository, without build output and what tools keep in hidden folders.

use std::path::{Path, PathBuf};

use crate::source::Source;

/// Folders of any depth that hold no source.
const OUTPUT: [&str; 4] = ["target", "artifacts", "coverage", "node_modules"];
/// Hidden folders that belong to the repository.
const HIDDEN: [&str; 3] = [".ci", ".cargo", ".config"];
/// A text above this size is data.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// The repository's folder and its files.
pub struct Tree {
    root: PathBuf,
    /// From the root, with `/`, sorted.
    files: Vec<String>,
}

impl Tree {
    /// The repository that this test was compiled from.
    pub fn of_repository() -> Tree {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.ancestors().nth(2).expect("crates/cli lies two folders deep").to_path_buf();
        let mut files = Vec::new();
        collect(&root, "", &mut files);
        files.sort();
        Tree { root, files }
    }

    /// Every Rust file.
    pub fn sources(&self) -> Vec<Source> {
        let paths = self.files.iter().filter(|path| path.ends_with(".rs"));
        paths.map(|path| Source::new(path, &self.text(path))).collect()
    }

    /// Path and text of the manifest of every crate.
    pub fn manifests(&self) -> Vec<(String, String)> {
        let is_manifest = |path: &&String| {
            path.ends_with("/Cargo.toml")
                && (path.starts_with("crates/") || path.starts_with("xtask/"))
        };
        self.files.iter().filter(is_manifest).map(|p| (p.clone(), self.text(p))).collect()
    }

    /// Path and text of every Markdown file.
    pub fn documents(&self) -> Vec<(String, String)> {
        let paths = self.files.iter().filter(|path| path.ends_with(".md"));
        paths.map(|path| (path.clone(), self.text(path))).collect()
    }

    /// Names of the folders below `crates/`.
    pub fn crate_names(&self) -> Vec<String> {
        let name = |(path, _): (String, String)| Some(path.split('/').nth(1)?.to_string());
        let manifests = self.manifests().into_iter();
        manifests.filter(|(path, _)| path.starts_with("crates/")).filter_map(name).collect()
    }

    /// The text of a file that has to exist.
    pub fn text(&self, path: &str) -> String {
        self.text_if_any(path).unwrap_or_else(|| panic!("{path}: cannot be read as text"))
    }

    /// The text of a file, or nothing if there is no such file or it is no text.
    pub fn text_if_any(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.root.join(path)).ok()
    }

    /// Whether a file or a folder exists.
    pub fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// Shows every file that is text to `visit`.
    pub fn each_text(&self, mut visit: impl FnMut(&str, &str)) {
        for path in &self.files {
            let small = std::fs::metadata(self.root.join(path))
                .is_ok_and(|metadata| metadata.len() <= TEXT_BYTES_MAX);
            if small && let Some(text) = self.text_if_any(path) {
                visit(path, &text);
            }
        }
    }
}

/// Adds the files below `root/below`; links are not followed.
fn collect(root: &Path, below: &str, files: &mut Vec<String>) {
    let folder = root.join(below);
    let Ok(entries) = std::fs::read_dir(&folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let Ok(kind) = entry.file_type() else { continue };
        let path = if below.is_empty() { name.to_string() } else { format!("{below}/{name}") };
        let skipped = OUTPUT.contains(&name) || (name.starts_with('.') && !HIDDEN.contains(&name));
        if kind.is_dir() && !skipped {
            collect(root, &path, files);
        } else if kind.is_file() && !name.ends_with(".part") {
            files.push(path);
        }
    }
}
