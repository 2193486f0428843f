//! `gptoss list`: the models on this machine.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use gptoss_checkpoint::embedded;
use gptoss_hub::{CachedModel, Hub, Source};
use serde::Serialize;

use crate::pull::size_text;

/// List the models on this machine
#[derive(Args)]
#[command(after_help = "Examples:
  gptoss list
  gptoss list --json | jq -r '.[] | select(.complete) | .name'")]
pub struct ListArgs {
    /// Write a JSON list
    #[arg(long)]
    json: bool,
}

/// One model as it is written.
#[derive(Serialize)]
struct Row {
    name: String,
    source: &'static str,
    commit: Option<String>,
    references: Vec<String>,
    model_type: Option<String>,
    files: usize,
    bytes: u64,
    /// RFC 3339 in UTC, to the second.
    modified: Option<String>,
    complete: bool,
    missing: Vec<String>,
    path: Option<String>,
}

/// Runs the command.
pub fn run(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let mut rows = vec![built_in()?];
    rows.extend(Hub::from_env()?.cached_models().into_iter().map(row));
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut lines =
        vec![["NAME", "REVISION", "FILES", "SIZE", "MODIFIED", "STATE"].map(String::from)];
    lines.extend(rows.iter().map(columns));
    let mut widths = [0; 6];
    for line in &lines {
        for (width, text) in widths.iter_mut().zip(line) {
            *width = (*width).max(text.chars().count());
        }
    }
    let [name, revision, files, size, modified, _] = widths;
    for [a, b, c, d, e, f] in &lines {
        let line =
            format!("{a:<name$}  {b:<revision$}  {c:>files$}  {d:>size$}  {e:<modified$}  {f}");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn built_in() -> anyhow::Result<Row> {
    let model = embedded::nano()?;
    Ok(Row {
        name: embedded::NANO.to_owned(),
        source: "built-in",
        commit: None,
        references: Vec::new(),
        model_type: Some("gpt_oss".to_owned()),
        files: model.files.len(),
        bytes: model.files.iter().map(|file| file.bytes).sum(),
        modified: None,
        complete: true,
        missing: Vec::new(),
        path: None,
    })
}

fn row(model: CachedModel) -> Row {
    Row {
        complete: model.is_complete(),
        source: match model.source {
            Source::Store => "store",
            Source::HubCache => "cache",
        },
        modified: model.modified.and_then(time_text),
        path: Some(model.path.display().to_string()),
        name: model.name,
        commit: model.commit,
        references: model.references,
        model_type: model.model_type,
        files: model.files,
        bytes: model.bytes,
        missing: model.missing,
    }
}

fn columns(row: &Row) -> [String; 6] {
    let commit = row.commit.as_deref().map_or("", |commit| &commit[..12.min(commit.len())]);
    let revision = match (row.source, row.references.is_empty()) {
        ("cache", true) => commit.to_owned(),
        ("cache", false) => format!("{} {commit}", row.references.join(" ")),
        (source, _) => source.to_owned(),
    };
    let state = match row.missing.as_slice() {
        [] => "complete".to_owned(),
        [one] => format!("partial, without {one}"),
        [first, rest @ ..] => format!("partial, without {first} and {} more", rest.len()),
    };
    let modified = row.modified.as_deref().map_or("", |time| &time[..10]);
    let (files, size) = (row.files.to_string(), size_text(row.bytes));
    [row.name.clone(), revision, files, size, modified.to_owned(), state]
}

/// `2026-01-31T12:00:00Z`; `None` before 1970 and after the year 9999.
fn time_text(time: SystemTime) -> Option<String> {
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years are counted from March, so that the leap day is the last of the year, in eras of
    // 400 years; Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    (year <= 9999)
        .then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_those_of_the_calendar() {
        // date -u -d @SECONDS +%FT%TZ
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (seconds, expected) in cases {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(time_text(time).as_deref(), Some(expected));
        }
        assert_eq!(time_text(UNIX_EPOCH - Duration::from_secs(1)), None);
    }
}
