//! Slack's published limits (<https://docs.slack.dev/reference/block-kit/blocks>), for whatever there is to say.

use dial_rules::finding::FindingKind;
use dial_sinks::destinations::slack::payload;
use dial_sinks::message::Message;
use dial_sinks::samples::{SampleKind, sample};
use dial_sinks::text::units;
use serde_json::Value;

use crate::hostile;

fn length(text: &Value) -> usize {
    units(text["text"].as_str().unwrap())
}

fn check(message: &Message) {
    let payload = payload(message);
    let blocks = payload["blocks"].as_array().unwrap();
    assert!((1..=50).contains(&blocks.len()), "{} blocks", blocks.len());
    // Where Slack cuts a message's text is 40,000; what it recommends is 4,000.
    assert!((1..=4_000).contains(&length(&payload)));
    for block in blocks {
        match block["type"].as_str().unwrap() {
            "header" => assert!((1..=150).contains(&length(&block["text"])), "{block}"),
            "section" => {
                let fields = block["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
                assert!(
                    fields.len() <= 10 && fields.iter().all(|field| (1..=2_000).contains(&length(field))),
                    "{block}"
                );
                assert!(block.get("text").is_none_or(|text| (1..=3_000).contains(&length(text))), "{block}");
                assert!(!fields.is_empty() || block.get("text").is_some());
            }
            "context" => {
                let elements = block["elements"].as_array().unwrap();
                assert!(
                    (1..=10).contains(&elements.len()) && elements.iter().all(|one| (1..=3_000).contains(&length(one)))
                );
            }
            other => panic!("a {other} block"),
        }
    }
    let all: usize = blocks.iter().map(|block| units(&block.to_string())).sum();
    assert!(all < 20_000, "{all} in all");
}

#[test]
fn hostile_and_long_messages_are_within_them() {
    for text in hostile::texts() {
        hostile::messages(&text).iter().for_each(check);
    }
    for text in ["&", "<", "*", "\u{1F600}", "_ ", "evil.example ", "é", "字"] {
        hostile::messages(&text.repeat(1_000)).iter().for_each(check);
    }
}

#[test]
fn empty_and_crowded_messages_are_within_them() {
    for kind in SampleKind::ALL {
        check(&sample(kind));
        let mut crowded = sample(kind);
        crowded.lead.finding.kind = FindingKind::Correlated;
        crowded.moments = crowded.moments.iter().cycle().take(5_000).cloned().collect();
        crowded.others = std::iter::repeat_n(crowded.lead.clone(), 500).collect();
        crowded.count = u64::MAX;
        crowded.advice.references = vec!["https://attack.mitre.org/techniques/T1098/".to_owned(); 100];
        crowded.links.list = Some("x ".repeat(4_000));
        check(&crowded);
        hostile::messages("").iter().for_each(check);
    }
}

#[test]
fn what_does_not_fit_is_counted() {
    let mut message = sample(SampleKind::Correlated);
    message.moments = message.moments.iter().cycle().take(1_000).cloned().collect();
    let text = payload(&message).to_string();
    let more =
        text.split("… and ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|n| n.parse::<usize>().ok());
    let shown = text.matches("• 2026").count();
    assert_eq!(more.map(|more| more + shown), Some(1_000));
    assert!(shown > 10, "{shown} lines");
    let storm = payload(&sample(SampleKind::Storm)).to_string();
    assert!(storm.contains("… and 994 more") && storm.matches("• MEDIUM").count() == 5);
}
