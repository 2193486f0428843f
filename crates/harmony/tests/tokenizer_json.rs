//! Tokenizers from tokenizer.json: against Hugging Face's crate, and what is refused.

use gptoss_harmony::{TokenId, Tokenizer};
use proptest::prelude::*;
use serde_json::{Value, json};

const NANO: &[u8] = include_bytes!("../../../models/nano/tokenizer.json");
const ORACLE: &str = include_str!("../../../testdata/tokenizer/o200k_harmony.jsonl");

/// The texts of the oracle of o200k: 55 languages, code, emoji, blanks, look-alikes.
fn texts() -> Vec<String> {
    let rows = ORACLE.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let texts: Vec<String> =
        rows.filter_map(|row| Some(row["text"].as_str()?.to_owned())).collect();
    assert_eq!(texts.len(), 1077);
    texts
}

fn load(file: &Value) -> Result<Tokenizer, String> {
    Tokenizer::from_json(file.to_string().as_bytes()).map_err(|error| error.to_string())
}

/// What Hugging Face's crate makes of the file, special tokens included.
fn reference(file: &Value) -> tokenizers::Tokenizer {
    tokenizers::Tokenizer::from_bytes(file.to_string()).unwrap()
}

/// The same file without added tokens, so that the crate takes everything for text.
fn without_added(file: &Value) -> Value {
    let mut file = file.clone();
    file["added_tokens"] = json!([]);
    file
}

fn ids(tokenizer: &tokenizers::Tokenizer, text: &str) -> Vec<TokenId> {
    tokenizer.encode(text, false).unwrap().get_ids().to_vec()
}

fn nano() -> Value {
    serde_json::from_slice(NANO).unwrap()
}

#[test]
fn nano_encodes_as_with_the_crate_of_hugging_face() {
    let file = nano();
    let tokenizer = load(&file).unwrap();
    let (raw, ordinary) = (reference(&file), reference(&without_added(&file)));
    let mut tokens = 0;
    for text in texts() {
        let expected = ids(&ordinary, &text);
        assert_eq!(tokenizer.encode(&text), expected, "{text:?}");
        let with_names = format!("<|start|>user<|message|>{text}<|end|><|start|>{text}");
        for text in [&text, &with_names] {
            assert_eq!(tokenizer.encode_with_specials(text), ids(&raw, text), "{text:?}");
        }
        tokens += expected.len();
    }
    assert!(tokens > 30_000, "{tokens}");
}

#[test]
fn nano_has_harmonys_special_tokens_under_its_own_ids() {
    let tokenizer = Tokenizer::from_json(NANO).unwrap();
    let expected = [
        "<|startoftext|>",
        "<|endoftext|>",
        "<|return|>",
        "<|constrain|>",
        "<|channel|>",
        "<|start|>",
        "<|end|>",
        "<|message|>",
        "<|call|>",
    ];
    assert!(tokenizer.special_tokens().eq(expected.into_iter().zip(0..)));
    assert_eq!(tokenizer.special("<|message|>"), Some(7));
    assert_eq!(tokenizer.vocab_size(), 4096);
    assert_eq!(tokenizer.token_bytes(4096), None);
    assert!((0..4096).all(|id| tokenizer.token_bytes(id).is_some_and(|bytes| !bytes.is_empty())));
}

/// A file with the vocabulary of o200k, as the published models bring it.
fn o200k_file() -> Value {
    // The alphabet of byte-level vocabularies, by its definition.
    let mut shifted = 0x100;
    let letters: Vec<char> = (0..=255_u8)
        .map(|byte| match byte {
            b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
            _ => {
                shifted += 1;
                char::from_u32(shifted - 1).unwrap()
            }
        })
        .collect();
    let embedded = Tokenizer::o200k_harmony();
    let spell = |id| {
        let bytes = embedded.token_bytes(id).unwrap();
        bytes.iter().map(|&byte| letters[usize::from(byte)]).collect::<String>()
    };
    let vocab: serde_json::Map<String, Value> =
        (0..199_998).map(|id| (spell(id), json!(id))).collect();
    let mut file = nano();
    file["added_tokens"] = json!([
        {"id": 199_998, "content": "<|startoftext|>", "special": true},
        {"id": 200_006, "content": "<|start|>", "special": true},
        {"id": 200_018, "content": "<|endofprompt|>", "special": true},
    ]);
    let regex = &mut file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"];
    *regex = json!(regex.as_str().unwrap().replace(r"|\p{N}|", r"|\p{N}{1,3}|"));
    file["model"]["vocab"] = Value::Object(vocab);
    file["model"]["merges"] = json!([]);
    file
}

