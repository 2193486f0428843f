//! Which files of a repository a model needs.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::HubError;
use crate::glob;
use crate::tree::RemoteFile;

/// What the user said about files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The part after the colon: a file, a pattern, or the end of a GGUF file's name (`Q8_0`).
    pub part: Option<String>,
    /// Patterns that replace the choice of this module.
    pub include: Vec<String>,
    /// Patterns of files to leave out, whatever chose them.
    pub exclude: Vec<String>,
}

/// Files to download and files to leave where they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Small files first: an interrupted pull then shows what it is about.
    pub files: Vec<RemoteFile>,
    /// All others.
    pub skipped: Vec<RemoteFile>,
}

/// Divides the files of a repository.
///
/// Without wishes: configuration, tokenizer, template, licence, README and safetensors of the
/// top folder; folders below it hold the same weights in other layouts. A repository that has no
/// safetensors but one GGUF model gives that.
///
/// # Errors
/// `HubError::Selection` if nothing fits or it is not clear which of several models is meant, and
/// `HubError::Name` if a chosen file has a name that not every system can create.
pub(crate) fn select(
    repo: &str,
    tree: &[RemoteFile],
    wanted: &Wanted,
) -> Result<Selection, HubError> {
    let paths: Vec<&str> = tree.iter().map(|file| file.path.as_str()).collect();
    let chosen = choose(repo, &paths, wanted)?;
    let (mut files, skipped): (Vec<_>, Vec<_>) =
        tree.iter().cloned().partition(|file| chosen.contains(file.path.as_str()));
    for file in &files {
        file.path.check_portable("file name in the listing")?;
    }
    let order = |file: &RemoteFile| (is_weights(file.path.as_str()), file.path.clone());
    files.sort_by_cached_key(order);
    Ok(Selection { files, skipped })
}

/// The paths among `tree` that are asked for; at least one.
///
/// # Errors
/// `HubError::Selection` as [`select`].
pub(crate) fn choose<'a>(
    repo: &str,
    tree: &[&'a str],
    wanted: &Wanted,
) -> Result<BTreeSet<&'a str>, HubError> {
    let included = || tree.iter().copied().filter(|path| matches_any(&wanted.include, path));
    let chosen: Vec<&str> = match &wanted.part {
        Some(part) => choose_part(repo, tree, part)?.into_iter().chain(included()).collect(),
        None if wanted.include.is_empty() => choose_model(repo, tree)?,
        None => included().collect(),
    };
    let chosen: BTreeSet<&str> =
        chosen.into_iter().filter(|path| !matches_any(&wanted.exclude, path)).collect();
    if chosen.is_empty() {
        let problem = format!("none of its {} files is asked for", tree.len());
        return Err(HubError::Selection { repo: repo.to_owned(), problem });
    }
    Ok(chosen)
}

/// Whether the file holds tensors.
pub(crate) fn is_weights(path: &str) -> bool {
    path.ends_with(".safetensors") || path.ends_with(".gguf")
}

fn matches_any(patterns: &[String], path: &str) -> bool {
    patterns.iter().any(|pattern| glob::matches(pattern, path))
}

/// The files of a model in Hugging Face's layout, else of the only GGUF model.
fn choose_model<'a>(repo: &str, tree: &[&'a str]) -> Result<Vec<&'a str>, HubError> {
    let top = || tree.iter().copied().filter(|path| !path.contains('/'));
    if top().any(|path| path.ends_with(".safetensors")) {
        return Ok(top().filter(|path| belongs_to_model(path)).collect());
    }
    let models = gguf_models(tree);
    match models.as_slice() {
        [(_, files)] => Ok(with_papers(tree, files)),
        [] => Err(HubError::Selection {
            repo: repo.to_owned(),
            problem: "expected safetensors in its top folder or a GGUF file, found neither; \
                      --include takes any file"
                .to_owned(),
        }),
        several => Err(ambiguous(repo, "holds several GGUF models", several)),
    }
}

