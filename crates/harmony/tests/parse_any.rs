//! Any ids whatever are parsed: no panic, no text lost, no reasoning on the channel `final`.
//!
//! `PROPTEST_CASES=100000 cargo test -p gptoss-harmony --test parse_any` looks longer.

use std::sync::LazyLock;

use gptoss_harmony::parse::{MessageEnd, ParseEvent, ParseOptions, ParseState, StreamParser};
use gptoss_harmony::{
    AnalysisRule, Conversation, HarmonyEncoding, Message, RecipientPosition, RenderOptions, Role,
    TokenId, Tokenizer,
};
use proptest::prelude::*;

static ENCODING: LazyLock<HarmonyEncoding> =
    LazyLock::new(|| HarmonyEncoding::new(Tokenizer::o200k_harmony()).unwrap());

fn options() -> impl Strategy<Value = ParseOptions> {
    let role = prop_oneof![Just(None), Just(Some(Role::Assistant)), Just(Some(Role::User))];
    let tools = prop_oneof![Just(None), Just(Some(vec!["functions.f".to_owned()]))];
    (role, tools).prop_map(|(role, tools)| ParseOptions { role, tools })
}

/// Failures are not written to a file: the message holds the whole input.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// Everything that a stream has given, with the rules checked that hold for any stream.
struct Parsed {
    messages: Vec<Message>,
    /// Every text: of the messages, of their headers and of the repairs.
    all_text: String,
}

