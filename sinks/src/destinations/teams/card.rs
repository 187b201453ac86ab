//! The card: Adaptive Cards 1.4 (<https://adaptivecards.io/explorer/>). Pure.
//!
//! All texts are runs of a `RichTextBlock`: unlike a `TextBlock`, it knows no Markdown, so that a text is shown as it is.
//! What it does know is `{{DATE(…)}}`.

use dial_rules::severity::Severity;
use serde_json::{Value, json};

use crate::destinations::outline::{Bounds, List, Named, Outline, fitting};
use crate::message::Message;
use crate::text::Medium;

/// Most bytes; Teams takes 28 KB of a webhook.
const MOST_BYTES: usize = 27_000;
/// Most buttons; Teams shows six.
const MOST_ACTIONS: usize = 6;

/// The message as a webhook of Teams takes it, at most 28 KB of JSON.
pub fn payload(message: &Message) -> Value {
    fitting(MOST_BYTES, |bounds| of(message, bounds))
}

fn of(message: &Message, bounds: Bounds) -> Value {
    let outline = Outline::of(message, Medium::Linking, bounds);
    let mut body = vec![block(vec![headline(&outline.headline, message.severity)])];
    body.extend(outline.count.as_deref().map(|count| block(vec![bold(count)])));
    body.push(named(&outline.facts));
    for List { title, lines, more } in &outline.lists {
        body.push(block(vec![bold(title)]));
        body.extend(lines.iter().map(|line| spaced(block(vec![run(&format!("• {line}"))]), "Small")));
        body.extend(more.iter().map(|more| spaced(block(vec![run(more)]), "Small")));
    }
    for (title, text) in &outline.advice {
        body.push(block(vec![bold(title)]));
        body.extend(text.lines().map(|line| spaced(block(vec![run(line)]), "Small")));
    }
    body.push(named(&outline.codes));
    let open = |title: &str, url: &str| json!({"type": "Action.OpenUrl", "title": title, "url": url});
    let actions: Vec<Value> =
        outline.links.iter().take(MOST_ACTIONS).map(|link| open(&link.label, &link.address)).collect();
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": plain(&outline.headline),
        "msteams": {"width": "Full"},
        "body": body,
        "actions": actions,
    });
    json!({
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card}],
    })
}

/// Names and texts, one line each.
fn named(all: &[Named]) -> Value {
    let of_one = |one: &Named| {
        let mut text = run(&one.text);
        if one.is_code {
            text["fontType"] = "Monospace".into();
        }
        spaced(block(vec![bold(&format!("{}  ", one.name)), text]), "Small")
    };
    json!({"type": "Container", "items": all.iter().map(of_one).collect::<Vec<_>>()})
}

fn headline(text: &str, severity: Severity) -> Value {
    let mut run = bold(text);
    run["size"] = "Large".into();
    run["color"] = match severity {
        Severity::Critical | Severity::High => "Attention",
        Severity::Medium => "Warning",
        Severity::Low | Severity::Informational => "Accent",
    }
    .into();
    run
}

fn bold(text: &str) -> Value {
    let mut run = run(text);
    run["weight"] = "Bolder".into();
    run
}

fn run(text: &str) -> Value {
    json!({"type": "TextRun", "text": plain(text)})
}

/// No functions: `{{DATE(…)}}` would show another text than there is.
fn plain(text: &str) -> String {
    // The second time for what the first has left of three.
    text.replace("{{", "{ {").replace("{{", "{ {")
}

fn block(inlines: Vec<Value>) -> Value {
    json!({"type": "RichTextBlock", "inlines": inlines})
}

fn spaced(mut block: Value, spacing: &str) -> Value {
    block["spacing"] = spacing.into();
    block
}
