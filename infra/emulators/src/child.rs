//! An emulator as a child process that listens on loopback.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::folder::Folder;
use crate::install::tail;

/// From start to the first answered call; it takes half a second on an idle machine.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// How to start a program that serves on loopback for as long as its standard input stays open.
pub(crate) struct Recipe<'a> {
    /// Names its scratch folder and its log.
    pub(crate) name: &'a str,
    /// How many ports it listens on; the first one is the endpoint.
    pub(crate) ports: usize,
    /// The command line for these ports. It is run with an empty environment but for what this sets.
    pub(crate) command: &'a dyn Fn(&[u16], &Path) -> Command,
    /// What it writes once the port is its own.
    pub(crate) announces: &'a dyn Fn(u16) -> String,
    /// A real API call to the endpoint.
    pub(crate) call: &'a dyn Fn(String) -> Result<(), String>,
}

/// A running program, in a scratch folder that is removed with it. It ends when this is dropped, and when the process
/// ends, however it ends, since that closes the program's standard input.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
    scratch: PathBuf,
}

impl Server {
    /// Starts it and waits until it answers. Blocks; may be called within a tokio runtime.
    pub(crate) fn start(folder: &Folder, recipe: &Recipe<'_>) -> Result<Self, String> {
        folder.sweep();
        // Between finding a free port and the program's binding it, somebody else may take it.
        let mut reason = String::new();
        for _ in 0..5 {
            match Self::start_once(folder, recipe) {
                Ok(server) => return Ok(server),
                Err(NotStarted::PortTaken(why)) => reason = why,
                Err(NotStarted::Failed(why)) => return Err(why),
            }
        }
        Err(reason)
    }

    fn start_once(folder: &Folder, recipe: &Recipe<'_>) -> Result<Self, NotStarted> {
        let ports = free_ports(recipe.ports).map_err(|e| failed(format!("no free port on loopback: {e}")))?;
        let port = *ports.first().ok_or_else(|| failed("a server without ports".to_owned()))?;
        let name = crate::unique(recipe.name);
        let (scratch, log) = (folder.run().join(&name), folder.logs().join(format!("{name}.log")));
        std::fs::create_dir_all(&scratch).map_err(|e| failed(format!("cannot create {}: {e}", scratch.display())))?;
        let mut command = (recipe.command)(&ports, &scratch);
        let child = spawn(&mut command, &scratch, &log).map_err(failed)?;
        let mut server = Self { child, port, scratch };
        server.wait_until_ready(recipe, &log)?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, recipe: &Recipe<'_>, log: &Path) -> Result<(), NotStarted> {
        let deadline = Instant::now() + READY_WITHIN;
        let announced = (recipe.announces)(self.port);
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                let why = format!("it ended with {status}; {}", tail(log));
                let taken = why.contains("already in use");
                return Err(if taken { NotStarted::PortTaken(why) } else { failed(why) });
            }
            // Its own word that it has the port comes first: an answer alone could be another process's.
            let ours = std::fs::read(log).is_ok_and(|text| String::from_utf8_lossy(&text).contains(&announced));
            let state = if ours { (recipe.call)(self.endpoint()) } else { Err("it is still starting".to_owned()) };
            let Err(why) = state else { return Ok(()) };
            if Instant::now() > deadline {
                let limit = READY_WITHIN.as_secs();
                return Err(failed(format!("no call succeeds within {limit} s: {why}; {}", tail(log))));
            }
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The child's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}

enum NotStarted {
    PortTaken(String),
    Failed(String),
}

fn failed(why: String) -> NotStarted {
    NotStarted::Failed(why)
}

/// Ports that were free a moment ago, all different.
fn free_ports(count: usize) -> std::io::Result<Vec<u16>> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

/// A command with an environment of its own: settings of the developer's shell must not change what tests see.
/// Whatever it writes by default goes to `scratch`.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, scratch: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in ["PATH", "LD_LIBRARY_PATH", "LANG"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("HOME", scratch).env("TMPDIR", scratch);
    command
}

/// Starts `command` in `scratch`, with its standard input held open by this process and its output in `log`.
pub(crate) fn spawn(command: &mut Command, scratch: &Path, log: &Path) -> Result<Child, String> {
    let cannot = |e| format!("cannot write {}: {e}", log.display());
    let output = File::options().create(true).append(true).open(log).map_err(cannot)?;
    let errors = output.try_clone().map_err(cannot)?;
    command.current_dir(scratch).stdin(Stdio::piped()).stdout(output).stderr(errors);
    // Out of the terminal's process group: on Ctrl-C the test process ends, and this one with it, in that order.
    std::os::unix::process::CommandExt::process_group(command, 0);
    command.spawn().map_err(|e| format!("cannot run {}: {e}", command.get_program().display()))
}

/// Makes an API call on a thread and runtime of its own: the caller may be within a runtime already.
pub(crate) fn blocking<F>(call: F) -> Result<(), String>
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        let limited = async { tokio::time::timeout(Duration::from_secs(5), call).await };
        runtime.block_on(limited).unwrap_or_else(|_| Err("no answer within 5 s".to_owned()))
    };
    std::thread::spawn(run).join().unwrap_or_else(|_| Err("the calling thread panicked".to_owned()))
}
