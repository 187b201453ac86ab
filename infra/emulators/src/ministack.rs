//! Ministack (DynamoDB, S3, SNS, SQS, Glue and Athena) as a child process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use aws_sdk_dynamodb::error::DisplayErrorContext;

use crate::child::{Recipe, Server, blocking, command};
use crate::client::{credentials_env, sdk_config};
use crate::folder::Folder;
use crate::install::ensure;
use crate::python::Environment;

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
    with_dependencies: true,
    oldest_python: (3, 11),
    python: "python3",
};

/// Runs ministack until its standard input ends.
const PROGRAM: &str = include_str!("ministack.py");

/// A running ministack, empty at first, in memory only. It ends when this is dropped and when the process ends,
/// however it ends.
#[derive(Debug)]
pub struct Ministack {
    server: Server,
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
        let python = ensure(&ENVIRONMENT, folder.path())?;
        let recipe = Recipe {
            name: ENVIRONMENT.name,
            ports: 1,
            command: &|ports, scratch| command_line(&python, ports, scratch),
            announces: &|port| format!("Running on http://127.0.0.1:{port}"),
            call: &list_tables,
        };
        Ok(Self { server: Server::start(&folder, &recipe)? })
    }

    /// `http://127.0.0.1:PORT`, the same for every service.
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// The child's process id.
    pub fn pid(&self) -> u32 {
        self.server.pid()
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

/// The Python interpreter of ministack's environment, which has DuckDB (`import duckdb`) for tests that read what was
/// written with another program than ours. Installs the environment where that has not been done.
///
/// # Panics
///
/// Without Python, or when the packages cannot be installed: with the reason.
pub fn python() -> PathBuf {
    Folder::of_workspace()
        .and_then(|folder| ensure(&ENVIRONMENT, folder.path()))
        .unwrap_or_else(|reason| panic!("there is no Python with DuckDB: {reason}"))
}

fn command_line(python: &Path, ports: &[u16], scratch: &Path) -> Command {
    let port = ports.first().map(u16::to_string).unwrap_or_default();
    let mut command = command(python, scratch);
    command.args(["-c", PROGRAM]);
    command.env("GATEWAY_PORT", port).env("BIND_HOST", "127.0.0.1").env("PYTHONUNBUFFERED", "1");
    command.env("STATE_DIR", scratch.join("state")).env("S3_DATA_DIR", scratch.join("s3"));
    command
}

fn list_tables(endpoint: String) -> Result<(), String> {
    blocking(async move {
        let client = aws_sdk_dynamodb::Client::new(&sdk_config(&endpoint));
        client.list_tables().send().await.map(drop).map_err(|e| DisplayErrorContext(e).to_string())
    })
}
