//! Whole turns under constraints, with the vocabulary of gpt-oss.

use std::sync::OnceLock;

use gptoss_engine::Constraint;
use gptoss_grammar::{BodyRule, CallRule, ConstraintSpec, GrammarError, Grammars, ToolRule};
use gptoss_harmony::{
    ChatFormat, ChatTemplate, HarmonyEncoding, TemplateEncoding, TokenId, Tokenizer,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn harmony() -> &'static HarmonyEncoding {
    static HARMONY: OnceLock<HarmonyEncoding> = OnceLock::new();
    HARMONY.get_or_init(|| HarmonyEncoding::new(Tokenizer::o200k_harmony()).unwrap())
}

fn grammars() -> &'static Grammars {
    static GRAMMARS: OnceLock<Grammars> = OnceLock::new();
    GRAMMARS.get_or_init(|| Grammars::new(&ChatFormat::Harmony(harmony().clone())).unwrap())
}

fn weather() -> ToolRule {
    let schema = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city"],
        "additionalProperties": false,
    });
    ToolRule { recipient: "functions.get_weather".into(), schema: Some(schema) }
}

fn schema(value: Value) -> ConstraintSpec {
    ConstraintSpec { answer: Some(BodyRule::JsonSchema(value)), ..ConstraintSpec::default() }
}

/// The logits after a mask.
fn masked(constraint: &mut dyn Constraint) -> Result<Vec<f32>, String> {
    let mut logits = vec![0.0; harmony().tokenizer().vocab_size()];
    constraint.mask(&mut logits)?;
    Ok(logits)
}

/// Feeds the tokens of `text`; the first piece that may not come, if any.
fn refused(spec: &ConstraintSpec, text: &str) -> Option<String> {
    refused_by(grammars(), spec, text)
}

fn refused_by(grammars: &Grammars, spec: &ConstraintSpec, text: &str) -> Option<String> {
    let mut constraint = grammars.constraint(spec).unwrap();
    let tokenizer = harmony().tokenizer();
    for id in tokenizer.encode_with_specials(text) {
        if masked(constraint.as_mut()).is_ok_and(|logits| logits[id as usize] == 0.0) {
            constraint.accept(id).unwrap();
        } else {
            return Some(tokenizer.decode(&[id]).unwrap());
        }
    }
    None
}

const THOUGHT: &str =
    "<|channel|>analysis<|message|>So { \"what\" ever\n\nI like: 天気!<|end|><|start|>assistant";

#[test]
fn reasoning_and_preambles_are_free_and_the_answer_follows_the_schema() {
    let spec = schema(json!({"type": "object", "properties": {"a": {"type": "integer"}},
        "required": ["a"], "additionalProperties": false}));
    let preamble = "<|channel|>commentary<|message|>One moment.<|end|><|start|>assistant";
    let good = format!("{THOUGHT}{preamble}<|channel|>final<|message|>{{\"a\": 12}}<|return|>");
    assert_eq!(refused(&spec, &good), None);
    let bad = format!("{THOUGHT}<|channel|>final<|message|>Sure: {{\"a\": 12}}<|return|>");
    assert_eq!(refused(&spec, &bad).as_deref(), Some("Sure"));
    let bad = format!("{THOUGHT}<|channel|>final<|message|>{{\"a\": 1.5}}<|return|>");
    assert_eq!(refused(&spec, &bad).as_deref(), Some("."));
    let open = "<|channel|>final<|message|>{\"a\": 12<|return|>";
    assert_eq!(refused(&spec, open).as_deref(), Some("<|return|>"));
}

#[test]
fn a_required_call_comes_in_either_form_and_nothing_else_does() {
    let spec = ConstraintSpec {
        tools: vec![weather()],
        calls: CallRule::Required,
        ..ConstraintSpec::default()
    };
    let arguments = "<|constrain|>json<|message|>{\"city\":\"Bern\",\"days\":2}<|call|>";
    let behind = format!("{THOUGHT}<|channel|>commentary to=functions.get_weather {arguments}");
    assert_eq!(refused(&spec, &behind), None);
    let before = format!(" to=functions.get_weather<|channel|>commentary {arguments}");
    assert_eq!(refused(&spec, &before), None);
    assert!(refused(&spec, "<|channel|>final<|message|>Hi<|return|>").is_some());
    let other = format!("<|channel|>commentary to=functions.get_time {arguments}");
    assert!(refused(&spec, &other).is_some());
    let wrong = "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{}";
    assert!(refused(&spec, wrong).is_some(), "the city is required");
}

