//! A message of RFC 5424, and its frame. Pure.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat, Utc};
use dial_rules::finding::FindingKind;
use dial_rules::severity::Severity;

use crate::message::Message;
use crate::telling::Telling;
use crate::text::{Medium, inert};

/// Facility 13, log audit (§ 6.2.1).
const FACILITY: u8 = 13;
/// The name of our structured data: of a private enterprise, with the number that RFC 5612 sets aside, since we have none.
const SD_ID: &str = "dial@32473";
/// Most bytes: what every receiver over TLS should take (RFC 5425, § 4.3.1).
const MOST_BYTES: usize = 8_192;
/// Longest value of structured data and longest text, in UTF-16 units: the most with which the message is short enough.
const LENGTHS: [(usize, usize); 3] = [(400, 4_000), (150, 1_500), (60, 600)];

/// A message as RFC 5424 has it, at most 8,192 bytes, of one line.
pub fn rfc5424(message: &Message) -> String {
    let [first, rest @ ..] = LENGTHS;
    let mut line = of(message, first);
    for lengths in rest {
        if line.len() <= MOST_BYTES {
            break;
        }
        line = of(message, lengths);
    }
    line
}

/// A message in its frame: its length in octets, a space, the message.
pub fn framed(line: &str) -> String {
    format!("{} {line}", line.len())
}

fn of(message: &Message, (most_value, most_text): (usize, usize)) -> String {
    let priority = FACILITY * 8 + severity(message.severity);
    let time = DateTime::<Utc>::from_timestamp_millis(message.lead.finding.last_seen);
    let time = time.map_or_else(|| "-".to_owned(), |time| time.to_rfc3339_opts(SecondsFormat::Millis, true));
    let kind = if message.is_sample { "SAMPLE" } else { "ALERT" };
    let mut line = format!("<{priority}>1 {time} - dial - {kind} [{SD_ID}");
    for (name, value) in parameters(message) {
        let value = inert(&value, Medium::Plain, most_value);
        if !value.is_empty() {
            // To a text nothing can fail to be written.
            let _ = write!(line, " {name}=\"{}\"", escaped(&value));
        }
    }
    // The BOM says that what follows is UTF-8 (§ 6.4).
    let _ = write!(line, "] \u{feff}{}", inert(&text(message), Medium::Plain, most_text));
    line
}

/// § 6.3.3: these three, and nothing else, have a backslash before them.
fn escaped(value: &str) -> String {
    value.chars().fold(String::with_capacity(value.len()), |mut all, c| {
        if matches!(c, '"' | '\\' | ']') {
            all.push('\\');
        }
        all.push(c);
        all
    })
}

fn parameters(message: &Message) -> Vec<(&'static str, String)> {
    let finding = &message.lead.finding;
    let subject = &finding.subject;
    let kind = match finding.kind {
        FindingKind::Single => "single",
        FindingKind::Correlated => "correlated",
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    vec![
        ("key", message.key.clone()),
        ("thread", message.thread.clone()),
        ("severity", message.severity.as_str().to_owned()),
        ("kind", kind.to_owned()),
        ("rule", finding.rule_id.clone()),
        ("finding", finding.finding_id.clone()),
        ("count", message.count.to_string()),
        ("account", text(&subject.account_id)),
        ("region", text(&subject.region)),
        ("actor", text(&subject.actor)),
        ("actorArn", text(&subject.actor_arn)),
        ("src", text(&subject.source_ip)),
        ("techniques", subject.techniques.join(" ")),
    ]
}

/// The headline and what is known, in one line.
fn text(message: &Message) -> String {
    let telling = Telling::of(message);
    let facts = telling.facts.iter().map(|fact| format!("{}: {}", fact.name, fact.text));
    let parts = std::iter::once(telling.headline.clone()).chain(telling.count.clone()).chain(facts);
    let show = Some(message.links.show.clone()).filter(|show| !show.is_empty());
    parts.chain(show).collect::<Vec<_>>().join("; ")
}

/// Severities of § 6.2.1.
fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Informational => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{SampleKind, sample};

    #[test]
    fn what_ends_a_value_is_escaped() {
        assert_eq!(escaped(r#"a"] [x@1 y="z\"#), r#"a\"\] [x@1 y=\"z\\"#);
        let mut message = sample(SampleKind::Single);
        message.lead.finding.subject.actor = Some("x\"] \n<14>1 - - - - - -".to_owned());
        let line = rfc5424(&message);
        assert!(line.contains(r#" actor="x\"\] <14>1 - - - - - -" "#) && !line.contains('\n'), "{line}");
    }

    #[test]
    fn a_frame_counts_octets() {
        assert_eq!((framed("abc"), framed("é")), ("3 abc".to_owned(), "2 é".to_owned()));
    }

    #[test]
    fn no_message_is_longer_than_receivers_take() {
        for text in ["\"", "字", "\\]", "x"] {
            let mut message = sample(SampleKind::Correlated);
            let long = Some(text.repeat(5_000));
            let subject = &mut message.lead.finding.subject;
            (subject.account_id, subject.region, subject.actor) = (long.clone(), long.clone(), long.clone());
            (subject.actor_arn, subject.source_ip) = (long.clone(), long.clone());
            subject.techniques = vec![text.repeat(5_000)];
            message.title = text.repeat(5_000);
            (message.key, message.thread) = (text.repeat(5_000), text.repeat(5_000));
            assert!(rfc5424(&message).len() <= MOST_BYTES);
        }
    }
}
