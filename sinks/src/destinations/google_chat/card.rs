//! The card: `cardsV2` (<https://developers.google.com/workspace/chat/api/reference/rest/v1/cards>). Pure.
//!
//! Texts of widgets are a subset of HTML, and what is escaped there is text. A header is plain text.

use dial_rules::severity::Severity;
use serde_json::{Value, json};

use crate::destinations::outline::{Bounds, List, Named, Outline, fitting};
use crate::destinations::reference::reference;
use crate::message::Message;
use crate::telling::Telling;
use crate::text::{Medium, inert};

/// Most bytes; a message of Google Chat has at most 32,000.
const MOST_BYTES: usize = 30_000;
/// Longest `threadKey`.
const MOST_THREAD: usize = 4_000;
/// Longest text of a header.
const MOST_HEADER: usize = 200;

/// The message as a webhook of Google Chat takes it, at most 32,000 bytes of JSON.
pub fn payload(message: &Message) -> Value {
    fitting(MOST_BYTES, |bounds| of(message, bounds))
}

fn of(message: &Message, bounds: Bounds) -> Value {
    let outline = Outline::of(message, Medium::LinkingHtml, bounds);
    let headline = header(&Telling::of(message).headline);
    let facts: Vec<Value> = outline.facts.iter().map(fact).collect();
    let mut sections = vec![json!({"widgets": facts})];
    for List { title, lines, more } in &outline.lists {
        let lines: Vec<String> = lines.iter().map(|line| format!("• {line}")).chain(more.clone()).collect();
        sections.push(json!({"header": title, "widgets": [paragraph(&lines.join("<br>"))]}));
    }
    for (title, text) in &outline.advice {
        sections.push(json!({"header": title, "widgets": [paragraph(text)]}));
    }
    let open = |label: &str, url: &str| json!({"text": label, "onClick": {"openLink": {"url": url}}});
    let buttons: Vec<Value> = outline.links.iter().map(|link| open(&link.label, &link.address)).collect();
    let mut read_on: Vec<Value> = outline.codes.iter().map(fact).collect();
    read_on.extend((!buttons.is_empty()).then(|| json!({"buttonList": {"buttons": buttons}})));
    sections.push(json!({"header": "Read on", "widgets": read_on}));
    let mut top = json!({"title": format!("{} {headline}", mark(message.severity))});
    if let Some(count) = &outline.count {
        top["subtitle"] = count.as_str().into();
    }
    json!({
        // What a notification shows.
        "fallbackText": headline,
        "cardsV2": [{"cardId": "alert", "card": {"header": top, "sections": sections}}],
        "thread": {"threadKey": reference(&message.thread, MOST_THREAD)},
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

/// A text outside of widgets. Mentions are written with brackets, so these go, and so does what makes text bold.
fn header(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| match c {
            '<' => '‹',
            '>' => '›',
            '*' => '∗',
            '_' => '＿',
            '~' => '∼',
            '`' => '‵',
            c => c,
        })
        .collect();
    inert(&text, Medium::Linking, MOST_HEADER)
}

fn fact(fact: &Named) -> Value {
    json!({"decoratedText": {"topLabel": fact.name, "text": fact.text, "wrapText": true}})
}

fn paragraph(text: &str) -> Value {
    json!({"textParagraph": {"text": text}})
}
