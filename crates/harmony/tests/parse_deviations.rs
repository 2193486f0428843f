//! The twenty ways in which gpt-oss models are known to leave the format, each read as the
//! nearest thing that makes sense.
//!
//! Sources, as far as a project's tracker holds them: openai/harmony 33, 48, 56, 60, 80;
//! vllm 22515, 22519, 23567, 50690; llama.cpp 21286, 25321, 27720; ollama 17638.

use gptoss_harmony::parse::{MessageEnd, ParseEvent, ParseOptions, StopReason, StreamParser};
use gptoss_harmony::{HarmonyEncoding, Message, Tokenizer};

/// What a stream gave, in a form that is short to write down.
#[derive(Debug, PartialEq)]
struct Parsed {
    /// `channel|recipient|content type|text|end`, a dash for what is absent.
    messages: Vec<String>,
    /// Kinds of repairs.
    repairs: Vec<&'static str>,
    stops: Vec<StopReason>,
}

/// Parses an answer; special tokens are written by name, and `f`, `get_weather` are declared.
fn parse_with(text: &str, end: MessageEnd) -> (Parsed, Vec<Message>) {
    let encoding = HarmonyEncoding::new(Tokenizer::o200k_harmony()).unwrap();
    let tools = ["functions.f", "functions.get_weather"].map(str::to_owned).to_vec();
    let mut parser = StreamParser::new(&encoding, ParseOptions::completion(tools));
    let ids = encoding.tokenizer().encode_with_specials(text);
    let mut events: Vec<_> = ids.into_iter().flat_map(|id| parser.push(id)).collect();
    events.extend(parser.finish(end));
    let mut parsed = Parsed { messages: Vec::new(), repairs: Vec::new(), stops: Vec::new() };
    for event in events {
        match event {
            ParseEvent::MessageEnd { message, end } => {
                let dash = |field: &Option<String>| field.clone().unwrap_or("-".to_owned());
                let [channel, recipient, content_type] =
                    [&message.channel, &message.recipient, &message.content_type].map(dash);
                let (text, end) = (message.text(), end.as_str());
                parsed.messages.push(format!("{channel}|{recipient}|{content_type}|{text}|{end}"));
            }
            ParseEvent::Repaired(repair) => {
                assert!(!repair.to_string().is_empty());
                parsed.repairs.push(repair.kind());
            }
            ParseEvent::Stop(reason) => parsed.stops.push(reason),
            _ => {}
        }
    }
    assert_eq!(parser.repair_count(), parsed.repairs.len());
    (parsed, parser.into_messages())
}

fn parse(text: &str) -> Parsed {
    parse_with(text, MessageEnd::Eos).0
}

/// Panics unless the answer gives these messages and these kinds of repairs.
fn check(text: &str, messages: &[&str], repairs: &[&str]) {
    let parsed = parse(text);
    assert_eq!(parsed.messages, messages, "{text}");
    assert_eq!(parsed.repairs, repairs, "{text}");
}

#[test]
fn deviation_01_the_recipient_after_the_role_or_the_channel_with_or_without_constrain() {
    let constrained = "commentary|functions.f|<|constrain|>json|{}|call";
    for header in [
        " to=functions.f<|channel|>commentary <|constrain|>json",
        " to=functions.f<|channel|>commentary<|constrain|>json",
        "<|channel|>commentary to=functions.f <|constrain|>json",
        "<|channel|>commentary to=functions.f<|constrain|>json",
        "<|channel|>commentary to=functions.f<|constrain|> json",
    ] {
        check(&format!("{header}<|message|>{{}}<|call|>"), &[constrained], &[]);
    }
    let plain = "commentary|functions.f|-|{}|call";
    for header in [" to=functions.f<|channel|>commentary", "<|channel|>commentary to=functions.f"] {
        check(&format!("{header}<|message|>{{}}<|call|>"), &[plain], &[]);
    }
}

