//! A model without weights, the same as the stub server that the golden scores were made with:
//! tokens are bytes, and the log-probability of a byte comes from the CRC-32 of all bytes up to it.

use std::collections::BTreeMap;

use gptoss_eval::EvalError;
use gptoss_eval::data::Doc;
use gptoss_eval::model::{Done, EvalModel, GeneratePrompt, GenerateRequest, Generated, Scored};
use gptoss_eval::plan::{Cost, Plan};
use gptoss_eval::tokens::{Encoder, Limit};

/// CRC-32 of IEEE 802.3, as zlib computes it, of one more byte.
pub fn crc32(crc: u32, byte: u8) -> u32 {
    let mut c = (crc ^ 0xffff_ffff) ^ u32::from(byte);
    for _ in 0..8 {
        c = if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 };
    }
    c ^ 0xffff_ffff
}

/// One id for each byte.
pub struct Bytes;

impl Encoder for Bytes {
    fn encode(&self, text: &str) -> Vec<u32> {
        text.bytes().map(u32::from).collect()
    }

    fn encode_continuation(&self, text: &str) -> Vec<u32> {
        self.encode(text)
    }

    fn prefix(&self) -> u32 {
        256
    }
}

/// The model.
pub struct Stub {
    /// Answers to questions of GSM8K.
    answers: BTreeMap<String, String>,
    /// Fails after so many answers, as a program that is killed.
    pub fail_after: Option<usize>,
    /// Answers that were given.
    pub given: usize,
    /// Of the plans that were computed to their end.
    cost: Cost,
}

impl Stub {
    /// A model that knows the answers to these documents.
    pub fn new(gsm8k: &[Doc]) -> Stub {
        let text = |doc: &Doc, field: &str| doc[field].as_str().unwrap().to_string();
        let answer = |doc| text(doc, "answer").split("#### ").nth(1).unwrap().to_string();
        let answers = gsm8k.iter().map(|doc| (text(doc, "question"), answer(doc))).collect();
        Stub { answers, fail_after: None, given: 0, cost: Cost::default() }
    }

    fn give(&mut self) -> Result<(), EvalError> {
        if self.fail_after.is_some_and(|most| self.given >= most) {
            return Err(EvalError::Model("killed".into()));
        }
        self.given += 1;
        Ok(())
    }

    /// An answer in one of eight forms, by the CRC-32 of the question.
    fn answer(&self, text: &str) -> String {
        let question = text.rsplit("Question: ").next().unwrap_or(text);
        let question = question.rsplit_once("\nAnswer:").map_or(question, |(before, _)| before);
        let gold = self.answers.get(question).map_or("0", String::as_str);
        match question.bytes().fold(0, crc32) % 8 {
            0 => format!(" So it is {gold}.\n#### {gold}"),
            1 => format!(" The total is ${gold}.00"),
            2 => format!(" x = {gold}\n#### ${gold}"),
            3 => " nothing here".into(),
            4 => format!(" 7 + 8 = 15\n#### {gold}."),
            5 => format!(" first {gold}, then 3"),
            6 => " wrong\n#### 999999".into(),
            _ => format!(" a\n#### {gold}\n#### 5"),
        }
    }
}

impl EvalModel for Stub {
    fn encoder(&self) -> &dyn Encoder {
        &Bytes
    }

    fn limit(&self) -> Limit {
        Limit::Api { max_length: 1 << 20 }
    }

    fn score(&mut self, plan: &Plan, done: Done<'_, Scored>) -> Result<(), EvalError> {
        let mut ends: Vec<u32> = Vec::with_capacity(plan.nodes.len());
        let mut sums = vec![(0.0, 0); plan.reads.len()];
        for node in &plan.nodes {
            let mut crc = node.parent.map_or(0, |parent| ends[parent]);
            let mut reads = node.reads.iter().peekable();
            for (offset, token) in node.tokens.iter().enumerate() {
                crc = crc32(crc, *token as u8);
                while let Some(read) = reads.next_if(|read| read.offset == offset) {
                    let next = f64::from(crc32(crc, read.token as u8));
                    let (sum, count) = &mut sums[read.request];
                    *sum += -(next / 4_294_967_296.0 * 5.0 + 0.01);
                    *count += 1;
                    if *count == plan.reads[read.request] {
                        let scored = Scored { logprob: *sum, greedy: true };
                        self.give()?;
                        done(read.request, scored)?;
                    }
                }
            }
            ends.push(crc);
        }
        self.cost += plan.cost;
        Ok(())
    }

    fn cost(&self) -> Cost {
        self.cost
    }

    fn generate(
        &mut self,
        requests: &[GenerateRequest],
        done: Done<'_, Generated>,
    ) -> Result<(), EvalError> {
        for (i, request) in requests.iter().enumerate() {
            let text = match &request.prompt {
                GeneratePrompt::Text(text) => self.answer(text),
                // Right, wrong, no answer, cut off: by the seed, which no two answers share.
                GeneratePrompt::Chat { .. } => {
                    ["**Answer: A**", "(B)", "hm", "so C"][(request.seed % 4) as usize].into()
                }
            };
            self.give()?;
            let truncated = text == "so C";
            let tokens = text.len();
            done(i, Generated { text, reasoning: String::new(), tokens, truncated })?;
        }
        Ok(())
    }
}
