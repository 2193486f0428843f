//! Tokenizers of GGUF files: the same ids as from tokenizer.json, and what is refused.

use gptoss_harmony::{TokenId, TokenType, Tokenizer, Vocabulary, VocabularyModel};
use proptest::prelude::*;
use serde_json::Value;

const NANO: &[u8] = include_bytes!("../../../models/nano/tokenizer.json");
const ORACLE: &str = include_str!("../../../testdata/tokenizer/o200k_harmony.jsonl");

fn texts() -> Vec<String> {
    let rows = ORACLE.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter_map(|row| Some(row["text"].as_str()?.to_owned())).collect()
}

/// nano's tokenizer.json with another split pattern, and as a GGUF file would have it.
fn nano(regex: &str, pre: &str) -> (Value, Vocabulary) {
    let mut file: Value = serde_json::from_slice(NANO).unwrap();
    file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = regex.into();
    let vocab = file["model"]["vocab"].as_object().unwrap();
    let mut tokens = vec![String::new(); vocab.len()];
    for (name, id) in vocab {
        tokens[id.as_u64().unwrap() as usize] = name.clone();
    }
    let merges = file["model"]["merges"].as_array().unwrap().iter();
    let merges = merges.map(|merge| match merge.as_str() {
        Some(line) => line.to_owned(),
        None => format!("{} {}", merge[0].as_str().unwrap(), merge[1].as_str().unwrap()),
    });
    let model = VocabularyModel::Gpt2 { pre: pre.to_owned(), merges: merges.collect() };
    let mut token_types = vec![TokenType::Normal; tokens.len()];
    token_types[..9].fill(TokenType::Control);
    let vocabulary = Vocabulary { model, tokens, token_types, special_ids: vec![1, 0, 1] };
    (file, vocabulary)
}

fn load(vocabulary: &Vocabulary) -> Result<Tokenizer, String> {
    Tokenizer::from_vocabulary(vocabulary.clone()).map_err(|error| error.to_string())
}

#[test]
fn each_named_pattern_encodes_as_its_published_regex() {
    let o200k = concat!(
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
        r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    );
    let qwen2 = concat!(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    );
    let llama3 = qwen2.replace(r"|\p{N}|", r"|\p{N}{1,3}|");
    let gpt2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    let mut compared = 0;
    for (pre, regex) in [
        ("gpt-4o", o200k),
        ("qwen2", qwen2),
        ("dbrx", &llama3),
        ("llama-bpe", &llama3),
        ("gpt-2", gpt2),
    ] {
        let (mut file, vocabulary) = nano(regex, pre);
        file["model"]["ignore_merges"] = (pre == "llama-bpe").into();
        let (json, gguf) = (
            Tokenizer::from_json(file.to_string().as_bytes()).unwrap(),
            load(&vocabulary).unwrap(),
        );
        file["added_tokens"] = Value::Array(Vec::new());
        let reference = tokenizers::Tokenizer::from_bytes(file.to_string()).unwrap();
        for text in texts() {
            let expected = reference.encode(text.as_str(), false).unwrap().get_ids().to_vec();
            assert_eq!(gguf.encode(&text), expected, "{pre}: {text:?}");
            assert_eq!(json.encode(&text), expected, "{pre}: {text:?}");
            let raw = format!("<|start|>user<|message|>{text}<|end|>");
            assert_eq!(gguf.encode_with_specials(&raw), json.encode_with_specials(&raw));
            assert_eq!(gguf.decode(&expected).unwrap(), text);
            compared += 1;
        }
        assert!(gguf.special_tokens().eq(json.special_tokens()));
        assert_eq!(gguf.vocab_size(), json.vocab_size());
    }
    assert_eq!(compared, 5 * 1077);
}

/// What `smollm` stands for.
fn digits_and_gpt2() -> Value {
    serde_json::json!({"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": true},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
         "use_regex": true}]})
}

