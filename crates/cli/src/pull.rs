//! `gptoss pull`: a model from the Hugging Face hub into the cache that Python tools share.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _, stderr, stdout};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use gptoss_hub::{
    Event, Hub, Plan, Progress, PullRequest, Pulled, RemotePath, Wanted, parse_model,
};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::terminal::say;

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Download a model from the Hugging Face hub
#[derive(Args)]
#[command(after_help = "Examples:
  gptoss pull openai/gpt-oss-20b
  gptoss pull ggml-org/gpt-oss-20b-GGUF
  gptoss pull unsloth/gpt-oss-20b-GGUF:Q8_0 --name small
  gptoss pull openai/gpt-oss-20b --include 'original/*'

The files go into the cache that Python tools share, and what is there is not downloaded again.
An interrupted download goes on where it stopped when the command is given again.

Environment: HF_TOKEN, HF_TOKEN_PATH, HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_HUB_OFFLINE,
HF_HUB_DOWNLOAD_TIMEOUT, HF_HUB_DISABLE_PROGRESS_BARS, HTTPS_PROXY, NO_PROXY, GPTOSS_HOME")]
pub struct PullArgs {
    /// ORG/NAME, or ORG/NAME:PART with a file, a pattern, or the end of a GGUF file's name
    #[arg(value_name = "ORG/NAME[:PART]")]
    model: String,
    /// Branch, tag or commit
    #[arg(long, default_value = "main")]
    revision: String,
    /// Download files that fit a pattern, instead of those that a model needs
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    include: Vec<String>,
    /// Leave out files that fit a pattern
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    exclude: Vec<String>,
    /// Give the model a name of your own
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Show what would be downloaded, and download nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
pub fn run(args: &PullArgs) -> anyhow::Result<ExitCode> {
    let (repo, part) = parse_model(&args.model)?;
    let request = PullRequest {
        repo,
        revision: RemotePath::parse("revision", &args.revision)?,
        wanted: Wanted { part, include: args.include.clone(), exclude: args.exclude.clone() },
        name: args.name.clone(),
    };
    let hub = Hub::from_env()?;
    let mut view = View::new(hub.settings().progress_bars);
    if args.dry_run {
        let plan = hub.plan(&request, &mut view)?;
        print_plan(&plan)?;
        return Ok(ExitCode::SUCCESS);
    }
    ctrlc::set_handler(|| {
        say("\ngptoss: interrupted; the same command goes on where it stopped");
        std::process::exit(130);
    })
    .context("cannot watch for Ctrl-C")?;
    let outcome = hub.pull(&request, &mut view);
    view.finish();
    print_pulled(&outcome?)?;
    Ok(ExitCode::SUCCESS)
}

fn print_plan(plan: &Plan) -> std::io::Result<()> {
    let mut out = stdout().lock();
    for planned in &plan.files {
        let state = match (planned.cached, planned.partial_bytes) {
            (true, _) => "there".to_owned(),
            (false, 0) => "missing".to_owned(),
            (false, bytes) => format!("{} there", size_text(bytes)),
        };
        let size = size_text(planned.file.bytes);
        writeln!(out, "{size:>9}  {state:<14}  {}", planned.file.path)?;
    }
    writeln!(out, "{}", headline(plan))?;
    match left_out(plan) {
        Some(line) => writeln!(out, "{line}"),
        None => Ok(()),
    }
}

fn print_pulled(pulled: &Pulled) -> std::io::Result<()> {
    match pulled.received_bytes {
        0 => say("everything was there already"),
        bytes => say(&format!("downloaded {}, checked", size_text(bytes))),
    }
    let path = pulled.stored.as_ref().unwrap_or(&pulled.snapshot);
    writeln!(stdout(), "{}", path.display())
}

/// What is to be downloaded, in one line.
fn headline(plan: &Plan) -> String {
    let missing = match plan.missing_bytes {
        0 => "all there".to_owned(),
        bytes => format!("{} to download", size_text(bytes)),
    };
    let (count, bytes) = (plan.files.len(), size_text(plan.bytes));
    let commit = &plan.commit[..12.min(plan.commit.len())];
    format!("{} at {commit}: {}, {bytes}, {missing}", plan.repo, files_text(count))
}

/// What is not downloaded, by folder and in one line, if there is something.
fn left_out(plan: &Plan) -> Option<String> {
    let mut groups: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    for file in &plan.skipped {
        let path = file.path.as_str();
        let group = path.split_once('/').map_or(path.to_owned(), |(top, _)| format!("{top}/"));
        let (count, bytes) = groups.entry(group).or_default();
        *count += 1;
        *bytes = bytes.saturating_add(file.bytes);
    }
    let shown = groups.iter().take(8).map(|(name, (count, bytes))| match name.ends_with('/') {
        true => format!("{name} ({}, {})", files_text(*count), size_text(*bytes)),
        false => format!("{name} ({})", size_text(*bytes)),
    });
    let shown: Vec<String> = shown.collect();
    let more = groups.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!shown.is_empty()).then(|| format!("left out: {}{more}; see --include", shown.join(", ")))
}