/// A file or pattern as it stands, else the GGUF model whose name ends in the text.
fn choose_part<'a>(repo: &str, tree: &[&'a str], part: &str) -> Result<Vec<&'a str>, HubError> {
    let exact: Vec<&str> = tree.iter().copied().filter(|path| *path == part).collect();
    if !exact.is_empty() {
        return Ok(with_papers(tree, &exact));
    }
    if glob::is_pattern(part) || part.ends_with('/') {
        let fits = |path: &&str| glob::matches(part, path);
        let chosen: Vec<&str> = tree.iter().copied().filter(fits).collect();
        return match chosen.is_empty() {
            false => Ok(with_papers(tree, &chosen)),
            true => Err(not_there(repo, part, &gguf_models(tree))),
        };
    }
    let models = gguf_models(tree);
    let (mut fitting, others): (Vec<_>, Vec<_>) =
        models.into_iter().partition(|(name, _)| ends_with_tag(name, part));
    match fitting.len() {
        0 => Err(not_there(repo, part, &others)),
        1 => Ok(with_papers(tree, &fitting.remove(0).1)),
        _ => Err(ambiguous(repo, &format!("`{part}` fits several GGUF models"), &fitting)),
    }
}

/// The chosen files and what tells their licence.
fn with_papers<'a>(tree: &[&'a str], chosen: &[&'a str]) -> Vec<&'a str> {
    let papers = tree.iter().copied().filter(|path| is_paper(path));
    chosen.iter().copied().chain(papers).collect()
}

fn is_paper(path: &str) -> bool {
    let starts = |prefix| path.starts_with(prefix);
    !path.contains('/') && (path == "README.md" || starts("LICENSE") || path == "USAGE_POLICY")
}

/// Whether a file of the top folder is one that loading, prompting or the licence needs.
fn belongs_to_model(name: &str) -> bool {
    let listed = [
        "config.json",
        "generation_config.json",
        "harmony.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
    ];
    listed.contains(&name)
        || is_paper(name)
        || name.starts_with("tokenizer")
        || name.starts_with("chat_template")
        || name.ends_with(".safetensors")
        || name.ends_with(".safetensors.index.json")
}

/// GGUF models by name without extension and part number, each with its files.
pub(crate) fn gguf_models<'a>(tree: &[&'a str]) -> Vec<(String, Vec<&'a str>)> {
    let mut models: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in tree.iter().copied() {
        if let Some(stem) = path.strip_suffix(".gguf") {
            models.entry(without_part_number(stem)).or_default().push(path);
        }
    }
    models.into_iter().map(|(name, files)| (name.to_owned(), files)).collect()
}

/// Takes `-00001-of-00002` off the end.
fn without_part_number(stem: &str) -> &str {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let split = || {
        let (rest, total) = stem.rsplit_once("-of-")?;
        let (name, part) = rest.rsplit_once('-')?;
        (number(total) && number(part)).then_some(name)
    };
    split().unwrap_or(stem)
}

/// Whether the name ends in the tag, case aside, and the tag begins where a word does.
fn ends_with_tag(name: &str, tag: &str) -> bool {
    let (name, tag) = (name.to_ascii_lowercase(), tag.to_ascii_lowercase());
    let tag = tag.strip_suffix(".gguf").unwrap_or(&tag);
    name.strip_suffix(tag)
        .is_some_and(|before| !before.ends_with(|c: char| c.is_ascii_alphanumeric()))
}

fn not_there(repo: &str, part: &str, models: &[(String, Vec<&str>)]) -> HubError {
    let part: String = part.escape_debug().take(200).collect();
    let there = match models {
        [] => "it has no GGUF files".to_owned(),
        models => format!("there are {}", names(models)),
    };
    HubError::Selection {
        repo: repo.to_owned(),
        problem: format!("no file fits `{part}`; {there}"),
    }
}

fn ambiguous(repo: &str, what: &str, models: &[(String, Vec<&str>)]) -> HubError {
    let example = models.first().map_or("", |(name, _)| name.as_str());
    HubError::Selection {
        repo: repo.to_owned(),
        problem: format!(
            "{what}: {}; choose one, as in {repo}:{example}.gguf or by the end of its name",
            names(models)
        ),
    }
}

/// At most twelve names, so that the message stays readable.
fn names(models: &[(String, Vec<&str>)]) -> String {
    let shown: Vec<&str> = models.iter().take(12).map(|(name, _)| name.as_str()).collect();
    let more = models.len() - shown.len();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}
