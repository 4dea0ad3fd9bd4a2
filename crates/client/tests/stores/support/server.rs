//! Servers as child processes: in a directory of their own, on a unix socket, as an unprivileged user, ended by pid. If
//! the test process itself is killed, the kernel ends them.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, Weak,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(300);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    MariaDb,
    Redis,
}

/// A running server.
pub struct Server {
    kind: Kind,
    directory: TempDir,
    process: Mutex<Option<Process>>,
}

struct Process {
    pid: Pid,
    exited: Receiver<()>,
}

static SHARED: [Mutex<Weak<Server>>; 3] = [const { Mutex::new(Weak::new()) }; 3];

/// The server that the tests of this process share; it ends with the last of them that uses it.
pub fn shared(kind: Kind) -> Arc<Server> {
    let mut shared = SHARED[kind as usize].lock().unwrap_or_else(|broken| broken.into_inner());
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = Arc::new(Server::start(kind));
    *shared = Arc::downgrade(&server);
    server
}

impl Server {
    /// A new server with an empty directory.
    pub fn start(kind: Kind) -> Server {
        let directory =
            tempfile::Builder::new().prefix("tally-").tempdir_in("/tmp").expect("a directory in /tmp");
        if getuid().is_root() {
            // The servers refuse to run as root, or should.
            run("chown", Command::new("chown").arg("nobody").arg(directory.path()));
        }
        let server = Server { kind, directory, process: Mutex::new(None) };
        server.prepare();
        server.resume();
        server
    }

    /// Where its socket is: PostgreSQL wants the directory, the others the file.
    pub fn socket(&self) -> PathBuf {
        match self.kind {
            Kind::Postgres => self.directory.path().to_owned(),
            Kind::MariaDb | Kind::Redis => self.directory.path().join("socket"),
        }
    }

    /// Ends it as a crash does: nothing is flushed or said goodbye to.
    pub fn crash(&self) {
        // Postgres's own children end only when it tells them to: QUIT is its "immediate shutdown", which recovers as
        // after a crash.
        let signal = if self.kind == Kind::Postgres { Signal::QUIT } else { Signal::KILL };
        let process = self.process.lock().unwrap().take().expect("a server that runs");
        kill_process(process.pid, signal).expect("the server's own pid");
        process.exited.recv_timeout(PATIENCE).expect("the server did not end");
    }

    /// Starts it again on the same data.
    pub fn resume(&self) {
        let (program, arguments, ready) = self.command();
        let mut command = self.unprivileged(&program);
        command.args(arguments);
        *self.process.lock().unwrap() = Some(spawn(command, &program, ready));
    }

    fn prepare(&self) {
        let data = self.directory.path().join("data");
        match self.kind {
            Kind::Postgres => {
                let initdb = program("initdb", "postgresql");
                let mut command = self.unprivileged(&initdb);
                command.args(["-U", "tally", "-A", "trust", "-E", "UTF8", "--no-sync", "-D"]).arg(data);
                run(&initdb, &mut command);
            }
            Kind::MariaDb => {
                let install = program("mariadb-install-db", "mariadb-server");
                let mut command = self.unprivileged(&install);
                command.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
                command.args([
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    "--skip-name-resolve",
                ]);
                run(&install, &mut command);
            }
            Kind::Redis => {}
        }
    }

    /// With a place of its own for temporary files: a MariaDB that starts removes those of others.
    fn unprivileged(&self, program: &str) -> Command {
        let mut command = unprivileged(program);
        command.env("TMPDIR", self.directory.path());
        command
    }

