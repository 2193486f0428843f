//! The licence that a model's files state.

use crate::error::{CheckpointError, printable_up_to};
use crate::folder::Folder;

/// The licence in the front matter of README.md, or a sentence of it that begins with "Licence of
/// the weights:", or the first line of LICENSE. `None` if no file states one.
pub(crate) fn of_folder(folder: &Folder) -> Result<Option<String>, CheckpointError> {
    let readme = folder.read("README.md")?;
    let stated = readme.and_then(|bytes| of_readme(&start_of(&bytes)));
    if stated.is_some() {
        return Ok(stated);
    }
    let licence = folder.read("LICENSE")?;
    Ok(licence.and_then(|bytes| {
        let text = start_of(&bytes);
        let title = text.lines().map(str::trim).find(|line| !line.is_empty())?;
        Some(tidy(title))
    }))
}

/// A statement as it is shown: one line, without control characters, not endless.
pub(crate) fn tidy(statement: &str) -> String {
    printable_up_to(statement.trim(), 300)
}

/// As much of a text file as a licence is looked for in.
fn start_of(bytes: &[u8]) -> String {
    const BYTES_MAX: usize = 64 << 10;
    String::from_utf8_lossy(&bytes[..bytes.len().min(BYTES_MAX)]).into_owned()
}

fn of_readme(text: &str) -> Option<String> {
    let mut lines = text.lines();
    if lines.next().is_some_and(|first| first.trim_end() == "---") {
        let mut front = lines.by_ref().take_while(|line| line.trim_end() != "---");
        let field = front.find_map(|line| line.strip_prefix("license:"));
        if let Some(value) = field {
            return Some(tidy(value.trim().trim_matches(['"', '\''])));
        }
    }
    let (_, rest) = text.split_once("Licence of the weights:")?;
    Some(tidy(rest.lines().next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_matter_names_the_licence() {
        let readme = "---\nlicense: apache-2.0\nlibrary_name: transformers\n---\n# x";
        assert_eq!(of_readme(readme).as_deref(), Some("apache-2.0"));
        assert_eq!(of_readme("# x\nlicense: mit\n"), None);
    }

    #[test]
    fn a_sentence_names_the_licence() {
        let readme = "# x\n\nLicence of the weights: Apache-2.0.\n";
        assert_eq!(of_readme(readme).as_deref(), Some("Apache-2.0."));
    }
}
