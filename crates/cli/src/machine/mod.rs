//! The machine: what the system says about it, and what it can do at most.
//!
//! Reading order: `args` (threads and instruction set that a user chose), `control_group` (limits
//! that a container has), `system` (processor, cores, memory), `limits` (rates, measured).

mod args;
mod control_group;
mod limits;
mod system;

pub use args::MachineArgs;
#[cfg(test)]
pub use limits::Rate;
pub use limits::{Limits, Rates};
pub use system::{System, instructions};
