//! `tallymq completions`: a script for the shell, on standard output.

use clap::CommandFactory;

use crate::{arguments::Arguments, failure::Failure, output};

/// Prints the script.
pub fn run(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "tallymq", &mut script);
    Ok(output::print_raw(&String::from_utf8_lossy(&script))?)
}
