use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::*;
use crate::samples::{SampleKind, sample};

/// Keeps what is written, or fails.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn json_is_one_line_a_message() {
    let page = Page::default();
    let sink = StdoutSink::to(LineFormat::Json, page.clone());
    for kind in SampleKind::ALL {
        sink.send(&sample(kind), None).await.unwrap();
    }
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, SampleKind::ALL.map(|kind| wire(&sample(kind))));
}

#[tokio::test]
async fn a_closed_pipe_is_out_of_reach() {
    let sent = StdoutSink::to(LineFormat::Human, Gone).send(&sample(SampleKind::Single), None).await;
    assert!(matches!(sent, Err(SendError::Unavailable(_))), "{sent:?}");
}

/// A pipe that is full until somebody says that it is read again.
struct Full(Arc<AtomicUsize>, Receiver<()>);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.recv().unwrap();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_full_pipe_holds_one_thread_however_often_it_is_tried() {
    let ((read, full), begun) = (channel(), Arc::new(AtomicUsize::new(0)));
    let sink = StdoutSink::to(LineFormat::Human, Full(begun.clone(), full));
    let message = sample(SampleKind::Single);
    for _ in 0..5 {
        assert!(timeout(Duration::from_millis(50), sink.send(&message, None)).await.is_err(), "nobody reads");
    }
    assert_eq!(begun.load(Ordering::SeqCst), 1, "the others wait where waiting can be given up");
    read.send(()).unwrap();
    read.send(()).unwrap();
    sink.send(&message, None).await.unwrap();
    assert_eq!(begun.load(Ordering::SeqCst), 2, "those that were given up are not written");
}

#[test]
fn a_human_line_says_what_who_and_where() {
    let lines = SampleKind::ALL.map(|kind| human(&sample(kind))).join("\n");
    insta::assert_snapshot!("human_lines", lines);
}

#[test]
fn a_hostile_line_is_still_one() {
    let mut message = sample(SampleKind::Single);
    message.title = format!("a\n2026 CRITICAL forged\u{2028}\x1b[2J\u{9b}31m\u{202e}{}", "x".repeat(10_000));
    message.lead.finding.subject.actor = Some("eve\r\nmallory".to_owned());
    let line = human(&message);
    assert!(!line.chars().any(is_odd) && line.chars().count() < 600, "{line:?}");
    assert!(line.contains("eve  mallory"), "{line}");
}