#[test]
fn deviation_02_the_same_recipient_in_both_places_is_accepted() {
    check(
        " to=functions.f<|channel|>commentary to=functions.f json<|message|>{}<|call|>",
        &["commentary|functions.f|json|{}|call"],
        &["recipient_twice"],
    );
    check(
        " to=functions.f<|channel|>commentary to=functions.get_weather<|message|>{}<|call|>",
        &["commentary|functions.get_weather|-|{}|call"],
        &["recipient_replaced"],
    );
}

#[test]
fn deviation_03_a_constrained_final_has_a_content_type_and_no_recipient() {
    for (header, content_type) in [
        ("final <|constrain|>json", "<|constrain|>json"),
        ("final<|constrain|>json", "<|constrain|>json"),
        ("final <|constrain|>response", "<|constrain|>response"),
    ] {
        check(
            &format!("<|channel|>{header}<|message|>{{}}<|return|>"),
            &[&format!("final|-|{content_type}|{{}}|return")],
            &[],
        );
    }
}

#[test]
fn deviation_04_a_word_after_final_is_the_content_type() {
    check("<|channel|>final json<|message|>{}<|return|>", &["final|-|json|{}|return"], &[]);
}

#[test]
fn deviation_05_a_commentary_to_itself_before_another_channel_is_left_behind() {
    check(
        "<|channel|>commentary to=assistant<|channel|>analysis<|message|>hm<|end|>",
        &["analysis|-|-|hm|end"],
        &["channel_replaced", "recipient_replaced"],
    );
    check(
        "<|channel|>commentary to=assistant<|channel|>commentary to=functions.f \
         <|constrain|>json<|message|>{}<|call|>",
        &["commentary|functions.f|<|constrain|>json|{}|call"],
        &["channel_replaced", "recipient_replaced"],
    );
}

#[test]
fn deviation_06_the_last_of_two_channels_is_taken() {
    check(
        "<|channel|>commentary<|channel|>analysis<|message|>hm<|end|>",
        &["analysis|-|-|hm|end"],
        &["channel_replaced"],
    );
}

#[test]
fn deviation_07_without_message_the_rest_of_the_header_is_the_text() {
    for (text, message) in [
        ("<|channel|>final The answer\n is 4.<|return|>", "final|-|-|The answer\n is 4.|return"),
        ("<|channel|>analysis Let me see<|end|>", "analysis|-|-|Let me see|end"),
        ("<|channel|>Let me see<|end|>", "analysis|-|-|Let me see|end"),
        ("<|channel|>finalThe answer<|end|>", "final|-|-|The answer|end"),
        ("<|channel|>Hello<|end|>", "analysis|-|-|Hello|end"),
        ("<|channel|>final<|return|>", "final|-|-||return"),
        (
            "<|channel|>commentary to=functions.f <|constrain|>json{\"a\": 1}<|call|>",
            "commentary|functions.f|<|constrain|>json|{\"a\": 1}|call",
        ),
        (
            "<|channel|>commentary to=functions.f json{\"a\": 1}<|call|>",
            "commentary|functions.f|json|{\"a\": 1}|call",
        ),
        (" to=functions.f{\"a\": 1}<|call|>", "-|functions.f|-|{\"a\": 1}|call"),
        ("<|channel|>commentary to=functions.f<|call|>", "commentary|functions.f|-||call"),
    ] {
        let parsed = parse(text);
        assert_eq!(parsed.messages, [message], "{text}");
        assert!(parsed.repairs.contains(&"missing_message"), "{text}: {:?}", parsed.repairs);
    }
}

