//! A model that talks with a chat template: nano with other names for its special tokens.

mod template_model;

use gptoss_checkpoint::Model;
use gptoss_engine::{
    ChatEvent, ChatOpening, ChatRequest, ChatStream, Engine, EngineError, EngineOptions,
    FinishReason, PromptSetting, SamplingParams, TextKind, fit_conversation, prompt_tokens,
};
use gptoss_harmony::{
    Conversation, Message, ReasoningEffort, Role, SystemContent, TemplateError, ToolNamespace,
};

/// nano under other names.
fn renamed() -> Model {
    let folder = tempfile::tempdir().unwrap();
    template_model::write(folder.path());
    Model::open(folder.path()).unwrap()
}

fn engine_of(model: Model) -> Engine {
    Engine::from_model(model, &EngineOptions::default()).unwrap()
}

fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

fn request(messages: Vec<Message>) -> ChatRequest {
    let sampling = SamplingParams { temperature: 0.0, ..SamplingParams::default() };
    ChatRequest::new(Conversation::new(messages), sampling)
}

/// The text of an answer, its message and how it ended.
fn ask(engine: &Engine, request: ChatRequest) -> (String, Message, FinishReason) {
    let mut session = engine.session(512).unwrap();
    let (mut text, mut messages, mut reason) = (String::new(), Vec::new(), None);
    for event in ChatStream::new(&mut session, request).unwrap() {
        match event.unwrap() {
            ChatEvent::Delta { kind, text: delta } => {
                assert_eq!(kind, TextKind::Answer);
                text += &delta;
            }
            ChatEvent::Message { message, .. } => messages.push(message),
            ChatEvent::Done(done) => reason = Some(done.reason),
            _ => {}
        }
    }
    assert_eq!(messages.len(), 1, "{messages:?}");
    (text, messages.remove(0), reason.unwrap())
}

#[test]
fn the_same_prompt_under_other_names_has_the_same_answer() {
    let (nano, template) = (Engine::load("nano").unwrap(), engine_of(renamed()));
    assert!(template.chat_format().unwrap().as_template().is_some());
    let mut messages = vec![user("What is 2 plus 3?")];
    for question in ["And 4 plus 4?", "Tell me a story."] {
        let conversation = Conversation::new(messages.clone());
        let prompt = prompt_tokens(&nano, &conversation).unwrap().0;
        assert_eq!(prompt_tokens(&template, &conversation).unwrap(), (prompt, Vec::new()));
        let (expected, answer, _) = ask(&nano, request(messages.clone()));
        let (text, message, reason) = ask(&template, request(messages.clone()));
        assert!(!expected.is_empty());
        assert_eq!((text.as_str(), reason), (expected.as_str(), FinishReason::Stop));
        assert_eq!(message, Message::assistant("final", expected));
        messages.extend([answer, user(question)]);
    }
}

#[test]
fn stop_strings_and_limits_end_an_answer() {
    let engine = engine_of(renamed());
    let (whole, ..) = ask(&engine, request(vec![user("Tell me a story.")]));
    let words: Vec<&str> = whole.split(' ').collect();
    let mut stopped = request(vec![user("Tell me a story.")]);
    stopped.stop = vec![format!("{} {}", words[2], words[3])];
    let expected = whole[..whole.find(&stopped.stop[0]).unwrap()].to_owned();
    let (text, message, reason) = ask(&engine, stopped);
    assert_eq!((text.as_str(), reason), (expected.as_str(), FinishReason::Stop));
    assert_eq!(message.text(), expected);
    let mut short = request(vec![user("Tell me a story.")]);
    short.max_tokens = Some(4);
    let (text, _, reason) = ask(&engine, short);
    assert!(!text.is_empty() && whole.starts_with(&text));
    assert_eq!(reason, FinishReason::MaxTokens);
}

#[test]
fn the_oldest_turns_make_room_here_too() {
    let engine = engine_of(renamed());
    let opening = ChatOpening { instructions: Some("Be kind.".into()), ..ChatOpening::default() };
    let mut messages = opening.messages(&engine);
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
}

#[test]
fn what_the_template_cannot_say_is_refused() {
    let engine = engine_of(renamed());
    let error = |messages| prompt_tokens(&engine, &Conversation::new(messages)).unwrap_err();
    let refused = error(vec![user("a"), user("b")]);
    let EngineError::Template(TemplateError::Refused { message }) = refused else {
        panic!("{refused}");
    };
    assert_eq!(message, "roles must alternate");
    let call = Message::assistant("commentary", "{}").with_recipient("functions.f");
    assert!(matches!(error(vec![user("a"), call]), EngineError::ToolsWithoutHarmony));
    let tools = SystemContent::default().with_tools(ToolNamespace::python());
    let system = Message::new(Role::System, tools);
    assert!(matches!(error(vec![system, user("a")]), EngineError::ToolsWithoutHarmony));

    let (effort, date) = (Some(ReasoningEffort::High), Some("2026-11-03".to_owned()));
    let opening = ChatOpening { effort, ..ChatOpening::default() };
    let mut messages = opening.messages(&engine);
    messages.push(user("a"));
    assert!(error(messages).to_string().contains("not supported: reasoning_effort"));
    assert!(PromptSetting::Effort.why_not(&engine).is_some());
    assert!(PromptSetting::Date.why_not(&engine).is_some());

    let mut dated = renamed();
    let source = "{{ strftime_now('%d %b') }}<|im_start|>{{ messages[0].content }}<|im_sep|>";
    dated.chat.chat_template = Some(source.to_owned());
    let dated = engine_of(dated);
    assert_eq!(PromptSetting::Date.why_not(&dated), None);
    let opening = ChatOpening { date, ..ChatOpening::default() };
    let mut messages = opening.messages(&dated);
    messages.push(user("a"));
    let (ids, _) = prompt_tokens(&dated, &Conversation::new(messages)).unwrap();
    let text = dated.tokenizer().unwrap().decode(&ids).unwrap();
    assert_eq!(text, "03 Nov<|im_start|>a<|im_sep|>");
}

#[test]
fn a_model_with_neither_harmony_nor_a_template_cannot_chat() {
    let mut model = renamed();
    model.chat.chat_template = None;
    let engine = engine_of(model);
    let error = engine.chat_format().err().unwrap();
    assert!(matches!(error, EngineError::NoChatFormat { .. }));
    assert!(error.to_string().contains("nor a chat template"), "{error}");
    let mut session = engine.session(64).unwrap();
    assert!(ChatStream::new(&mut session, request(vec![user("Hello!")])).is_err());

    let mut wrong = renamed();
    wrong.chat.chat_template = Some("{% if %}".to_owned());
    let error = engine_of(wrong).chat_format().err().unwrap();
    assert!(matches!(error, EngineError::Template(TemplateError::Syntax { line: 1, .. })));
}
