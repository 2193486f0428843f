//! Which scores stand in which plot, and under which names.

use super::comparison::TaskRow;
use super::svg::{Line, plot};

/// Lines of one plot.
const LINES_MAX: usize = 80;

/// A plot with its heading.
pub(super) struct Plot {
    /// The heading.
    pub name: String,
    /// The drawing.
    pub svg: String,
    /// Lines that there are.
    pub count: usize,
    /// Lines that are drawn, from the first one on.
    pub shown: usize,
}

/// Tasks and groups in one plot, subjects in one for each metric.
pub(super) fn plots(rows: &[TaskRow]) -> Vec<Plot> {
    let (whole, parts): (Vec<&TaskRow>, Vec<&TaskRow>) =
        rows.iter().partition(|row| row.is_group || row.depth == 0);
    let mut plots = Vec::new();
    if !whole.is_empty() {
        let names: Vec<&str> = whole.iter().map(|row| row.alias.as_str()).collect();
        plots.push(drawn("Tasks".into(), &names, &whole, true));
    }
    let mut metrics: Vec<&str> = Vec::new();
    for row in &parts {
        if !metrics.contains(&row.metric.as_str()) {
            metrics.push(&row.metric);
        }
    }
    for metric in metrics {
        let rows: Vec<&TaskRow> =
            parts.iter().filter(|row| row.metric == metric).copied().collect();
        let names: Vec<&str> = rows.iter().map(|row| row.alias.as_str()).collect();
        let name = format!("Subjects, {}", short_metric(metric));
        plots.push(drawn(name, &without_common_ends(&names), &rows, false));
    }
    plots
}

fn drawn(name: String, names: &[&str], rows: &[&TaskRow], has_metrics: bool) -> Plot {
    let lines = rows.iter().zip(names).take(LINES_MAX).map(|(row, name)| Line {
        name,
        metric: if has_metrics { short_metric(&row.metric) } else { "" },
        cells: &row.cells,
    });
    let lines: Vec<Line> = lines.collect();
    let svg = plot(&lines, &format!("Scores: {name}"));
    Plot { name, svg, count: rows.len(), shown: lines.len() }
}

/// A metric without the name of a filter that does nothing.
pub(super) fn short_metric(metric: &str) -> &str {
    metric.trim_end_matches(",none")
}

/// Names without the words that all of them begin and end with.
fn without_common_ends<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let [first, others @ ..] = names else { return Vec::new() };
    if others.is_empty() {
        return names.to_vec();
    }
    let all = |test: &dyn Fn(&str) -> bool| others.iter().all(|name| test(name));
    let is_gap = |c: char| matches!(c, '_' | ' ');
    let ends = first.char_indices().filter(|(_, c)| is_gap(*c)).map(|(at, _)| at);
    let (mut start, mut end) = ("", "");
    for at in ends {
        let (before, behind) = (&first[..=at], &first[at..]);
        if all(&|name| name.starts_with(before)) {
            start = before;
        }
        if end.is_empty() && all(&|name| name.ends_with(behind)) {
            end = behind;
        }
    }
    let short = |name: &&'a str| {
        let inner = name.strip_prefix(start).and_then(|name| name.strip_suffix(end));
        inner.filter(|inner| !inner.is_empty())
    };
    let short: Option<Vec<&str>> = names.iter().map(short).collect();
    short.unwrap_or_else(|| names.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_names_share_is_left_out() {
        let names = ["mmlu_high_school_physics_cont", "mmlu_high_school_law_cont", "mmlu_art_cont"];
        assert_eq!(without_common_ends(&names), ["high_school_physics", "high_school_law", "art"]);
        let names = ["formal logic", "philosophy"];
        assert_eq!(without_common_ends(&names), names);
        assert_eq!(without_common_ends(&["mmlu_art"]), ["mmlu_art"]);
        // Nothing would be left of the second.
        let names = ["a_b_c", "a_c"];
        assert_eq!(without_common_ends(&names), names);
        assert_eq!(without_common_ends(&["é_x_ü", "é_y_ü"]), ["x", "y"]);
    }
}
