//! What would help.

use gptoss_kernels::Isa;

use super::Findings;
use crate::pull::size_text;

/// Below this there is no room for the published 20b.
const DISK_MIN: u64 = 15_000_000_000;
/// The share of the best rate below which others keep the machine busy.
const BUSY: f64 = 0.75;

/// Advice, the most helpful first; nothing where all is well.
pub fn advice(findings: &Findings) -> Vec<String> {
    let mut advice = Vec::new();
    instructions(findings, &mut advice);
    threads(findings, &mut advice);
    memory(findings, &mut advice);
    settings(findings, &mut advice);
    advice
}

fn instructions(findings: &Findings, advice: &mut Vec<String>) {
    let (isa, _) = findings.isa;
    let best = Isa::detect();
    if isa != best {
        advice.push(format!(
            "{} is chosen, and this processor has {}: leave out --isa and GPTOSS_ISA.",
            isa.name(),
            best.name()
        ));
    } else if isa == Isa::PORTABLE {
        advice.push(
            "There is no fast code for this processor, only plain code: gptoss is fast with AVX2 \
             or AVX-512."
                .to_owned(),
        );
    }
}

fn threads(findings: &Findings, advice: &mut Vec<String>) {
    let system = &findings.system;
    let (used, available) = (findings.threads, findings.threads_available);
    if used > available {
        advice.push(format!(
            "{used} threads are more than the {available} that may run at once: use at most \
             --threads {available}."
        ));
    } else if let Some(cores) = system.cores.filter(|cores| used > *cores) {
        advice.push(format!(
            "{used} threads share {cores} cores: try --threads {cores}, which is often as fast."
        ));
    }
    if let Some(allowed) =
        system.affinity.filter(|allowed| system.processors.is_some_and(|all| *allowed < all))
    {
        let all = system.processors.unwrap_or(allowed);
        advice.push(format!(
            "This process may run on {allowed} of {all} processors (taskset, or the container)."
        ));
    }
    if let Some(cpus) = system.group.cpus.filter(|cpus| *cpus < used as f64) {
        advice.push(format!(
            "The container may keep {cpus:.1} processors busy, and threads that were too fast are \
             held back: use --threads {}.",
            (cpus as usize).max(1)
        ));
    }
    let read = findings.limits.all.int8;
    if read.median < BUSY * read.best {
        advice.push(
            "Other programs keep the processor busy: while measuring, often less than three \
             quarters of it could be had."
                .to_owned(),
        );
    }
}

fn memory(findings: &Findings, advice: &mut Vec<String>) {
    let system = &findings.system;
    let free = system.memory_free_bytes();
    let too_large = findings.fits.iter().rfind(|fit| fit.has_room == Some(false));
    if let (Some(fit), Some(free)) = (too_large, free) {
        let (needed, free) = (size_text(fit.bytes), size_text(free));
        let name = &fit.name;
        advice.push(format!(
            "{name} needs {needed} of memory and {free} are free: a model that is read from the \
             disk again and again is many times slower."
        ));
    }
    if let Some(used) = system.swap_used_bytes.filter(|used| *used > 256 << 20) {
        advice.push(format!(
            "{} are swapped out: memory is short, close other programs.",
            size_text(used)
        ));
    }
    if let Some((folder, Some(free))) = &findings.store
        && *free < DISK_MIN
    {
        advice.push(format!(
            "{} are free for models in {}: gpt-oss-20b needs 14 GB; HF_HOME chooses another disk.",
            size_text(*free),
            folder.display()
        ));
    }
}

fn settings(findings: &Findings, advice: &mut Vec<String>) {
    let system = &findings.system;
    if system.huge_pages.as_deref() == Some("never") {
        advice.push(
            "Huge pages are off; they make reading memory a few per cent faster: \
             echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"
                .to_owned(),
        );
    }
    if let Some(governor) = system.governor.as_deref()
        && matches!(governor, "powersave" | "conservative")
    {
        advice.push(format!(
            "The clock is governed by `{governor}`, which can hold it down: \
             cpupower frequency-set -g performance"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::fit::Fit;
    use crate::machine::{Limits, Rate, Rates, System};

    fn findings() -> Findings {
        let rate = |x: f64| Rate { best: x, median: x };
        let all = Rates { read: rate(1e10), int8: rate(1e11), f32: rate(1e10), bf16: None };
        let isa = Isa::detect();
        Findings {
            system: System::default(),
            instructions: Vec::new(),
            isa: (isa, false),
            threads: 4,
            threads_available: 4,
            store: Some(("models".into(), Some(1 << 40))),
            limits: Limits { isa, one: all, threads: 4, all },
            fits: Vec::new(),
        }
    }

    #[test]
    fn a_good_machine_needs_no_advice() {
        let few = usize::from(Isa::detect() == Isa::PORTABLE);
        assert_eq!(advice(&findings()).len(), few);
    }

    /// Each change of a good machine gives one line with its words.
    #[test]
    fn each_trouble_has_its_advice() {
        let base = advice(&findings()).len();
        let mut seen = 0;
        let mut expect = |words: &str, change: &dyn Fn(&mut Findings)| {
            let mut findings = findings();
            change(&mut findings);
            let lines = advice(&findings);
            assert_eq!(lines.len(), base + 1, "{words}: {lines:?}");
            assert!(lines.iter().any(|line| line.contains(words)), "{words}: {lines:?}");
            seen += 1;
        };
        expect("use at most --threads 2", &|f| f.threads_available = 2);
        expect("try --threads 2", &|f| f.system.cores = Some(2));
        expect("on 4 of 8 processors", &|f| {
            (f.system.affinity, f.system.processors) = (Some(4), Some(8));
        });
        expect("use --threads 1", &|f| f.system.group.cpus = Some(1.5));
        expect("Other programs", &|f| f.limits.all.int8.median = 5e10);
        expect("are swapped out", &|f| f.system.swap_used_bytes = Some(1 << 30));
        expect("HF_HOME", &|f| f.store = Some(("models".into(), Some(1 << 30))));
        expect("Huge pages are off", &|f| f.system.huge_pages = Some("never".into()));
        expect("`powersave`", &|f| f.system.governor = Some("powersave".into()));
        expect("big needs 9.0 GB of memory and 1.0 GB are free", &|f| {
            f.system.memory_available_bytes = Some(1_000_000_000);
            let (name, bytes) = ("big".to_owned(), 9_000_000_000);
            f.fits = vec![Fit { name, bytes, has_room: Some(false), decode: 1.0, prefill: 1.0 }];
        });
        assert_eq!(seen, 10);
    }
}
