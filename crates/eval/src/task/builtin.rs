//! The task files that are compiled in.

use super::family::TaskSet;
use crate::EvalError;

macro_rules! sources {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../tasks/", $name, ".toml")))),*]
    };
}

const SOURCES: [(&str, &str); 17] = sources![
    "aime",
    "arc_challenge",
    "arc_challenge_chat",
    "arc_challenge_reasoning",
    "arc_easy",
    "arc_easy_reasoning",
    "gsm8k",
    "gsm8k_cot",
    "gsm8k_reasoning",
    "hellaswag",
    "mmlu",
    "mmlu_continuation",
    "mmlu_generative",
    "mmlu_reasoning",
    "truthfulqa_mc1",
    "truthfulqa_mc2",
    "winogrande",
];

/// Names and texts of the files, sorted by name.
pub fn builtin_sources() -> &'static [(&'static str, &'static str)] {
    &SOURCES
}

/// The text of a file, for a user who wants to copy and change it.
pub fn builtin_source(name: &str) -> Option<&'static str> {
    SOURCES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The tasks of a name: a file, or a group or a task of a family, such as `mmlu_stem` or
/// `mmlu_anatomy`.
///
/// # Errors
/// If there is no such name.
pub fn find(name: &str) -> Result<TaskSet, EvalError> {
    // A file's own name first; the others only if the name can be one of theirs.
    let exact = SOURCES.iter().filter(|(file, _)| *file == name);
    let families =
        SOURCES.iter().filter(|(file, _)| name.starts_with(file.split('_').next().unwrap_or(file)));
    for (file, text) in exact.chain(families) {
        let set = TaskSet::parse(&format!("{file}.toml"), text)?;
        if let Some(found) = set.select(name) {
            return Ok(found);
        }
    }
    let known: Vec<&str> = SOURCES.iter().map(|(name, _)| *name).collect();
    Err(EvalError::UnknownTask { name: name.into(), known: known.join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_task_of_its_name() {
        for (name, text) in SOURCES {
            let set = TaskSet::parse(name, text).unwrap();
            assert!(set.select(name).is_some(), "{name}");
            assert!(text.starts_with("# "), "{name} begins with what it is");
        }
        assert!(SOURCES.is_sorted_by_key(|(name, _)| name));
    }

    #[test]
    fn families_have_their_groups() {
        for name in ["mmlu", "mmlu_continuation", "mmlu_generative", "mmlu_reasoning"] {
            let set = find(name).unwrap();
            assert_eq!(set.tasks.len(), 57, "{name}");
            let parts: Vec<usize> =
                set.family.unwrap().parts.iter().map(|part| part.tasks.len()).collect();
            assert_eq!(parts, [19, 13, 12, 13], "{name}");
        }
        let stem = find("mmlu_stem").unwrap();
        assert_eq!((stem.tasks.len(), stem.family.unwrap().all.alias.as_str()), (19, "stem"));
        let one = find("mmlu_anatomy_continuation").unwrap();
        assert_eq!((one.tasks.len(), one.family.is_none()), (1, true));
        assert!(find("mmlu_cooking").unwrap_err().to_string().contains("arc_easy"));
    }

    #[test]
    fn mistakes_in_a_copy_name_file_line_and_field() {
        let good = builtin_source("arc_easy").unwrap();
        let line =
            |needle: &str| good.lines().position(|line| line.starts_with(needle)).unwrap() + 1;
        for (from, to, at, field, message) in [
            ("{{question}}", "{{question", "text", "prompt.text", "syntax"),
            ("gold =", "golden =", "gold", "prompt", "unknown field"),
            ("\"acc\",", "\"fine\",", "metrics", "metrics", "unknown variant"),
            ("\"acc\",", "\"exact_match\",", "metrics", "metrics", "does not fit"),
            (
                "kind = \"multiple_choice\"",
                "kind = \"generate\"",
                "[prompt]",
                "prompt.target",
                "missing",
            ),
            ("version = 1.0", "version = \"1\"", "version", "version", "invalid type"),
            ("version = 1.0", "version = ", "version", "version", ""),
        ] {
            assert!(good.contains(from), "{from}");
            let error = TaskSet::parse("my.toml", &good.replacen(from, to, 1)).unwrap_err();
            let EvalError::TaskFile(error) = error else { panic!("{error}") };
            assert_eq!((error.file.as_str(), error.line), ("my.toml", line(at)), "{error}");
            assert!(error.field.starts_with(field), "{error}");
            assert!(error.message.contains(message), "{error}");
        }
    }
}