fn files_text(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// A length as people read it: three digits, powers of 1000.
pub(crate) fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would be shown as 1000.0.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Shows a pull on standard error: bars on a terminal, else a line now and then.
struct View {
    bars: Option<Bars>,
    are_lines_wanted: bool,
    file: String,
    /// Bytes of the current file, of those that arrived, and the same for all files.
    file_bytes: u64,
    file_done: u64,
    total_bytes: u64,
    total_done: u64,
    /// Bytes that arrived since the start, for the rate.
    received: u64,
    start: Instant,
    last_line: Instant,
}

struct Bars {
    both: MultiProgress,
    file: ProgressBar,
    total: ProgressBar,
}

impl View {
    fn new(is_progress_wanted: bool) -> Self {
        let is_terminal = stderr().is_terminal();
        Self {
            bars: (is_terminal && is_progress_wanted).then(Bars::new),
            are_lines_wanted: is_progress_wanted,
            file: String::new(),
            file_bytes: 0,
            file_done: 0,
            total_bytes: 0,
            total_done: 0,
            received: 0,
            start: Instant::now(),
            last_line: Instant::now(),
        }
    }

    fn say(&self, line: &str) {
        match &self.bars {
            // Above the bars; where they cannot be drawn the line is not worth an error.
            Some(bars) => drop(bars.both.println(line)),
            None => say(line),
        }
    }

    fn planned(&mut self, plan: &Plan) {
        self.total_bytes = plan.missing_bytes;
        self.say(&headline(plan));
        if let Some(line) = left_out(plan) {
            self.say(&line);
        }
        if plan.missing_bytes > 0 {
            self.say("Ctrl-C stops; the same command goes on where it stopped");
        }
        self.start = Instant::now();
        self.last_line = self.start;
        if let Some(bars) = &self.bars {
            bars.total.set_length(plan.missing_bytes);
            bars.total.reset_elapsed();
        }
    }

    fn file_started(&mut self, file: &str, bytes: u64, resumed: u64) {
        self.file = file.to_owned();
        (self.file_bytes, self.file_done) = (bytes, resumed);
        if resumed > 0 {
            let (there, all) = (size_text(resumed), size_text(bytes));
            self.say(&format!("{file}: going on after {there} of {all}"));
        }
        if let Some(bars) = &self.bars {
            bars.file.set_message(file.to_owned());
            bars.file.set_length(bytes);
            bars.file.set_position(resumed);
            bars.file.reset_eta();
        }
    }

    fn moved(&mut self) {
        if let Some(bars) = &self.bars {
            bars.file.set_position(self.file_done);
            bars.total.set_position(self.total_done);
        } else if self.are_lines_wanted && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            self.say(&self.line());
        }
    }

    /// `model.safetensors: 1.2 GB of 4.8 GB; all: 2.0 GB of 13.8 GB (14 %), 45.0 MB/s, 4m left`.
    fn line(&self) -> String {
        let seconds = self.start.elapsed().as_secs_f64().max(1e-3);
        let rate = self.received as f64 / seconds;
        let left = self.total_bytes.saturating_sub(self.total_done) as f64 / rate.max(1.0);
        let percent = self.total_done * 100 / self.total_bytes.max(1);
        format!(
            "{}: {} of {}; all: {} of {} ({percent} %), {}/s, {} left",
            self.file,
            size_text(self.file_done),
            size_text(self.file_bytes),
            size_text(self.total_done),
            size_text(self.total_bytes),
            size_text(rate as u64),
            indicatif::HumanDuration(Duration::from_secs(left.min(1e9) as u64)),
        )
    }

    fn finish(&self) {
        if let Some(bars) = &self.bars {
            bars.file.finish_and_clear();
            bars.total.finish_and_clear();
        }
    }
}

impl Progress for View {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Planned(plan) => self.planned(plan),
            Event::Waiting { file } => {
                self.say(&format!("{file}: another process downloads it; waiting"));
            }
            Event::FileStarted { file, bytes, resumed } => self.file_started(file, bytes, resumed),
            Event::Received { bytes } => {
                self.received += bytes;
                self.file_done += bytes;
                self.total_done += bytes;
                self.moved();
            }
            Event::Restarted { file, lost, reason } => {
                self.file_done = 0;
                self.total_bytes = self.total_bytes.saturating_add(lost);
                self.say(&format!("{file}: starting over, as {reason}"));
                if let Some(bars) = &self.bars {
                    bars.total.set_length(self.total_bytes);
                }
                self.moved();
            }
            Event::Retrying { place, cause, pause } => {
                let seconds = pause.as_secs_f64();
                self.say(&format!("{place}: {cause}; next attempt in {seconds:.1} s"));
            }
            _ => {}
        }
    }
}

impl Bars {
    fn new() -> Self {
        let style = |template: &str| {
            let style = ProgressStyle::with_template(template);
            style.expect("the template is a constant that tests have drawn").progress_chars("=> ")
        };
        let both = MultiProgress::new();
        let numbers = "{decimal_bytes:>9} of {decimal_total_bytes:<9}";
        let file = both.add(ProgressBar::new(0));
        file.set_style(style(&format!("{{msg:<20!}} [{{bar:12}}] {numbers}")));
        let total = both.add(ProgressBar::new(0));
        let rate = "{decimal_bytes_per_sec}, {eta} left";
        total.set_style(style(&format!("{:<20} [{{bar:12}}] {numbers} {rate}", "all files")));
        Self { both, file, total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (13_761_300_984, "13.8 GB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(size_text(bytes), expected);
        }
    }

    #[test]
    fn the_bars_can_be_drawn() {
        let bars = Bars::new();
        bars.file.set_message("model.safetensors");
        assert_eq!(bars.total.position(), 0);
    }

    #[test]
    fn a_line_tells_rate_and_time() {
        let mut view = View::new(true);
        view.bars = None;
        (view.file, view.file_bytes, view.total_bytes) = ("x".to_owned(), 2000, 4000);
        view.event(Event::Received { bytes: 1000 });
        let line = view.line();
        assert!(line.starts_with("x: 1.0 kB of 2.0 kB; all: 1.0 kB of 4.0 kB (25 %), "), "{line}");
        assert!(line.ends_with(" left"), "{line}");
    }
}
