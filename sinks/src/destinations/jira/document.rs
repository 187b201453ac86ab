//! What is sent: issues and comments, in the Atlassian Document Format
//! (<https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/>). Pure.
//!
//! A document's texts are texts: whatever is bold or a link is so by a mark beside it.

use serde_json::{Value, json};

use crate::destinations::outline::{Bounds, List, Named, Outline, fitting};
use crate::destinations::reference::reference;
use crate::message::Message;
use crate::telling::Telling;
use crate::text::{Medium, inert};

/// Longest summary.
const MOST_SUMMARY: usize = 255;
/// Longest label.
const MOST_LABEL: usize = 255;
/// What our labels begin with.
const LABEL: &str = "dial-";
/// Most bytes of a document; Jira takes 32,767 characters.
const MOST_BYTES: usize = 30_000;

/// The label of an alert's issue.
pub fn label(thread: &str) -> String {
    format!("{LABEL}{}", reference(thread, MOST_LABEL - LABEL.len()))
}

/// A new issue.
pub fn issue(message: &Message, project: &str, issue_type: &str) -> Value {
    let summary = inert(&Telling::of(message).headline, Medium::Linking, MOST_SUMMARY);
    let mut labels = vec!["dial".to_owned(), label(&message.thread), format!("dial-{}", message.severity.as_str())];
    labels.extend(message.is_sample.then(|| "dial-sample".to_owned()));
    json!({"fields": {
        "project": {"key": project},
        "issuetype": {"name": issue_type},
        "summary": summary,
        "description": fitting(MOST_BYTES, |bounds| document(message, bounds, false)),
        "labels": labels,
    }})
}

/// What is said of what comes later: a comment's body.
pub fn comment(message: &Message) -> Value {
    fitting(MOST_BYTES, |bounds| document(message, bounds, true))
}

fn document(message: &Message, bounds: Bounds, headed: bool) -> Value {
    let outline = Outline::of(message, Medium::Linking, bounds);
    let mut content: Vec<Value> = Vec::new();
    content.extend(headed.then(|| paragraph(vec![strong(&outline.headline)])));
    content.extend(outline.count.as_deref().map(|count| paragraph(vec![strong(count)])));
    content.extend(bullets(outline.facts.iter().map(named)));
    for List { title, lines, more } in &outline.lists {
        content.push(heading(title));
        content.extend(bullets(lines.iter().chain(more).map(|line| vec![text(line)])));
    }
    for (title, advice) in &outline.advice {
        content.push(heading(title));
        content.extend(advice.lines().map(|line| paragraph(vec![text(line)])));
    }
    content.push(heading("Read on"));
    let links = outline.links.iter().map(|link| vec![linked(&link.label, &link.address)]);
    content.extend(bullets(outline.codes.iter().map(named).chain(links)));
    json!({"type": "doc", "version": 1, "content": content})
}

fn named(one: &Named) -> Vec<Value> {
    let told = if one.is_code { marked(&one.text, json!({"type": "code"})) } else { text(&one.text) };
    vec![strong(one.name), text(": "), told]
}

fn heading(title: &str) -> Value {
    json!({"type": "heading", "attrs": {"level": 3}, "content": [text(title)]})
}

fn bullets(items: impl Iterator<Item = Vec<Value>>) -> Option<Value> {
    let items: Vec<Value> = items.map(|item| json!({"type": "listItem", "content": [paragraph(item)]})).collect();
    (!items.is_empty()).then(|| json!({"type": "bulletList", "content": items}))
}

fn paragraph(content: Vec<Value>) -> Value {
    json!({"type": "paragraph", "content": content})
}

/// A text, which must not be empty.
fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn strong(text: &str) -> Value {
    marked(text, json!({"type": "strong"}))
}

fn linked(label: &str, address: &str) -> Value {
    marked(label, json!({"type": "link", "attrs": {"href": address}}))
}

fn marked(words: &str, mark: Value) -> Value {
    let mut text = text(words);
    text["marks"] = json!([mark]);
    text
}