#[test]
fn the_file_of_gpt_oss_is_the_embedded_tokenizer_and_a_changed_one_is_not() {
    let file = o200k_file();
    assert_eq!(load(&file).unwrap().name(), "o200k_harmony");
    let mut changes = 0;
    for (pointer, value) in [
        ("/pre_tokenizer/pretokenizers/0/pattern/Regex", json!(r"\s+|\S+")),
        ("/added_tokens/1/id", json!(200_007)),
        ("/added_tokens/1/content", json!("<|begin|>")),
        ("/added_tokens/1/id", json!(201_088)),
    ] {
        let mut changed = file.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        assert_ne!(load(&changed).unwrap().name(), "o200k_harmony", "{pointer}");
        changes += 1;
    }
    let mut swapped = file.clone();
    let vocab = swapped["model"]["vocab"].as_object_mut().unwrap();
    vocab.insert("Hello".to_owned(), json!(13226));
    vocab.retain(|name, id| *id != json!(13226) || name == "Hello");
    assert_ne!(load(&swapped).unwrap().name(), "o200k_harmony");
    assert_eq!(changes, 4);
}

/// A small SentencePiece-like file: spaces as `▁`, bytes as `<0x0A>`, no pre-tokenizer.
fn metaspace_file(scheme: &str) -> Value {
    let mut names: Vec<String> = ["<unk>", "<s>", "</s>"].map(str::to_owned).to_vec();
    names.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    let pieces = ["▁", "a", "b", "c", "<", "s", ">", "ab", "▁ab", "▁abc", "<s", "<s>", "/", "</s>"];
    names.extend(
        pieces.iter().filter(|name| !["<s>", "</s>"].contains(name)).map(|n| n.to_string()),
    );
    let vocab: serde_json::Map<String, Value> =
        names.iter().cloned().zip((0..).map(|id| json!(id))).collect();
    json!({
        "version": "1.0",
        "added_tokens": [
            {"id": 0, "content": "<unk>", "special": true, "single_word": false, "lstrip": false,
             "rstrip": false, "normalized": false},
            {"id": 1, "content": "<s>", "special": true, "single_word": false, "lstrip": false,
             "rstrip": false, "normalized": false},
            {"id": 2, "content": "</s>", "special": true, "single_word": false, "lstrip": false,
             "rstrip": true, "normalized": false},
        ],
        "normalizer": null,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme,
                          "split": false},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                     {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
            "vocab": vocab,
            "merges": ["a b", "▁ ab", "▁ab c", "< s", "<s >"]},
    })
}

#[test]
fn a_metaspace_file_goes_through_the_crate_and_text_is_never_special() {
    for (scheme, prefix) in [("always", " "), ("first", " "), ("never", "")] {
        let file = metaspace_file(scheme);
        let tokenizer = load(&file).unwrap();
        // No token is added at the beginning, and the spelling is undone.
        let expected = if prefix.is_empty() { vec!["ab", "c"] } else { vec!["▁abc"] };
        let expected: Vec<TokenId> = expected
            .iter()
            .map(|name| file["model"]["vocab"][name].as_u64().unwrap() as u32)
            .collect();
        assert_eq!(tokenizer.encode("abc"), expected, "{scheme}");
        for text in ["abc ab", "<s>", "a</s>b", "é\n語", "x<unk>y", "  a"] {
            let ids = tokenizer.encode(text);
            // A text that begins with a space has its space already.
            let prefix = if text.starts_with(' ') { "" } else { prefix };
            assert_eq!(tokenizer.decode(&ids).unwrap(), format!("{prefix}{text}"), "{scheme}");
            assert!(!ids.iter().any(|&id| tokenizer.is_special(id)), "{scheme}: {text:?}");
        }
        let raw = reference(&file);
        for text in ["<s>ab abc</s>  ab", "abc<s>ab", "<s>", "", "a<s> b"] {
            assert_eq!(tokenizer.encode_with_specials(text), ids(&raw, text), "{scheme}: {text:?}");
        }
    }
}

