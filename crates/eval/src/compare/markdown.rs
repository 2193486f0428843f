//! A comparison as Markdown.

use std::fmt::Write;

use super::comparison::{Comparison, Pairing, ScoreCell};

/// The report.
pub fn markdown(comparison: &Comparison) -> String {
    let mut text = String::from("# Comparison of runs\n\n");
    let names: Vec<String> =
        comparison.runs.iter().map(|run| escaped(&run.manifest.name)).collect();
    for note in &comparison.notes {
        let _ = writeln!(text, "- {}", escaped(note));
    }
    if !comparison.notes.is_empty() {
        text.push('\n');
    }
    text.push_str("## Scores\n\nMean and standard error.\n\n");
    heading(&mut text, &["Task", "Metric"], &names);
    for row in &comparison.rows {
        let indent = "&nbsp;".repeat(2 * row.depth);
        let _ = write!(text, "| {indent}{} | {} |", escaped(&row.alias), escaped(&row.metric));
        for cell in &row.cells {
            let _ = write!(text, " {} |", cell.as_ref().map_or("–".into(), score));
        }
        text.push('\n');
    }
    differences(&mut text, comparison, &names);
    conversations(&mut text, comparison, &names);
    costs(&mut text, comparison, &names);
    if !comparison.published.is_empty() {
        text.push_str("\n## Published scores\n\n");
        heading(&mut text, &["Task", "Model", "Setting", "Score", "Source"], &[]);
        for score in &comparison.published {
            let cells = [&score.task, &score.model, &score.setting].map(|text| escaped(text));
            let source = escaped(&score.source);
            let _ = writeln!(text, "| {} | {:.4} | {source} |", cells.join(" | "), score.value);
        }
    }
    text
}

fn heading(text: &mut String, first: &[&str], more: &[String]) {
    let columns: Vec<&str> = first.iter().copied().chain(more.iter().map(String::as_str)).collect();
    let _ = writeln!(text, "| {} |", columns.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(columns.len()));
}

/// `0.2539 ± 0.0131`.
pub(super) fn score(cell: &ScoreCell) -> String {
    match cell.stderr {
        Some(stderr) => format!("{:.4} ± {stderr:.4}", cell.value),
        None => format!("{:.4}", cell.value),
    }
}

/// `< 0.0001`, or four digits.
pub(super) fn probability(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".into() } else { format!("{p:.4}") }
}

/// The p that counts: the exact test where there is one.
pub(super) fn decisive(pairing: &Pairing) -> f64 {
    pairing.mcnemar.map_or(pairing.bootstrap.p, |test| test.p)
}

fn differences(text: &mut String, comparison: &Comparison, names: &[String]) {
    if comparison.pairings.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n## Differences from {}\n\nPaired by document. The interval covers 95 % of {} draws of \
         the bootstrap (seed {}); McNemar's test counts documents that only one of both gets \
         right. The p values are not corrected for their number.\n",
        names[0], comparison.options.draws, comparison.options.seed
    );
    let columns = [
        "Task",
        "Metric",
        "Run",
        "Documents",
        "Difference",
        "95 %",
        "p (bootstrap)",
        "only first : only second",
        "p (McNemar)",
    ];
    heading(text, &columns, &[]);
    for pairing in &comparison.pairings {
        let interval = &pairing.bootstrap;
        let (counts, p) = match &pairing.mcnemar {
            Some(test) => {
                (format!("{} : {}", test.only_first, test.only_second), probability(test.p))
            }
            None => ("–".into(), "–".into()),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:+.4} | {:+.4} to {:+.4} | {} | {counts} | {p} |",
            escaped(&pairing.name),
            escaped(&pairing.metric),
            names[pairing.run],
            pairing.documents,
            interval.difference,
            interval.low,
            interval.high,
            probability(interval.p),
        );
    }
}

fn conversations(text: &mut String, comparison: &Comparison, names: &[String]) {
    if comparison.runs.iter().all(|run| run.chats.is_empty()) {
        return;
    }
    text.push_str("\n## Conversations\n\n");
    let columns =
        ["Task", "Run", "Answers", "Right", "Wrong", "Unparsed", "Truncated", "Tokens each"];
    heading(text, &columns, &[]);
    for (run, name) in comparison.runs.iter().zip(names) {
        for chat in &run.chats {
            let each = chat.tokens as f64 / chat.answers.max(1) as f64;
            let _ = writeln!(
                text,
                "| {} | {name} | {} | {} | {} | {} | {} | {each:.0} |",
                escaped(&chat.task),
                chat.answers,
                chat.right,
                chat.wrong,
                chat.unparsed,
                chat.truncated,
            );
        }
    }
}

fn costs(text: &mut String, comparison: &Comparison, names: &[String]) {
    text.push_str("\n## Cost\n\n");
    let columns =
        ["Run", "Answers", "Seconds", "Tokens of prompts, naive", "computed", "generated", "Model"];
    heading(text, &columns, &[]);
    for (run, name) in comparison.runs.iter().zip(names) {
        let _ = writeln!(
            text,
            "| {name} | {} | {:.1} | {} | {} | {} | {} |",
            run.samples,
            run.seconds,
            run.naive_tokens,
            run.computed_tokens,
            run.generated_tokens,
            escaped(&run.manifest.model.name),
        );
    }
}

/// Text that stays text inside a cell of a table.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '|' | '*' | '`' | '[' | ']' | '\\' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
