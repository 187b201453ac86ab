//! What the tests of the command line share: the program as a child process, a folder to run it in, and events.

// Each file of tests is a program of its own and uses its own part of this.
#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod events;
pub(crate) mod logs;
pub(crate) mod planted;
pub(crate) mod receiver;
pub(crate) mod tail;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) use events::{Findings, Handful, attack, attack_findings, event_id, gzip, handful, lines, shape};

/// The program under test.
pub(crate) const DIAL: &str = env!("CARGO_BIN_EXE_dial");
/// No command here needs so long, not even in a debug build on a busy machine: whatever does hangs.
const LONGEST: Duration = Duration::from_secs(90);
/// The user and the group that own nothing.
const NOBODY: u32 = 65534;

/// A folder of its own for each test. The program runs in it, so nobody's `dial.toml` is found.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        let folder = tempfile::tempdir().unwrap();
        // Open to everybody, for tests that run the program as nobody.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Folder(folder)
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and the folders it lies in.
    pub(crate) fn write(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The program with these arguments, to be run in this folder.
    pub(crate) fn dial<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Dial {
        let mut command = Command::new(DIAL);
        command.args(arguments);
        Dial::new(command, self)
    }

    /// Runs the program with arguments that hold no spaces.
    pub(crate) fn run(&self, arguments: &str) -> Ended {
        self.dial(arguments.split_whitespace()).run()
    }

    /// The same on a terminal; what the program says on standard error is then part of its output.
    pub(crate) fn run_on_terminal(&self, arguments: &str) -> Ended {
        self.dial_on_terminal_of(180, arguments).run()
    }

    /// The same, to be run, on a terminal that says it has so many columns.
    pub(crate) fn dial_on_terminal_of(&self, columns: u16, arguments: &str) -> Dial {
        let spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
        let wide = format!("stty rows 50 cols {columns} && exec \"$0\" \"$@\"");
        let mut command = Command::new("python3");
        command.args(["-c", spawn, "sh", "-c", &wide, DIAL]).args(arguments.split_whitespace());
        Dial::new(command, self)
    }
}

/// The program, about to be run.
pub(crate) struct Dial {
    command: Command,
    feed: Box<dyn FnOnce(&mut ChildStdin) + Send>,
}

