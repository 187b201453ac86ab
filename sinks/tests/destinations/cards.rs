//! Cards and events of PagerDuty, Teams, Google Chat and Jira: word for word, inert, and within the published limits.

use dial_rules::finding::FindingKind;
use dial_sinks::destinations::{google_chat, jira, pagerduty, teams};
use dial_sinks::message::Message;
use dial_sinks::samples::sample;
use dial_sinks::text::units;
use insta::assert_json_snapshot;
use serde_json::Value;

use crate::golden::TOLD;
use crate::hostile::{self, render};

/// Hostile, long, crowded and empty messages.
fn all() -> Vec<Message> {
    let many = ["&", "<", "\"", "\u{1F600}", "evil.example ", "é", "字", "\\", "{{"];
    let texts = hostile::texts().into_iter().chain(many.iter().map(|text| text.repeat(1_000))).chain([String::new()]);
    let mut all: Vec<Message> = texts.flat_map(|text| hostile::messages(&text)).collect();
    for text in ["\"", "字", "&"] {
        let crowded = hostile::messages(&text.repeat(1_000)).into_iter().map(|mut message| {
            message.lead.finding.kind = FindingKind::Correlated;
            message.moments = message.moments.iter().cycle().take(500).cloned().collect();
            message.others = std::iter::repeat_n(message.lead.clone(), 100).collect();
            message.count = u64::MAX;
            message.advice.references = vec!["https://attack.mitre.org/techniques/T1098/".to_owned(); 100];
            message
        });
        all.extend(crowded);
    }
    all
}

fn check(what: Result<(), String>) {
    what.unwrap_or_else(|why| panic!("{}", why.chars().take(300).collect::<String>()));
}

/// Every object with this key, as it is.
fn each<'v>(value: &'v Value, key: &str, seen: &mut impl FnMut(&'v Value)) {
    match value {
        Value::Object(object) => {
            if let Some(found) = object.get(key) {
                seen(found);
            }
            object.values().for_each(|value| each(value, key, seen));
        }
        Value::Array(list) => list.iter().for_each(|value| each(value, key, seen)),
        _ => {}
    }
}

#[test]
fn golden() {
    for (kind, name) in TOLD {
        let message = sample(kind);
        assert_json_snapshot!(format!("pagerduty_{name}"), pagerduty::event(&message));
        assert_json_snapshot!(format!("jira_{name}"), jira::issue(&message, "SEC", "Task"));
        assert_json_snapshot!(format!("teams_{name}"), teams::payload(&message));
        assert_json_snapshot!(format!("google_chat_{name}"), google_chat::payload(&message));
    }
}

#[test]
fn pagerduty_takes_it_and_shows_text() {
    for message in all() {
        let event = pagerduty::event(&message);
        assert!(event.to_string().len() < 512 * 1024);
        let payload = &event["payload"];
        assert!(
            units(payload["summary"].as_str().unwrap()) <= 1_024 && event["dedup_key"].as_str().unwrap().len() <= 255
        );
        assert!(["critical", "error", "warning", "info"].contains(&payload["severity"].as_str().unwrap()));
        for name in ["summary", "source", "component", "group", "class"] {
            let is_required = ["summary", "source"].contains(&name);
            assert!(payload[name].as_str().map_or(!is_required, |text| !text.is_empty()), "{name}");
        }
        for (name, value) in payload["custom_details"].as_object().unwrap() {
            let copied = ["To what", "Caller", "See it whole", "See all", "Delivery"].contains(&name.as_str());
            let texts: Vec<&str> = match value {
                Value::Array(list) => list.iter().map(|one| one.as_str().unwrap()).collect(),
                one => vec![one.as_str().unwrap()],
            };
            texts.iter().for_each(|text| check(render::visible(text)));
            assert!(texts.iter().all(|text| !text.is_empty()), "{name}");
            texts.iter().filter(|_| !copied).for_each(|text| check(render::no_links(text)));
        }
        check(render::no_links(payload["summary"].as_str().unwrap()));
        only_our_links(&event["links"], "href");
    }
}

