//! The embedded tokenizer against tiktoken, and its properties.

use gptoss_harmony::{TokenId, Tokenizer};
use serde_json::Value;

const ORACLE: &str = include_str!("../../../testdata/tokenizer/o200k_harmony.jsonl");

/// tiktoken's name for 200018, which harmony does not know.
const END_OF_PROMPT: &str = "<|endofprompt|>";
const END_OF_PROMPT_ID: TokenId = 200_018;

fn ids(value: &Value) -> Vec<TokenId> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as TokenId).collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn every_row_of_the_oracle_agrees() {
    let tokenizer = Tokenizer::o200k_harmony();
    let (mut texts, mut specials, mut bytes, mut decoded, mut left_out) = (0, 0, 0, 0, 0);
    for (number, line) in (1..).zip(ORACLE.lines()) {
        let row: Value = serde_json::from_str(line).unwrap();
        let expected = ids(&row["ids"]);
        if let Some(text) = row["text"].as_str() {
            assert_eq!(tokenizer.encode(text), expected, "row {number}: {text:?}");
            assert_eq!(tokenizer.encode_bytes(text.as_bytes()), expected, "row {number}: bytes");
            assert_eq!(tokenizer.decode(&expected).unwrap(), text, "row {number}: decode");
            texts += 1;
            if text.contains(END_OF_PROMPT) {
                left_out += 1;
                continue;
            }
            let expected = row.get("special").map_or(expected, ids);
            assert_eq!(tokenizer.encode_with_specials(text), expected, "row {number}: {text:?}");
            assert_eq!(tokenizer.decode(&expected).unwrap(), text, "row {number}: decode");
            specials += usize::from(row.get("special").is_some());
        } else if row["cat"] == "bytes" {
            let source = unhex(row["hex"].as_str().unwrap());
            assert_eq!(tokenizer.encode_bytes(&source), expected, "row {number}: {source:x?}");
            assert_eq!(tokenizer.decode_bytes(&expected).unwrap(), source, "row {number}: decode");
            bytes += 1;
        } else if expected.contains(&END_OF_PROMPT_ID) {
            left_out += 1;
        } else {
            let source = unhex(row["hex"].as_str().unwrap());
            assert_eq!(tokenizer.decode_bytes(&expected).unwrap(), source, "row {number}");
            decoded += 1;
        }
    }
    assert_eq!((texts, specials, bytes, decoded, left_out), (1077, 49, 7, 43, 4));
}
