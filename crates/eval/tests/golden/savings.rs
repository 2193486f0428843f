//! What shared beginnings save: the bar is a tenth of the tokens of MMLU with five examples.

use gptoss_eval::plan::{Cost, Plan};
use gptoss_eval::request::{Prompt, PromptOptions, questions};
use gptoss_eval::task::find;
use gptoss_eval::tokens::{Encoder, TokenizerEncoder, encode_pair};
use gptoss_harmony::Tokenizer;

use crate::data;
use crate::stub::Bytes;

/// What the four subjects of the test data cost.
fn cost(task: &str, shots: usize, encoder: &dyn Encoder) -> Cost {
    let mut cost = Cost::default();
    for subject in ["abstract_algebra", "business_ethics", "econometrics", "jurisprudence"] {
        let name = task.replace('*', subject);
        let task = find(&name).unwrap().tasks.remove(0);
        let options = PromptOptions { shots: Some(shots), ..PromptOptions::default() };
        let mut requests = Vec::new();
        for question in questions(&task, &data(), &options).unwrap().questions {
            let Prompt::Choices(pairs) = &question.prompt else { panic!("choices") };
            requests.extend(pairs.iter().map(|pair| encode_pair(encoder, pair)));
        }
        cost += Plan::new(&requests).cost;
    }
    cost
}

#[test]
fn mmlu_with_five_examples_costs_a_tenth() {
    let tokenizer = Tokenizer::o200k_harmony();
    let end = tokenizer.special("<|endoftext|>").unwrap();
    let o200k = TokenizerEncoder { tokenizer, begin: None, prefix: end };
    for (encoder, name) in [(&Bytes as &dyn Encoder, "bytes"), (&o200k, "o200k")] {
        let five = cost("mmlu_*", 5, encoder);
        assert_eq!(five.requests, 422 * 4);
        assert!(five.computed_tokens * 10 <= five.naive_tokens, "{name}: {five:?}");
        // Without examples, the four choices of a question still share it.
        let none = cost("mmlu_*", 0, encoder);
        assert!(none.computed_tokens * 4 <= none.naive_tokens, "{name}: {none:?}");
        let cloze = cost("mmlu_*_continuation", 0, encoder);
        assert!(cloze.computed_tokens * 2 <= cloze.naive_tokens, "{name}: {cloze:?}");
    }
}
