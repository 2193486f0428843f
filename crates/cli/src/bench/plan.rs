//! Which tests are run: every one is a prompt, or some steps of decoding.

use std::fmt;

use anyhow::bail;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A prompt of `n` tokens.
    Prefill,
    /// `n` steps, one token for each sequence in each.
    Decode,
}

/// One test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Test {
    /// What is measured.
    pub kind: Kind,
    /// Tokens of each sequence.
    pub n: usize,
    /// Tokens that each sequence has before.
    pub depth: usize,
    /// Sequences.
    pub batch: usize,
}

/// The numbers of all tests; `None` leaves out what the model has no room for.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// Lengths of prompts.
    pub prefill: Option<Vec<usize>>,
    /// Tokens to decode; 0 for no such test.
    pub decode: usize,
    /// Depths of decoding.
    pub depth: Option<Vec<usize>>,
    /// Sequences decoded together.
    pub batch: Vec<usize>,
}

const PREFILL: [usize; 2] = [512, 2048];
const DEPTH: [usize; 2] = [0, 4096];

impl Numbers {
    /// The tests, in the order in which they are run. The smallest batch is measured at every
    /// depth, larger ones at the first.
    ///
    /// # Errors
    /// If a test that was asked for is longer than `context_max`, or if there is none.
    pub fn tests(&self, context_max: usize) -> anyhow::Result<Vec<Test>> {
        let mut tests = Vec::new();
        for n in self.prefill.as_deref().unwrap_or(&PREFILL).iter().filter(|n| **n > 0) {
            let test = Test { kind: Kind::Prefill, n: *n, depth: 0, batch: 1 };
            push(&mut tests, test, context_max, self.prefill.is_some())?;
        }
        let mut batches = self.batch.clone();
        batches.sort_unstable();
        batches.dedup();
        let depths = self.depth.as_deref().unwrap_or(&DEPTH);
        for (b, batch) in batches.iter().enumerate().filter(|_| self.decode > 0) {
            for depth in depths.iter().take(if b == 0 { depths.len() } else { 1 }) {
                let test =
                    Test { kind: Kind::Decode, n: self.decode, depth: *depth, batch: *batch };
                let was_asked = self.depth.is_some() || *depth == 0;
                push(&mut tests, test, context_max, was_asked)?;
            }
        }
        match tests.is_empty() {
            true => bail!("nothing to measure: expected lengths above 0 for --prefill or --decode"),
            false => Ok(tests),
        }
    }
}

fn push(tests: &mut Vec<Test>, test: Test, max: usize, was_asked: bool) -> anyhow::Result<()> {
    let context = test.n.saturating_add(test.depth);
    if context <= max {
        tests.push(test);
    } else if was_asked {
        bail!("{test}: expected at most {max} tokens of context, found {context}");
    }
    Ok(())
}

impl Test {
    /// The name that llama-bench gives such a test; a batch is ours.
    pub fn llama_bench_name(&self) -> String {
        let kind = match self.kind {
            Kind::Prefill => "pp",
            Kind::Decode => "tg",
        };
        let depth = if self.depth > 0 { format!(" @ d{}", self.depth) } else { String::new() };
        let batch = if self.batch > 1 { format!(" b{}", self.batch) } else { String::new() };
        format!("{kind}{}{batch}{depth}", self.n)
    }
}

impl Kind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Prefill => "prefill",
            Kind::Decode => "decode",
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.n)?;
        if self.batch > 1 {
            write!(f, " × {}", self.batch)?;
        }
        match self.depth {
            0 => Ok(()),
            depth => write!(f, " at {depth}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(numbers: &Numbers, max: usize) -> Vec<String> {
        numbers.tests(max).unwrap().iter().map(Test::to_string).collect()
    }

    #[test]
    fn large_batches_are_measured_at_the_first_depth() {
        let numbers = Numbers { prefill: None, decode: 128, depth: None, batch: vec![4, 1, 16, 4] };
        let expected = [
            "prefill 512",
            "prefill 2048",
            "decode 128",
            "decode 128 at 4096",
            "decode 128 × 4",
            "decode 128 × 16",
        ];
        assert_eq!(names(&numbers, 131_072), expected);
        // What nobody asked for and has no room is left out.
        assert_eq!(names(&numbers, 1024).len(), 4);
        let tests = numbers.tests(131_072).unwrap();
        let llama: Vec<String> = tests.iter().map(Test::llama_bench_name).collect();
        assert_eq!(llama, ["pp512", "pp2048", "tg128", "tg128 @ d4096", "tg128 b4", "tg128 b16"]);
    }

    #[test]
    fn what_was_asked_for_is_refused_if_there_is_no_room() {
        let numbers =
            Numbers { prefill: Some(vec![0]), decode: 8, depth: Some(vec![100]), batch: vec![1] };
        assert_eq!(names(&numbers, 108), ["decode 8 at 100"]);
        let refused = numbers.tests(107).unwrap_err().to_string();
        assert_eq!(refused, "decode 8 at 100: expected at most 107 tokens of context, found 108");
        assert!(Numbers { decode: 0, ..numbers }.tests(1000).is_err());
    }
}
