//! What came out of a run, for standard output, and what it cost.

use std::fmt::Write as _;

use gptoss_eval::results::{Session, Stored, chat_scores, scores};
use gptoss_eval::table;

/// The table of lm-evaluation-harness, and below it what became of answers in conversations.
pub fn table(stored: &Stored) -> String {
    let mut text = table::table(&scores(stored));
    let chats = chat_scores(stored);
    if chats.is_empty() {
        return text;
    }
    text.push_str("\n|Conversations|Answers|Right %|Wrong|Unparsed|Truncated|Tokens each|\n");
    text.push_str("|-------------|------:|------:|----:|-------:|--------:|----------:|\n");
    for chat in chats {
        let error = chat.stderr.map_or(String::new(), |e| format!(" ± {:.2}", e * 100.0));
        let each = chat.tokens as f64 / chat.answers.max(1) as f64;
        let _ = writeln!(
            text,
            "|{}|{}|{:.2}{error}|{}|{}|{}|{each:.0}|",
            chat.task,
            chat.answers,
            chat.accuracy * 100.0,
            chat.wrong,
            chat.unparsed,
            chat.truncated
        );
    }
    text
}

/// The scores as lm-evaluation-harness writes them, conversations beside them.
pub fn json(stored: &Stored) -> anyhow::Result<String> {
    let mut value = table::results_json(&scores(stored));
    value["conversations"] = serde_json::to_value(chat_scores(stored))?;
    value["manifest"] = serde_json::to_value(&stored.manifest)?;
    Ok(format!("{value:#}\n"))
}

/// What all sessions of a run cost, in lines.
pub fn costs(stored: &Stored) -> Vec<String> {
    let total = |figure: fn(&Session) -> usize| stored.sessions.iter().map(figure).sum::<usize>();
    let (naive, computed) = (total(|s| s.naive_tokens), total(|s| s.computed_tokens));
    let generated = total(|s| s.generated_tokens);
    let seconds: f64 = stored.sessions.iter().map(|session| session.seconds).sum();
    let mut lines = vec![format!(
        "gptoss: {} answers in {seconds:.1} s; tokens of prompts: {computed} computed, {naive} for \
         a client that asks one request after the other ({:.1} times as many)",
        stored.samples.len(),
        naive as f64 / computed.max(1) as f64
    )];
    if generated > 0 {
        let rate = generated as f64 / seconds.max(1e-3);
        lines.push(format!("gptoss: {generated} tokens generated, {rate:.1} a second"));
    }
    let counted: usize = total(|session| session.samples);
    if counted < stored.samples.len() {
        let lost = stored.samples.len() - counted;
        lines.push(format!(
            "gptoss: {lost} answers are of sessions that were killed, whose costs are not known"
        ));
    }
    lines
}
