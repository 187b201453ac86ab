//! A destination of alerts over HTTP, that answers as it is told to.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

/// What it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// In lower case, with values as they were.
    headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).1.as_str()
    }
}

#[derive(Debug, Default)]
struct State {
    /// Answers that come before the usual one.
    first: VecDeque<String>,
    usual: String,
    received: Vec<Received>,
}

/// A destination that lives as long as the test's program.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// One that answers so, as in `200 OK`; headers may follow, each behind a line break.
    pub(crate) fn new(usual: &str) -> Receiver {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/alerts", socket.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { usual: usual.to_owned(), ..State::default() }));
        let receiver = Receiver { url, state };
        let at_work = receiver.clone();
        thread::spawn(move || {
            for stream in socket.incoming().flatten() {
                let receiver = at_work.clone();
                thread::spawn(move || receiver.serve(stream));
            }
        });
        receiver
    }

    /// From now on it answers so.
    pub(crate) fn answers(&self, usual: &str) {
        usual.clone_into(&mut self.state.lock().unwrap().usual);
    }

    /// The next request is answered so, those after it as usual.
    pub(crate) fn answers_once(&self, answer: &str) {
        self.state.lock().unwrap().first.push_back(answer.to_owned());
    }

    /// What it was sent since it was last asked.
    pub(crate) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.state.lock().unwrap().received)
    }

    /// Whether it was sent anything since then.
    pub(crate) fn has_some(&self) -> bool {
        !self.state.lock().unwrap().received.is_empty()
    }

    /// The section of settings of a sink that posts to it.
    pub(crate) fn sink(&self, name: &str) -> String {
        format!("[sinks.{name}]\nkind = 'webhook'\nurl = '{}'\n", self.url)
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut headers = Vec::new();
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            if let Some((name, value)) = line.trim_end().split_once(": ") {
                headers.push((name.to_lowercase(), value.to_owned()));
            }
            line.clear();
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
        if headers.is_empty() || reader.read_exact(&mut body).is_err() {
            return;
        }
        let answer = {
            let mut state = self.state.lock().unwrap();
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            state.received.push(Received { headers, body });
            state.first.pop_front().unwrap_or_else(|| state.usual.clone())
        };
        let head = answer.replace('\n', "\r\n");
        let _ = write!(stream, "HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
}