/// The tokenizer of the vocabulary, after all texts went there and back with the crate's ids.
fn assert_as_with_the_crate(mut file: Value, vocabulary: &Vocabulary) -> Tokenizer {
    file["added_tokens"] = Value::Array(Vec::new());
    let reference = tokenizers::Tokenizer::from_bytes(file.to_string()).unwrap();
    let gguf = load(vocabulary).unwrap();
    for text in texts() {
        let expected = reference.encode(text.as_str(), false).unwrap().get_ids().to_vec();
        assert_eq!(gguf.encode(&text), expected, "{text:?}");
        assert_eq!(gguf.decode(&expected).unwrap(), text);
    }
    gguf
}

#[test]
fn digits_alone_and_then_gpt2_as_with_the_crate() {
    let (mut file, vocabulary) = nano("", "smollm");
    file["pre_tokenizer"] = digits_and_gpt2();
    assert_as_with_the_crate(file, &vocabulary);
}

#[test]
fn deepseek_coder_splits_as_with_the_crate() {
    let (mut file, vocabulary) = nano("", "deepseek-coder");
    let split = |regex: &str| {
        serde_json::json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated",
            "invert": false})
    };
    // As the published tokenizer.json has them.
    file["pre_tokenizer"] = serde_json::json!({"type": "Sequence", "pretokenizers": [
        split("[\r\n]"), split("\\s?\\p{L}+"), split("\\s?\\p{P}+"),
        split("[一-龥ࠀ-一가-\u{D7FF}]+"),
        {"type": "Digits", "individual_digits": true},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
         "use_regex": false}]});
    let gguf = assert_as_with_the_crate(file, &vocabulary);
    assert_eq!(gguf.encode_with_specials("<|start|>Hi<|end|>")[0], 5);
}

/// SmolLM2's vocabulary has no token for some control characters.
#[test]
fn a_byte_without_a_token_is_left_out_as_with_the_crate() {
    let (mut file, mut vocabulary) = nano("", "smollm");
    file["pre_tokenizer"] = digits_and_gpt2();
    file["added_tokens"] = Value::Array(Vec::new());
    let byte = "\u{104}";
    let id = vocabulary.tokens.iter().position(|token| token == byte).unwrap();
    vocabulary.tokens[id] = "unusual".to_owned();
    let tokens = file["model"]["vocab"].as_object_mut().unwrap();
    let number = tokens.remove(byte).unwrap();
    tokens.insert("unusual".to_owned(), number);
    let reference = tokenizers::Tokenizer::from_bytes(file.to_string()).unwrap();
    let json = Tokenizer::from_json(file.to_string().as_bytes()).unwrap();
    let gguf = load(&vocabulary).unwrap();
    for text in ["a\u{4}b", "\u{4}", "hello\u{4} world, \u{4}\u{4}hello world", "no such byte"] {
        let expected = reference.encode(text, false).unwrap().get_ids().to_vec();
        assert_eq!(gguf.encode(text), expected, "{text:?}");
        assert_eq!(json.encode(text), expected, "{text:?}");
    }
    let mut expected = gguf.encode("a\u{4}b");
    expected.extend(gguf.encode_bytes(b"\xff"));
    assert_eq!(gguf.encode_bytes(b"a\x04b\xff"), expected);
}

/// The vocabulary of o200k as a GGUF file of a gpt-oss model writes it.
fn o200k(pre: &str) -> Vocabulary {
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
    let spell = |id: TokenId| {
        let bytes = embedded.token_bytes(id).unwrap();
        bytes.iter().map(|&byte| letters[usize::from(byte)]).collect()
    };
    let specials = embedded.special_tokens().map(|(name, _)| name.to_owned());
    let tokens = (0..199_998).map(spell).chain(specials).collect();
    let model = VocabularyModel::Gpt2 { pre: pre.to_owned(), merges: Vec::new() };
    Vocabulary { model, tokens, token_types: Vec::new(), special_ids: vec![199_999] }
}

