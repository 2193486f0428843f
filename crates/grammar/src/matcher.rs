//! Masks of logits.

use std::sync::Arc;

use gptoss_engine::Constraint;
use gptoss_harmony::{ChatFormat, TokenId};
use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use toktrie::{InferenceCapabilities, TokEnv};

use crate::spec::{ConstraintSpec, GrammarError};
use crate::turn;
use crate::vocabulary::Vocabulary;

/// Bytes that a message about a wrong grammar has at most.
const REASON_MAX: usize = 400;

/// Makes constraints for one model. Making it reads the whole vocabulary (half a second for
/// o200k_harmony); a constraint takes about a millisecond.
pub struct Grammars {
    factory: ParserFactory,
    format: ChatFormat,
}

impl Grammars {
    /// For the tokenizer and the turns of a model.
    ///
    /// # Errors
    /// [`GrammarError::Tokenizer`] if it cannot be used.
    pub fn new(format: &ChatFormat) -> Result<Grammars, GrammarError> {
        let vocabulary: TokEnv = Arc::new(Vocabulary::new(format)?);
        let slices = llguidance::earley::SlicedBiasComputer::general_slices();
        let caps = InferenceCapabilities::default();
        let mut factory = ParserFactory::new(&vocabulary, caps, &slices)
            .map_err(|error| GrammarError::Tokenizer { reason: reason(&error) })?;
        factory.quiet();
        factory.limits_mut().verbose_errors = false;
        Ok(Grammars { factory, format: format.clone() })
    }

    /// The constraint of one turn; its first token follows `spec.prefill`.
    ///
    /// # Errors
    /// What of the specification cannot be enforced.
    pub fn constraint(&self, spec: &ConstraintSpec) -> Result<Box<dyn Constraint>, GrammarError> {
        let grammar = match &self.format {
            ChatFormat::Harmony(harmony) => turn::grammar(spec, harmony.special())?,
            ChatFormat::Template(_) => turn::plain_grammar(spec, &self.format.stop_tokens())?,
        };
        let mut matcher = match self.matcher(grammar.clone(), "turn") {
            Ok(matcher) => matcher,
            Err(error) => return Err(self.wrong_part(&grammar, spec).unwrap_or(error)),
        };
        if matcher.consume_tokens(&spec.prefill).is_err() {
            let prefill = self.format.tokenizer().decode(&spec.prefill).unwrap_or_default();
            return Err(GrammarError::Prefill { prefill });
        }
        Ok(Box::new(Turn { matcher }))
    }

    /// The error of the first part that is wrong by itself, with the name of the part.
    fn wrong_part(&self, grammar: &TopLevelGrammar, spec: &ConstraintSpec) -> Option<GrammarError> {
        grammar.grammars.iter().skip(1).find_map(|part| {
            let alone = TopLevelGrammar::from_grammar(part.clone());
            self.matcher(alone, &part_name(part.name.as_deref(), spec)).err()
        })
    }

    fn matcher(&self, grammar: TopLevelGrammar, what: &str) -> Result<Matcher, GrammarError> {
        let error = |reason| GrammarError::Grammar { what: what.to_owned(), reason };
        let parser = self.factory.create_parser(grammar).map_err(|e| error(reason(&e)))?;
        let matcher = Matcher::new(Ok(parser));
        match matcher.get_error() {
            Some(text) => Err(error(short(&text))),
            None => Ok(matcher),
        }
    }
}

/// What a user calls a part of the grammar.
fn part_name(name: Option<&str>, spec: &ConstraintSpec) -> String {
    let tool = name.and_then(|name| name.strip_prefix("tool_")).and_then(|i| i.parse().ok());
    match tool.and_then(|i: usize| spec.tools.get(i)) {
        Some(tool) => format!("schema of the tool {}", tool.recipient),
        None => "format of the answer".to_owned(),
    }
}

fn reason(error: &impl std::fmt::Display) -> String {
    short(&error.to_string())
}

/// The first line, not too long.
fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.char_indices()
        .take_while(|(at, c)| at + c.len_utf8() <= REASON_MAX)
        .map(|(_, c)| c)
        .collect()
}

/// One turn under a grammar.
struct Turn {
    matcher: Matcher,
}

impl Constraint for Turn {
    fn mask(&mut self, logits: &mut [f32]) -> Result<(), String> {
        let allowed = self.matcher.compute_mask().map_err(|error| reason(&error))?;
        let mut some = false;
        for (id, logit) in logits.iter_mut().enumerate() {
            match id < allowed.len() && allowed.get(id) {
                true => some = true,
                false => *logit = f32::NEG_INFINITY,
            }
        }
        match some {
            true => Ok(()),
            false => Err("no token can follow what the grammar asks for".to_owned()),
        }
    }

    fn accept(&mut self, token: TokenId) -> Result<(), String> {
        self.matcher.consume_token(token).map_err(|error| reason(&error))
    }
}
