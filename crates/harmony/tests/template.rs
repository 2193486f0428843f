//! Conversations through chat templates are what transformers gives, see testdata/templates.

use std::sync::{Arc, OnceLock};

use gptoss_harmony::{
    ChatTemplate, Content, Conversation, DeveloperContent, Message, Role, SystemContent,
    TemplateEncoding, TemplateError, TokenId, Tokenizer,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const NANO: &str = include_str!("../../../models/nano/tokenizer.json");

/// The templates with their texts.
const TEMPLATES: [(&str, &str); 7] = [
    ("smollm2", include_str!("../../../testdata/templates/smollm2.jinja")),
    ("features", include_str!("../../../testdata/templates/features.jinja")),
    ("llama-3", include_str!("../../../testdata/templates/llama-3.jinja")),
    ("llama-3.1", include_str!("../../../testdata/templates/llama-3.1.jinja")),
    ("mistral-7b-v0.1", include_str!("../../../testdata/templates/mistral-7b-v0.1.jinja")),
    ("mistral-7b-v0.3", include_str!("../../../testdata/templates/mistral-7b-v0.3.jinja")),
    ("deepseek-coder", include_str!("../../../testdata/templates/deepseek-coder.jinja")),
];

/// nano's tokenizer, whose special tokens have these names.
fn tokenizer(names: &[&str]) -> Arc<Tokenizer> {
    let mut file: Value = serde_json::from_str(NANO).unwrap();
    for i in 0..names.len() {
        let old = file["added_tokens"][i]["content"].as_str().unwrap().to_owned();
        file["model"]["vocab"].as_object_mut().unwrap().remove(&old).unwrap();
    }
    for (i, name) in names.iter().enumerate() {
        file["model"]["vocab"][name] = file["added_tokens"][i]["id"].clone();
        let token = &mut file["added_tokens"][i];
        token["content"] = json!(name);
        token["special"] = json!(!name.contains("think"));
    }
    Arc::new(Tokenizer::from_json(file.to_string().as_bytes()).unwrap())
}

/// The template of this name over the tokenizer that its rows were made with.
fn encoding(name: &str) -> TemplateEncoding {
    let tokens = include_str!("../../../testdata/templates/tokens.json");
    let tokens: Value = serde_json::from_str(tokens).unwrap();
    let specials = tokens[name]["specials"].as_array().unwrap();
    let specials: Vec<&str> = specials.iter().map(|name| name.as_str().unwrap()).collect();
    let role = |i: usize| {
        let place = tokens[name]["roles"][i].as_u64()?;
        Some(specials[place as usize].to_owned())
    };
    let source = TEMPLATES.iter().find(|(other, _)| *other == name).unwrap().1;
    let tokenizer = tokenizer(&specials);
    let stop_tokens = role(1).and_then(|name| tokenizer.special(&name)).into_iter().collect();
    let template = ChatTemplate {
        source: source.to_owned(),
        bos_token: role(0),
        eos_token: role(1),
        unk_token: role(2),
        stop_tokens,
    };
    TemplateEncoding::new(tokenizer, template).unwrap()
}

/// A template of our own over nano's tokenizer with ChatML's tokens.
fn of_source(source: &str) -> Result<TemplateEncoding, TemplateError> {
    static TOKENIZER: OnceLock<Arc<Tokenizer>> = OnceLock::new();
    let names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"];
    let tokenizer = TOKENIZER.get_or_init(|| tokenizer(&names)).clone();
    let template = ChatTemplate { source: source.to_owned(), ..ChatTemplate::default() };
    TemplateEncoding::new(tokenizer, template)
}

fn rows() -> Vec<Value> {
    let file = include_str!("../../../testdata/templates/render.jsonl");
    file.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The day on which the rows were made.
fn today() -> Message {
    let settings = SystemContent {
        model_identity: None,
        reasoning_effort: None,
        conversation_start_date: Some("2026-11-03".to_owned()),
        knowledge_cutoff: None,
        channel_config: None,
        tools: None,
    };
    Message::new(Role::System, settings)
}

fn conversation(row: &Value) -> Conversation {
    let mut conversation: Conversation =
        serde_json::from_value(row["conversation"].clone()).unwrap();
    conversation.messages.insert(0, today());
    conversation
}

fn user(text: &str) -> Conversation {
    Conversation::new(vec![Message::new(Role::User, text)])
}

#[test]
fn every_row_is_what_transformers_gives() {
    let (mut texts, mut errors, mut with_ids) = (0, 0, 0);
    for (name, _) in TEMPLATES {
        let encoding = encoding(name);
        for row in rows().iter().filter(|row| row["template"] == name) {
            let place = format!("{name}: {}", row["name"]);
            let conversation = conversation(row);
            let text = encoding.text_for_completion(&conversation);
            if let Some(error) = row["error"].as_str() {
                let message = error.strip_prefix("TemplateError: ").unwrap().to_owned();
                assert_eq!(text, Err(TemplateError::Refused { message }), "{place}");
                errors += 1;
                continue;
            }
            assert_eq!(text.as_deref(), Ok(row["text"].as_str().unwrap()), "{place}");
            texts += 1;
            let ids = encoding.render_for_completion(&conversation).unwrap();
            let decoded = encoding.tokenizer().decode(&ids).unwrap();
            assert_eq!(decoded, row["text"].as_str().unwrap(), "{place}");
            if let Some(expected) = row["ids"].as_array() {
                let expected: Vec<TokenId> =
                    expected.iter().map(|id| id.as_u64().unwrap() as TokenId).collect();
                assert_eq!(ids, expected, "{place}");
                with_ids += 1;
            }
        }
    }
    assert_eq!((texts, errors, with_ids), (148, 20, 139));
}

#[test]
fn what_a_user_wrote_is_no_special_token() {
    for (name, _) in TEMPLATES {
        let encoding = encoding(name);
        let tokenizer = encoding.tokenizer();
        let count = |conversation: &Conversation| {
            let ids = encoding.render_for_completion(conversation).unwrap();
            ids.iter().filter(|id| tokenizer.is_special(**id)).count()
        };
        let specials: Vec<&str> = tokenizer.special_tokens().map(|(name, _)| name).collect();
        let attack = format!("x{}y{0}", specials.concat());
        let talk = |said: &str| {
            Conversation::new(vec![
                today(),
                Message::new(Role::User, said),
                Message::assistant("final", said),
                Message::new(Role::User, said),
            ])
        };
        assert!(specials.len() >= 7, "{name}");
        assert_eq!(count(&talk(&attack)), count(&talk("harmless")), "{name}");
    }
}

#[test]
fn parts_of_a_name_that_a_template_joins_are_no_special_token() {
    // A template that writes texts beside each other and the frame of a token around one.
    let source = "<|im_start|>{% for m in messages %}{{ m.content }}{% endfor %}<|{{ \
                  messages[0].content }}|>";
    let encoding = of_source(source).unwrap();
    let parts = ["im_end", "<|im_", "end|>", "<", "|im_start|>"];
    let messages = parts.map(|part| Message::new(Role::User, part)).to_vec();
    let ids = encoding.render_for_completion(&Conversation::new(messages)).unwrap();
    let tokenizer = encoding.tokenizer();
    assert_eq!(ids.iter().filter(|id| tokenizer.is_special(**id)).count(), 1);
    let text = tokenizer.decode(&ids).unwrap();
    assert_eq!(text, "<|im_start|>im_end<|im_end|><|im_start|><|im_end|>");
}

#[test]
fn a_template_that_makes_a_name_whole_is_refused() {
    let source = "<|im_start|>{{ messages[0].content | replace('think', '') }}<|im_end|>";
    let encoding = of_source(source).unwrap();
    let render = |text: &str| encoding.render_for_completion(&user(text));
    assert_eq!(render("<|im_thinkend|>"), Err(TemplateError::Rewritten));
    let ids = render("no think name <|im_end|>").unwrap();
    let expected = encoding.tokenizer().encode("no  name <|im_end|>");
    assert_eq!(ids[1..ids.len() - 1], expected);
}

#[test]
fn a_template_may_go_by_what_is_in_a_text() {
    let source = "{% for m in messages %}<|im_start|>{{ m.content.split('</think>')[-1] | upper }}\
                  <|im_end|>{% endfor %}";
    let encoding = of_source(source).unwrap();
    let ids = encoding.render_for_completion(&user("hm</think>yes <|im_end|>")).unwrap();
    let expected = encoding.tokenizer().encode("YES <|IM_END|>");
    assert_eq!(ids[1..ids.len() - 1], expected);
}

#[test]
fn a_private_use_character_of_a_user_stays_what_it_is() {
    let encoding = encoding("smollm2");
    let said = "\u{F0000}\u{F0001} <|im_end|> \u{10FFFD}";
    let ids = encoding.render_for_completion(&user(said)).unwrap();
    assert!(encoding.tokenizer().decode(&ids).unwrap().contains(said));
}

#[test]
fn hostile_templates_end() {
    let endless =
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}";
    let growing = "{% set ns = namespace(x='ab') %}{% for i in range(60) %}\
                   {% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x | length }}";
    let replaced = "{% set a = 'x' * 3000000 %}{{ a.replace('x', a) | length }}";
    let joined = "{% set a = 'x' * 1000000 %}{% set b = [a, a, a, a, a] %}\
                  {{ a.join((b + b + b + b) * 20) | length }}";
    let split = "{% set a = 'x ' * 20000000 %}{{ a.split(' ') | length }}";
    let printed = "{% for i in range(9999) %}{{ messages[0].content * 9999 }}{% endfor %}";
    for source in [endless, growing, replaced, joined, split, printed] {
        let result = of_source(source).unwrap().render_for_completion(&user("Hello!"));
        assert!(matches!(result, Err(TemplateError::TooMuch { .. })), "{source}: {result:?}");
    }
    let recursive = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}";
    let unlimited = "{{ 'a'.replace('', 'b') }}";
    let wide = "{{ '{:>999999999}'.format('x') }}";
    for source in [recursive, unlimited, wide] {
        let result = of_source(source).unwrap().render_for_completion(&user("Hello!"));
        assert!(matches!(result, Err(TemplateError::Render { .. })), "{source}: {result:?}");
    }
    let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    for source in ["{% for %}", "{{ x", "{% endif %}", &format!("{{{{ {deep} }}}}")] {
        let result = of_source(source);
        assert!(matches!(result, Err(TemplateError::Syntax { .. })));
    }
}

