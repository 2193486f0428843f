//! How results are shown: a table, llama-bench's table, CSV, JSON.

use serde_json::{Value, json};

use super::row::Row;
use crate::machine::{Limits, Rates};
use crate::pull::size_text;
use gptoss_engine::ProfileRow;

/// What all rows have in common.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The processor.
    pub machine: String,
    /// The day, `YYYY-MM-DD`.
    pub date: String,
    /// The model as it was named.
    pub model: String,
    /// Bytes of its weights.
    pub bytes: u64,
    /// Its parameters.
    pub parameters: u64,
    /// Formats of its matrices.
    pub formats: String,
    /// How products are computed.
    pub precision: &'static str,
}

/// Everything that was measured.
pub struct Results<'a> {
    /// What rows have in common.
    pub subject: &'a Subject,
    /// What the machine can do.
    pub limits: &'a Limits,
    /// The tests that were finished.
    pub rows: &'a [Row],
    /// What the engine measured itself, if it was asked.
    pub profile: &'a [ProfileRow],
}

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that the program was built from, if whoever built it said so.
pub fn commit() -> &'static str {
    option_env!("GPTOSS_COMMIT").unwrap_or("")
}

/// What stands above the table.
pub fn heading(subject: &Subject, limits: &Limits) -> String {
    let threads = match limits.threads {
        1 => "1 thread".to_owned(),
        n => format!("{n} threads"),
    };
    let Subject { machine, model, bytes, formats, precision, .. } = subject;
    let (isa, rates, size) = (limits.isa.name(), rates_line(&limits.all), size_text(*bytes));
    format!(
        "machine  {machine}\nlimits   {rates}\nmodel    {model}, {size}, {formats}\n\
         with     {threads}, {isa}, {precision}\n\n{:<23} {:>8}  {:<15} {:>8}  {}\n",
        "test", "tok/s", "min – max", "limit", "reached"
    )
}

/// Rates in one line.
fn rates_line(rates: &Rates) -> String {
    let bf16 = rates.bf16.map_or(String::new(), |bf16| format!(", bf16 {}", gflops(bf16.best)));
    format!(
        "reads {:.1} GB/s, int8 {}, f32 {}{bf16}",
        rates.read.best / 1e9,
        gops(rates.int8.best),
        gflops(rates.f32.best)
    )
}

/// Operations on integers, a second.
pub fn gops(rate: f64) -> String {
    format!("{} GOPS", significant(rate / 1e9))
}

/// Operations on floats, a second.
pub fn gflops(rate: f64) -> String {
    format!("{} GFLOPS", significant(rate / 1e9))
}

/// A number with about three digits.
pub fn significant(x: f64) -> String {
    match x {
        x if x >= 100.0 => format!("{x:.0}"),
        x if x >= 10.0 => format!("{x:.1}"),
        x => format!("{x:.2}"),
    }
}

/// One line of the table.
pub fn line(row: &Row) -> String {
    let spread = format!("{} – {}", significant(row.min()), significant(row.max()));
    let share = row.share() * 100.0;
    let share = if share < 9.95 { format!("{share:.1} %") } else { format!("{share:.0} %") };
    format!(
        "{:<23} {:>8}  {spread:<15} {:>8}  {share} of {}\n",
        row.test.to_string(),
        significant(row.median()),
        significant(row.limit),
        row.bound.name()
    )
}

/// The head of llama-bench's table; its default columns and widths.
///
/// Source: `markdown_printer` in llama.cpp's tools/llama-bench/llama-bench.cpp.
pub fn llama_bench_heading() -> String {
    let names = llama_bench_cells(["model", "size", "params", "backend", "threads", "test", "t/s"]);
    let rule: Vec<String> = LLAMA_BENCH_WIDTHS
        .iter()
        .enumerate()
        .map(|(i, width)| match is_left(i) {
            true => "-".repeat(*width),
            false => format!("{}:", "-".repeat(width - 1)),
        })
        .collect();
    format!("{names}| {} |\n", rule.join(" | "))
}