/// A Unigram file: the vocabulary is a list, so special tokens cannot be taken out of it.
fn unigram_file() -> Value {
    json!({
        "version": "1.0",
        "added_tokens": [{"id": 1, "content": "<s>", "special": true, "single_word": false,
                          "lstrip": false, "rstrip": false, "normalized": false}],
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"},
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"},
        "model": {"type": "Unigram", "unk_id": 0,
            "vocab": [["<unk>", 0.0], ["<s>", 0.0], ["<", -2.0], ["s", -2.0], [">", -2.0],
                      ["▁", -1.0], ["ab", -1.5], ["a", -2.5], ["b", -2.5], ["\u{ffff}", -3.0]]},
    })
}

#[test]
fn a_unigram_file_goes_through_the_crate_and_text_is_never_special() {
    let tokenizer = load(&unigram_file()).unwrap();
    assert_eq!(tokenizer.encode("ab a"), [6, 5, 7]);
    assert_eq!(tokenizer.encode("<s>"), [2, 3, 4]);
    assert_eq!(tokenizer.encode("\u{ffff}<s>\u{ffff}"), [9, 2, 3, 4, 9]);
    assert_eq!(tokenizer.encode_with_specials("a<s>ab"), [7, 1, 6]);
    assert_eq!(tokenizer.encode("語"), [0], "the unknown token");
    assert_eq!(tokenizer.decode(&[6, 5, 7, 1]).unwrap(), "ab a<s>");
}

#[test]
fn long_runs_through_the_crate_lose_nothing() {
    // A pattern that is not among the published ones, so that the crate's expressions are used.
    let mut file = nano();
    file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = json!(r"\s+(?!\S)|\s+|\S+");
    let tokenizer = load(&file).unwrap();
    for unit in [" ", "a", "\n", "😀"] {
        let text = unit.repeat((1 << 20) / unit.len()) + "a";
        let ids = tokenizer.encode(&text);
        assert_eq!(tokenizer.decode(&ids).unwrap(), text, "{unit:?}");
    }
    let ordinary = reference(&without_added(&file));
    for text in texts().iter().take(200) {
        let expected = ids(&ordinary, text);
        assert_eq!(tokenizer.encode(text), expected, "{text:?}");
    }
}