#[test]
fn deviation_08_text_without_a_header_is_final() {
    let refusal = "I'm sorry, but I can't help with that.";
    for (token, end) in [("<|return|>", "return"), ("<|end|>", "end"), ("<|endoftext|>", "eos")] {
        check(
            &format!("{refusal}{token}"),
            &[&format!("final|-|-|{refusal}|{end}")],
            &["bare_text"],
        );
    }
    let (parsed, _) = parse_with(refusal, MessageEnd::Length);
    assert_eq!(parsed.messages, [format!("final|-|-|{refusal}|length")]);
    check(
        "<|start|>assistant I refuse<|end|>",
        &["final|-|-|I refuse|end"],
        &["empty_header", "bare_text"],
    );
}

#[test]
fn deviation_09_text_after_an_end_is_the_assistant_s_next_message() {
    let think = "<|channel|>analysis<|message|>think<|end|>";
    let thought = "analysis|-|-|think|end";
    check(
        &format!("{think}commentary to=functions.f <|constrain|>json<|message|>{{}}<|call|>"),
        &[thought, "commentary|functions.f|<|constrain|>json|{}|call"],
        &["implicit_start", "missing_channel_marker"],
    );
    check(
        &format!("{think}<|channel|>final<|message|>4<|return|>"),
        &[thought, "final|-|-|4|return"],
        &["implicit_start"],
    );
    check(
        &format!("{think}assistant<|channel|>final<|message|>4<|return|>"),
        &[thought, "final|-|-|4|return"],
        &["implicit_start"],
    );
    check(
        &format!("{think}The answer is 4.<|return|>"),
        &[thought, "final|-|-|The answer is 4.|return"],
        &["implicit_start", "bare_text"],
    );
    check(
        &format!("{think}\n\n<|start|>assistant<|channel|>final<|message|>4<|return|>"),
        &[thought, "final|-|-|4|return"],
        &["stray_whitespace"],
    );
    check(
        "<|channel|>commentary to=functions.f<|message|>{}<|call|>commentary<|message|>x<|end|>",
        &["commentary|functions.f|-|{}|call", "commentary|-|-|x|end"],
        &["implicit_start", "missing_channel_marker"],
    );
}

#[test]
fn deviation_10_an_end_after_the_end_is_ignored() {
    let parsed = parse("<|channel|>final<|message|>4<|end|><|return|>");
    assert_eq!(parsed.messages, ["final|-|-|4|end"]);
    assert_eq!(parsed.repairs, ["extra_end"]);
    assert_eq!(parsed.stops, [StopReason::Return]);
    check(
        "<|channel|>final<|message|>4<|return|><|return|>",
        &["final|-|-|4|return"],
        &["extra_end"],
    );
}

#[test]
fn deviation_11_start_inside_a_text_ends_the_message() {
    check(
        "<|channel|>analysis<|message|>think<|start|>assistant\
         <|channel|>final<|message|>4<|return|>",
        &["analysis|-|-|think|next_start", "final|-|-|4|return"],
        &["start_in_content"],
    );
}

#[test]
fn deviation_12_endoftext_stops() {
    let parsed = parse("<|channel|>final<|message|>4<|endoftext|>");
    assert_eq!(parsed.messages, ["final|-|-|4|eos"]);
    assert_eq!(parsed.repairs, ["end_of_text_in_content"]);
    assert_eq!(parsed.stops, [StopReason::EndOfText]);
}

#[test]
fn deviation_13_extra_words_in_a_header_are_kept_aside() {
    for words in ["extra words here", "zzz qq"] {
        let parsed =
            parse_with(&format!("<|channel|>final {words}<|message|>x<|end|>"), MessageEnd::Eos);
        assert_eq!(parsed.0.messages, ["final|-|-|x|end"]);
        assert_eq!(parsed.0.repairs, ["extra_words"]);
    }
    let encoding = HarmonyEncoding::new(Tokenizer::o200k_harmony()).unwrap();
    let mut parser = StreamParser::new(&encoding, ParseOptions::completion(Vec::new()));
    let ids =
        encoding.tokenizer().encode_with_specials("<|channel|>final extra words here<|message|>");
    let events: Vec<_> = ids.into_iter().flat_map(|id| parser.push(id)).collect();
    let ParseEvent::Repaired(repair) = &events[0] else { panic!("{events:?}") };
    assert_eq!(repair.to_string(), "header words `extra words here`: ignored");
}

