//! The tallymq binary: parses the command line and hands over to a subcommand.

mod arguments;
mod commands;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(arguments) => commands::serve::run(arguments),
        _ => ExitCode::from(2),
    }
}