/// A finding without who else is behind its credential and which incident it belongs to, which depend on what was read or is
/// listed besides it: findings that were recorded of a part of the events are the same as those recorded of all of them, but for
/// this.
fn by_itself(mut finding: Value) -> Value {
    if let Some(finding) = finding.as_object_mut() {
        finding.remove("incident");
    }
    if let Some(context) = finding.get_mut("context").and_then(Value::as_object_mut) {
        context.retain(|part, _| part != "lineage" && part != "chain");
        if context.is_empty() {
            finding.as_object_mut().unwrap().remove("context");
        }
    }
    finding
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Dial {
    fn new(mut command: Command, folder: &Folder) -> Dial {
        command.current_dir(folder.0.path());
        for (name, _) in std::env::vars_os() {
            if ["DIAL_", "AWS_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        Dial { command, feed: Box::new(|_| {}) }
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Dial {
        self.command.env(name, value);
        self
    }

    /// What it reads from standard input; nothing unless told.
    pub(crate) fn input(self, bytes: impl Into<Vec<u8>>) -> Dial {
        let bytes = bytes.into();
        // The program may end before it has read everything.
        self.feed(move |stdin| drop(stdin.write_all(&bytes)))
    }

    /// Who writes its standard input, which ends when `feed` does.
    pub(crate) fn feed(mut self, feed: impl FnOnce(&mut ChildStdin) + Send + 'static) -> Dial {
        self.feed = Box::new(feed);
        self
    }

    /// Runs it as somebody for whom permissions count: as nobody if the tests run as root. Programs below a home folder
    /// are out of nobody's reach, so it is a copy in `folder` that runs.
    pub(crate) fn without_privileges(mut self, folder: &Folder) -> Dial {
        let locked = Locked::folder(folder.path("probe"));
        if fs::read_dir(&locked.0).is_err() {
            return self;
        }
        let copy = folder.path("dial");
        fs::copy(DIAL, &copy).unwrap();
        let mut command = Command::new(copy);
        command.args(self.command.get_args()).current_dir(self.command.get_current_dir().unwrap());
        command.uid(NOBODY).gid(NOBODY);
        self.command = command;
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Ended {
        self.command.stdout(Stdio::piped());
        let mut child = self.spawn();
        let out = read(child.stdout.take());
        self.end(child, || out.join().unwrap())
    }

    /// Runs it with a reader that goes away after the first line, as `head -1` does.
    pub(crate) fn run_for_one_line(mut self) -> Ended {
        self.command.stdout(Stdio::piped());
        let mut child = self.spawn();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        self.end(child, || first)
    }

    /// Runs it with a reader that went away before it began.
    pub(crate) fn run_for_nobody(mut self) -> Ended {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        self.command.stdout(writer);
        let child = self.spawn();
        self.end(child, String::new)
    }

    /// Runs it with nobody to read what it says on standard error.
    pub(crate) fn run_unheard(mut self) -> Ended {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        self.command.stdout(Stdio::piped()).stderr(writer).stdin(Stdio::null());
        let mut child = start(&mut self.command);
        let out = read(child.stdout.take());
        ended(wait(&mut child), out.join().unwrap(), String::new())
    }

    /// Runs it with standard output going to this file.
    pub(crate) fn run_into(mut self, file: fs::File) -> Ended {
        self.command.stdout(file);
        let child = self.spawn();
        self.end(child, String::new)
    }

    fn spawn(&mut self) -> Child {
        self.command.stdin(Stdio::piped()).stderr(Stdio::piped());
        start(&mut self.command)
    }

    fn end(self, mut child: Child, out: impl FnOnce() -> String) -> Ended {
        let err = read(child.stderr.take());
        let mut stdin = child.stdin.take().unwrap();
        let feed = self.feed;
        let writer = thread::spawn(move || feed(&mut stdin));
        let status = wait(&mut child);
        writer.join().unwrap();
        ended(status, out(), err.join().unwrap())
    }
}

impl Ended {
    /// Each line of standard output, as JSON; findings [`by_itself`].
    pub(crate) fn json(&self) -> Vec<Value> {
        self.lines().into_iter().map(by_itself).collect()
    }

    /// Each line of standard output, as JSON, whole.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.out.lines().map(parse).collect()
    }

    /// What standard output lists: whole findings by their ids.
    pub(crate) fn findings(&self) -> Findings {
        let lines = self.json();
        let number = lines.len();
        let id = |finding: &Value| finding["finding_id"].as_str().unwrap_or_else(|| panic!("{finding}")).to_owned();
        let findings: Findings = lines.into_iter().map(|finding| (id(&finding), finding)).collect();
        assert_eq!(findings.len(), number, "a finding is listed twice");
        findings
    }

    /// Checks the exit code, and that standard error has each of these words.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, words: &[&str]) -> Ended {
        let said: String = self.out.chars().take(2_000).collect();
        assert_eq!(self.code, code, "{}{said}", self.err);
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in: {}", self.err);
        }
        self
    }
}

/// Something that nobody but root may read, until it is dropped.
pub(crate) struct Locked(PathBuf);

impl Locked {
    /// Makes a folder, unless it is there, and locks it.
    pub(crate) fn folder(path: PathBuf) -> Locked {
        fs::create_dir_all(&path).unwrap();
        Locked::file(path)
    }

    /// Locks a file.
    pub(crate) fn file(path: PathBuf) -> Locked {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
        Locked(path)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Else the folder could not be removed.
        let _ = fs::set_permissions(&self.0, fs::Permissions::from_mode(0o755));
    }
}

fn start(command: &mut Command) -> Child {
    let deadline = Instant::now() + LONGEST;
    loop {
        match command.spawn() {
            Ok(child) => return child,
            // Another thread is starting a program and still holds our copy open for writing.
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("{:?} cannot be started: {error}", command.get_program()),
        }
    }
}

fn read(source: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    let mut source = source.unwrap();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).expect("the program writes UTF-8 whatever it reads")
    })
}

fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + LONGEST;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("still running after {LONGEST:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Whatever a test is about, the program never panics and never dies of a signal.
fn ended(status: ExitStatus, out: String, err: String) -> Ended {
    let code = status.code().unwrap_or_else(|| panic!("it ended with {status}: {err}"));
    assert!(code != 101 && !err.contains("panicked") && !out.contains("panicked"), "it panicked: {out}{err}");
    Ended { code, out, err }
}