#[test]
fn deviation_14_white_space_around_a_channel_is_trimmed() {
    check(
        "<|channel|> analysis<|message|>hm<|end|>",
        &["analysis|-|-|hm|end"],
        &["channel_whitespace"],
    );
}

#[test]
fn deviation_15_an_end_inside_a_header_gives_nothing_and_no_error() {
    for text in [
        "",
        "<|channel|>",
        "<|channel|>fin",
        "<|channel|>analysis",
        " to",
        " to=functions.f<|channel|>comm",
        "<|channel|>commentary to=functions.f <|constrain|>",
    ] {
        let (parsed, _) = parse_with(text, MessageEnd::Length);
        assert_eq!(parsed.messages, [""; 0], "{text}");
        let repairs: &[&str] = if text.is_empty() { &[] } else { &["header_cut"] };
        assert_eq!(parsed.repairs, repairs, "{text}");
    }
    let done = "<|channel|>analysis<|message|>think<|end|>";
    for text in
        ["<|start|>", "<|start|>assis", "<|start|>assistant", "<|start|>assistant<|channel|>"]
    {
        let (parsed, _) = parse_with(&format!("{done}{text}"), MessageEnd::Length);
        assert_eq!(parsed.messages, ["analysis|-|-|think|end"], "{text}");
    }
    let parsed = parse("<|channel|>final<|endoftext|>");
    assert_eq!(parsed.messages, ["final|-|-||eos"]);
    assert_eq!(parsed.stops, [StopReason::EndOfText]);
}

#[test]
fn deviation_16_call_after_final_and_return_after_a_call_end_the_message() {
    check("<|channel|>final<|message|>4<|call|>", &["final|-|-|4|call"], &[]);
    check(
        "<|channel|>commentary to=functions.f<|message|>{}<|return|>",
        &["commentary|functions.f|-|{}|return"],
        &[],
    );
}

#[test]
fn deviation_17_a_call_on_analysis_is_a_call() {
    check(
        "<|channel|>analysis to=functions.f<|message|>{}<|call|>",
        &["analysis|functions.f|-|{}|call"],
        &[],
    );
}

#[test]
fn deviation_17_a_bare_name_is_the_declared_function() {
    check(
        "<|channel|>commentary to=get_weather<|message|>{}<|call|>",
        &["commentary|functions.get_weather|-|{}|call"],
        &["missing_namespace"],
    );
}

#[test]
fn deviation_17_a_channel_that_is_none_is_the_nearest_or_analysis() {
    for (found, used) in [
        ("comment", "commentary"),
        ("––commentary", "commentary"),
        ("commentary?", "commentary"),
        ("??", "analysis"),
        ("Final", "final"),
    ] {
        check(
            &format!("<|channel|>{found}<|message|>x<|end|>"),
            &[&format!("{used}|-|-|x|end")],
            &["unknown_channel"],
        );
    }
    check(
        "<|channel|>We need to think about it<|message|>x<|end|>",
        &["analysis|-|-|x|end"],
        &["unknown_channel", "extra_words"],
    );
    check(
        "<|channel|>commentaryto=functions.f<|message|>{}<|call|>",
        &["commentary|functions.f|-|{}|call"],
        &["unknown_channel"],
    );
}

#[test]
fn deviation_18_a_call_that_nobody_offered_keeps_its_text() {
    for tool in ["python", "browser.search", "container.exec"] {
        check(
            &format!("<|channel|>analysis to={tool} code<|message|>print(1)<|call|>"),
            &[&format!("analysis|{tool}|code|print(1)|call")],
            &["undeclared_tool"],
        );
    }
}