fn parse(ids: &[TokenId], options: &ParseOptions) -> Parsed {
    let mut parser = StreamParser::new(&ENCODING, options.clone());
    let mut events = Vec::new();
    for id in ids {
        let new = parser.push(*id);
        let delta = new.iter().find_map(|event| match event {
            ParseEvent::TextDelta(text) => Some(text.as_str()),
            _ => None,
        });
        if parser.state() == ParseState::Content {
            assert_eq!(parser.last_delta(), delta);
        }
        events.extend(new);
    }
    events.extend(parser.finish(MessageEnd::Length));
    let (mut open, mut messages, mut all_text) = (None, Vec::new(), String::new());
    for event in events {
        match event {
            ParseEvent::MessageStart(header) => {
                assert!(open.replace((header, String::new())).is_none(), "a message in a message");
            }
            ParseEvent::TextDelta(delta) => {
                let (_, text) = open.as_mut().expect("text only inside a message");
                *text += &delta;
            }
            ParseEvent::MessageEnd { message, .. } => {
                let (header, text) = open.take().expect("an end only after a start");
                assert_eq!((&message.text(), message.role), (&text, header.role));
                assert_eq!(message.channel, header.channel);
                all_text += &format!("\n{message:?}");
                messages.push(message);
            }
            ParseEvent::Repaired(repair) => all_text += &format!("\n{repair}"),
            ParseEvent::Stop(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(open.is_none(), "a message without an end");
    assert_eq!(messages, parser.messages());
    Parsed { messages, all_text }
}

/// A stretch of a stream: special tokens, words that matter in headers, or any id.
fn stretch() -> impl Strategy<Value = Vec<TokenId>> {
    let encode = |text: &str| ENCODING.tokenizer().encode_with_specials(text);
    let known = [
        "<|start|>",
        "<|channel|>",
        "<|message|>",
        "<|constrain|>",
        "<|end|>",
        "<|return|>",
        "<|call|>",
        "<|endoftext|>",
        "<|reserved_200013|>",
        "assistant",
        "user",
        "user:bob",
        "analysis",
        "commentary",
        "final",
        " to=",
        "to=functions.f",
        "functions.f",
        " to=assistant",
        " json",
        "json{",
        " ",
        "\n",
        "<|start|>assistant",
        "<|channel|>final<|message|>",
        "<|channel|>analysis<|message|>",
    ];
    prop_oneof![
        8 => prop::sample::select(known.map(encode).to_vec()),
        1 => prop::collection::vec(0u32..201_100, 1..3),
        1 => any::<u32>().prop_map(|id| vec![id]),
    ]
}

/// Text that is in the stream in one piece and nowhere else.
fn word(i: usize) -> String {
    format!("Word{i}q")
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_ids_become_messages_and_no_word_is_lost(
        stretches in prop::collection::vec((stretch(), any::<bool>()), 0..40),
        options in options(),
    ) {
        let mut ids = Vec::new();
        let mut words = Vec::new();
        for (i, (stretch, with_word)) in stretches.into_iter().enumerate() {
            ids.extend(stretch);
            if with_word {
                words.push(word(i));
                ids.extend(ENCODING.tokenizer().encode(&word(i)));
            }
        }
        let parsed = parse(&ids, &options);
        for word in words {
            prop_assert!(parsed.all_text.contains(&word), "{word} of {ids:?}: {}", parsed.all_text);
        }
    }

    #[test]
    fn a_parser_that_is_copied_midway_goes_on_alike(
        stretches in prop::collection::vec(stretch(), 0..30),
        cut in any::<prop::sample::Index>(),
        options in options(),
    ) {
        let ids = stretches.concat();
        let cut = cut.index(ids.len() + 1);
        let mut first = StreamParser::new(&ENCODING, options.clone());
        ids[..cut].iter().for_each(|id| drop(first.push(*id)));
        let mut second = first.clone();
        for id in &ids[cut..] {
            prop_assert_eq!(first.push(*id), second.push(*id));
        }
        second.finish(MessageEnd::Length);
        prop_assert_eq!(second.messages(), parse(&ids, &options).messages);
    }
}

/// Reasoning says `Think…`, the rest `Say…`; each text is one of a kind.
fn messages() -> impl Strategy<Value = Vec<Message>> {
    let message = |i: usize, kind: u8| match kind {
        0 | 1 => Message::assistant("analysis", format!("Think{i}q of it.")),
        2 => Message::assistant("commentary", format!("{{\"Say{i}q\": 1}}"))
            .with_recipient("functions.f")
            .with_content_type("<|constrain|>json"),
        3 => Message::tool_answer("functions.f", "commentary", format!("Say{i}q")),
        _ => Message::assistant("final", format!("Say{i}q it.")),
    };
    prop::collection::vec(0u8..5, 1..5).prop_map(move |kinds| {
        kinds.into_iter().enumerate().map(|(i, kind)| message(i, kind)).collect()
    })
}

#[derive(Clone, Debug)]
enum Mutation {
    Remove,
    Repeat,
    SwapWithNext,
    Insert(Vec<TokenId>),
    CutHere,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        3 => Just(Mutation::Remove),
        1 => Just(Mutation::Repeat),
        1 => Just(Mutation::SwapWithNext),
        3 => stretch().prop_map(|ids| Mutation::Insert(vec![ids[0]])),
        1 => Just(Mutation::CutHere),
    ]
}

fn mutate(ids: &mut Vec<TokenId>, place: prop::sample::Index, mutation: &Mutation) {
    if ids.is_empty() {
        return;
    }
    let i = place.index(ids.len());
    match mutation {
        Mutation::Remove => drop(ids.remove(i)),
        Mutation::Repeat => ids.insert(i, ids[i]),
        Mutation::SwapWithNext if i + 1 < ids.len() => ids.swap(i, i + 1),
        Mutation::SwapWithNext => {}
        Mutation::Insert(new) => drop(ids.splice(i..i, new.iter().copied())),
        Mutation::CutHere => ids.truncate(i),
    }
}

/// The texts of `messages` that are whole in the mutated stream.
fn survivors(messages: &[Message], ids: &[TokenId]) -> Vec<String> {
    let known: Vec<TokenId> =
        ids.iter().copied().filter(|id| ENCODING.tokenizer().token_bytes(*id).is_some()).collect();
    let stream = ENCODING.tokenizer().decode_bytes(&known).unwrap();
    let stream = String::from_utf8_lossy(&stream).into_owned();
    let names = messages.iter().flat_map(|message| {
        let text = message.text();
        let start = text.find(|c: char| c.is_ascii_uppercase()).unwrap();
        let len = text[start..].find('q').unwrap() + 1;
        [text[start..start + len].to_owned()]
    });
    names.filter(|name| stream.contains(name.as_str())).collect()
}

fn stream(messages: Vec<Message>) -> Vec<TokenId> {
    let options =
        RenderOptions { analysis: AnalysisRule::KeepAll, recipient: RecipientPosition::Role };
    ENCODING.render_conversation(&Conversation::new(messages), &options).unwrap()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn one_mutation_loses_no_text_and_moves_no_reasoning_to_final(
        messages in messages(),
        (place, mutation) in (any::<prop::sample::Index>(), mutation()),
    ) {
        let mut ids = stream(messages.clone());
        mutate(&mut ids, place, &mutation);
        let parsed = parse(&ids, &ParseOptions::default());
        for name in survivors(&messages, &ids) {
            prop_assert!(parsed.all_text.contains(&name), "{name}: {}", parsed.all_text);
        }
        for message in parsed.messages.iter().filter(|m| m.channel.as_deref() == Some("final")) {
            prop_assert!(!message.text().contains("Think"), "{:?} {:?}", mutation, parsed.messages);
        }
    }

    #[test]
    fn many_mutations_lose_no_text(
        messages in messages(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), mutation()), 1..8),
        options in options(),
    ) {
        let mut ids = stream(messages.clone());
        for (place, mutation) in &mutations {
            mutate(&mut ids, *place, mutation);
        }
        let parsed = parse(&ids, &options);
        for name in survivors(&messages, &ids) {
            prop_assert!(parsed.all_text.contains(&name), "{name}: {}", parsed.all_text);
        }
    }
}

#[test]
fn a_long_text_costs_the_same_for_every_token() {
    let mut parser = StreamParser::new(&ENCODING, ParseOptions::completion(Vec::new()));
    for id in ENCODING.tokenizer().encode_with_specials("<|channel|>analysis<|message|>") {
        parser.push(id);
    }
    let word = ENCODING.tokenizer().encode(" word")[0];
    // Quadratic work on this many tokens would take minutes.
    let count = 300_000;
    for _ in 0..count {
        assert_eq!(parser.push(word), [ParseEvent::TextDelta(" word".to_owned())]);
    }
    parser.finish(MessageEnd::Length);
    assert_eq!(parser.messages()[0].text().len(), 5 * count);
}
