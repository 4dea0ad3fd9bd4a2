//! The tallymq binary: parses the command line, hands over to a subcommand, and turns its end into an exit code.

mod arguments;
mod audit;
mod bytes_text;
mod client;
mod commands;
mod count_text;
mod doctor;
mod failure;
mod http;
mod output;
mod position;
mod time_text;
mod verify;

use std::{future::Future, process::ExitCode};

use clap::Parser;

use arguments::{Arguments, Command};
use failure::Failure;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.json;
    let done = match arguments.command {
        Command::Demo(arguments) => block_on(commands::demo::run(arguments, json)),
        Command::DemoOrderService(arguments) => block_on(commands::demo::order_service::run(arguments)),
        Command::DemoRedPacketService(arguments) => block_on(commands::demo::packet_service::run(arguments)),
        Command::Serve(arguments) => return commands::serve::run(arguments, json),
        Command::Topic(command) => block_on(commands::topic::run(command, json)),
        Command::Produce(arguments) => block_on(commands::produce::run(arguments, json)),
        Command::Consume(arguments) => block_on(commands::consume::run(arguments, json)),
        Command::Group(command) => block_on(commands::group::run(command, json)),
        Command::Bench(arguments) => block_on(commands::bench::run(arguments, json)),
        Command::Verify(arguments) => commands::verify::run(&arguments, json),
        Command::Account(arguments) => block_on(commands::account::run(arguments, json)),
        Command::Alarms(command) => block_on(commands::alarms::run(command, json)),
        Command::Trace(arguments) => block_on(commands::trace::run(arguments, json)),
        Command::Dlq(command) => block_on(commands::dlq::run(command, json)),
        Command::Doctor(arguments) => block_on(commands::doctor::run(arguments, json)),
        Command::Audit(arguments) => block_on(commands::audit::run(arguments, json)),
        Command::Completions { shell } => commands::completions::run(shell),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            failure.exit_code()
        }
    }
}

fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}