#[test]
fn deviation_19_arguments_are_passed_on_as_they_are() {
    for arguments in ["[ {\"a\": 1} ]", "ls -la | wc", "{\"a\": 1", ""] {
        check(
            &format!("<|channel|>commentary to=functions.f<|message|>{arguments}<|call|>"),
            &[&format!("commentary|functions.f|-|{arguments}|call")],
            &[],
        );
    }
}

#[test]
fn deviation_20_generation_stops_at_the_first_call() {
    let encoding = HarmonyEncoding::new(Tokenizer::o200k_harmony()).unwrap();
    let mut parser = StreamParser::new(&encoding, ParseOptions::completion(Vec::new()));
    let text = "<|channel|>commentary to=functions.f<|message|>1<|call|>\
                <|start|>assistant<|channel|>commentary to=functions.g<|message|>2<|call|>";
    let ids = encoding.tokenizer().encode_with_specials(text);
    let stop = ParseEvent::Stop(StopReason::Call);
    let stops: Vec<usize> =
        (0..ids.len()).filter(|i| parser.push(ids[*i]).contains(&stop)).collect();
    let call = encoding.special().call;
    let calls: Vec<usize> = (0..ids.len()).filter(|i| ids[*i] == call).collect();
    assert_eq!(stops, calls);
    // A recorded stream is read to its end.
    assert_eq!(parser.messages().len(), 2);
}

#[test]
fn text_between_pieces_of_reasoning_is_reasoning() {
    let messages =
        ["analysis|-|-|think|end", "analysis|-|-| more|next_start", "final|-|-|4|return"];
    check(
        "<|channel|>analysis<|message|>think<|end|> more<|start|>assistant\
         <|channel|>final<|message|>4<|return|>",
        &messages,
        &["implicit_start", "bare_text"],
    );
    check(
        "<|channel|>analysis<|message|>a<|start|>b<|end|>",
        &["analysis|-|-|a|next_start", "analysis|-|-|b|end"],
        &["start_in_content", "missing_role", "bare_text"],
    );
}

#[test]
fn a_header_without_end_becomes_text_after_256_tokens() {
    let text = "word ".repeat(300);
    let (parsed, messages) = parse_with(&text, MessageEnd::Length);
    assert_eq!(parsed.repairs, ["bare_text", "header_too_long"]);
    assert_eq!(messages[0].text(), text);
    assert_eq!(messages[0].channel.as_deref(), Some("final"));
    let (parsed, messages) =
        parse_with(&format!("<|channel|>analysis {text}<|end|>"), MessageEnd::Eos);
    assert_eq!(parsed.repairs, ["header_too_long"]);
    assert_eq!(messages[0].text(), text);
    assert_eq!(messages[0].channel.as_deref(), Some("analysis"));
}

#[test]
fn roles_that_are_none_are_the_assistant_s_or_a_tool_s() {
    let after = |text: &str| parse(&format!("<|channel|>final<|message|>a<|end|>{text}"));
    let parsed = after("<|start|>asistant<|channel|>final<|message|>b<|end|>");
    assert_eq!(
        (&*parsed.messages[1], &*parsed.repairs),
        ("final|-|-|b|end", &["unknown_role"][..])
    );
    let parsed = after("<|start|>assistantfinal<|message|>b<|end|>");
    assert_eq!(parsed.messages[1], "final|-|-|b|end");
    let parsed = after("<|start|><|channel|>final<|message|>b<|end|>");
    assert_eq!(
        (&*parsed.messages[1], &*parsed.repairs),
        ("final|-|-|b|end", &["missing_role"][..])
    );
    let parsed = after("<|start|>functions.f<|channel|>commentary<|message|>b<|end|>");
    assert_eq!((&*parsed.messages[1], parsed.repairs.len()), ("commentary|-|-|b|end", 0));
    let parsed = after("<|start|>oops to=functions.f<|channel|>commentary<|message|>b<|call|>");
    assert_eq!(parsed.messages[1], "commentary|functions.f|-|b|call");
}
