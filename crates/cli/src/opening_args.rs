//! What stands before a conversation: instructions, reasoning effort, date.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::bail;
use clap::Args;
use gptoss_engine::{ChatOpening, Engine, PromptSetting};
use gptoss_harmony::ReasoningEffort;

/// Flags of every command that talks to a model.
#[derive(Args, Clone)]
pub struct OpeningArgs {
    /// Instructions for the model (what is elsewhere called the system prompt)
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// How long the model thinks [default: medium]
    #[arg(short, long, value_name = "low|medium|high", value_parser = parse_effort)]
    pub effort: Option<ReasoningEffort>,
    /// Date that the model is told; left out by default so that an answer can be repeated
    #[arg(long, value_name = "YYYY-MM-DD|today", value_parser = parse_date)]
    pub date: Option<String>,
}

impl OpeningArgs {
    /// The opening, if the model can be told all of it.
    pub fn opening(&self, engine: &Engine) -> anyhow::Result<ChatOpening> {
        let given = [self.effort.is_some(), self.date.is_some()];
        check_settings(engine, ["--effort", "--date"], given)?;
        Ok(ChatOpening {
            effort: self.effort,
            instructions: self.system.clone(),
            date: self.date.clone(),
        })
    }
}

/// Refuses what was given of effort and date, under these names, if the model cannot be told it.
pub fn check_settings(engine: &Engine, names: [&str; 2], given: [bool; 2]) -> anyhow::Result<()> {
    let settings = [PromptSetting::Effort, PromptSetting::Date];
    let reasons = settings.map(|setting| setting.why_not(engine));
    let Some(why) = reasons.iter().zip(given).find_map(|(why, given)| why.filter(|_| given)) else {
        return Ok(());
    };
    let refused = names.iter().zip(reasons).filter(|(_, why)| why.is_some());
    let refused: Vec<&str> = refused.map(|(name, _)| *name).collect();
    let model = engine.model().path.display();
    bail!("{model}: not supported: {}: {why}", refused.join(" and "))
}

/// An effort by its word.
pub fn parse_effort(word: &str) -> Result<ReasoningEffort, String> {
    ReasoningEffort::from_word(word)
        .ok_or_else(|| format!("expected low, medium or high, found `{word}`"))
}

/// A date in its shape, or the word for today's.
pub fn parse_date(text: &str) -> Result<String, String> {
    if text == "today" {
        return today();
    }
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    match shape == "0000-00-00" {
        true => Ok(text.to_owned()),
        false => Err(format!("expected YYYY-MM-DD or today, found `{text}`")),
    }
}

/// The date (UTC), as `YYYY-MM-DD`.
pub fn today() -> Result<String, String> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|e| e.to_string())?;
    Ok(civil_date(seconds.as_secs() / 86_400))
}

/// The date (UTC) that is `days` after 1970-01-01.
///
/// Source: H. Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
fn civil_date(days: u64) -> String {
    let shifted = days + 719_468; // days since 0000-03-01
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil_date(0), "1970-01-01");
        assert_eq!(civil_date(11_016), "2000-02-29");
        assert_eq!(civil_date(20_779), "2026-11-22");
        assert_eq!(civil_date(47_540), "2100-02-28");
        assert_eq!(civil_date(47_541), "2100-03-01");
    }

    #[test]
    fn a_date_has_its_shape() {
        assert_eq!(parse_date("2025-06-28").as_deref(), Ok("2025-06-28"));
        assert!(parse_date("28.6.2025").is_err());
        assert!(parse_date("2025-6-28").is_err());
    }
}
