//! How findings are shown: 80 columns of text, or JSON.

use std::fmt::{Display, Write as _};

use serde_json::{Value, json};

use super::Findings;
use super::advice::advice;
use super::fit::{CONTEXT, DECODE_EFFICIENCY, Fit, PREFILL_EFFICIENCY, PROMPT};
use crate::bench::{gflops, gops, significant};
use crate::machine::Rates;
use crate::pull::size_text;

/// Columns of a terminal.
const COLUMNS: usize = 80;
/// Columns before a value.
const INDENT: usize = 13;

/// Everything as text.
pub fn to_text(findings: &Findings) -> String {
    let mut text = machine_lines(findings);
    text.push_str(&limits_table(findings));
    text.push_str(&fits_table(findings));
    let advice = advice(findings);
    text.push_str(if advice.is_empty() { "\nNothing to change.\n" } else { "\nWhat would help\n" });
    for line in advice {
        text.push_str(&hanging("  - ", &line));
    }
    text
}

fn machine_lines(findings: &Findings) -> String {
    let system = &findings.system;
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        text.push_str(&hanging(&format!("{label:<INDENT$}"), &value));
    };
    let or_not_known = |fact: &Option<String>| fact.clone().unwrap_or("not known".to_owned());
    line("Processor", or_not_known(&system.processor));
    if !findings.instructions.is_empty() {
        line("", findings.instructions.join(" "));
    }
    let (isa, chosen) = findings.isa;
    let why = if chosen { "as chosen" } else { "the best here; GPTOSS_ISA chooses another" };
    line("Code for", format!("{} ({why})", isa.name()));
    let mut cores = format!(
        "{} processors, {} cores; {} used, {} may run at once",
        known(system.processors),
        known(system.cores),
        counted(findings.threads, "thread"),
        findings.threads_available
    );
    if let Some(cpus) = system.group.cpus {
        let _ = write!(cores, "; the container may keep {cpus:.1} busy");
    }
    line("Cores", cores);
    let mut memory = format!(
        "{}, {} available",
        known(system.memory_bytes.map(size_text)),
        known(system.memory_available_bytes.map(size_text))
    );
    if let (Some(limit), Some(free)) = (system.group.memory_limit, system.group.memory_free) {
        let (limit, free) = (size_text(limit), size_text(free));
        let _ = write!(memory, "; the container may have {limit}, {free} of it free");
    }
    line("Memory", memory);
    line(
        "Swap",
        match (system.swap_bytes, system.swap_used_bytes) {
            (Some(0), _) => "none".to_owned(),
            (Some(all), Some(used)) => format!("{}, {} in use", size_text(all), size_text(used)),
            _ => or_not_known(&None),
        },
    );
    line("Huge pages", or_not_known(&system.huge_pages));
    line("Governor", or_not_known(&system.governor));
    if let Some((folder, free)) = &findings.store {
        line("Models", format!("{}, {} free", folder.display(), known(free.map(size_text))));
    }
    text
}

/// What one thread and all threads can do.
fn limits_table(findings: &Findings) -> String {
    let limits = &findings.limits;
    let mut columns = vec![("1 thread".to_owned(), &limits.one)];
    if limits.threads > 1 {
        columns.push((counted(limits.threads, "thread"), &limits.all));
    }
    let mut text = format!("\n{:<24}", "At most");
    for (name, _) in &columns {
        let _ = write!(text, "{name:>16}");
    }
    text.push('\n');
    let read = |rates: &Rates| format!("{:.1} GB/s", rates.read.best / 1e9);
    let bf16 = |rates: &Rates| rates.bf16.map_or("no instruction".to_owned(), |r| gflops(r.best));
    let mut row = |name: &str, value: &dyn Fn(&Rates) -> String| {
        let _ = write!(text, "  {name:<22}");
        for (_, rates) in &columns {
            let _ = write!(text, "{:>16}", value(rates));
        }
        text.push('\n');
    };
    row("read memory", &read);
    row("multiply bytes (int8)", &|rates| gops(rates.int8.best));
    row("multiply f32", &|rates| gflops(rates.f32.best));
    row("multiply bf16", &bf16);
    text
}

