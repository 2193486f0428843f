//! `{% generation %}` blocks, which mark the assistant's words for training.
//!
//! transformers adds them to Jinja; when a prompt is written they only show what is inside.

/// The template with the tags of these blocks as conditions that hold; lines stay lines.
pub(super) fn without_generation(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let (written, length) = replaced(tag).unwrap_or_else(|| ("{%".to_owned(), 2));
        out.push_str(&written);
        rest = &tag[length..];
    }
    out + rest
}

/// What stands for the tag at the beginning of `text`, and the tag's length, if it is one of these.
fn replaced(text: &str) -> Option<(String, usize)> {
    let inside = text.strip_prefix("{%")?;
    let (inside, begin) = sign(inside);
    let inside = inside.trim_start();
    let (inside, condition) = match inside.strip_prefix("endgeneration") {
        Some(inside) => (inside, "endif"),
        None => (inside.strip_prefix("generation")?, "if true"),
    };
    let (inside, end) = sign(inside.trim_start());
    let rest = inside.strip_prefix("%}")?;
    let length = text.len() - rest.len();
    let lines = "\n".repeat(text[..length].matches('\n').count());
    Some((format!("{{%{begin} {condition}{lines} {end}%}}"), length))
}

/// The sign that keeps or strips white space, and the text after it.
fn sign(text: &str) -> (&str, &str) {
    match text.starts_with(['-', '+']) {
        true => (&text[1..], &text[..1]),
        false => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tags_are_replaced() {
        for (source, expected) in [
            ("a{% generation %}b{% endgeneration %}c", "a{% if true %}b{% endif %}c"),
            ("{%- generation -%}x{%+endgeneration-%}", "{%- if true -%}x{%+ endif -%}"),
            ("{%\ngeneration %}", "{% if true\n %}"),
            ("{% generations %}{{ generation }}", "{% generations %}{{ generation }}"),
            ("{% set generation = 1 %}", "{% set generation = 1 %}"),
            ("{%", "{%"),
            ("{% generation", "{% generation"),
        ] {
            assert_eq!(without_generation(source), expected);
        }
    }
}