fn only_our_links(value: &Value, key: &str) {
    each(value, key, &mut |url| {
        let url = url.as_str().unwrap();
        assert!(render::HOSTS.iter().any(|host| url.starts_with(host)), "{url}");
    });
}

#[test]
fn jira_takes_it_and_shows_text() {
    for message in all() {
        let issue = jira::issue(&message, "SEC", "Task");
        let fields = &issue["fields"];
        let summary = fields["summary"].as_str().unwrap();
        assert!((1..=255).contains(&summary.chars().count()) && !summary.contains('\n'));
        check(render::no_links(summary));
        for label in fields["labels"].as_array().unwrap() {
            let label = label.as_str().unwrap();
            assert!(label.len() <= 255 && !label.contains(' '), "{label}");
        }
        for document in [&fields["description"], &jira::comment(&message)] {
            assert!(document.to_string().len() < 32_767);
            let mut kinds: Vec<&str> = Vec::new();
            each(document, "type", &mut |kind| kinds.push(kind.as_str().unwrap()));
            let fine = ["doc", "paragraph", "heading", "bulletList", "listItem", "text", "strong", "code", "link"];
            assert!(kinds.iter().all(|kind| fine.contains(kind)), "{kinds:?}");
            each(document, "content", &mut |content| {
                for node in content.as_array().unwrap().iter().filter(|node| node["type"] == "text") {
                    let text = node["text"].as_str().unwrap();
                    check(render::visible(text));
                    assert!(!text.is_empty() && !text.contains('\n'), "{text:?}");
                    let mark = &node["marks"][0]["type"];
                    if mark != "code" && mark != "link" {
                        check(render::no_links(text));
                    }
                }
                assert!(!content.as_array().unwrap().is_empty());
            });
            only_our_links(document, "href");
        }
    }
}

#[test]
fn teams_takes_it_and_shows_text() {
    for message in all() {
        let payload = teams::payload(&message);
        let bytes = payload.to_string().len();
        assert!(bytes <= 28 * 1024, "{bytes} bytes");
        let card = &payload["attachments"][0]["content"];
        assert!(card["actions"].as_array().unwrap().len() <= 6);
        // Nothing of the kinds that know Markdown, mentions or data.
        let mut kinds: Vec<&str> = Vec::new();
        each(card, "type", &mut |kind| kinds.push(kind.as_str().unwrap()));
        kinds.sort_unstable();
        kinds.dedup();
        let fine = ["Action.OpenUrl", "AdaptiveCard", "Container", "RichTextBlock", "TextRun"];
        assert!(kinds.iter().all(|kind| fine.contains(kind)), "{kinds:?}");
        assert_eq!(card["msteams"], serde_json::json!({"width": "Full"}));
        each(&card["body"], "inlines", &mut |inlines| {
            for run in inlines.as_array().unwrap() {
                let text = run["text"].as_str().unwrap();
                check(render::visible(text));
                assert!(!text.contains("{{") && !text.contains('\n') && !text.is_empty(), "{text:?}");
                if run["fontType"] != "Monospace" {
                    check(render::no_links(text));
                }
            }
        });
        only_our_links(card, "url");
    }
}

#[test]
fn google_chat_takes_it_and_shows_text() {
    for message in all() {
        let payload = google_chat::payload(&message);
        let bytes = payload.to_string().len();
        assert!(bytes <= 32_000, "{bytes} bytes");
        // Chat's own markup is made of `text`.
        assert!(payload.get("text").is_none());
        let fallback = payload["fallbackText"].as_str().unwrap();
        assert!(!fallback.contains(['<', '>', '*', '_', '~', '`', '\n']), "{fallback:?}");
        check(render::no_links(fallback));
        each(&payload["cardsV2"], "text", &mut |text| {
            let text = text.as_str().unwrap();
            check(render::html(text));
            assert!(!text.is_empty());
        });
        each(&payload["cardsV2"], "title", &mut |title| {
            assert!(!title.as_str().unwrap().contains(['<', '>', '\n']), "{title}");
        });
        only_our_links(&payload["cardsV2"], "url");
        for section in payload["cardsV2"][0]["card"]["sections"].as_array().unwrap() {
            assert!(!section["widgets"].as_array().unwrap().is_empty(), "{section}");
        }
    }
}
