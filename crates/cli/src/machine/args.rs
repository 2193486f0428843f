//! How much of the machine is used.

use std::num::NonZeroUsize;

use clap::Args;
use gptoss_kernels::Isa;
use gptoss_threads::Pool;

/// Flags of the commands that measure the machine.
#[derive(Args)]
pub struct MachineArgs {
    /// Threads to compute with [default: as many as this process may run at once]
    #[arg(short, long, value_name = "COUNT", value_parser = parse_threads)]
    pub threads: Option<NonZeroUsize>,
    /// Instructions to compute with: portable, avx2 or avx512 [default: the best there are]
    #[arg(long, env = "GPTOSS_ISA", value_name = "ISA", value_parser = parse_isa)]
    pub isa: Option<Isa>,
}

impl MachineArgs {
    /// The threads that were asked for, else as many as this process may run at once.
    pub fn threads(&self) -> NonZeroUsize {
        let available = NonZeroUsize::new(Pool::available().min(Pool::THREADS_MAX));
        self.threads.or(available).unwrap_or(NonZeroUsize::MIN)
    }

    /// The instructions that were asked for, else the best there are.
    pub fn isa(&self) -> Isa {
        self.isa.unwrap_or_else(Isa::detect)
    }
}

fn parse_threads(text: &str) -> Result<NonZeroUsize, String> {
    let max = Pool::THREADS_MAX;
    let count = text.parse().ok().filter(|count: &NonZeroUsize| count.get() <= max);
    count.ok_or_else(|| format!("expected 1 to {max}, found `{text}`"))
}

/// An instruction set by its name, if this processor has it; an empty name is the best.
fn parse_isa(name: &str) -> Result<Isa, String> {
    if name.is_empty() {
        return Ok(Isa::detect());
    }
    Isa::named(name).ok_or_else(|| {
        let known: Vec<&str> = Isa::available().map(Isa::name).collect();
        format!("expected what this processor has ({}), found `{name}`", known.join(", "))
    })
}
