//! Ministack (DynamoDB, S3, SNS, SQS, Glue and Athena) as a child process.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::error::DisplayErrorContext;

use crate::client::{credentials_env, sdk_config};
use crate::folder::Folder;
use crate::install::{Environment, tail};

/// What is installed: ministack, DuckDB for its Athena, and their own dependencies, so that a build of today and one
/// of next year test against the same thing.
const ENVIRONMENT: Environment<'static> = Environment {
    name: "ministack",
    requirements: &[
        "ministack==1.5.33",
        "duckdb==2.0.0",
        "botocore==1.43.106",
        "defusedxml==0.7.1",
        "graphql-core==3.2.12",
        "h11==0.16.0",
        "h2==4.4.1",
        "hypercorn==0.18.0",
        "jsonata-python==0.7.1",
        "PyYAML==6.0.3",
        "urllib3==2.8.0",
    ],
    oldest_python: (3, 11),
};

/// Runs ministack until its standard input ends.
const PROGRAM: &str = include_str!("ministack.py");

/// From start to the first answered call; it takes half a second on an idle machine.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// A running ministack, empty at first, in memory only. It ends when this is dropped and when the process ends,
/// however it ends.
#[derive(Debug)]
pub struct Ministack {
    child: Child,
    port: u16,
    scratch: PathBuf,
}

impl Ministack {
    /// The one that all tests of this process share, started on first use: give tables and buckets
    /// [`unique`](crate::unique) names.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn shared() -> &'static Self {
        // A static is never dropped; the child ends when the process does, since that closes its standard input.
        static SHARED: OnceLock<Result<Ministack, String>> = OnceLock::new();
        match SHARED.get_or_init(Self::try_start) {
            Ok(ministack) => ministack,
            Err(reason) => panic!("ministack did not start: {reason}"),
        }
    }

    /// Installs ministack where that has not been done, starts one of its own for the caller and waits until it
    /// answers. Blocks; may be called within a tokio runtime.
    ///
    /// # Panics
    ///
    /// Without Python, when the packages cannot be installed, or when it does not answer in time: with the reason
    /// and the end of the log.
    pub fn start() -> Self {
        Self::try_start().unwrap_or_else(|reason| panic!("ministack did not start: {reason}"))
    }

    fn try_start() -> Result<Self, String> {
        let folder = Folder::of_workspace()?;
        folder.sweep();
        let python = ENVIRONMENT.ensure(folder.path(), "python3")?;
        // Between finding a free port and ministack's binding it, somebody else may take it.
        let mut reason = String::new();
        for _ in 0..5 {
            match Self::start_once(&folder, &python) {
                Ok(ministack) => return Ok(ministack),
                Err(NotStarted::PortTaken(why)) => reason = why,
                Err(NotStarted::Failed(why)) => return Err(why),
            }
        }
        Err(reason)
    }

    fn start_once(folder: &Folder, python: &Path) -> Result<Self, NotStarted> {
        let failed =
            |what: &Path, e: std::io::Error| NotStarted::Failed(format!("cannot create {}: {e}", what.display()));
        let port = free_port().map_err(|e| NotStarted::Failed(format!("no free port on loopback: {e}")))?;
        let name = crate::unique("ministack");
        let (scratch, log) = (folder.run().join(&name), folder.logs().join(format!("{name}.log")));
        std::fs::create_dir_all(&scratch).map_err(|e| failed(&scratch, e))?;
        let output = File::create(&log).map_err(|e| failed(&log, e))?;
        let errors = output.try_clone().map_err(|e| failed(&log, e))?;
        let child = command(python, port, &scratch)
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|e| NotStarted::Failed(format!("cannot run {}: {e}", python.display())))?;
        let mut ministack = Self { child, port, scratch };
        ministack.wait_until_ready(&log)?;
        Ok(ministack)
    }

    fn wait_until_ready(&mut self, log: &Path) -> Result<(), NotStarted> {
        let deadline = Instant::now() + READY_WITHIN;
        let bound = format!("Running on http://127.0.0.1:{}", self.port);
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                let why = format!("it ended with {status}; {}", tail(log));
                let taken = why.contains("already in use");
                return Err(if taken { NotStarted::PortTaken(why) } else { NotStarted::Failed(why) });
            }
            // Its own word that it has the port comes first: an answer alone could be another process's.
            let ours = std::fs::read(log).is_ok_and(|text| String::from_utf8_lossy(&text).contains(&bound));
            let state = if ours { call(&self.endpoint()) } else { Err("it is still starting".to_owned()) };
            let Err(why) = state else { return Ok(()) };
            if Instant::now() > deadline {
                let limit = READY_WITHIN.as_secs();
                return Err(NotStarted::Failed(format!(
                    "ListTables does not succeed within {limit} s: {why}; {}",
                    tail(log)
                )));
            }
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    /// `http://127.0.0.1:PORT`, the same for every service.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The child's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A DynamoDB client for the current tokio runtime.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&sdk_config(&self.endpoint()))
    }

    /// An S3 client for the current tokio runtime, with path-style addresses.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&sdk_config(&self.endpoint())).force_path_style(true).build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// The environment that points DynamoDB and S3 of a child process here, credentials and region included.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let mut env = Vec::from(credentials_env());
        env.push(("AWS_ENDPOINT_URL_DYNAMODB", self.endpoint()));
        env.push(("AWS_ENDPOINT_URL_S3", self.endpoint()));
        env
    }
}

impl Drop for Ministack {
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

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The command line, with an environment of its own: settings of the developer's shell (`PERSIST_STATE`, `USE_SSL`)
/// must not change what tests see. Whatever it writes goes to `scratch`.
fn command(python: &Path, port: u16, scratch: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-c", PROGRAM]).env_clear();
    for name in ["PATH", "LD_LIBRARY_PATH", "LANG"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .env("GATEWAY_PORT", port.to_string())
        .env("BIND_HOST", "127.0.0.1")
        .env("PYTHONUNBUFFERED", "1")
        .env("HOME", scratch)
        .env("TMPDIR", scratch)
        .env("STATE_DIR", scratch.join("state"))
        .env("S3_DATA_DIR", scratch.join("s3"))
        .current_dir(scratch)
        .stdin(Stdio::piped());
    // Out of the terminal's process group: on Ctrl-C the test process ends, and this one with it, in that order.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

/// Makes a real API call, on a thread and runtime of its own: the caller may be within a runtime already.
fn call(endpoint: &str) -> Result<(), String> {
    let client = aws_sdk_dynamodb::Client::new(&sdk_config(endpoint));
    let list_tables = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        let call = async { tokio::time::timeout(Duration::from_secs(5), client.list_tables().send()).await };
        match runtime.block_on(call) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => Err(format!("{}", DisplayErrorContext(e))),
            Err(_) => Err("no answer within 5 s".to_owned()),
        }
    };
    std::thread::spawn(list_tables).join().unwrap_or_else(|_| Err("the calling thread panicked".to_owned()))
}