    fn command(&self) -> (String, Vec<String>, &'static str) {
        let here = self.directory.path().display();
        let socket = self.socket();
        let socket = socket.display();
        match self.kind {
            Kind::Postgres => (
                program("postgres", "postgresql"),
                [
                    "-D",
                    &format!("{here}/data"),
                    "-k",
                    &format!("{here}"),
                    "-c",
                    "listen_addresses=",
                    "-c",
                    "fsync=off",
                ]
                .map(str::to_owned)
                .into(),
                "database system is ready to accept connections",
            ),
            Kind::MariaDb => (
                program("mariadbd", "mariadb-server"),
                vec![
                    "--no-defaults".into(),
                    format!("--datadir={here}/data"),
                    format!("--socket={socket}"),
                    format!("--pid-file={here}/pid"),
                    "--skip-networking".into(),
                    "--innodb-flush-log-at-trx-commit=2".into(),
                    "--innodb-buffer-pool-size=64M".into(),
                ],
                "ready for connections",
            ),
            // A killed process loses nothing with `no`. With `everysec`, the default, it would: behind a slow sync that
            // holds back writes for which clients already have their answers.
            Kind::Redis => (
                program("redis-server", "redis-server"),
                [
                    "--port",
                    "0",
                    "--unixsocket",
                    &format!("{socket}"),
                    "--dir",
                    &format!("{here}"),
                    "--appendonly",
                    "yes",
                    "--appendfsync",
                    "no",
                ]
                .map(str::to_owned)
                .into(),
                "eady to accept connections",
            ),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let process = self.process.lock().unwrap_or_else(|broken| broken.into_inner()).take();
        let Some(process) = process else { return };
        let signal = if self.kind == Kind::Postgres { Signal::QUIT } else { Signal::KILL };
        let _ = kill_process(process.pid, signal);
        let _ = process.exited.recv_timeout(PATIENCE);
    }
}

/// Where a program is; a missing one is a failure that names its package.
fn program(name: &str, package: &str) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    places.extend(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<_> = versions.flatten().map(|version| version.path().join("bin")).collect();
        versions.sort();
        places.extend(versions.into_iter().rev());
    }
    let found = places.into_iter().map(|place| place.join(name)).find(|file| file.is_file());
    let found = found.unwrap_or_else(|| panic!("{name} is not installed; run: apt-get install {package}"));
    found.display().to_string()
}

/// A command that runs as nobody if this is root, and that ends when the thread ends that started it.
fn unprivileged(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if getuid().is_root() {
        command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]);
    }
    command.arg("--").arg(program).current_dir("/tmp").stdin(Stdio::null());
    command
}

fn run(what: &str, command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{what} cannot be started: {error}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{what} failed:\n{}", String::from_utf8_lossy(&said));
}

/// Starts a server and waits until it says that it is ready.
fn spawn(mut command: Command, program: &str, ready: &'static str) -> Process {
    let name = Path::new(program).file_name().unwrap().to_string_lossy().into_owned();
    let (said, hear) = channel::<Result<Pid, String>>();
    let (ended, exited) = channel();
    let log = Arc::new(Mutex::new(String::new()));
    // The thread that starts it lives as long as it does, because the kernel ends it with that thread.
    thread::spawn({
        let (name, log) = (name.clone(), log.clone());
        move || {
            let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
            let mut child = match spawned {
                Ok(child) => child,
                Err(error) => {
                    let _ = said.send(Err(format!("{name} cannot be started: {error}")));
                    return;
                }
            };
            let pid = Pid::from_child(&child);
            let pipes: [Box<dyn Read + Send>; 2] = [
                Box::new(child.stdout.take().expect("piped")),
                Box::new(child.stderr.take().expect("piped")),
            ];
            let readers = pipes.map(|pipe| {
                let (said, log) = (said.clone(), log.clone());
                thread::spawn(move || {
                    listen(pipe, &log, |line| {
                        if line.contains(ready) {
                            let _ = said.send(Ok(pid));
                        }
                    })
                })
            });
            let status = child.wait();
            readers.into_iter().for_each(|reader| drop(reader.join()));
            let _ = said.send(Err(format!("{name} ended: {status:?}")));
            let _: Result<(), _> = Sender::send(&ended, ());
        }
    });
    match hear.recv_timeout(PATIENCE) {
        Ok(Ok(pid)) => Process { pid, exited },
        Ok(Err(error)) => panic!("{error}\n{}", log.lock().unwrap()),
        Err(_) => panic!("{name} did not say \"{ready}\" in time:\n{}", log.lock().unwrap()),
    }
}

fn listen(pipe: impl Read, log: &Mutex<String>, mut heard: impl FnMut(&str)) {
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        heard(&line);
        let mut log = log.lock().unwrap();
        log.push_str(&line);
        log.push('\n');
    }
}
