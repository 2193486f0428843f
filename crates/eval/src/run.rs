//! Running a task on a model: what is missing is asked, scored and appended.

use std::collections::BTreeMap;

use crate::EvalError;
use crate::data::{sha256_hex, to_hex};
use crate::filter::{Filter, Matcher, cut_at_stops};
use crate::grade::{AnyGrader, Verdict};
use crate::metric::{choice_score, pick};
use crate::model::{EvalModel, GeneratePrompt, GenerateRequest, Generated, Scored};
use crate::plan::Plan;
use crate::request::{Pair, Prompt, Question};
use crate::results::{Answer, Key, Sample, SampleLog, SamplingRecord};
use crate::task::{Gold, Kind, Task};
use crate::tokens::{TokenPair, encode_pair, truncate};
use sha2::{Digest, Sha256};

/// Tokens of the requests that are planned together: bounds what is in memory, and is far more
/// than a subject of MMLU has.
const PLAN_TOKENS_MAX: usize = 1 << 25;

/// Takes each finished sample, for a progress bar or a test.
pub type Progress<'a> = &'a mut dyn FnMut(&Sample);

/// Everything that scores the answers of a task.
#[derive(Debug)]
pub struct Scorer<'a> {
    task: &'a Task,
    filters: Vec<Filter>,
    matcher: Matcher,
    grader: Option<AnyGrader>,
}

impl<'a> Scorer<'a> {
    /// The scorer of a task.
    ///
    /// # Errors
    /// If a pattern of the task is wrong.
    pub fn new(task: &'a Task) -> Result<Scorer<'a>, EvalError> {
        let grader = task.file.chat.map(|chat| AnyGrader::new(chat.grader)).transpose()?;
        Ok(Scorer {
            task,
            filters: Filter::all(&task.file.filters)?,
            matcher: Matcher::new(&task.file.exact_match)?,
            grader,
        })
    }

    /// The finished document of log-likelihoods, one for each choice.
    pub fn choices(&self, question: &Question, scored: &[Scored], lost_tokens: usize) -> Sample {
        let logprobs: Vec<f64> = scored.iter().map(|scored| scored.logprob).collect();
        let metrics = &self.task.file.metrics;
        let mut scores = BTreeMap::new();
        for metric in metrics {
            let score = choice_score(*metric, &logprobs, &question.choices, &question.gold);
            scores.extend(score.map(|score| (format!("{},none", metric.label()), score)));
        }
        let picked = pick(metrics[0], &logprobs, &question.choices);
        let picked = question.choices.get(picked).cloned().unwrap_or_default();
        let verdict = self.verdict(&scores);
        let greedy = scored.iter().map(|scored| scored.greedy).collect();
        let answer = Answer::Choices { logprobs, greedy, picked, lost_tokens };
        self.sample(question, 0, answer, scores, verdict)
    }

    /// The finished document of a generated text.
    ///
    /// # Errors
    /// If a pattern costs too much on the text.
    pub fn text(
        &self,
        question: &Question,
        repeat: usize,
        generated: Generated,
    ) -> Result<Sample, EvalError> {
        let Generated { text, reasoning, tokens, truncated } = generated;
        let text = cut_at_stops(&text, &self.task.file.generation.until).to_string();
        let target = gold_text(question);
        let mut found = BTreeMap::new();
        let mut scores = BTreeMap::new();
        let verdict = if let Some(grader) = &self.grader {
            let graded = grader.grade(&text, &target, question.choices.len(), truncated)?;
            found.insert("none".to_string(), graded.answer);
            let score = f64::from(graded.verdict == Verdict::Right);
            scores.insert("accuracy,none".to_string(), score);
            graded.verdict
        } else {
            for filter in &self.filters {
                let answer = filter.apply(&text)?;
                let score = f64::from(self.matcher.is_match(&answer, &target)?);
                scores.insert(format!("exact_match,{}", filter.name), score);
                found.insert(filter.name.clone(), answer);
            }
            self.verdict(&scores)
        };
        let answer = Answer::Text { text, reasoning, found, tokens, truncated };
        Ok(self.sample(question, repeat, answer, scores, verdict))
    }

    /// By the first score in the order of the task file. A share of at least one half is right.
    fn verdict(&self, scores: &BTreeMap<String, f64>) -> Verdict {
        let metric = self.task.file.metrics[0].label();
        let filter = self.filters.first().map_or("none", |filter| filter.name.as_str());
        let is_right = scores.get(&format!("{metric},{filter}")).is_some_and(|s| *s >= 0.5);
        if is_right { Verdict::Right } else { Verdict::Wrong }
    }

    fn sample(
        &self,
        question: &Question,
        repeat: usize,
        answer: Answer,
        scores: BTreeMap<String, f64>,
        verdict: Verdict,
    ) -> Sample {
        Sample {
            task: self.task.name.clone(),
            doc: question.doc,
            repeat,
            prompt_sha256: prompt_sha256(&question.prompt),
            question: question.shown.clone(),
            gold: gold_text(question),
            answer,
            scores,
            verdict,
        }
    }
}

/// The right answer as a text.
fn gold_text(question: &Question) -> String {
    match &question.gold {
        Gold::Text(text) => text.clone(),
        Gold::Index(index) => question.choices.get(*index).cloned().unwrap_or_default(),
        Gold::Truths(truths) => {
            let truths = question.choices.iter().zip(truths).filter(|(_, is_true)| **is_true);
            truths.map(|(choice, _)| choice.as_str()).collect::<Vec<_>>().join("\n")
        }
    }
}

/// sha256 of all that is asked; lengths keep context and continuation apart.
fn prompt_sha256(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Generate(text) | Prompt::Chat(text) => sha256_hex(text),
        Prompt::Choices(pairs) => {
            let mut hash = Sha256::new();
            for Pair { context, continuation } in pairs {
                for text in [context.as_ref(), continuation] {
                    hash.update((text.len() as u64).to_le_bytes());
                    hash.update(text.as_bytes());
                }
            }
            to_hex(&hash.finalize())
        }
    }
}