/// Which models there is room for.
fn fits_table(findings: &Findings) -> String {
    let (decode, prefill) = (DECODE_EFFICIENCY * 100.0, PREFILL_EFFICIENCY * 100.0);
    let width = findings.fits.iter().map(|fit| fit.name.chars().count()).max().unwrap_or(0);
    let width = width.clamp(12, 30);
    let mut text = format!(
        "\n{:<width$}  {:>9}  {:<5}  {:>8}  {:>8}  tok/s at {decode:.0} and {prefill:.0} %\n",
        "Model", "memory", "room", "decode", "prefill"
    );
    for fit in &findings.fits {
        let speed = |speed: f64| match fit.has_room {
            Some(false) => "–".to_owned(),
            _ => significant(speed),
        };
        let name: String = fit.name.chars().take(width).collect();
        let _ = writeln!(
            text,
            "{name:<width$}  {:>9}  {:<5}  {:>8}  {:>8}",
            size_text(fit.bytes),
            room(fit),
            speed(fit.decode),
            speed(fit.prefill)
        );
    }
    text
}

fn room(fit: &Fit) -> &'static str {
    match fit.has_room {
        Some(true) => "yes",
        Some(false) => "no",
        None => "?",
    }
}

/// A fact, or that it is not known.
fn known<T: Display>(fact: Option<T>) -> String {
    fact.map_or_else(|| "?".to_owned(), |fact| fact.to_string())
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A text behind a label, its words in lines below each other.
fn hanging(label: &str, text: &str) -> String {
    let indent = label.chars().count();
    let (mut out, mut column) = (label.to_owned(), indent);
    for word in text.split(' ') {
        let len = word.chars().count();
        if column > indent && column + 1 + len > COLUMNS {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if column > indent {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += len;
    }
    out + "\n"
}

/// Everything as one object.
pub fn to_json(findings: &Findings) -> Value {
    let system = &findings.system;
    let store = findings
        .store
        .as_ref()
        .map(|(folder, free)| json!({ "path": folder.display().to_string(), "free_bytes": free }));
    let fit = |fit: &Fit| {
        json!({
            "name": fit.name,
            "memory_bytes": fit.bytes,
            "has_room": fit.has_room,
            "decode_tokens_per_second": fit.decode,
            "prefill_tokens_per_second": fit.prefill,
        })
    };
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "processor": system.processor,
        "instructions": findings.instructions,
        "isa": findings.isa.0.name(),
        "isa_chosen": findings.isa.1,
        "processors": system.processors,
        "cores": system.cores,
        "affinity": system.affinity,
        "cpu_quota": system.group.cpus,
        "threads": findings.threads,
        "threads_available": findings.threads_available,
        "memory": {
            "bytes": system.memory_bytes,
            "available_bytes": system.memory_available_bytes,
            "container_limit_bytes": system.group.memory_limit,
            "container_free_bytes": system.group.memory_free,
        },
        "swap": { "bytes": system.swap_bytes, "used_bytes": system.swap_used_bytes },
        "huge_pages": system.huge_pages,
        "governor": system.governor,
        "store": store,
        "limits": findings.limits.json(),
        "models": {
            "decode_efficiency": DECODE_EFFICIENCY,
            "prefill_efficiency": PREFILL_EFFICIENCY,
            "context": CONTEXT,
            "prompt": PROMPT,
            "list": findings.fits.iter().map(fit).collect::<Vec<_>>(),
        },
        "advice": advice(findings),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_stay_in_80_columns_below_their_label() {
        let text = hanging("  - ", &"word ".repeat(40));
        assert!(text.lines().count() > 2);
        for (i, line) in text.lines().enumerate() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
            assert!(line.starts_with(if i == 0 { "  - word" } else { "    word" }), "{line}");
        }
        assert_eq!(hanging("a ", "b"), "a b\n");
        let long = "x".repeat(100);
        assert_eq!(hanging("a ", &long), format!("a {long}\n"));
    }
}