/// One line of llama-bench's table: the mean with the standard deviation.
pub fn llama_bench_line(subject: &Subject, threads: usize, row: &Row) -> String {
    let (mean, deviation) = row.mean_and_deviation();
    let size = format!("{:.2} GiB", subject.bytes as f64 / 1024f64.powi(3));
    let size = match subject.bytes {
        0x4000_0000.. => size,
        bytes => format!("{:.2} MiB", bytes as f64 / 1024f64.powi(2)),
    };
    let parameters = match subject.parameters {
        n @ 1_000_000_000.. => format!("{:.2} B", n as f64 / 1e9),
        n => format!("{:.2} M", n as f64 / 1e6),
    };
    llama_bench_cells([
        &subject.model,
        &size,
        &parameters,
        "gptoss",
        &threads.to_string(),
        &row.test.llama_bench_name(),
        &format!("{mean:.2} ± {deviation:.2}"),
    ])
}

const LLAMA_BENCH_WIDTHS: [usize; 7] = [30, 10, 10, 10, 7, 15, 20];

/// Whether a column is aligned to the left: those of text are.
fn is_left(column: usize) -> bool {
    matches!(column, 0 | 3)
}

fn llama_bench_cells(cells: [&str; 7]) -> String {
    let mut line = String::from("|");
    for (i, (cell, width)) in cells.iter().zip(LLAMA_BENCH_WIDTHS).enumerate() {
        let cell = match is_left(i) {
            true => format!(" {cell:<width$} |"),
            false => format!(" {cell:>width$} |"),
        };
        line.push_str(&cell);
    }
    line + "\n"
}

/// What the engine measured itself, as a table.
pub fn profile_table(rows: &[ProfileRow]) -> String {
    let all: f64 = rows.iter().map(|row| row.seconds).sum();
    let mut table = format!(
        "\n{:<24} {:>9} {:>10} {:>7} {:>9} {:>9}\n",
        "part", "calls", "ms", "%", "GB/s", "GOPS"
    );
    for row in rows {
        let seconds = row.seconds.max(f64::MIN_POSITIVE);
        let cells = format!(
            "{:<24} {:>9} {:>10.1} {:>7.1} {:>9} {:>9}\n",
            row.name,
            row.calls,
            row.seconds * 1e3,
            100.0 * row.seconds / all.max(f64::MIN_POSITIVE),
            significant(row.bytes as f64 / seconds / 1e9),
            significant(row.operations as f64 / seconds / 1e9)
        );
        table.push_str(&cells);
    }
    table
}