/// Asks a model what is missing of a task and appends it.
///
/// # Errors
/// If the model fails, a question does not fit into it, or the file cannot be written. What was
/// finished before is in the file.
pub fn run_task(run: &mut Run<'_>, task: &Task, questions: &[Question]) -> Result<(), EvalError> {
    let scorer = Scorer::new(task)?;
    match task.file.kind {
        Kind::MultipleChoice => run.score(&scorer, questions),
        Kind::Generate | Kind::Chat => run.generate(&scorer, questions),
    }
}

/// A model and where its answers go.
pub struct Run<'a> {
    /// The model.
    pub model: &'a mut dyn EvalModel,
    /// Where finished documents go.
    pub log: &'a mut dyn SampleLog,
    /// How answers are sampled.
    pub sampling: &'a SamplingRecord,
    /// Told of each finished document.
    pub progress: Progress<'a>,
}

/// Choices of a document that is not finished yet.
struct Open<'q> {
    question: &'q Question,
    scored: Vec<Option<Scored>>,
    lost: usize,
}

impl Run<'_> {
    fn score(&mut self, scorer: &Scorer<'_>, questions: &[Question]) -> Result<(), EvalError> {
        let is_missing = |question: &&Question| {
            let task = scorer.task.name.clone();
            !self.log.is_done(&Key { task, doc: question.doc, repeat: 0 })
        };
        let missing: Vec<&Question> = questions.iter().filter(is_missing).collect();
        let mut rest = missing.as_slice();
        while !rest.is_empty() {
            let (requests, mut open, owners) = self.requests(scorer.task, &mut rest)?;
            let plan = Plan::new(&requests);
            let Run { model, log, progress, .. } = self;
            model.score(&plan, &mut |request, scored| {
                let (document, choice) = owners[request];
                let document = &mut open[document];
                if document.scored[choice].replace(scored).is_some() {
                    return Err(EvalError::Model(format!("request {request} came back twice")));
                }
                let all: Option<Vec<Scored>> = document.scored.iter().copied().collect();
                if let Some(all) = all {
                    let sample = scorer.choices(document.question, &all, document.lost);
                    log.append(&sample)?;
                    progress(&sample);
                }
                Ok(())
            })?;
            if let Some(lost) = open.iter().find(|open| open.scored.contains(&None)) {
                let doc = lost.question.doc;
                return Err(EvalError::Model(format!("document {doc} did not come back")));
            }
        }
        Ok(())
    }

    /// The requests of the next documents, as many as are planned together.
    #[expect(clippy::type_complexity, reason = "three lists that are taken apart at once")]
    fn requests<'q>(
        &self,
        task: &Task,
        rest: &mut &[&'q Question],
    ) -> Result<(Vec<TokenPair>, Vec<Open<'q>>, Vec<(usize, usize)>), EvalError> {
        let (mut requests, mut open, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        let mut tokens = 0;
        while let [question, behind @ ..] = *rest
            && tokens < PLAN_TOKENS_MAX
        {
            *rest = behind;
            let Prompt::Choices(pairs) = &question.prompt else { continue };
            let mut lost = 0;
            for (choice, pair) in pairs.iter().enumerate() {
                let pair = truncate(encode_pair(self.model.encoder(), pair), self.model.limit());
                let pair = pair.map_err(|message| task.mistake(question.doc, "prompt", message))?;
                lost += pair.lost;
                tokens += pair.ids.len();
                owners.push((open.len(), choice));
                requests.push(pair);
            }
            open.push(Open { question, scored: vec![None; pairs.len()], lost });
        }
        Ok((requests, open, owners))
    }

    fn generate(&mut self, scorer: &Scorer<'_>, questions: &[Question]) -> Result<(), EvalError> {
        let is_chat = scorer.task.file.kind == Kind::Chat;
        let repeats = if is_chat { self.sampling.repeats.max(1) } else { 1 };
        let mut owners = Vec::new();
        let mut requests = Vec::new();
        for repeat in 0..repeats {
            for question in questions {
                let key = Key { task: scorer.task.name.clone(), doc: question.doc, repeat };
                if !self.log.is_done(&key) {
                    requests.push(request(scorer.task, question, repeat, self.sampling));
                    owners.push((question, repeat));
                }
            }
        }
        let mut answers = 0;
        let Run { model, log, progress, .. } = self;
        model.generate(&requests, &mut |request, generated| {
            let (question, repeat) = owners[request];
            let sample = scorer.text(question, repeat, generated)?;
            log.append(&sample)?;
            progress(&sample);
            answers += 1;
            Ok(())
        })?;
        if answers != owners.len() {
            let lost = owners.len() - answers;
            return Err(EvalError::Model(format!("{lost} texts did not come back")));
        }
        Ok(())
    }
}

/// How a question is put to a model that generates.
fn request(
    task: &Task,
    question: &Question,
    repeat: usize,
    sampling: &SamplingRecord,
) -> GenerateRequest {
    let generation = &task.file.generation;
    let prompt = match &question.prompt {
        Prompt::Chat(user) => {
            GeneratePrompt::Chat { user: user.clone(), effort: sampling.effort.clone() }
        }
        Prompt::Generate(text) => GeneratePrompt::Text(text.clone()),
        Prompt::Choices(_) => GeneratePrompt::Text(String::new()),
    };
    // Each answer has a seed of its own that depends on nothing but its place.
    let place = format!("{}\n{}\n{}\n{repeat}", sampling.seed, task.name, question.doc);
    let digest = Sha256::digest(place.as_bytes());
    let seed = digest.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte));
    GenerateRequest {
        prompt,
        until: generation.until.clone(),
        max_tokens: sampling.max_tokens.unwrap_or(generation.max_gen_toks),
        temperature: sampling.temperature.unwrap_or(generation.temperature),
        top_p: generation.top_p,
        seed,
    }
}
