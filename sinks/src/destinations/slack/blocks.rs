//! The payload: Block Kit (<https://docs.slack.dev/reference/block-kit>). Pure.
//!
//! Every text of an event is escaped, and every text object is `verbatim`, so that Slack makes no links or mentions of it.

use dial_rules::severity::Severity;
use reqwest::Url;
use serde_json::{Value, json};

use crate::message::Message;
use crate::telling::{Fact, Telling};
use crate::text::{Medium, https_address, inert, is_blank, paragraphs, units};

/// Longest text of a header.
const MOST_HEADER: usize = 150;
/// Longest list. A section takes 3,000; all blocks together must stay below a limit that Slack does not publish
/// (`msg_blocks_too_long`).
const MOST_LIST: usize = 2_500;
/// Longest line of links.
const MOST_LINKED: usize = 1_500;
/// Longest text of a field; Slack takes 2,000, nobody reads as many.
const MOST_FIELD: usize = 300;
/// Most fields of a section.
const MOST_FIELDS: usize = 10;
/// Longest advice.
const MOST_ADVICE: usize = 900;
/// Longest line of a list.
const MOST_LINE: usize = 250;
/// What is between links.
const BETWEEN: &str = "  ·  ";
/// Most other findings that are told.
const MOST_OTHERS: usize = 5;
/// Most references that are linked.
const MOST_LINKS: usize = 4;

/// The message as Slack takes it: `text` for notifications, and `blocks`.
pub fn payload(message: &Message) -> Value {
    let telling = Telling::of(message);
    let mark = mark(message.severity);
    let mut blocks = vec![header(&format!("{mark} {}", telling.headline))];
    blocks.extend(count(&telling, message));
    blocks.extend(fields(&telling.facts));
    blocks.extend(list("What happened (UTC)", &telling.timeline, telling.timeline.len()));
    let others = &telling.others[..telling.others.len().min(MOST_OTHERS)];
    blocks.extend(list("Also", others, message.finding_ids.len().saturating_sub(1).max(telling.others.len())));
    blocks.extend(advice("Why it matters", &message.advice.why));
    blocks.extend(advice("What to do first", message.advice.first_step.as_deref().unwrap_or_default()));
    blocks.extend(Some(links(message)).filter(|links| !links.is_empty()).map(|links| context(&links)));
    json!({
        "text": format!("{mark} {}", inert(&telling.headline, Medium::Slack, MOST_LINE)),
        "blocks": blocks,
        // In `text` nothing becomes a link or a mention that is not written as one.
        "parse": "none",
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

fn mark(severity: Severity) -> char {
    match severity {
        Severity::Critical => '🔴',
        Severity::High => '🟠',
        Severity::Medium => '🟡',
        Severity::Low => '🔵',
        Severity::Informational => '⚪',
    }
}

fn header(text: &str) -> Value {
    // Plain text is not parsed; the brackets go all the same, since Slack writes its mentions with them.
    let text = inert(&text.replace('<', "‹").replace('>', "›"), Medium::Plain, MOST_HEADER);
    json!({"type": "header", "text": {"type": "plain_text", "text": text, "emoji": false}})
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": mrkdwn(text)})
}

fn context(text: &str) -> Value {
    json!({"type": "context", "elements": [mrkdwn(text)]})
}

fn mrkdwn(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}

fn fields(facts: &[Fact]) -> Option<Value> {
    let of_one = |fact: &Fact| {
        let medium = if fact.is_code { Medium::SlackCode } else { Medium::Slack };
        mrkdwn(&format!("*{}*\n{}", inert(fact.name, Medium::Slack, MOST_LINE), inert(&fact.text, medium, MOST_FIELD)))
    };
    let fields: Vec<Value> = facts.iter().take(MOST_FIELDS).map(of_one).collect();
    (!fields.is_empty()).then(|| json!({"type": "section", "fields": fields}))
}

/// A list in one section: as many lines as fit, and how many of all there are beside.
fn list(title: &str, lines: &[String], all: usize) -> Option<Value> {
    let more = |shown: usize| match all.saturating_sub(shown) {
        0 => String::new(),
        beyond => format!("\n… and {beyond} more"),
    };
    let mut text = format!("*{title}*");
    let mut shown = 0;
    for line in lines {
        let line = format!("\n• {}", inert(line, Medium::Slack, MOST_LINE));
        if units(&text) + units(&line) + units(&more(shown)) > MOST_LIST {
            break;
        }
        text.push_str(&line);
        shown += 1;
    }
    (!lines.is_empty()).then(|| section(&format!("{text}{}", more(shown))))
}

fn advice(title: &str, text: &str) -> Option<Value> {
    let text = paragraphs(text, Medium::Slack, MOST_ADVICE);
    (!text.is_empty()).then(|| section(&format!("*{title}*\n{text}")))
}

/// How many findings there are, and the command that lists them.
fn count(telling: &Telling, message: &Message) -> Option<Value> {
    let count = telling.count.as_ref()?;
    let list = message
        .links
        .list
        .as_ref()
        .filter(|list| !is_blank(list))
        .map(|list| format!("\nAll of them: {}", inert(list, Medium::SlackCode, MOST_FIELD)));
    Some(section(&format!("*{}*{}", inert(count, Medium::Slack, MOST_LINE), list.unwrap_or_default())))
}

fn links(message: &Message) -> String {
    let console = message.links.console.as_deref().and_then(|url| link(url, "Event in CloudTrail"));
    let references = message.advice.references.iter().take(MOST_LINKS).filter_map(|url| {
        let host = Url::parse(url).ok()?.host_str()?.to_owned();
        link(url, &inert(&host, Medium::Slack, 60))
    });
    let show = inert(&message.links.show, Medium::SlackCode, MOST_FIELD);
    let mut text = show;
    for link in console.into_iter().chain(references) {
        let between = if text.is_empty() { "" } else { BETWEEN };
        if units(&text) + units(between) + units(&link) <= MOST_LINKED {
            text.push_str(between);
            text.push_str(&link);
        }
    }
    text
}

/// A link of ours.
fn link(url: &str, label: &str) -> Option<String> {
    https_address(url).map(|address| format!("<{}|{label}>", address.replace('&', "&amp;")))
}
