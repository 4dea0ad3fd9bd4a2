//! `tallymq completions`: a script for the shell, on standard output.

use std::io;

use clap::CommandFactory;

use crate::{arguments::Arguments, failure::Failure};

/// Prints the script.
pub fn run(shell: clap_complete::Shell) -> Result<(), Failure> {
    clap_complete::generate(shell, &mut Arguments::command(), "tallymq", &mut io::stdout());
    Ok(())
}