/// One line a test, after a line with the names of the columns.
pub fn csv(results: &Results<'_>) -> String {
    let Results { subject, limits, rows, .. } = results;
    let mut text = String::from(
        "machine,date,commit,version,model,bytes,threads,isa,precision,test,n,depth,batch,\
         repetitions,median,min,max,limit,share\n",
    );
    for row in *rows {
        let test = row.test;
        let fields = [
            quoted(&subject.machine),
            quoted(&subject.date),
            quoted(commit()),
            VERSION.to_owned(),
            quoted(&subject.model),
            subject.bytes.to_string(),
            limits.threads.to_string(),
            limits.isa.name().to_owned(),
            subject.precision.to_owned(),
            test.kind.name().to_owned(),
            test.n.to_string(),
            test.depth.to_string(),
            test.batch.to_string(),
            row.repetitions().to_string(),
            format!("{:.4}", row.median()),
            format!("{:.4}", row.min()),
            format!("{:.4}", row.max()),
            format!("{:.4}", row.limit),
            format!("{:.6}", row.share()),
        ];
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

/// A field of CSV as RFC 4180 wants it.
fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

/// Everything as one object.
pub fn to_json(results: &Results<'_>) -> Value {
    let Results { subject, limits, rows, profile } = results;
    let part = |row: &ProfileRow| {
        json!({
            "name": row.name,
            "calls": row.calls,
            "seconds": row.seconds,
            "bytes": row.bytes,
            "operations": row.operations,
        })
    };
    json!({
        "machine": subject.machine,
        "date": subject.date,
        "commit": commit(),
        "version": VERSION,
        "model": subject.model,
        "bytes": subject.bytes,
        "parameters": subject.parameters,
        "formats": subject.formats,
        "threads": limits.threads,
        "isa": limits.isa.name(),
        "precision": subject.precision,
        "limits": limits.json(),
        "tests": rows.iter().map(Row::json).collect::<Vec<_>>(),
        "profile": profile.iter().map(part).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use gptoss_kernels::Isa;

    use super::*;
    use crate::bench::cost::Bound;
    use crate::bench::plan::{Kind, Test};
    use crate::machine::Rate;

    fn limits() -> Limits {
        let rate = |x: f64| Rate { best: x, median: x };
        let rates = Rates { read: rate(75e9), int8: rate(2.05e12), f32: rate(512e9), bf16: None };
        Limits { isa: Isa::PORTABLE, one: rates, threads: 2, all: rates }
    }

    fn subject() -> Subject {
        Subject {
            machine: "A, \"B\" processor".into(),
            date: "2026-11-22".into(),
            model: "20b.gguf".into(),
            bytes: 12_109_566_560,
            parameters: 20_914_757_184,
            formats: "MXFP4 and Q8_0".into(),
            precision: "fast",
        }
    }

    fn rows() -> Vec<Row> {
        let prefill = Test { kind: Kind::Prefill, n: 512, depth: 0, batch: 1 };
        let decode = Test { kind: Kind::Decode, n: 128, depth: 4096, batch: 16 };
        let row = |test, rates: &[f64], limit| Row::new(test, rates.to_vec(), limit).unwrap();
        vec![
            row(prefill, &[116.6, 115.1, 113.6], (330.0, Bound::Arithmetic)),
            row(decode, &[2.0, 2.5, 2.25], (29.0, Bound::Memory)),
        ]
    }

    #[test]
    fn a_table_fits_into_80_columns() {
        let lines: String = rows().iter().map(line).collect();
        let table = heading(&subject(), &limits()) + &lines;
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        expect![[r#"
            machine  A, "B" processor
            limits   reads 75.0 GB/s, int8 2050 GOPS, f32 512 GFLOPS
            model    20b.gguf, 12.1 GB, MXFP4 and Q8_0
            with     2 threads, portable, fast

            test                       tok/s  min – max          limit  reached
            prefill 512                  115  114 – 117            330  35 % of arithmetic
            decode 128 × 16 at 4096     2.25  2.00 – 2.50         29.0  7.8 % of memory
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn llama_bench_s_columns_stand_under_each_other() {
        let rows = rows();
        let line = llama_bench_line(&subject(), 2, &rows[0]);
        let heading = llama_bench_heading();
        let columns = |line: &str| -> Vec<usize> {
            line.chars().enumerate().filter(|(_, c)| *c == '|').map(|(i, _)| i).collect()
        };
        let lines: Vec<&str> = heading.lines().chain([line.trim_end()]).collect();
        assert_eq!(columns(lines[0]), [0, 33, 46, 59, 72, 82, 100, 123]);
        assert_eq!(columns(lines[1]), columns(lines[0]));
        assert_eq!(columns(lines[2]), columns(lines[0]));
        assert!(lines[1].ends_with("| ------: | --------------: | -------------------: |"));
        let cells = |row: &Row| -> Vec<String> {
            let line = llama_bench_line(&subject(), 2, row);
            line.split('|').map(|cell| cell.trim().to_owned()).collect()
        };
        let same = ["", "20b.gguf", "11.28 GiB", "20.91 B", "gptoss", "2"];
        assert_eq!(cells(&rows[0]), [&same[..], &["pp512", "115.10 ± 1.50", ""]].concat());
        let decode = ["tg128 b16 @ d4096", "2.25 ± 0.25", ""];
        assert_eq!(cells(&rows[1]), [&same[..], &decode].concat());
    }

    #[test]
    fn csv_has_a_field_for_each_column() {
        let (subject, limits, rows) = (subject(), limits(), rows());
        let results = Results { subject: &subject, limits: &limits, rows: &rows, profile: &[] };
        let text = csv(&results);
        let head = text.lines().next().unwrap();
        let line = text.lines().nth(1).unwrap();
        let rest = line.strip_prefix("\"A, \"\"B\"\" processor\",").unwrap();
        assert_eq!(rest.split(',').count() + 1, head.split(',').count());
        let numbers = "512,0,1,3,115.1000,113.6000,116.6000,330.0000,0.348788";
        assert!(rest.ends_with(&format!(",fast,prefill,{numbers}")), "{rest}");
    }

    #[test]
    fn a_profile_has_shares_and_rates() {
        let row = |name, seconds| ProfileRow {
            name,
            calls: 24,
            seconds,
            bytes: 3_000_000_000,
            operations: 6_000_000_000,
        };
        expect![[r#"

            part                         calls         ms       %      GB/s      GOPS
            experts                         24      300.0    75.0      10.0      20.0
            attention                       24      100.0    25.0      30.0      60.0
        "#]]
        .assert_eq(&profile_table(&[row("experts", 0.3), row("attention", 0.1)]));
    }
}
