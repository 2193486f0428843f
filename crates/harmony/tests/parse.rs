//! The streaming parser agrees with openai-harmony 0.0.8 on well-formed ids and reads the rest.

use gptoss_harmony::parse::{MessageEnd, ParseEvent, ParseOptions, ParseState, StreamParser};
use gptoss_harmony::{HarmonyEncoding, Message, Role, TokenId, Tokenizer};
use serde_json::{Value, json};

fn encoding() -> HarmonyEncoding {
    HarmonyEncoding::new(Tokenizer::o200k_harmony()).unwrap()
}

fn rows(file: &str) -> Vec<Value> {
    file.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn given() -> Vec<Value> {
    rows(include_str!("../../../testdata/harmony/parse.jsonl"))
}

fn ids(row: &Value) -> Vec<TokenId> {
    row["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as TokenId).collect()
}

fn parser(row: &Value) -> StreamParser {
    let role = row["role"].as_str().map(|word| Role::from_word(word).unwrap());
    StreamParser::new(&encoding(), ParseOptions { role, tools: None })
}

/// The parser's state after an id, in the order of the rows' `stream`.
fn state(parser: &StreamParser) -> Value {
    let header = parser.header();
    let [channel, recipient, content_type] = [
        header.and_then(|header| header.channel.as_deref()),
        header.and_then(|header| header.recipient.as_deref()),
        header.and_then(|header| header.content_type.as_deref()),
    ];
    let role = parser.role().map(Role::as_str);
    json!([parser.state().as_str(), role, channel, recipient, content_type, parser.last_delta()])
}

/// Rows of the given file that are read differently on purpose: what the library gives, and
/// why ours is `(role, channel, recipient, content type, text)`.
type Ours =
    (&'static str, Option<&'static str>, Option<&'static str>, Option<&'static str>, &'static str);
const DIFFERENT: [(&str, &[Ours]); 10] = [
    // The library gives up; ours has no message, because nothing was said.
    ("truncated_header", &[]),
    ("truncated_empty", &[]),
    // The library gives up, or, when lenient, gives the first message no channel.
    (
        "missing_message_strict",
        &[
            ("assistant", Some("final"), None, None, "I must refuse"),
            ("assistant", Some("final"), None, None, "no"),
        ],
    ),
    (
        "missing_message_lax",
        &[
            ("assistant", Some("final"), None, None, "I must refuse"),
            ("assistant", Some("final"), None, None, "no"),
        ],
    ),
    // The library keeps the token as text.
    ("endoftext", &[("assistant", Some("final"), None, None, "a")]),
    // The library gives up on everything below.
    ("unknown_role", &[("assistant", None, None, None, "x")]),
    ("garbage_header", &[("assistant", Some("final"), None, None, "x")]),
    ("two_recipients", &[("assistant", Some("commentary"), Some("b"), None, "x")]),
    (
        "text_between",
        &[
            ("assistant", Some("final"), None, None, "a"),
            ("assistant", Some("final"), None, None, "zzz"),
            ("assistant", None, None, None, "b"),
        ],
    ),
    ("whitespace_header", &[("assistant", Some("final"), None, None, "x")]),
];

/// As [`DIFFERENT`], where the library reads `<|channel|>` as a part of a name.
const CHANNEL_TWICE: (&str, &[Ours]) =
    ("channel_twice", &[("assistant", Some("final"), None, None, "x")]);

fn ours(message: &Message) -> (&str, Option<&str>, Option<&str>, Option<&str>, String) {
    (
        message.role.as_str(),
        message.channel.as_deref(),
        message.recipient.as_deref(),
        message.content_type.as_deref(),
        message.text(),
    )
}

#[test]
fn well_formed_ids_give_the_library_s_messages_and_states() {
    let mut compared = 0;
    let more = rows(include_str!("../../../testdata/harmony/parse_more.jsonl"));
    for row in given().iter().chain(&more) {
        let name = row["name"].as_str().unwrap();
        let listed = DIFFERENT.iter().chain([&CHANNEL_TWICE]).any(|(listed, _)| *listed == name);
        if listed {
            continue;
        }
        let mut parser = parser(row);
        for (i, id) in ids(row).into_iter().enumerate() {
            parser.push(id);
            assert_eq!(state(&parser), row["stream"][i], "{name}, id {i}");
            compared += 1;
        }
        parser.finish(MessageEnd::Eos);
        assert_eq!(json!(parser.messages()), row["messages"], "{name}");
        let without_to = ["dev_lax_garbage", "function_without_to"].contains(&name);
        assert_eq!(parser.repair_count(), usize::from(without_to), "{name}");
    }
    assert!(compared > 3000, "{compared}");
}

#[test]
fn the_listed_rows_are_read_as_listed() {
    for (name, expected) in DIFFERENT.iter().chain([&CHANNEL_TWICE]) {
        let rows = given();
        let row = rows.iter().find(|row| row["name"] == **name).unwrap();
        let mut parser = parser(row);
        ids(row).into_iter().for_each(|id| drop(parser.push(id)));
        parser.finish(MessageEnd::Eos);
        let found: Vec<_> = parser.messages().iter().map(ours).collect();
        let expected: Vec<_> =
            expected.iter().map(|(a, b, c, d, e)| (*a, *b, *c, *d, (*e).to_owned())).collect();
        assert_eq!(found, expected, "{name}");
        assert!(parser.repair_count() > 0 || *name == "truncated_empty", "{name}");
    }
}

#[test]
fn the_events_of_a_message_add_up_to_it() {
    let mut compared = 0;
    for row in given() {
        let mut parser = parser(&row);
        let mut events: Vec<_> = ids(&row).into_iter().flat_map(|id| parser.push(id)).collect();
        events.extend(parser.finish(MessageEnd::Length));
        let (mut text, mut header, mut messages) = (String::new(), None, Vec::new());
        for event in events {
            match event {
                ParseEvent::MessageStart(start) => {
                    assert!(header.replace(start).is_none());
                    text.clear();
                }
                ParseEvent::TextDelta(delta) => {
                    assert!(!delta.is_empty() && header.is_some());
                    text += &delta;
                }
                ParseEvent::MessageEnd { message, .. } => {
                    let header = header.take().unwrap();
                    assert_eq!(message.channel, header.channel);
                    assert_eq!(message.recipient, header.recipient);
                    assert_eq!(message.text(), text);
                    messages.push(message);
                    compared += 1;
                }
                ParseEvent::Repaired(_) | ParseEvent::Stop(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(messages, parser.messages());
        assert_eq!(parser.state(), ParseState::ExpectStart);
        assert_eq!(parser.finish(MessageEnd::Eos), []);
    }
    assert!(compared > 25, "{compared}");
}

#[test]
fn what_was_rendered_is_parsed_back() {
    let conversation = gptoss_harmony::Conversation::new(vec![
        Message::new(Role::User, "hi").with_name("bob"),
        Message::assistant("analysis", "think"),
        Message::assistant("commentary", "{}")
            .with_recipient("functions.f")
            .with_content_type("<|constrain|>json"),
        Message::tool_answer("functions.f", "commentary", "<|end|>"),
        Message::new(Role::Tool, "1").with_name("python"),
        Message::assistant("final", "{}").with_content_type("json"),
        Message::assistant("final", "{}").with_content_type("<|constrain|>json"),
        Message::new(Role::Assistant, ""),
    ]);
    for recipient in
        [gptoss_harmony::RecipientPosition::Role, gptoss_harmony::RecipientPosition::Channel]
    {
        let analysis = gptoss_harmony::AnalysisRule::KeepAll;
        let options = gptoss_harmony::RenderOptions { analysis, recipient };
        let ids = encoding().render_conversation(&conversation, &options).unwrap();
        let mut parser = StreamParser::new(&encoding(), ParseOptions::default());
        ids.into_iter().for_each(|id| drop(parser.push(id)));
        assert_eq!(parser.messages(), conversation.messages);
        assert_eq!(parser.repair_count(), 0);
    }
}