#[test]
fn strict_tools_leave_the_answer_free() {
    let spec = ConstraintSpec { tools: vec![weather()], ..ConstraintSpec::default() };
    let answer = format!("{THOUGHT}<|channel|>final<|message|>It rains. {{\"<|return|>");
    assert_eq!(refused(&spec, &answer), None);
}

/// Grammars of a model with a chat template, whose answers end with these tokens.
fn with_template(stop_tokens: Vec<TokenId>) -> Grammars {
    let template = ChatTemplate { stop_tokens, ..ChatTemplate::default() };
    let encoding = TemplateEncoding::new(Tokenizer::o200k_harmony(), template).unwrap();
    Grammars::new(&ChatFormat::Template(encoding)).unwrap()
}

#[test]
fn with_a_template_the_whole_turn_follows_the_rule() {
    let stop = ["<|end|>", "<|endoftext|>"];
    let grammars =
        with_template(stop.map(|name| harmony().tokenizer().special(name).unwrap()).into());
    let spec = schema(json!({"type": "object", "properties": {"a": {"type": "integer"}},
        "required": ["a"], "additionalProperties": false}));
    let refused = |text: &str| refused_by(&grammars, &spec, text);
    for end in stop {
        assert_eq!(refused(&format!("{{\"a\": 12}}{end}")), None);
    }
    assert_eq!(refused("{\"a\": 12<|end|>").as_deref(), Some("<|end|>"));
    assert_eq!(refused("{\"a\": 12}<|return|>").as_deref(), Some("<|return|>"));
    assert_eq!(refused("Sure: {").as_deref(), Some("Sure"));
    assert!(refused("{\"a\": 12}{").is_some());
    let answer = Some(BodyRule::Regex("(yes|no), sir!".into()));
    let spec = ConstraintSpec { answer, ..ConstraintSpec::default() };
    assert_eq!(refused_by(&grammars, &spec, "no, sir!<|end|>"), None);
    assert!(refused_by(&grammars, &spec, "no<|end|>").is_some());

    let tools = ConstraintSpec { tools: vec![weather()], ..spec.clone() };
    assert_eq!(grammars.constraint(&tools).err(), Some(GrammarError::ToolsWithoutHarmony));
    assert_eq!(with_template(Vec::new()).constraint(&spec).err(), Some(GrammarError::NoEnd));
}

#[test]
fn regular_expressions_and_lark_bind_the_answer() {
    let rule = |answer| ConstraintSpec { answer: Some(answer), ..ConstraintSpec::default() };
    let regex = rule(BodyRule::Regex("(yes|no)/[0-9]{2}".into()));
    assert_eq!(refused(&regex, "<|channel|>final<|message|>yes/42<|return|>"), None);
    assert!(refused(&regex, "<|channel|>final<|message|>yes/4<|return|>").is_some());
    let lark = rule(BodyRule::Lark("start: item (\",\" item)*\nitem: /[a-z]+/".into()));
    assert_eq!(refused(&lark, "<|channel|>final<|message|>a,bc,d<|return|>"), None);
    assert!(refused(&lark, "<|channel|>final<|message|>a,,d<|return|>").is_some());
}

#[test]
fn a_model_whose_answers_begin_at_once_is_constrained_from_there() {
    let prefill = harmony().tokenizer().encode_with_specials("<|channel|>final<|message|>");
    let spec = ConstraintSpec { prefill: prefill.clone(), ..schema(json!({"enum": ["a", "b"]})) };
    assert_eq!(refused(&spec, "\"b\"<|return|>"), None);
    assert!(refused(&spec, "\"c\"<|return|>").is_some());
    let call =
        ConstraintSpec { tools: vec![weather()], calls: CallRule::Required, prefill, answer: None };
    let error = grammars().constraint(&call).err().unwrap();
    assert!(matches!(error, GrammarError::Prefill { .. }), "{error}");
}

