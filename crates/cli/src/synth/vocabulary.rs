//! o200k_harmony as GGUF files hold it: tokens as text, their types, and merges.

use std::collections::HashMap;

use anyhow::Context as _;
use gptoss_checkpoint::synth::VocabularyToWrite;
use gptoss_harmony::Tokenizer;

/// `tokenizer.ggml.token_type`: ordinary tokens, and those that steer the model.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;

/// The tokenizer of the published models, complete.
pub fn o200k_harmony() -> anyhow::Result<VocabularyToWrite> {
    let tokenizer = Tokenizer::o200k_harmony();
    let special = |name: &str| {
        tokenizer.special(name).with_context(|| format!("o200k_harmony has no token {name}"))
    };
    let mut vocabulary = VocabularyToWrite {
        pre: "gpt-4o".to_owned(),
        bos_token_id: special("<|startoftext|>")?,
        // The usual end, then the end of a document and of a call of a tool.
        eos_token_ids: ["<|return|>", "<|endoftext|>", "<|call|>"]
            .into_iter()
            .map(special)
            .collect::<anyhow::Result<_>>()?,
        padding_token_id: special("<|endoftext|>")?,
        ..VocabularyToWrite::default()
    };
    let alphabet = alphabet();
    let mut ranks: HashMap<&[u8], u32> = HashMap::new();
    for id in 0..tokenizer.vocab_size() as u32 {
        let bytes = tokenizer.token_bytes(id).context("o200k_harmony has no gaps")?;
        if tokenizer.is_special(id) {
            vocabulary.tokens.push(String::from_utf8_lossy(bytes).into_owned());
            vocabulary.token_types.push(CONTROL);
            continue;
        }
        let spelled = |bytes: &[u8]| -> String {
            bytes.iter().map(|byte| alphabet[usize::from(*byte)]).collect()
        };
        // Tokens come in the order of their ranks: the table has the lower ones only.
        if bytes.len() > 1 {
            let middle = split(bytes, &ranks)
                .with_context(|| format!("token {id} is no merge of two others"))?;
            let (left, right) = bytes.split_at(middle);
            vocabulary.merges.push(format!("{} {}", spelled(left), spelled(right)));
        }
        vocabulary.tokens.push(spelled(bytes));
        vocabulary.token_types.push(NORMAL);
        ranks.insert(bytes, id);
    }
    Ok(vocabulary)
}

/// Where the last merge joins a token: byte-pair encoding with the lower ranks leaves two parts.
fn split(token: &[u8], ranks: &HashMap<&[u8], u32>) -> Option<usize> {
    let mut ends: Vec<usize> = (1..=token.len()).collect();
    while ends.len() > 2 {
        let start = |part: usize| if part == 0 { 0 } else { ends[part - 1] };
        let pairs = (0..ends.len() - 1)
            .filter_map(|part| Some((ranks.get(&token[start(part)..ends[part + 1]])?, part)));
        let (_, best) = pairs.min()?;
        ends.remove(best);
    }
    Some(ends[0])
}

/// GPT-2's character for each byte: printable ones of Latin-1 are themselves, the others follow
/// from U+0100 on (openai/gpt-2, `src/encoder.py`, `bytes_to_unicode`).
fn alphabet() -> Vec<char> {
    let mut shifted = '\u{100}'..='\u{1ff}';
    (0..=u8::MAX)
        .map(|byte| match byte {
            b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
            _ => shifted.next().expect("fewer than 256 bytes are shifted"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_and_merge_is_there() {
        let vocabulary = o200k_harmony().unwrap();
        assert_eq!(vocabulary.tokens.len(), 201_088);
        assert_eq!(vocabulary.token_types.len(), 201_088);
        // All ordinary tokens but the 256 bytes.
        assert_eq!(vocabulary.merges.len(), 199_998 - 256);
        assert_eq!(vocabulary.tokens[220], "Ġ");
        assert_eq!(vocabulary.tokens[200_006], "<|start|>");
        assert_eq!((vocabulary.bos_token_id, vocabulary.padding_token_id), (199_998, 199_999));
        assert_eq!(vocabulary.eos_token_ids, [200_002, 199_999, 200_012]);
        let known: std::collections::BTreeSet<&str> =
            vocabulary.tokens.iter().map(String::as_str).collect();
        assert_eq!(known.len(), 201_088, "tokens repeat");
        for (merge, token) in vocabulary.merges.iter().zip(&vocabulary.tokens[256..]) {
            let (left, right) = merge.split_once(' ').unwrap();
            assert_eq!(&format!("{left}{right}"), token);
            assert!(known.contains(left) && known.contains(right), "{merge}");
        }
    }

    #[test]
    fn a_token_is_split_where_lower_ranks_stop() {
        let ranks: HashMap<&[u8], u32> =
            [(&b"ab"[..], 0), (b"bc", 1), (b"cd", 2), (b"abc", 3)].into();
        assert_eq!(split(b"abcd", &ranks), Some(2));
        assert_eq!(split(b"ad", &ranks), Some(1));
        assert_eq!(split(b"xyz", &ranks), None);
    }
}
