//! Which examples stand before a question.
//!
//! Source: lm-evaluation-harness 0.4.13 `api/samplers.py`. One generator serves a task; it is
//! advanced for each document in the order of the file, so that the examples of a document depend
//! on its place, and a limited run is the beginning of a full one.

use crate::data::Doc;
use crate::python::random::Random;
use crate::task::Sampler;

/// The seed of the harness, unless its user gives another one.
pub const SHOTS_SEED: u64 = 1234;

/// Draws examples for one document after the other.
pub struct Shots<'a> {
    pool: &'a [Doc],
    sampler: Sampler,
    exclude_self: bool,
    random: Random,
}

impl<'a> Shots<'a> {
    /// A sampler over a pool of examples.
    pub fn new(pool: &'a [Doc], sampler: Sampler, exclude_self: bool, seed: u64) -> Shots<'a> {
        Shots { pool, sampler, exclude_self, random: Random::new(seed) }
    }

    /// Places in the pool of the `count` examples of the next document.
    ///
    /// # Errors
    /// If the pool is too small.
    pub fn next(&mut self, count: usize, doc: &Doc) -> Result<Vec<usize>, String> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let found = match self.sampler {
            Sampler::FirstN => self.first(count, doc),
            Sampler::Default => self.drawn(count, doc),
        };
        found.ok_or_else(|| format!("{count} examples of {}", self.pool.len()))
    }

    fn is_other(&self, place: usize, doc: &Doc) -> bool {
        !self.exclude_self || self.pool[place] != *doc
    }

    fn first(&self, count: usize, doc: &Doc) -> Option<Vec<usize>> {
        let others = (0..self.pool.len()).filter(|place| self.is_other(*place, doc));
        let found: Vec<usize> = others.take(count).collect();
        (found.len() == count).then_some(found)
    }

    /// One more than asked for is drawn where the question itself may be among them; what is left
    /// without it is cut to the number asked for.
    fn drawn(&mut self, count: usize, doc: &Doc) -> Option<Vec<usize>> {
        let exclude = self.exclude_self && !doc.is_empty();
        let population = u32::try_from(self.pool.len()).ok()?;
        let wanted = u32::try_from(count).ok()?;
        let drawn = self.random.sample(population, wanted + u32::from(exclude))?;
        let places = drawn.into_iter().map(|place| place as usize);
        if !exclude {
            return Some(places.collect());
        }
        let others = places.filter(|place| self.is_other(*place, doc));
        let found: Vec<usize> = others.take(count).collect();
        if found.len() == count {
            return Some(found);
        }
        // Several copies of the question were drawn: draw again where there are none.
        let rest: Vec<usize> =
            (0..self.pool.len()).filter(|place| self.is_other(*place, doc)).collect();
        let again = self.random.sample(u32::try_from(rest.len()).ok()?, wanted)?;
        Some(again.into_iter().map(|i| rest[i as usize]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn docs(ids: &[u32]) -> Vec<Doc> {
        ids.iter().map(|id| serde_json::from_str(&format!("{{\"id\": {id}}}")).unwrap()).collect()
    }

    #[test]
    fn draws_as_the_harness_does_where_examples_and_questions_meet() {
        // Made by testdata/eval/make_shots.py with the sampler of lm-evaluation-harness 0.4.13.
        let text = include_str!("../../../testdata/eval/shots.jsonl");
        let mut compared = 0;
        for line in text.lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let pool: Vec<u32> = serde_json::from_value(case["pool"].clone()).unwrap();
            let pool = docs(&pool);
            let sampler = match case["sampler"].as_str().unwrap() {
                "first_n" => Sampler::FirstN,
                _ => Sampler::Default,
            };
            let exclude = case["exclude_self"].as_bool().unwrap();
            let mut shots = Shots::new(&pool, sampler, exclude, SHOTS_SEED);
            for step in case["steps"].as_array().unwrap() {
                let doc = &docs(&[step["doc"].as_u64().unwrap() as u32])[0];
                let count = case["n"].as_u64().unwrap() as usize;
                let found = shots.next(count, doc).unwrap();
                let ids: Vec<u64> =
                    found.iter().map(|i| pool[*i]["id"].as_u64().unwrap()).collect();
                let expected: Vec<u64> = serde_json::from_value(step["shots"].clone()).unwrap();
                assert_eq!(ids, expected, "{line}");
                compared += 1;
            }
        }
        assert!(compared >= 50, "only {compared} draws");
    }

    #[test]
    fn a_pool_that_is_too_small_is_an_error() {
        let pool = docs(&[1, 2, 3]);
        for sampler in [Sampler::Default, Sampler::FirstN] {
            let mut shots = Shots::new(&pool, sampler, true, SHOTS_SEED);
            assert!(shots.next(3, &pool[0]).is_err(), "{sampler:?}");
            assert!(shots.next(0, &pool[0]).unwrap().is_empty());
        }
    }
}
