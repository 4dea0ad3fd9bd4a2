//! `tallymq serve`: loads the settings, starts the server, says where it is and what to try, and stops it in order.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
};

use serde_json::{Value, json};
use tallymq_server::{Config, ConfigError, Server, Sources, config::Startup, logging};
use tallymq_storage::disk::{OpenDiskError, RealDisk, VolatileDisk};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use crate::{arguments::ServeArguments, failure::Failure, output};

/// Settings or command line that make no sense.
const EXIT_USAGE: u8 = 2;
/// Threads that may wait for the disk: reads of old records and checkpoints. Each keeps some memory of its own.
const BLOCKING_THREADS_MAX: usize = 48;
/// The server could not start.
const EXIT_FAILED: u8 = 1;

/// Runs until SIGTERM or SIGINT.
pub fn run(arguments: ServeArguments, json: bool) -> ExitCode {
    let (print_config, volatile) = (arguments.print_config, arguments.volatile);
    let config = match load(arguments) {
        Ok(config) => config,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    // What contradicts itself is refused before anything is printed or opened.
    if let Err(error) = Startup::from_config(&config) {
        return fail(EXIT_USAGE, &error);
    }
    if print_config {
        return match show(&config, json) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                failure.print();
                failure.exit_code()
            }
        };
    }
    let layers = config.layers();
    let filter = layers.text("tracing.filter").expect("it has a default");
    let format = match layers.text("tracing.format").as_deref() {
        Some("json") => logging::LogFormat::Json,
        _ => logging::LogFormat::Text,
    };
    if let Err(error) = logging::start(&filter, format) {
        return fail(EXIT_USAGE, &error);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(serve(config, volatile, json)),
        Err(error) => fail(EXIT_FAILED, &error),
    }
}

fn show(config: &Config, json: bool) -> Result<(), Failure> {
    let shown = match json {
        true => output::print_json(&config.show_json()),
        false => output::print_raw(&config.show()),
    };
    Ok(shown?)
}

fn load(arguments: ServeArguments) -> Result<Config, ConfigError> {
    let file = match arguments.config {
        Some(path) => {
            let name = path.display().to_string();
            match std::fs::read_to_string(&path) {
                Ok(text) => Some((name, text)),
                Err(error) => return Err(ConfigError::Invalid(format!("{name}: {error}"))),
            }
        }
        None => None,
    };
    let mut flags = Vec::new();
    if let Some(path) = arguments.data_dir {
        flags.push(("data.dir".to_owned(), path.display().to_string()));
    }
    if !arguments.listen.is_empty() {
        flags.push(("listen".to_owned(), arguments.listen.join(",")));
    }
    if !arguments.http_listen.is_empty() {
        flags.push(("http.listen".to_owned(), arguments.http_listen.join(",")));
    }
    // Behind the others, and so stronger.
    for pair in &arguments.settings {
        flags.push(Config::pair(pair)?);
    }
    Config::load(Sources { file, environment: std::env::vars().collect(), flags })
}

async fn serve(config: Config, volatile: bool, json: bool) -> ExitCode {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return fail(EXIT_FAILED, &"signals cannot be listened to");
    };
    let server = match volatile {
        false => Server::start(config).await,
        true => match volatile_disk(&config) {
            Ok(disk) => Server::start_on(disk, config).await,
            Err(error) => return fail(EXIT_FAILED, &error),
        },
    };
    let server = match server {
        Ok(server) => server,
        Err(error) => return fail(EXIT_FAILED, &error),
    };
    announce(&server, json);
    let input_ended = volatile.then(input_ended);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = async { input_ended?.await.ok() }, if volatile => {}
    }
    tracing::info!("stopping: answering what is in flight, then syncing");
    server.stop().await;
    tracing::info!("stopped");
    ExitCode::SUCCESS
}

/// The data directory, but for what is not synced.
fn volatile_disk(config: &Config) -> Result<Arc<VolatileDisk>, OpenDiskError> {
    let data_dir = config.layers().text("data.dir").unwrap_or_default();
    Ok(Arc::new(VolatileDisk::new(Arc::new(RealDisk::open(data_dir)?))))
}

/// Reads standard input to its end, on a thread of its own, which nothing waits for.
fn input_ended() -> oneshot::Receiver<()> {
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        drop(std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()));
        // Nobody waits for it once the broker stops.
        end.send(()).ok();
    });
    ended
}

/// The first lines that a person or a script reads; scripts wait for `ready`. Whoever stops reading them stops no broker.
fn announce(server: &Server, json: bool) {
    let text = match json {
        true => format!("{}\n", facts(server)),
        false => announcement(server).expect("writing to a string cannot fail"),
    };
    let mut out = io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

fn announcement(server: &Server) -> Result<String, std::fmt::Error> {
    let node = server.node();
    let mut text = String::new();
    writeln!(text, "tallymq {} · data in {}", env!("CARGO_PKG_VERSION"), node.startup.data_dir.display())?;
    writeln!(text, "cluster {} · node {}", node.identity.cluster_id, node.identity.node_id)?;
    writeln!(text, "durability {}", node.durability())?;
    writeln!(text, "recovery {}", node.recovered())?;
    writeln!(text, "commit thread {}", node.scheduling())?;
    for warning in node.warnings() {
        writeln!(text, "WARNING {warning}")?;
    }
    for address in server.kafka_addresses() {
        writeln!(text, "kafka listening on {address}")?;
    }
    for address in server.http_addresses() {
        writeln!(text, "http listening on {address}")?;
    }
    if let Some(address) = server.kafka_addresses().first() {
        writeln!(text, "try: echo hello | tallymq produce greetings -b {address}")?;
        writeln!(text, "     tallymq consume greetings -b {address}")?;
    }
    writeln!(text, "ready")?;
    Ok(text)
}

/// The same in one line.
fn facts(server: &Server) -> Value {
    let node = server.node();
    let texts = |addresses: &[SocketAddr]| addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "data_dir": node.startup.data_dir,
        "cluster_id": node.identity.cluster_id,
        "node_id": node.identity.node_id,
        "durability": node.durability(),
        "recovery": node.recovered(),
        "commit_thread": node.scheduling(),
        "warnings": node.warnings(),
        "kafka": texts(server.kafka_addresses()),
        "http": texts(server.http_addresses()),
        "ready": true,
    })
}

fn fail(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    output::note(&format!("tallymq: {error}"));
    ExitCode::from(code)
}
