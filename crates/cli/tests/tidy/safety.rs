//! Rules on unsafe code: where it may be, and what must stand above it.

use crate::Finding;
use crate::source::{Source, line_of};

/// Files outside the kernels that may be unsafe: weights are mapped into memory, and threads share
/// what lies on the stack of one of them.
const UNSAFE_FILES: [&str; 3] = [
    "crates/checkpoint/src/map.rs",
    "crates/threads/src/chunks.rs",
    "crates/threads/src/region.rs",
];

fn may_be_unsafe(source: &Source) -> bool {
    source.crate_name() == Some("kernels") || UNSAFE_FILES.contains(&source.path.as_str())
}

fn at(source: &Source, line: usize, message: impl Into<String>) -> Finding {
    Finding { path: source.path.clone(), line, message: message.into() }
}

/// `unsafe` outside the places it may be in.
pub fn misplaced(source: &Source) -> Vec<Finding> {
    if may_be_unsafe(source) {
        return Vec::new();
    }
    let message = format!("`unsafe` outside crates/kernels and {}", UNSAFE_FILES.join(", "));
    let lines = source.lines_with_word("unsafe").into_iter();
    lines.map(|line| at(source, line, message.as_str())).collect()
}

/// Unsafe blocks and impls without a `// SAFETY:` comment above their statement.
pub fn unexplained(source: &Source) -> Vec<Finding> {
    let text: Vec<&str> = source.text.lines().collect();
    let code: Vec<&str> = source.code.lines().collect();
    let mut findings = Vec::new();
    for offset in source.words("unsafe") {
        let after = source.code[offset + "unsafe".len()..].trim_start();
        let line = line_of(&source.code, offset);
        if (after.starts_with('{') || after.starts_with("impl"))
            && !is_explained(&text, &code, line - 1)
        {
            findings.push(at(source, line, "no `// SAFETY:` comment above"));
        }
    }
    findings
}

/// Whether the statement that reaches line `i` (from 0) begins below a safety comment.
fn is_explained(text: &[&str], code: &[&str], mut i: usize) -> bool {
    while i > 0 {
        i -= 1;
        let line = text[i].trim();
        if line.starts_with("// SAFETY:") {
            return true;
        }
        let is_comment = line.starts_with("//") || line.starts_with("#[");
        let ends_before = code[i].trim_end().ends_with([';', '{', '}', ',']);
        if !is_comment && (line.is_empty() || ends_before) {
            return false;
        }
    }
    false
}

/// Roots of crates that do not forbid unsafe code; the crates of [`UNSAFE_FILES`] deny it.
pub fn not_forbidden(source: &Source) -> Vec<Finding> {
    let parts: Vec<&str> = source.path.split('/').collect();
    let is_root = match parts.as_slice() {
        ["crates", name, "src", "lib.rs" | "main.rs"] => *name != "kernels",
        ["crates", name, "src", "bin", _] => *name != "kernels",
        ["xtask", "src", "main.rs"] => true,
        _ => false,
    };
    let of_crate = |path: &&str| source.path.starts_with(path.trim_end_matches(|c| c != '/'));
    let level = if UNSAFE_FILES.iter().any(of_crate) { "deny" } else { "forbid" };
    let attribute = format!("#![{level}(unsafe_code)]");
    if is_root && !source.code.contains(&attribute) {
        return vec![at(source, 1, format!("`{attribute}` is missing"))];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(text: &str) -> Source {
        Source::new("crates/kernels/src/dot.rs", text)
    }

    #[test]
    fn unsafe_code_elsewhere_is_found() {
        let text = "fn a() { unsafe { b() } }";
        assert_eq!(misplaced(&Source::new("crates/engine/src/moe.rs", text)).len(), 1);
        assert_eq!(misplaced(&Source::new("crates/checkpoint/src/gguf.rs", text)).len(), 1);
        assert_eq!(misplaced(&Source::new("crates/threads/src/pool.rs", text)).len(), 1);
        for path in UNSAFE_FILES {
            assert!(misplaced(&Source::new(path, text)).is_empty(), "{path}");
        }
        assert!(misplaced(&kernel(text)).is_empty());
    }

    #[test]
    fn an_unexplained_block_is_found() {
        for text in [
            "fn a() {\n    unsafe { b() }\n}",
            "// SAFETY: the first only.\nlet x = unsafe { b() };\nlet y = unsafe { c() };",
            "// SAFETY: an empty line parts them.\n\nlet x = unsafe { b() };",
            "/// SAFETY: a doc comment is for the caller.\nunsafe impl Send for A {}",
        ] {
            assert_eq!(unexplained(&kernel(text)).len(), 1, "{text}");
        }
    }

    #[test]
    fn an_explained_block_is_accepted() {
        for text in [
            "// SAFETY: in bounds,\n// as checked above.\nlet x = unsafe { b() };",
            "// SAFETY: avx2.\n#[cfg(x)]\nLevel::Avx2 => unsafe { b() },",
            "// SAFETY: in bounds.\nlet x =\n    unsafe { b() };",
            "// SAFETY: only moved.\nunsafe impl Send for A {}",
            "unsafe fn a() {}",
            "// unsafe { }\n\"unsafe { }\"",
        ] {
            assert_eq!(unexplained(&kernel(text)), [], "{text}");
        }
    }

    #[test]
    fn a_root_that_does_not_forbid_is_found() {
        let root = |path: &str, text: &str| not_forbidden(&Source::new(path, text)).len();
        assert_eq!(root("crates/engine/src/lib.rs", "//! #![forbid(unsafe_code)]"), 1);
        assert_eq!(root("crates/engine/src/lib.rs", "#![forbid(unsafe_code)]"), 0);
        assert_eq!(root("crates/checkpoint/src/lib.rs", "mod map;"), 1);
        assert_eq!(root("crates/checkpoint/src/lib.rs", "#![deny(unsafe_code)]"), 0);
        assert_eq!(root("crates/threads/src/lib.rs", "#![deny(unsafe_code)]"), 0);
        assert_eq!(root("xtask/src/main.rs", "fn main() {}"), 1);
        assert_eq!(root("crates/kernels/src/lib.rs", ""), 0);
        assert_eq!(root("crates/engine/src/moe.rs", ""), 0);
    }
}