#[test]
fn the_vocabulary_of_gpt_oss_is_the_embedded_tokenizer_and_a_changed_one_is_not() {
    for pre in ["gpt-4o", "default"] {
        assert_eq!(load(&o200k(pre)).unwrap().name(), "o200k_harmony", "{pre}");
    }
    let mut changed = o200k("gpt-4o");
    changed.tokens.swap(1000, 1001);
    assert_ne!(load(&changed).unwrap().name(), "o200k_harmony");
    let mut changed = o200k("gpt-4o");
    changed.tokens[200_006] = "<|begin|>".to_owned();
    assert_ne!(load(&changed).unwrap().name(), "o200k_harmony");
}

#[test]
fn what_does_not_fit_together_is_refused_with_its_place() {
    let change = |change: fn(&mut Vocabulary)| {
        let (_, mut vocabulary) = nano("", "gpt-4o");
        change(&mut vocabulary);
        load(&vocabulary).unwrap_err()
    };
    let cases = [
        (change(|v| v.tokens.clear()), "tokenizer.ggml.tokens: expected at least one token"),
        (change(|v| v.token_types.truncate(3)), "token_type: expected 4096 types"),
        (change(|v| v.special_ids.push(4096)), "below 4096, found 4096"),
        (change(|v| v.tokens[300] = "x y".to_owned()), "merge"),
        (change(|v| v.tokens[20] = "long".to_owned()), "with a token that is missing"),
        (
            change(|v| v.model = VocabularyModel::Gpt2 { pre: "gpt-5".into(), merges: vec![] }),
            "tokenizer.ggml.pre: not supported",
        ),
        (
            change(|v| v.model = VocabularyModel::Gpt2 { pre: "default".into(), merges: vec![] }),
            "found `default`",
        ),
        (
            change(|v| {
                v.model = VocabularyModel::Gpt2 { pre: "qwen2".into(), merges: vec!["ab".into()] }
            }),
            "expected two byte-level tokens, found \"ab\" for merge 0",
        ),
        (
            change(|v| v.model = VocabularyModel::Llama { scores: vec![], add_space_prefix: true }),
            "tokenizer.ggml.scores: expected 4096 scores",
        ),
    ];
    assert_eq!(cases.len(), 9);
    for (error, part) in cases {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(TokenType::from_gguf(3), Some(TokenType::Control));
    assert_eq!((TokenType::from_gguf(0), TokenType::from_gguf(7)), (None, None));
}

/// `<unk>`, `<s>`, `</s>`, the bytes, and these pieces with falling scores.
fn llama(pieces: &[(&str, f32)], add_space_prefix: bool) -> Vocabulary {
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(str::to_owned).to_vec();
    let mut token_types = vec![TokenType::Unknown, TokenType::Control, TokenType::Control];
    tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    token_types.extend([TokenType::Byte; 256]);
    let mut scores = vec![0.0; tokens.len()];
    for (piece, score) in pieces {
        tokens.push((*piece).to_owned());
        token_types.push(TokenType::Normal);
        scores.push(*score);
    }
    let model = VocabularyModel::Llama { scores, add_space_prefix };
    Vocabulary { model, tokens, token_types, special_ids: vec![1, 2] }
}

const PIECES: [(&str, f32); 12] = [
    ("▁a", -1.0),
    ("ab", -2.0),
    ("▁ab", -3.0),
    ("bc", -4.0),
    ("<s>", -5.0),
    ("▁▁", -6.0),
    ("a", -7.0),
    ("b", -8.0),
    ("c", -9.0),
    ("▁", -10.0),
    ("<", -11.0),
    ("s", -12.0),
];

#[test]
fn the_pair_with_the_highest_score_merges_first() {
    let tokenizer = load(&llama(&PIECES, true)).unwrap();
    let names = |text: &str| {
        let ids = tokenizer.encode(text);
        let name = |id: &TokenId| match id {
            259.. => PIECES[*id as usize - 259].0.to_owned(),
            id => format!("#{}", id - 3),
        };
        ids.iter().map(name).collect::<Vec<_>>()
    };
    // ▁+a before a+b; then ▁a+b is a token.
    assert_eq!(names("ab"), ["▁ab"]);
    // a+b before b+c, although b+c is a token.
    assert_eq!(names("cabc"), ["▁", "c", "ab", "c"]);
    // Runs of equal pairs merge from the left.
    assert_eq!(names("   "), ["▁▁", "▁▁"]);
    assert_eq!(names("  a"), ["▁▁", "▁a"]);
    // What is no token is written in bytes; `<s>` is a piece here and not the token <s>.
    assert_eq!(names("é"), ["▁", "#195", "#169"]);
    assert_eq!(names("<s"), ["▁", "<", "s"]);
    assert_eq!(names(""), Vec::<String>::new());
    assert_eq!(tokenizer.encode_with_specials("<s>ab</s>"), [1, 261, 2]);
    assert_eq!(tokenizer.token_bytes(261), Some(" ab".as_bytes()));
    assert_eq!(tokenizer.token_bytes(3 + 0xC3), Some(&[0xC3][..]));
    assert_eq!(tokenizer.decode(&tokenizer.encode("aé")).unwrap(), " aé");
}

#[test]
fn without_byte_tokens_a_character_is_unknown_once() {
    let mut vocabulary = llama(&PIECES, false);
    vocabulary.token_types[3..259].fill(TokenType::Unused);
    let tokenizer = load(&vocabulary).unwrap();
    assert_eq!(tokenizer.encode("aé語b"), [265, 0, 0, 266]);
    vocabulary.token_types[0] = TokenType::Control;
    let error = load(&vocabulary).unwrap_err();
    assert!(error.contains("tokens for all 256 bytes or one for the unknown"), "{error}");
    let VocabularyModel::Llama { scores, .. } = &mut vocabulary.model else { unreachable!() };
    scores[260] = f32::NAN;
    vocabulary.token_types[0] = TokenType::Unknown;
    assert!(load(&vocabulary).unwrap_err().contains("expected numbers, found NaN"));
}

/// So many cases; failures are printed and not kept in files.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn text_comes_back_from_scores(text in "[abc<s>/é語 ]{0,40}|\\PC{0,20}", prefix: bool) {
        let tokenizer = load(&llama(&PIECES, prefix)).unwrap();
        let ids = tokenizer.encode(&text);
        // A literal ▁ is a space to SentencePiece.
        let spaced = text.replace('▁', " ");
        let expected = if prefix && !text.is_empty() { format!(" {spaced}") } else { spaced };
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), expected);
        prop_assert!(!ids.iter().any(|&id| tokenizer.is_special(id)));
    }
}

/// A model that SentencePiece trained, and what it makes of texts: see testdata/tokenizer.
#[test]
fn agrees_with_sentencepiece() {
    let oracle = include_str!("../../../testdata/tokenizer/sentencepiece.jsonl");
    let mut rows = oracle.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let model = rows.next().unwrap();
    let pieces = model["pieces"].as_array().unwrap();
    let tokens = pieces.iter().map(|piece| piece[0].as_str().unwrap().to_owned()).collect();
    let scores = pieces.iter().map(|piece| piece[1].as_f64().unwrap() as f32).collect();
    let kind = |piece: &Value| TokenType::from_gguf(piece[2].as_i64().unwrap() as i32).unwrap();
    let token_types = pieces.iter().map(kind).collect();
    let model = VocabularyModel::Llama { scores, add_space_prefix: true };
    let tokenizer =
        load(&Vocabulary { model, tokens, token_types, special_ids: vec![1, 2] }).unwrap();
    let mut compared = 0;
    for row in rows {
        let text = row["text"].as_str().unwrap();
        let ids: Vec<TokenId> =
            row["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        assert_eq!(tokenizer.encode(text), ids, "{text:?}");
        compared += 1;
    }
    assert!(compared > 500, "{compared}");
}
