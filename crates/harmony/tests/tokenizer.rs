//! The embedded tokenizer against tiktoken, and properties of it and of nano's.

use std::time::{Duration, Instant};

use gptoss_harmony::{TokenId, Tokenizer};
use proptest::prelude::*;
use serde_json::Value;

const ORACLE: &str = include_str!("../../../testdata/tokenizer/o200k_harmony.jsonl");

/// tiktoken's name for 200018, which harmony does not know.
const END_OF_PROMPT: &str = "<|endofprompt|>";
const END_OF_PROMPT_ID: TokenId = 200_018;

/// FNV-1a of all ranks in order, each with its length before it: of the file that is embedded.
const EMBEDDED_FNV1A: u64 = 0xC7BA5F0328781837;

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

/// nano's tokenizer: byte-level by a list of merges, special tokens at the beginning.
fn nano() -> &'static Tokenizer {
    static NANO: std::sync::OnceLock<Tokenizer> = std::sync::OnceLock::new();
    NANO.get_or_init(|| {
        let json = include_bytes!("../../../models/nano/tokenizer.json");
        Tokenizer::from_json(json).unwrap()
    })
}

fn both() -> [Tokenizer; 2] {
    [Tokenizer::clone(&Tokenizer::o200k_harmony()), nano().clone()]
}

#[test]
fn special_tokens_are_those_of_harmony() {
    let tokenizer = Tokenizer::o200k_harmony();
    let named = [
        (199_998, "<|startoftext|>"),
        (199_999, "<|endoftext|>"),
        (200_002, "<|return|>"),
        (200_003, "<|constrain|>"),
        (200_005, "<|channel|>"),
        (200_006, "<|start|>"),
        (200_007, "<|end|>"),
        (200_008, "<|message|>"),
        (200_012, "<|call|>"),
    ];
    for (id, name) in named {
        assert_eq!(tokenizer.special(name), Some(id), "{name}");
    }
    let specials: Vec<_> = tokenizer.special_tokens().collect();
    assert!(specials.iter().map(|(_, id)| *id).eq(199_998..=201_087));
    for (name, id) in specials {
        let is_named = named.contains(&(id, name));
        assert!(is_named || name == format!("<|reserved_{id}|>"), "{id}: {name}");
        assert_eq!(tokenizer.token_bytes(id), Some(name.as_bytes()));
        assert!(tokenizer.is_special(id));
        assert_eq!(tokenizer.encode_with_specials(name), [id]);
    }
    for name in [END_OF_PROMPT, "<|reserved_201088|>", "<|reserved_200006|>"] {
        assert_eq!(tokenizer.special(name), None, "{name}");
        assert!(tokenizer.encode_with_specials(name).len() > 1, "{name}");
    }
    assert_eq!(tokenizer.vocab_size(), 201_088);
    assert_eq!(tokenizer.token_bytes(201_088), None);
    assert!(!tokenizer.is_special(199_997) && !tokenizer.is_special(201_088));
    assert_eq!(tokenizer.name(), "o200k_harmony");
}

#[test]
fn the_embedded_tokens_are_the_published_ones() {
    let tokenizer = Tokenizer::o200k_harmony();
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for id in 0..199_998 {
        let token = tokenizer.token_bytes(id).unwrap();
        for &byte in [token.len() as u8].iter().chain(token) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }
    assert_eq!(hash, EMBEDDED_FNV1A);
}

#[test]
fn an_unknown_id_is_an_error_that_names_it() {
    let tokenizer = Tokenizer::o200k_harmony();
    for id in [201_088, u32::MAX] {
        let error = tokenizer.decode(&[13225, id]).unwrap_err().to_string();
        let expected =
            format!("token id {id}: expected an id of o200k_harmony below 201088, found none");
        assert_eq!(error, expected);
    }
}

/// Sixteen times as much of one kind takes a small multiple of sixteen times as long.
///
/// The bound is far above linear time on a busy machine and far below quadratic time, which would
/// be 256 times as long.
#[test]
fn a_long_run_of_anything_takes_linear_time() {
    let units = [
        "a",
        " ",
        "\n",
        " \n",
        "😀",
        "1",
        "A",
        "aA",
        "語",
        "\u{301}",
        "\r",
        "!",
        "'",
        "<|",
        "\t \u{a0}",
    ];
    let mut compared = 0;
    for tokenizer in both() {
        for unit in units {
            let time = |bytes: usize| {
                let text = unit.repeat(bytes / unit.len());
                let start = Instant::now();
                let ids = tokenizer.encode(&text);
                let elapsed = start.elapsed();
                assert_eq!(tokenizer.decode(&ids).unwrap(), text, "{unit:?}");
                elapsed
            };
            let small = time(1 << 14);
            let large = time(1 << 18);
            let bound = 100 * small.max(Duration::from_millis(5));

            assert!(large < bound, "{}, {unit:?}: {small:?}, {large:?}", tokenizer.name());
            compared += 1;
        }
    }
    assert_eq!(compared, 2 * units.len());
}

#[test]
fn a_megabyte_of_one_character_comes_back() {
    for tokenizer in both() {
        let text = "a".repeat(1_000_000);
        assert_eq!(tokenizer.decode(&tokenizer.encode(&text)).unwrap(), text);
    }
}

/// So many cases; failures are printed and not kept in files.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Text with what matters to tokenizers: blanks, marks, names of special tokens and parts of them.
fn text() -> impl Strategy<Value = String> {
    let parts = [
        "<|start|>",
        "<|end|>",
        "<|message|>",
        "<|return|>",
        "<|",
        "|>",
        "start",
        " ",
        "\n",
        "\r\n",
        "don't",
        "語",
        "😀",
        "\u{301}",
        "1234",
        "_",
        "Hello",
        "  ",
        "\u{a0}",
    ];
    let part = prop_oneof![
        2 => prop::sample::select(parts.to_vec()).prop_map(str::to_owned),
        1 => any::<String>()
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn text_comes_back_and_is_never_special(text in text()) {
        for tokenizer in both() {
            let ids = tokenizer.encode(&text);
            prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text.as_str());
            prop_assert!(!ids.iter().any(|&id| tokenizer.is_special(id)));
            prop_assert_eq!(tokenizer.encode_bytes(text.as_bytes()), ids);
            let raw = tokenizer.encode_with_specials(&text);
            prop_assert_eq!(tokenizer.decode(&raw).unwrap(), text.as_str());
            let has_name = tokenizer.special_tokens().any(|(name, _)| text.contains(name));
            prop_assert_eq!(raw.iter().any(|&id| tokenizer.is_special(id)), has_name);
        }
    }

    #[test]
    fn bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..60), text in text()) {
        for tokenizer in both() {
            let bytes = [text.as_bytes(), &bytes].concat();
            let ids = tokenizer.encode_bytes(&bytes);
            prop_assert_eq!(tokenizer.decode_bytes(&ids).unwrap(), bytes);
            prop_assert!(!ids.iter().any(|&id| tokenizer.is_special(id)));
        }
    }

    #[test]
    fn the_bytes_of_ids_are_those_of_each(picks in prop::collection::vec(any::<u32>(), 0..40)) {
        for tokenizer in both() {
            let ids: Vec<_> = picks.iter().map(|id| id % tokenizer.vocab_size() as u32).collect();
            let bytes_of = |&id: &TokenId| tokenizer.token_bytes(id).unwrap();
            let each: Vec<&[u8]> = ids.iter().map(bytes_of).collect();
            prop_assert_eq!(tokenizer.decode_bytes(&ids).unwrap(), each.concat());
        }
    }
}