#[test]
fn what_is_no_tokenizer_is_refused_with_its_place() {
    let set = |pointer: &str, value: Value| {
        let mut file = nano();
        *file.pointer_mut(pointer).unwrap() = value;
        load(&file).unwrap_err()
    };
    let cases = [
        (set("/model", json!(null)), "expected the format of tokenizer.json"),
        (set("/model/vocab", json!({})), "out of vocabulary"),
        (set("/model/vocab", json!({"a": -1})), "expected the format of tokenizer.json"),
        (set("/model/vocab", json!({"a": 4_000_000_000_u64})), "ids below"),
        (set("/model/vocab", json!({"a": 5, "b": 5})), "an id for each token, found 5"),
        (set("/added_tokens/0/id", json!(4095)), "an id for each token, found 4095"),
        (set("/added_tokens/0/id", json!(4_000_000_000_u64)), "added_tokens: expected ids below"),
        (set("/added_tokens/0/content", json!("")), "a name"),
        (set("/added_tokens/0/content", json!("<|end|>")), "an id for each token"),
        (set("/model/merges", json!(["a"])), "merge 0"),
        (set("/model/merges", json!(["Ġ 語"])), "merge 0"),
        (set("/model/merges", json!([["zz", "zz"]])), "merge 0"),
        (set("/model/merges", json!("a b")), "expected the format of tokenizer.json"),
        (set("/decoder", json!(null)), "decoder: not supported"),
        (set("/decoder", json!({"type": "WordPiece"})), "not supported: expected ByteLevel"),
        (set("/pre_tokenizer", json!({"type": "Nonsense"})), "tokenizer.json: expected"),
        (set("/model/type", json!("Nonsense")), "tokenizer.json: expected"),
    ];
    assert_eq!(cases.len(), 17);
    for (error, part) in cases {
        assert!(error.contains(part) && error.contains("tokenizer.json"), "{part}: {error}");
        assert!(error.chars().count() < 400, "{error}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_field = format!(r#"{{"model":{{"type":"BPE","vocab":{{}}}},"normalizer":{deep}}}"#);
    for bytes in ["", "{", "[]", "null", "\"a\"", "{}", deep.as_str(), deep_field.as_str()] {
        let error = Tokenizer::from_json(bytes.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("tokenizer.json"), "{error}");
    }
    assert!(Tokenizer::from_json(b"\xFF\xFE{}").is_err());
}

/// So many cases; failures are printed and not kept in files.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Small descriptions of all kinds, mostly wrong somewhere.
fn descriptions() -> impl Strategy<Value = Value> {
    let name =
        || prop::sample::select(vec!["a", "b", "ab", "<unk>", "<s>", "▁", "Ġ", "", "<0x41>"]);
    let id = || prop_oneof![4 => 0u64..6, 1 => any::<u64>()];
    let map = prop::collection::btree_map(name(), id(), 0..6).prop_map(|map| json!(map));
    let list = prop::collection::vec((name(), -5.0..0.0), 0..6).prop_map(|list| json!(list));
    let kind = prop::sample::select(vec!["BPE", "WordPiece", "WordLevel", "Unigram", "X"]);
    let step = prop::sample::select(vec![
        json!(null),
        json!({"type": "ByteLevel"}),
        json!({"type": "Metaspace", "replacement": "▁"}),
        json!({"type": "Whitespace"}),
        json!({"type": "BertPreTokenizer"}),
        json!({"type": "Digits"}),
        json!({"type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Isolated",
               "invert": false}),
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false,
               "use_regex": true}),
    ]);
    let merges = prop::collection::vec((name(), name()), 0..4);
    let added = prop::collection::vec((name(), id(), any::<bool>()), 0..3);
    let unknown =
        prop::option::of(prop_oneof![name().prop_map(|n| json!(n)), id().prop_map(|i| json!(i))]);
    (kind, prop_oneof![map, list], merges, step.clone(), step, added, unknown).prop_map(
        |(kind, vocab, merges, pre_tokenizer, decoder, added, unknown)| {
            let added: Vec<Value> = added
                .iter()
                .map(|(name, id, special)| json!({"id": id, "content": name, "special": special}))
                .collect();
            json!({
                "version": "1.0", "added_tokens": added, "pre_tokenizer": pre_tokenizer,
                "decoder": decoder,
                "model": {"type": kind, "vocab": vocab, "merges": merges, "unk_token": unknown,
                          "unk_id": unknown, "continuing_subword_prefix": "##",
                          "max_input_chars_per_word": 10},
            })
        },
    )
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn no_description_panics(file in descriptions(), text in "[ab<s>▁ \n語]{0,12}") {
        if let Ok(tokenizer) = load(&file) {
            let ids = tokenizer.encode(&text);
            tokenizer.encode_with_specials(&text);
            tokenizer.decode(&ids).unwrap();
            prop_assert!(tokenizer.vocab_size() < 2000);
        }
    }
}

proptest! {
    // Each case reads a whole file.
    #![proptest_config(cases(64))]

    #[test]
    fn no_damage_panics(at in 0..NANO.len(), bytes in prop::collection::vec(any::<u8>(), 0..3)) {
        let mut file = NANO.to_vec();
        let end = (at + bytes.len()).min(file.len());
        file.splice(at..end, bytes);
        if let Ok(tokenizer) = Tokenizer::from_json(&file) {
            let ids = tokenizer.encode("Hello <|end|>");
            tokenizer.decode(&ids).unwrap();
        }
    }
}
