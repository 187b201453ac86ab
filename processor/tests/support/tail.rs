//! `dial findings tail`, running.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use super::{DIAL, Folder};

/// Longer than anything takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A tail that runs, and what it says line by line.
pub(crate) struct Tail {
    child: Child,
    pub(crate) out: Receiver<String>,
    pub(crate) err: Receiver<String>,
}

fn pump(source: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        BufReader::new(source).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    lines
}

impl Tail {
    pub(crate) fn start(folder: &Folder, arguments: &str) -> Tail {
        Tail::start_with(folder, arguments, &[])
    }

    /// With these variables in its environment, too.
    pub(crate) fn start_with(folder: &Folder, arguments: &str, env: &[(&'static str, String)]) -> Tail {
        let mut command = Command::new(DIAL);
        command.args(["findings", "tail"]).args(arguments.split_whitespace()).current_dir(folder.path(""));
        command.envs(env.iter().cloned()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (out, err) = (pump(child.stdout.take().unwrap()), pump(child.stderr.take().unwrap()));
        Tail { child, out, err }
    }

    /// The next so many findings.
    pub(crate) fn next(&self, count: usize) -> Vec<Value> {
        let line = |_| self.out.recv_timeout(LONG).expect("a finding is told");
        (0..count).map(line).map(|line| serde_json::from_str(&line).unwrap()).collect()
    }

    /// Interrupts it, as Ctrl-C does: its exit code, and what it had yet to say.
    pub(crate) fn interrupt(mut self) -> (Option<i32>, Vec<String>) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        (status.code(), self.out.iter().collect())
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
