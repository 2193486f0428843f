//! The program gptoss.
fn main() {}
