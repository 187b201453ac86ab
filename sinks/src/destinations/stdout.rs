//! [`StdoutSink`]: a line on standard output, for containers whose log is collected, and for people.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use async_trait::async_trait;
use dial_rules::event::rfc3339;
use tokio::sync::Mutex;

use super::body::{is_odd, json_text};
use crate::message::Message;
use crate::sink::{Growth, Handle, SendError, Sink};
use crate::wire::wire;

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFormat {
    /// The alert's JSON, whole.
    Json,
    /// When, how bad, what, who and where, and the command that shows more.
    Human,
}

/// Longest title, and longest of the other texts of a human line, in characters.
const LONGEST: usize = 200;

/// Standard output, or another writer. A line is written at once, so lines of several sinks do not mix.
pub struct StdoutSink {
    format: LineFormat,
    to: Arc<Mutex<dyn Write + Send>>,
}

impl StdoutSink {
    /// Writes to standard output.
    pub fn new(format: LineFormat) -> StdoutSink {
        StdoutSink::to(format, io::stdout())
    }

    /// Writes to something else.
    pub fn to(format: LineFormat, writer: impl Write + Send + 'static) -> StdoutSink {
        StdoutSink { format, to: Arc::new(Mutex::new(writer)) }
    }
}

#[async_trait]
impl Sink for StdoutSink {
    fn kind(&self) -> &'static str {
        "stdout"
    }

    fn growth(&self) -> Growth {
        Growth::Digests
    }

    async fn send(&self, message: &Message, _: Option<&Handle>) -> Result<Option<Handle>, SendError> {
        let mut line = match self.format {
            LineFormat::Json => json_text(&wire(message)),
            LineFormat::Human => human(message),
        };
        line.push('\n');
        // A pipe that nobody reads blocks whoever writes, and must not block the other sinks. Nothing ends a thread that writes,
        // so there is one at most: its turn is waited for here, where waiting can be given up.
        let mut to = Arc::clone(&self.to).lock_owned().await;
        let written = tokio::task::spawn_blocking(move || to.write_all(line.as_bytes()).and_then(|()| to.flush()));
        match written.await {
            Ok(Ok(())) => Ok(None),
            Ok(Err(error)) => Err(SendError::Unavailable(format!("standard output: {error}"))),
            Err(_) => Err(SendError::Unavailable("the program is stopping".to_owned())),
        }
    }
}

impl fmt::Debug for StdoutSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdoutSink").field("format", &self.format).finish_non_exhaustive()
    }
}

/// `2026-03-03T10:00:00.000Z HIGH Key made: role Admin as alice from 203.0.113.7 in payments (111122223333) eu-west-1; dial …`
fn human(message: &Message) -> String {
    let finding = &message.lead.finding;
    let subject = &finding.subject;
    let name = message.lead.context.account.as_ref().and_then(|account| account.name.as_deref());
    let account = match (name, subject.account_id.as_deref()) {
        (Some(name), Some(id)) => Some(format!("{name} ({id})")),
        (name, id) => name.or(id).map(str::to_owned),
    };
    let place: Vec<&str> = account.as_deref().into_iter().chain(subject.region.as_deref()).collect();
    let mut parts = vec![
        rfc3339(finding.last_seen),
        message.severity.as_str().to_uppercase(),
        format!("{}:", line(message.titled())),
        line(subject.actor.as_deref().unwrap_or("somebody")),
    ];
    parts.extend(subject.source_ip.as_deref().map(|from| format!("from {}", line(from))));
    parts.extend((!place.is_empty()).then(|| format!("in {}", line(&place.join(" ")))));
    if message.is_sample {
        parts.insert(1, "SAMPLE".to_owned());
    }
    let more = message.links.list.as_deref().unwrap_or(&message.links.show);
    let count = if message.count > 1 { format!("; {} findings", message.count) } else { String::new() };
    format!("{}{count}; {}", parts.join(" "), line(more))
}

/// One line, of bounded length, in which nothing steers a terminal.
fn line(text: &str) -> String {
    let cut: String = text.chars().take(LONGEST).map(|c| if is_odd(c) { ' ' } else { c }).collect();
    if cut.len() < text.len() && text.chars().nth(LONGEST).is_some() { format!("{cut}…") } else { cut }
}

#[cfg(test)]
#[path = "stdout_tests.rs"]
mod tests;
