//! Logits to log-likelihoods.

use gptoss_engine::{argmax, log_probabilities};

use crate::EvalError;
use crate::model::Scored;
use crate::plan::{Plan, Read};

/// What stands for the logarithm of zero, which results files cannot say: what the server says.
const IMPOSSIBLE: f64 = -9999.0;

/// Log-likelihoods in the making, one for each request of a plan.
pub(super) struct Sums<'a> {
    plan: &'a Plan,
    scored: Vec<Scored>,
    read: Vec<usize>,
}

impl Sums<'_> {
    pub(super) fn new(plan: &Plan) -> Sums<'_> {
        let nothing = Scored { logprob: 0.0, greedy: true };
        let requests = plan.reads.len();
        Sums { plan, scored: vec![nothing; requests], read: vec![0; requests] }
    }

    /// Adds what is read from the logits (`[V]`) behind one token, and gives the requests that are
    /// complete by that.
    ///
    /// A request's tokens have to come from left to right: their order is that of the sum.
    ///
    /// # Errors
    /// If the logits are no numbers.
    pub(super) fn add(
        &mut self,
        reads: &[Read],
        logits: &[f32],
    ) -> Result<Vec<(usize, Scored)>, EvalError> {
        if reads.is_empty() {
            return Ok(Vec::new());
        }
        let logprob_of = log_probabilities(logits);
        let largest = logprob_of(argmax(logits));
        let mut complete = Vec::new();
        for Read { request, token, .. } in reads {
            let logprob = logprob_of(*token);
            if logprob.is_nan() {
                return Err(EvalError::Model("the logits are no numbers".into()));
            }
            let scored = &mut self.scored[*request];
            scored.logprob += logprob.max(IMPOSSIBLE);
            scored.greedy &= logprob == largest;
            self.read[*request] += 1;
            if self.read[*request] == self.plan.reads[*request] {
                complete.push((*request, *scored));
            }
        }
        Ok(complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::TokenPair;

    fn plan() -> Plan {
        let pair = TokenPair { ids: vec![5, 1, 0], context_len: 1, lost: 0 };
        Plan::new(&[pair])
    }

    fn read(offset: usize, token: u32) -> [Read; 1] {
        [Read { offset, request: 0, token }]
    }

    #[test]
    fn probabilities_are_multiplied() {
        let plan = plan();
        let mut sums = Sums::new(&plan);
        // exp: 1, 3 and 4, 4.
        let first = sums.add(&read(0, 1), &[0.0, 3f32.ln()]).unwrap();
        assert!(first.is_empty());
        let second = sums.add(&read(1, 0), &[4f32.ln(), 4f32.ln()]).unwrap();
        let [(0, scored)] = second[..] else { panic!("{second:?}") };
        assert!((scored.logprob - (3.0f64 / 4.0 / 2.0).ln()).abs() < 1e-6, "{scored:?}");
        assert!(scored.greedy, "the first of equals is as likely as the second");
    }

    #[test]
    fn impossible_tokens_and_broken_logits() {
        let plan = plan();
        let mut sums = Sums::new(&plan);
        sums.add(&read(0, 1), &[0.0, f32::NEG_INFINITY]).unwrap();
        let (_, scored) = sums.add(&read(1, 0), &[0.0, f32::NEG_INFINITY]).unwrap()[0];
        assert_eq!(scored, Scored { logprob: IMPOSSIBLE, greedy: false });
        assert!(Sums::new(&plan).add(&read(0, 1), &[0.0, f32::NAN]).is_err());
    }
}
