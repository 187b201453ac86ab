//! Kinesis-local as a child process: a second opinion on what Kinesis does.

use std::path::Path;
use std::process::Command;

use aws_sdk_kinesis::error::DisplayErrorContext;

use crate::child::{Recipe, Server, blocking, command};
use crate::client::{credentials_env, sdk_config};
use crate::folder::Folder;
use crate::install::ensure;
use crate::node::NodePackages;
use crate::stream::{self, CallLimits};

/// What is installed; it depends on nothing.
const PACKAGES: NodePackages<'static> = NodePackages {
    name: "kinesis-local",
    requirements: &["kinesis-local@0.6.2"],
    program: "kinesis-local/main.js",
    oldest_node: 18,
    node: "node",
    npm: "npm",
};

/// What Node loads first.
const PRELOAD: &str = include_str!("kinesis_local.js");

/// It drops connections that bring more than 4.2 MB, and record data grows by a third as base64.
const LIMITS: CallLimits = CallLimits { records: 500, bytes: 2 * 1024 * 1024 };

/// How long it keeps a stream in each passing state, such as UPDATING.
const STATE_CHANGES: [&str; 5] = [
    "CREATE_STREAM_DURATION",
    "DELETE_STREAM_DURATION",
    "SPLIT_SHARD_DURATION",
    "MERGE_SHARDS_DURATION",
    "UPDATE_SHARD_COUNT_DURATION",
];

/// A running kinesis-local with no streams at first. It ends when this is dropped and when the process ends, however
/// it ends.
///
/// Closer to Kinesis than [`Kinesis`](crate::Kinesis) where shards end: `GetRecords` names the child shards, and
/// `ListShards` has pages. It takes a few hundred records a second, so keep volumes small.
#[derive(Debug)]
pub struct KinesisLocal {
    server: Server,
}

impl KinesisLocal {
    /// Installs kinesis-local where that has not been done, starts one and waits until it answers. Blocks; may be
    /// called within a tokio runtime.
    ///
    /// # Panics
    ///
    /// Without Node and npm, when the package cannot be installed, or when it does not answer in time: with the
    /// reason and the end of the log.
    pub fn start() -> Self {
        Self::try_start().unwrap_or_else(|reason| panic!("kinesis-local did not start: {reason}"))
    }

    fn try_start() -> Result<Self, String> {
        let folder = Folder::of_workspace()?;
        let program = ensure(&PACKAGES, folder.path())?;
        let preload = folder.preload(PACKAGES.name, PRELOAD)?;
        let recipe = Recipe {
            name: PACKAGES.name,
            ports: 2,
            command: &|ports, scratch| command_line(&program, &preload, ports, scratch),
            announces: &|port| format!("listening on http://127.0.0.1:{port}"),
            call: &list_streams,
        };
        Ok(Self { server: Server::start(&folder, &recipe)? })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// The child's process id.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// A client for the current tokio runtime.
    pub fn client(&self) -> aws_sdk_kinesis::Client {
        aws_sdk_kinesis::Client::new(&sdk_config(&self.endpoint()))
    }

    /// The environment that points Kinesis of a child process here, credentials and region included.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let mut env = Vec::from(credentials_env());
        env.push(("AWS_ENDPOINT_URL_KINESIS", self.endpoint()));
        env
    }

    /// Creates a stream of `shards` shards and waits until it is ACTIVE.
    ///
    /// # Panics
    ///
    /// When the stream exists already or is not ACTIVE within 30 seconds.
    pub async fn create_stream(&self, name: &str, shards: u32) {
        stream::create(&self.client(), name, shards).await;
    }

    /// Puts records (partition key, data), as [`Kinesis::put`](crate::Kinesis::put) does.
    ///
    /// # Panics
    ///
    /// When a call fails, or a record is still refused after 20 attempts.
    pub async fn put(&self, stream: &str, records: Vec<(String, Vec<u8>)>) {
        stream::put(&self.client(), stream, records, LIMITS).await;
    }
}

fn command_line(program: &Path, preload: &Path, ports: &[u16], scratch: &Path) -> Command {
    let mut command = command(PACKAGES.node, scratch);
    command.arg("--require").arg(preload).arg(program);
    for (name, port) in ["KINESIS_MOCK_PLAIN_PORT", "KINESIS_MOCK_TLS_PORT"].into_iter().zip(ports) {
        command.env(name, port.to_string());
    }
    command.env("KINESIS_MOCK_CERT_PATH", program.with_file_name("server.json"));
    command.envs(STATE_CHANGES.map(|name| (name, "50ms")));
    command
}

fn list_streams(endpoint: String) -> Result<(), String> {
    blocking(async move {
        let client = aws_sdk_kinesis::Client::new(&sdk_config(&endpoint));
        client.list_streams().send().await.map(drop).map_err(|e| DisplayErrorContext(e).to_string())
    })
}
