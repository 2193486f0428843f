//! A conversation with nano: events, counts, stop strings, and what does not fit.

use gptoss_engine::{
    ChatDone, ChatEvent, ChatOpening, ChatRequest, ChatStream, Engine, FinishReason,
    SamplingParams, TextKind, fit_conversation,
};
use gptoss_harmony::{Content, Conversation, Message, Role};

struct Answer {
    text: String,
    message: Message,
    done: ChatDone,
    tokens: Vec<u32>,
}

fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

fn ask(engine: &Engine, request: ChatRequest) -> Answer {
    let mut session = engine.session(512).unwrap();
    let (mut text, mut messages, mut tokens) = (String::new(), Vec::new(), Vec::new());
    let mut done = None;
    for event in ChatStream::new(&mut session, request).unwrap() {
        assert!(done.is_none(), "nothing follows the end");
        match event.unwrap() {
            ChatEvent::Token { token, .. } => tokens.push(token),
            ChatEvent::Delta { kind, text: delta } => {
                assert_eq!(kind, TextKind::Answer);
                assert!(!delta.is_empty());
                text += &delta;
            }
            ChatEvent::Message { message, .. } => messages.push(message),
            ChatEvent::Repaired(repair) => panic!("nano keeps to the format: {repair}"),
            ChatEvent::Done(end) => done = Some(end),
        }
    }
    assert_eq!(messages.len(), 1, "{messages:?}");
    Answer { text, message: messages.remove(0), done: done.unwrap(), tokens }
}

fn request(messages: Vec<Message>) -> ChatRequest {
    ChatRequest::new(Conversation::new(messages), SamplingParams::default())
}

#[test]
fn nano_answers_on_the_final_channel() {
    let engine = Engine::load("nano").unwrap();
    let answer = ask(&engine, request(vec![user("Hello!")]));
    assert_eq!(answer.message, Message::assistant("final", answer.text.clone()));
    assert_eq!(answer.done.reason, FinishReason::Stop);
    assert_eq!(answer.done.completion_tokens, answer.tokens.len());
    assert_eq!((answer.done.cached_tokens, answer.done.reasoning_tokens), (0, 0));
    // <|start|>user<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>
    let harmony = engine.harmony().unwrap();
    let special = harmony.special();
    // Nano may end its answer like an earlier one in a conversation; that is the end all the same.
    assert!([special.return_, special.end].contains(answer.tokens.last().unwrap()));
    let hello = engine.tokenizer().unwrap().encode("Hello!").len();
    assert_eq!(answer.done.prompt_tokens, hello + 9);
}

#[test]
fn a_second_turn_computes_only_what_is_new() {
    let engine = Engine::load("nano").unwrap();
    let mut session = engine.session(512).unwrap();
    let mut messages = vec![user("Hello!")];
    for turn in 0..3 {
        let mut cached = 0;
        for event in ChatStream::new(&mut session, request(messages.clone())).unwrap() {
            match event.unwrap() {
                ChatEvent::Message { message, .. } => messages.push(message),
                ChatEvent::Done(done) => cached = done.cached_tokens,
                _ => {}
            }
        }
        assert!(turn == 0 || cached > 10, "turn {turn}: {cached} cached");
        messages.push(user("And now?"));
    }
}

#[test]
fn a_stop_string_ends_the_answer_and_is_not_shown() {
    let engine = Engine::load("nano").unwrap();
    let whole = ask(&engine, request(vec![user("Tell me a story.")]));
    let words: Vec<&str> = whole.text.split(' ').collect();
    assert!(words.len() > 4, "{}", whole.text);
    let stop = format!("{} {}", words[2], words[3]);
    let mut stopped = request(vec![user("Tell me a story.")]);
    stopped.stop = vec!["never said".into(), stop.clone()];
    let answer = ask(&engine, stopped);
    let expected = &whole.text[..whole.text.find(&stop).unwrap()];
    assert_eq!(answer.text, expected);
    assert_eq!(answer.message, Message::assistant("final", expected));
    assert_eq!(answer.done.reason, FinishReason::Stop);
    assert!(answer.tokens.len() < whole.tokens.len());
}

#[test]
fn limits_end_an_answer_without_losing_it() {
    let engine = Engine::load("nano").unwrap();
    let mut short = request(vec![user("Tell me a story.")]);
    short.max_tokens = Some(5);
    let answer = ask(&engine, short);
    assert_eq!((answer.tokens.len(), answer.done.reason), (5, FinishReason::MaxTokens));
    assert!(!answer.text.is_empty());

    let mut session = engine.session(512).unwrap();
    let request = request(vec![user("Tell me a story.")]);
    let mut stream = ChatStream::new(&mut session, request).unwrap();
    let mut events = Vec::new();
    while let Some(event) = stream.next() {
        events.push(event.unwrap());
        if events.len() == 10 {
            stream.cancel();
        }
    }
    let [.., ChatEvent::Message { message, .. }, ChatEvent::Done(done)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(done.reason, FinishReason::Cancelled);
    assert!(matches!(&message.content[..], [Content::Text(text)] if !text.is_empty()));
}

#[test]
fn the_oldest_turns_make_room() {
    let engine = Engine::load("nano").unwrap();
    let opening = ChatOpening { instructions: Some("Be kind.".into()), ..ChatOpening::default() };
    let mut messages = opening.messages(&engine);
    assert_eq!(messages.len(), 1, "nano was trained without a system message");
    for turn in 0..30 {
        messages.push(user(&format!("question number {turn}")));
        messages.push(Message::assistant("final", "A long answer. ".repeat(5)));
    }
    messages.push(user("the last question"));
    let mut conversation = Conversation::new(messages.clone());
    let dropped = fit_conversation(&engine, &mut conversation, 512, 100).unwrap();
    assert!(dropped > 5 && dropped < 30, "{dropped}");
    assert_eq!(conversation.messages[0], messages[0]);
    assert_eq!(conversation.messages[1..], messages[1 + 2 * dropped..]);
    let again = fit_conversation(&engine, &mut conversation, 512, 100).unwrap();
    assert_eq!(again, 0);

    let before = conversation.clone();
    let error = fit_conversation(&engine, &mut conversation, 30, 25).unwrap_err().to_string();
    assert!(error.contains("does not fit into the context of 30"), "{error}");
    assert_eq!(conversation, before);
}
