//! Results as lm-evaluation-harness writes them: its table, and the `results` of its JSON file.
//!
//! Source: lm-evaluation-harness 0.4.13 `utils.py` (`make_table`), and pytablewriter's Markdown:
//! columns of numbers to the right, all others to the left, headings in the middle.

use serde_json::{Map, Value, json};

use crate::aggregate::TaskScores;

const HEADINGS: [&str; 9] =
    ["Tasks", "Version", "Filter", "n-shot", "Metric", "", "Value", "", "Stderr"];

/// The table of tasks, in the order given; groups before their parts.
pub fn table(tasks: &[TaskScores]) -> String {
    let mut rows: Vec<[String; 9]> = Vec::new();
    for task in tasks {
        let mut scores: Vec<_> = task.scores.iter().collect();
        scores.sort_by_key(|score| format!("{},{}", score.metric, score.filter));
        for (i, score) in scores.into_iter().enumerate() {
            let first = |text: String| if i == 0 { text } else { String::new() };
            let indent = " ".repeat(task.depth);
            let bullet = if task.depth > 0 { "- " } else { "" };
            rows.push([
                first(format!("{indent}{bullet}{}", task.alias)),
                first(task.version.to_string()),
                score.filter.clone(),
                task.shots.map_or(String::new(), |shots| shots.to_string()),
                score.metric.clone(),
                "↑".into(),
                format!("{:.4}", score.value),
                "±".into(),
                score.stderr.map_or("   N/A".into(), |error| format!("{error:.4}")),
            ]);
        }
    }
    markdown(&rows)
}

fn markdown(rows: &[[String; 9]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEADINGS[column].chars().count()]).max().unwrap_or(0).max(3)
    };
    let is_number = |column: usize| {
        let mut cells = rows.iter().map(|row| row[column].trim()).filter(|cell| !cell.is_empty());
        let mut any = false;
        cells.all(|cell| {
            any = true;
            cell.parse::<f64>().is_ok()
        }) && any
    };
    let columns: Vec<(usize, bool)> = (0..9).map(|i| (width(i), is_number(i))).collect();
    let mut text = String::new();
    let mut line = |cells: Vec<String>| {
        text.push('|');
        text.push_str(&cells.join("|"));
        text.push_str("|\n");
    };
    line(
        HEADINGS
            .iter()
            .zip(&columns)
            .map(|(heading, (width, _))| format!("{heading:^width$}"))
            .collect(),
    );
    line(
        columns
            .iter()
            .map(
                |(width, number)| {
                    if *number { "-".repeat(width - 1) + ":" } else { "-".repeat(*width) }
                },
            )
            .collect(),
    );
    for row in rows {
        line(
            row.iter()
                .zip(&columns)
                .map(|(cell, (width, number))| {
                    let rest = " ".repeat(width - cell.chars().count());
                    if *number { rest + cell } else { format!("{cell}{rest}") }
                })
                .collect(),
        );
    }
    text
}

/// The objects `results`, `versions` and `n-shot` of the harness's JSON file.
pub fn results_json(tasks: &[TaskScores]) -> Value {
    let mut results = Map::new();
    let (mut versions, mut shots) = (Map::new(), Map::new());
    for task in tasks {
        let mut entry = Map::new();
        entry.insert("name".into(), json!(task.name));
        entry.insert("alias".into(), json!(task.alias));
        entry.insert("sample_len".into(), json!(task.samples));
        let mut counts = Map::new();
        for score in &task.scores {
            let (metric, filter) = (&score.metric, &score.filter);
            entry.insert(format!("{metric},{filter}"), json!(score.value));
            let error = score.stderr.map_or(json!("N/A"), |error| json!(error));
            entry.insert(format!("{metric}_stderr,{filter}"), error);
            counts.insert(format!("{metric},{filter}"), json!(task.samples));
        }
        if task.is_group {
            entry.insert("sample_count".into(), counts.into());
        }
        results.insert(task.name.clone(), entry.into());
        versions.insert(task.name.clone(), json!(task.version));
        if let Some(count) = task.shots {
            shots.insert(task.name.clone(), json!(count));
        }
    }
    json!({ "results": results, "versions": versions, "n-shot": shots })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Score;

    fn task(name: &str, version: f64, shots: Option<usize>, scores: &[Row]) -> TaskScores {
        let score = |(metric, filter, value, stderr): &Row| Score {
            metric: metric.to_string(),
            filter: filter.to_string(),
            value: *value,
            stderr: *stderr,
        };
        TaskScores {
            name: name.into(),
            alias: name.into(),
            version,
            shots,
            samples: 1319,
            is_group: shots.is_none(),
            depth: 0,
            scores: scores.iter().map(score).collect(),
        }
    }

    type Row = (&'static str, &'static str, f64, Option<f64>);

    #[test]
    fn tables_are_those_of_the_harness() {
        // Printed by make_table of lm-evaluation-harness 0.4.13 with pytablewriter 1.2.1.
        let gsm8k = task(
            "gsm8k",
            3.0,
            Some(5),
            &[
                ("exact_match", "strict-match", 0.37680060652009095, Some(0.013347858757829158)),
                ("exact_match", "flexible-extract", 0.3904473085670963, Some(0.013437829864668578)),
            ],
        );
        assert_eq!(
            table(&[gsm8k]),
            "\
|Tasks|Version|     Filter     |n-shot|  Metric   |   |Value |   |Stderr|
|-----|------:|----------------|-----:|-----------|---|-----:|---|-----:|
|gsm8k|      3|flexible-extract|     5|exact_match|↑  |0.3904|±  |0.0134|
|     |       |strict-match    |     5|exact_match|↑  |0.3768|±  |0.0133|
"
        );
        let arc = task(
            "arc_easy",
            1.0,
            Some(0),
            &[
                ("acc", "none", 0.24579124579124578, Some(0.00883480936639149)),
                ("acc_norm", "none", 0.2255892255892256, Some(0.008576558674047764)),
            ],
        );
        assert_eq!(
            table(&[arc]),
            "\
| Tasks  |Version|Filter|n-shot| Metric |   |Value |   |Stderr|
|--------|------:|------|-----:|--------|---|-----:|---|-----:|
|arc_easy|      1|none  |     0|acc     |↑  |0.2458|±  |0.0088|
|        |       |none  |     0|acc_norm|↑  |0.2256|±  |0.0086|
"
        );
        let acc = |value, stderr| [("acc", "none", value, stderr)];
        let stem = task("stem", 2.0, None, &acc(0.2483349191246432, Some(0.007688622237298544)));
        let mut anatomy = task("anatomy", 1.0, Some(0), &acc(0.22962962962962963, None));
        let mut biology =
            task("college_biology", 1.0, Some(0), &acc(0.2569444444444444, Some(0.0365)));
        (anatomy.depth, biology.depth) = (1, 1);
        assert_eq!(
            table(&[stem, anatomy, biology]),
            "\
|      Tasks       |Version|Filter|n-shot|Metric|   |Value |   |Stderr|
|------------------|------:|------|-----:|------|---|-----:|---|------|
|stem              |      2|none  |      |acc   |↑  |0.2483|±  |0.0077|
| - anatomy        |      1|none  |     0|acc   |↑  |0.2296|±  |   N/A|
| - college_biology|      1|none  |     0|acc   |↑  |0.2569|±  |0.0365|
"
        );
    }
}