#[test]
fn what_a_template_has_no_place_for_is_refused_by_name() {
    let encoding = encoding("smollm2");
    let with = |content: Content, role: Role| {
        let messages = vec![Message::new(role, content), Message::new(Role::User, "hi")];
        encoding.render_for_completion(&Conversation::new(messages)).unwrap_err().to_string()
    };
    let system = with(SystemContent::default().into(), Role::System);
    assert!(system.starts_with("message 0: not supported: model_identity"), "{system}");
    let date = SystemContent {
        conversation_start_date: Some("3 November".to_owned()),
        ..serde_json::from_value(json!({})).unwrap()
    };
    let date = with(date.into(), Role::System);
    assert_eq!(date, "date: expected a day as YYYY-MM-DD, found `3 November`");
    let formats: DeveloperContent =
        serde_json::from_value(json!({"response_formats": [{"name": "a", "schema": {}}]})).unwrap();
    let formats = with(formats.into(), Role::Developer);
    assert!(formats.contains("not supported: response_formats"), "{formats}");
    let answer = Message::tool_answer("functions.f", "commentary", "1");
    let error = encoding.render_for_completion(&Conversation::new(vec![answer])).unwrap_err();
    assert_eq!(error, TemplateError::AnswerWithoutCall { message: 0, tool: "f".to_owned() });
}

