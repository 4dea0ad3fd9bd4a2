//! `tallymq serve`: loads the settings, starts the server, says where it is and what to try, and stops it in order.

use std::{process::ExitCode, sync::Arc};

use tallymq_server::{Config, ConfigError, Server, Sources, logging};
use tallymq_storage::disk::{OpenDiskError, RealDisk, VolatileDisk};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use crate::arguments::ServeArguments;

/// Settings or command line that make no sense.
const EXIT_USAGE: u8 = 2;
/// Threads that may wait for the disk: reads of old records and checkpoints. Each keeps some memory of its own.
const BLOCKING_THREADS_MAX: usize = 48;
/// The server could not start.
const EXIT_FAILED: u8 = 1;

/// Runs until SIGTERM or SIGINT.
pub fn run(arguments: ServeArguments) -> ExitCode {
    let (print_config, volatile) = (arguments.print_config, arguments.volatile);
    let config = match load(arguments) {
        Ok(config) => config,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    if print_config {
        print!("{}", config.show());
        return ExitCode::SUCCESS;
    }
    let layers = config.layers();
    let filter = layers.text("tracing.filter").unwrap_or_else(|| "info".to_owned());
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
        Ok(runtime) => runtime.block_on(serve(config, volatile)),
        Err(error) => fail(EXIT_FAILED, &error),
    }
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
    let mut flags =
        arguments.settings.iter().map(|pair| Config::pair(pair)).collect::<Result<Vec<_>, _>>()?;
    if let Some(path) = arguments.data_dir {
        flags.push(("data.dir".to_owned(), path.display().to_string()));
    }
    if !arguments.listen.is_empty() {
        flags.push(("listen".to_owned(), arguments.listen.join(",")));
    }
    if !arguments.http_listen.is_empty() {
        flags.push(("http.listen".to_owned(), arguments.http_listen.join(",")));
    }
    Config::load(Sources { file, environment: std::env::vars().collect(), flags })
}

async fn serve(config: Config, volatile: bool) -> ExitCode {
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
    announce(&server);
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

/// The first lines that a person or a script reads; scripts wait for `ready`.
fn announce(server: &Server) {
    let node = server.node();
    println!("tallymq {} · data in {}", env!("CARGO_PKG_VERSION"), node.startup.data_dir.display());
    println!("cluster {} · node {}", node.identity.cluster_id, node.identity.node_id);
    println!("durability {}", node.durability());
    println!("recovery {}", node.recovered());
    println!("commit thread {}", node.scheduling());
    for warning in node.warnings() {
        println!("WARNING {warning}");
    }
    for address in server.kafka_addresses() {
        println!("kafka listening on {address}");
    }
    for address in server.http_addresses() {
        println!("http listening on {address}");
    }
    if let Some(address) = server.kafka_addresses().first() {
        println!("try: echo hello | tallymq produce greetings -b {address}");
        println!("     tallymq consume greetings -b {address}");
    }
    println!("ready");
}

fn fail(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("tallymq: {error}");
    ExitCode::from(code)
}
