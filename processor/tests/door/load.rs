//! Posting events at a steady rate to the real program, which may be killed meanwhile: for the tests and the benchmark of the
//! door.

// Each of them uses its own part of this.
#![allow(dead_code)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const KEY: &str = "a-key-for-tests-and-nothing-else";

/// A running `dial run` with an open door, killed when dropped.
pub(crate) struct Worker {
    child: Child,
    /// Where the door listens: `127.0.0.1:PORT`.
    pub(crate) door: String,
    /// The address of its metrics, where they are served.
    pub(crate) metrics: Option<String>,
}

impl Worker {
    /// Starts it, and waits until it accepts events.
    pub(crate) fn start(mut command: Command) -> Worker {
        command.env("DOOR_KEY", KEY).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let (mut said, mut metrics) = (String::new(), None);
        let door = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended without accepting events: {said}");
            let url = line.find("http://127.0.0.1:").map(|at| line[at + 7..].split(['"', ' ', '\n']).next().unwrap());
            let url = url.map(str::to_owned);
            said += &line;
            match url.as_deref().and_then(|url| url.split_once('/')) {
                Some((address, "v1/events")) => break address.to_owned(),
                Some((address, "metrics")) => metrics = Some(address.to_owned()),
                _ => {}
            }
        };
        // Read on, or it could not write on.
        thread::spawn(move || log.read_to_string(&mut String::new()));
        Worker { child, door, metrics }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; it has to end well, and soon.
    pub(crate) fn stop(mut self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
            thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "it ended with {status}");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `dial run` in this folder, with a door at this address.
pub(crate) fn dial(folder: &Path, listen: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dial"));
    command.args(["run", "--listen", listen]).current_dir(folder).env("DIAL_DOOR__KEYS", "env:DOOR_KEY");
    command.env("DIAL_METRICS__LISTEN", "off");
    command
}

/// Processes what is left in the inbox of this folder: on a busy machine the time after a signal may not suffice.
pub(crate) fn process_the_rest(folder: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dial"));
    command.arg("run").current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// An address on loopback that is free now.
pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A connection that is kept open.
pub(crate) struct Client {
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) fn new(address: &str) -> Client {
        Client { address: address.to_owned(), stream: None }
    }

    /// Posts a body; the status and the body of the answer, or `None` where there was none.
    pub(crate) fn post(&mut self, headers: &str, body: &[u8]) -> Option<(u16, String)> {
        let answer = self.exchange("POST", "/v1/events", headers, body);
        if answer.is_err() {
            self.stream = None;
        }
        answer.ok()
    }

    /// Posts with the key.
    pub(crate) fn post_events(&mut self, body: &[u8]) -> Option<u16> {
        self.post(&format!("x-api-key: {KEY}\r\n"), body).map(|(status, _)| status)
    }

    pub(crate) fn get(&mut self, path: &str) -> (u16, String) {
        self.exchange("GET", path, "", b"").unwrap()
    }

    fn exchange(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> std::io::Result<(u16, String)> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(&self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(Duration::from_secs(20)))?;
                none.insert(BufReader::new(stream))
            }
        };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        stream.get_mut().write_all(&[head.as_bytes(), body].concat())?;
        let (mut status, mut length, mut is_last) = (0, 0, false);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            } else if line.starts_with("http/1.1 ") {
                status = line[9..12].parse().unwrap();
            } else if let Some(text) = line.strip_prefix("content-length: ") {
                length = text.parse().unwrap();
            } else if line == "connection: close" {
                is_last = true;
            }
        }
        let mut text = vec![0; length];
        stream.read_exact(&mut text)?;
        if is_last {
            self.stream = None;
        }
        Ok((status, String::from_utf8(text).unwrap()))
    }
}

/// What a load came to.
#[derive(Default)]
pub(crate) struct Load {
    /// Ids of events that were answered with 202.
    pub(crate) accepted: BTreeSet<String>,
    /// How many requests were due.
    pub(crate) sent: usize,
    /// From when each accepted request was due to its answer, ascending.
    pub(crate) latencies: Vec<Duration>,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
}

/// How much is posted.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    /// The first part of the events' ids.
    pub(crate) name: &'a str,
    pub(crate) requests: usize,
    /// Requests a second, over all connections.
    pub(crate) rate: usize,
    pub(crate) connections: usize,
}

impl Load {
    /// Posts as planned, each request when it is due whether or not the ones before were answered in time, and each once.
    pub(crate) fn run(address: &str, plan: Plan<'_>) -> Load {
        let begun = Instant::now();
        let mut load = Load { sent: plan.requests, ..Load::default() };
        thread::scope(|scope| {
            let post = |which: usize| {
                let mut client = Client::new(address);
                let mut accepted = Vec::new();
                for n in (which..plan.requests).step_by(plan.connections) {
                    let due = begun + Duration::from_secs_f64(n as f64 / plan.rate as f64);
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    let id = format!("{}-{n}", plan.name);
                    if client.post_events(event(&id).as_bytes()) == Some(202) {
                        accepted.push((id, due.elapsed()));
                    }
                }
                accepted
            };
            let posting: Vec<_> = (0..plan.connections).map(|which| scope.spawn(move || post(which))).collect();
            for thread in posting {
                for (id, latency) in thread.join().unwrap() {
                    load.accepted.insert(id);
                    load.latencies.push(latency);
                }
            }
        });
        load.latencies.sort_unstable();
        load.took = begun.elapsed();
        load
    }
}

/// An event as an EventBridge API destination sends it, of an ordinary length, which no rule finds.
pub(crate) fn event(id: &str) -> String {
    format!(
        r#"{{"version":"0","id":"env-{id}","detail-type":"AWS API Call via CloudTrail","source":"aws.s3","account":"111122223333","time":"2026-02-01T00:00:00Z","region":"eu-west-1","resources":[],"detail":{{"eventVersion":"1.09","userIdentity":{{"type":"AssumedRole","principalId":"AROAEXAMPLEEXAMPLEXX:app","arn":"arn:aws:sts::111122223333:assumed-role/app/i-0abcdef0123456789","accountId":"111122223333","accessKeyId":"ASIAEXAMPLEEXAMPLEXX","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROAEXAMPLEEXAMPLEXX","arn":"arn:aws:iam::111122223333:role/app","accountId":"111122223333","userName":"app"}},"attributes":{{"creationDate":"2026-01-31T23:40:00Z","mfaAuthenticated":"false"}}}}}},"eventTime":"2026-02-01T00:00:00Z","eventSource":"s3.amazonaws.com","eventName":"HeadObject","awsRegion":"eu-west-1","sourceIPAddress":"10.0.12.7","userAgent":"[aws-sdk-java/2.20.1 Linux/5.10 OpenJDK/17]","requestParameters":{{"bucketName":"app-data-eu-west-1","key":"2026/02/01/part-{id}.json","Host":"app-data-eu-west-1.s3.eu-west-1.amazonaws.com"}},"responseElements":null,"requestID":"R-{id}","eventID":"{id}","readOnly":true,"resources":[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::app-data-eu-west-1/2026/02/01/part-{id}.json"}}],"eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"111122223333","eventCategory":"Data"}}}}"#
    )
}