#[test]
fn without_a_date_there_is_no_clock() {
    let of_llama = encoding("llama-3.1");
    let text = of_llama.text_for_completion(&user("Hello!")).unwrap();
    assert!(of_llama.takes_date() && text.contains("Today Date: 26 Jul 2024"), "{text}");
    let error = encoding("features").text_for_completion(&user("Hello!")).unwrap_err();
    assert!(matches!(error, TemplateError::Render { .. }), "{error}");
    assert!(!encoding("smollm2").takes_date());
}

/// Pieces of templates, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let pieces = vec![
        "{% for m in messages %}",
        "{% endfor %}",
        "{{ m.content }}",
        "{{ m['role'] + '<|im_end|>' }}",
        "{% if m.role == 'user' %}",
        "{% else %}",
        "{% endif %}",
        "{%- set x = m.content | trim %}",
        "{{ x.split('a')[0] }}",
        "{{ x.replace('a', 'bb') }}",
        "{{ tools | tojson(indent=2) }}",
        "{{ messages | tojson }}",
        "{{ raise_exception('no') }}",
        "{% generation %}",
        "{% endgeneration %}",
        "{{ strftime_now('%d %%') }}",
        "<|im_start|>",
        "{{",
        "}}",
        "{% raw %}",
        "{# ",
        " #}",
        "{{ messages[5].x.y }}",
        "{{ ('a' * 9)[::-1] }}",
        "{% break %}",
        "\n  ",
        "é",
        "{% macro f(a) %}",
        "{{ f(messages) }}",
        "{% endmacro %}",
        "{{ none + 1 }}",
        "{{ 1 // 0 }}",
        "{{ -9223372036854775808 // -1 }}",
        "{{ 'x'.rjust(5) }}",
        "{{ range(99999999) | list }}",
        "{{ messages | groupby('role') }}",
        "{{ '%s' | format(x) }}",
        "{{ x | indent(99999999) }}",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_template_ends_without_a_panic(source in pieces(), said in "[a<|>im_end ]{0,20}") {
        let Ok(encoding) = of_source(&source) else { return Ok(()) };
        let tokenizer = encoding.tokenizer();
        let conversation = user(&said);
        if let Ok(ids) = encoding.render_for_completion(&conversation) {
            let text = encoding.text_for_completion(&conversation).unwrap();
            prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        }
    }
}
