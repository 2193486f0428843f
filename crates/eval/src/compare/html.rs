//! A comparison as one HTML page that needs nothing else: no network, no other file.
//!
//! Every text goes through [`escaped`], by the template engine or by name. Documents to look at
//! are JSON inside the page, which a short script shows as text and never as HTML.

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};

use super::comparison::Comparison;
use super::markdown::{decisive, probability, score};
use super::plots::{plots, short_metric};
use super::svg::COLOURS;

/// The page.
pub fn html(comparison: &Comparison) -> String {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let page = environment.template_from_named_str("page.html", include_str!("page.html"));
    let page = page.expect("the template is compiled in and rendered by a test");
    let plots: Vec<Value> = plots(&comparison.rows)
        .into_iter()
        .map(|plot| {
            let svg = Value::from_safe_string(plot.svg);
            context! { name => plot.name, svg, count => plot.count, shown => plot.shown }
        })
        .collect();
    let rendered = page.render(context! {
        runs => runs(comparison),
        plots,
        rows => rows(comparison),
        pairings => pairings(comparison),
        draws => comparison.options.draws,
        seed => comparison.options.seed,
        chats => chats(comparison),
        published => published(comparison),
        notes => comparison.notes.clone(),
        browsed_total => comparison.browsed_total,
        browsed_len => comparison.browsed.len(),
        samples => Value::from_safe_string(json_in_html(comparison)),
    });
    rendered.expect("the template is compiled in and rendered by a test")
}

/// Text as it stands between tags and in attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// JSON in which nothing ends a script or begins a comment.
fn json_in_html(comparison: &Comparison) -> String {
    let runs: Vec<&str> = comparison.runs.iter().map(|run| run.manifest.name.as_str()).collect();
    let all = serde_json::json!({ "runs": runs, "samples": comparison.browsed });
    let escape = [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")];
    let escape = escape.into_iter().chain([("\u{2028}", "\\u2028"), ("\u{2029}", "\\u2029")]);
    escape.fold(all.to_string(), |text, (from, to)| text.replace(from, to))
}

fn runs(comparison: &Comparison) -> Vec<Value> {
    let runs = comparison.runs.iter().enumerate();
    runs.map(|(i, run)| {
        let manifest = &run.manifest;
        let factor = run.naive_tokens as f64 / run.computed_tokens.max(1) as f64;
        let model = &manifest.model;
        let own = [
            ("precision", model.precision.clone()),
            ("cache", model.kv_cache.clone()),
            ("context", model.max_length.to_string()),
            ("seed", manifest.sampling.seed.to_string()),
            ("seed of examples", manifest.shots_seed.to_string()),
        ];
        let own = own.iter().map(|(name, value)| (*name, value));
        let facts = own.chain(manifest.environment.iter().map(|(n, value)| (n.as_str(), value)));
        let environment: Vec<String> = facts
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        context! {
            name => manifest.name.clone(),
            colour => i % COLOURS,
            model => manifest.model.name.clone(),
            sha256 => manifest.model.sha256.chars().take(16).collect::<String>(),
            effort => manifest.sampling.effort.clone().unwrap_or_else(|| "–".into()),
            repeats => manifest.sampling.repeats,
            samples => run.samples,
            seconds => format!("{:.1}", run.seconds),
            naive => grouped(run.naive_tokens),
            computed => grouped(run.computed_tokens),
            saved => if run.computed_tokens > 0 { format!("{factor:.1}×") } else { "–".into() },
            generated => grouped(run.generated_tokens),
            environment => environment.join(", "),
        }
    })
    .collect()
}

/// A metric and its filter so that the line can break between them.
fn metric_name(metric: &str) -> String {
    short_metric(metric).replace(',', ", ")
}

/// Digits in threes, with narrow spaces that do not break.
fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

fn rows(comparison: &Comparison) -> Vec<Value> {
    let rows = comparison.rows.iter();
    rows.map(|row| {
        let cells: Vec<String> =
            row.cells.iter().map(|cell| cell.as_ref().map_or("–".into(), score)).collect();
        let documents = row.cells.iter().flatten().map(|cell| cell.samples).max().unwrap_or(0);
        context! {
            alias => row.alias.clone(),
            metric => metric_name(&row.metric),
            depth => row.depth,
            is_group => row.is_group,
            documents,
            cells,
        }
    })
    .collect()
}

fn pairings(comparison: &Comparison) -> Vec<Value> {
    let pairings = comparison.pairings.iter();
    pairings
        .map(|pairing| {
            let interval = &pairing.bootstrap;
            let discordant = pairing.mcnemar.map_or("–".to_string(), |test| {
                format!("{} : {}", test.only_first, test.only_second)
            });
            let p = decisive(pairing);
            let (low, high) = (interval.low * 100.0, interval.high * 100.0);
            context! {
                name => pairing.name.clone(),
                metric => metric_name(&pairing.metric),
                run => comparison.runs[pairing.run].manifest.name.clone(),
                documents => pairing.documents,
                difference => format!("{:+.2}", interval.difference * 100.0),
                interval => format!("{low:+.2} to {high:+.2}"),
                p_bootstrap => probability(interval.p),
                discordant,
                p_mcnemar => pairing.mcnemar.map_or("–".into(), |test| probability(test.p)),
                is_clear => p < 0.05,
            }
        })
        .collect()
}

fn chats(comparison: &Comparison) -> Vec<Value> {
    let mut rows = Vec::new();
    for run in &comparison.runs {
        for chat in &run.chats {
            let answers = chat.answers.max(1) as f64;
            let share = |count: usize| format!("{:.2}", count as f64 / answers * 100.0);
            let stderr = chat.stderr.map_or(String::new(), |e| format!(" ± {:.2}", e * 100.0));
            rows.push(context! {
                task => chat.task.clone(),
                run => run.manifest.name.clone(),
                answers => chat.answers,
                accuracy => format!("{:.2}{stderr}", chat.accuracy * 100.0),
                counts => [chat.right, chat.wrong, chat.unparsed, chat.truncated],
                shares => [chat.right, chat.wrong, chat.unparsed, chat.truncated].map(share),
                tokens => format!("{:.0}", chat.tokens as f64 / answers),
            });
        }
    }
    rows
}

fn published(comparison: &Comparison) -> Vec<Value> {
    let scores = comparison.published.iter();
    scores
        .map(|score| {
            context! {
                task => score.task.clone(),
                model => score.model.clone(),
                setting => score.setting.clone(),
                value => format!("{:.1}", score.value * 100.0),
                source => score.source.clone(),
            }
        })
        .collect()
}
