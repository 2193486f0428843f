//! `gptoss doctor`: what this machine is, what it can do, which models it can run, and what would
//! help.
//!
//! Reading order: `fit` (which models there is room for, and how fast they can be), `advice` (what
//! would help), `report` (how it is shown).

mod advice;
mod fit;
mod report;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use gptoss_checkpoint::locate::locate;
use gptoss_kernels::Isa;
use gptoss_threads::Pool;

use crate::machine::{Limits, MachineArgs, System, instructions};
use fit::Fit;

/// Say what this machine is, what it can run, and what would help
///
/// Measures how fast memory can be read and how much can be computed, which takes a second or two,
/// and says from that which models there is room for and how fast they can be. `gptoss bench` says
/// how fast a model is.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gptoss doctor
  gptoss doctor gpt-oss-20b
  gptoss doctor --threads 8 --isa avx2
  gptoss doctor --json

The exit code is 1 if there is no room for MODEL, which has to be on this machine.")]
pub struct DoctorArgs {
    /// Model to look at beside the known sizes: a path, a name in the store, a cached repository
    model: Option<String>,
    #[command(flatten)]
    machine: MachineArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Everything that was found.
pub struct Findings {
    /// What the system says.
    pub system: System,
    /// Instructions that the processor has.
    pub instructions: Vec<&'static str>,
    /// The level that is used, and whether it was chosen.
    pub isa: (Isa, bool),
    /// Threads that are used.
    pub threads: usize,
    /// Threads that this process may run at once.
    pub threads_available: usize,
    /// Where models are stored, and the bytes that are free there.
    pub store: Option<(PathBuf, Option<u64>)>,
    /// What the machine can do.
    pub limits: Limits,
    /// The known models and the one that was asked for, which is the first.
    pub fits: Vec<Fit>,
}

/// Runs the command.
pub fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    // A model that cannot be opened is said before the machine is measured.
    let model = args.model.as_deref().map(|name| anyhow::Ok((name, locate(name)?.open()?)));
    let model = model.transpose()?;
    let system = System::read(Path::new("/"));
    let limits = Limits::measure(args.machine.threads(), args.machine.isa(), &system);
    let memory = system.memory_free_bytes();
    let mut fits: Vec<Fit> =
        model.iter().map(|(name, model)| Fit::of_model(name, model, memory, &limits)).collect();
    fits.extend(Fit::of_presets(memory, &limits));
    let findings = Findings {
        instructions: instructions(),
        isa: (args.machine.isa(), args.machine.isa.is_some()),
        threads: limits.threads,
        threads_available: Pool::available(),
        store: store(),
        system,
        limits,
        fits,
    };
    let text = match args.json {
        true => format!("{:#}\n", report::to_json(&findings)),
        false => report::to_text(&findings),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    let has_room = model.is_none() || findings.fits[0].has_room != Some(false);
    Ok(if has_room { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The folder of models, and what is free on its disk; the folder need not exist.
fn store() -> Option<(PathBuf, Option<u64>)> {
    let hub = gptoss_checkpoint::locate::hub_cache_dir()?;
    let existing = hub.ancestors().find(|folder| folder.is_dir());
    let free = existing.and_then(|folder| fs4::available_space(folder).ok());
    Some((hub, free))
}
