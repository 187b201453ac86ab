//! The text in which Prometheus reads metrics: its exposition format, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

/// What `Content-Type` says of it.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a metric's values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It only grows, and begins at 0 when the process does.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// Metrics being written.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    text: String,
    name: &'static str,
}

impl Exposition {
    /// Begins a metric; its samples follow.
    pub(crate) fn metric(&mut self, kind: Kind, name: &'static str, help: &str) {
        self.name = name;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // Writing to a string does not fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One value of the metric begun last.
    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(self.name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let open = if at == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// All that was written.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// One value that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// The samples of a text; lines that are none are passed over.
pub(crate) fn parse(text: &str) -> Vec<Sample> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (text, after) = unescaped(after)?;
            labels.insert(label.to_owned(), text);
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    // A time may follow the value.
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// The text up to the quote that ends it, and what follows.
fn unescaped(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                c => out.push(c),
            },
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let awkward = "a \"quoted\" {name}, with \\ and\nmore";
        let mut exposition = Exposition::default();
        exposition.metric(Kind::Counter, "things_total", "Things.");
        exposition.sample(&[], 7);
        exposition.sample(&[("role", "detect"), ("shard", awkward)], 1.5);
        let text = exposition.into_text();
        assert!(text.starts_with("# HELP things_total Things.\n# TYPE things_total counter\nthings_total 7\n"));
        assert_eq!(text.lines().count(), 4, "a line break in a label breaks no line");
        let samples = parse(&text);
        assert_eq!(samples.len(), 2);
        assert_eq!((samples[0].name.as_str(), samples[0].value), ("things_total", 7.0));
        assert_eq!(samples[1].labels["shard"], awkward);
        assert_eq!(samples[1].value, 1.5);
    }

    #[test]
    fn what_is_no_sample_is_passed_over() {
        for line in
            ["", "# HELP a b", "name", "name{", "name{a=\"b", "name{a=\"b\"}", "name{a=\"b\"} much", "<html>", "{} x"]
        {
            assert_eq!(parse(line), [], "{line}");
        }
        assert_eq!(parse("up 1 1700000000000\r\n")[0].value, 1.0);
    }
}