#[test]
fn what_cannot_be_followed_is_refused_with_its_reason() {
    let rule = |answer| ConstraintSpec { answer: Some(answer), ..ConstraintSpec::default() };
    let cases = [
        (rule(BodyRule::Lark("start: nothing".into())), "format of the answer"),
        (rule(BodyRule::Regex("(".into())), "format of the answer"),
        (schema(json!({"type": "strange"})), "strange"),
        (schema(json!({"type": "string", "pattern": "("})), "format of the answer"),
        (schema(json!({"$ref": "#/nowhere"})), "nowhere"),
        (schema(json!(false)), "format of the answer"),
        (schema(json!({"type": "object", "patternProperties": {}})), "patternProperties"),
    ];
    for (spec, part) in cases {
        let error = grammars().constraint(&spec).err().expect(part).to_string();
        assert!(error.contains(part), "{error}");
    }
    let tool = ToolRule { recipient: "functions.a b".into(), schema: None };
    let spec = ConstraintSpec { tools: vec![tool], ..ConstraintSpec::default() };
    assert!(matches!(grammars().constraint(&spec), Err(GrammarError::ToolName { .. })));
    let spec = ConstraintSpec { calls: CallRule::Required, ..ConstraintSpec::default() };
    assert!(matches!(grammars().constraint(&spec), Err(GrammarError::NoTools)));
}

/// Lets chance choose among the tokens that may come until the turn ends, or too long.
fn random_answer(spec: &ConstraintSpec, mut seed: u64) -> Option<String> {
    let mut constraint = grammars().constraint(spec).unwrap();
    let (tokenizer, special) = (harmony().tokenizer(), harmony().special());
    let mut ids = Vec::new();
    for _ in 0..400 {
        let logits = masked(constraint.as_mut()).unwrap();
        let allowed: Vec<TokenId> =
            (0..logits.len() as TokenId).filter(|id| logits[*id as usize] == 0.0).collect();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // What closes something is preferred, so that answers end.
        let closing = |id: &&TokenId| {
            let bytes = tokenizer.token_bytes(**id).unwrap_or_default();
            **id == special.return_ || matches!(bytes, b"}" | b"]" | b"\"" | b"\"}" | b"\"]")
        };
        let close = allowed.iter().find(closing).filter(|_| seed >> 60 > 3);
        let id = *close.unwrap_or(&allowed[(seed >> 33) as usize % allowed.len()]);
        if id == special.return_ {
            return Some(tokenizer.decode(&ids).unwrap());
        }
        constraint.accept(id).unwrap();
        ids.push(id);
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_comes_is_what_the_schema_asks_for(seed: u64) {
        let mut spec = schema(json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 8},
                "kind": {"enum": ["a", "b", 3]},
                "list": {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
            },
            "required": ["name", "kind"],
            "additionalProperties": false,
        }));
        spec.prefill = harmony().tokenizer().encode_with_specials("<|channel|>final<|message|>");
        if let Some(answer) = random_answer(&spec, seed) {
            let value: Value = serde_json::from_str(&answer).unwrap();
            let name = value["name"].as_str().unwrap().chars().count();
            prop_assert!((1..=8).contains(&name), "{answer}");
            prop_assert!([json!("a"), json!("b"), json!(3)].contains(&value["kind"]), "{answer}");
            if let Some(list) = value.get("list") {
                let list = list.as_array().unwrap();
                prop_assert!(list.len() <= 3 && list.iter().all(Value::is_i64), "{answer}");
            }
            prop_assert!(value.as_object().unwrap().len() <= 3, "{answer}");
        }
    }
}

#[test]
fn most_random_answers_end() {
    let mut spec = schema(json!({"type": "object", "properties": {"a": {"type": "string"}}}));
    spec.prefill = harmony().tokenizer().encode_with_specials("<|channel|>final<|message|>");
    let ended = (0..8).filter(|seed| random_answer(&spec, *seed * 7_919).is_some()).count();
    assert!(ended >= 4, "{ended} of 8 ended; the property above would see too few");
}
