//! What each sink sends, word for word.

use dial_sinks::destinations::thehive::{self, TheHiveLabels, TheHiveVersion};
use dial_sinks::destinations::{slack, webhook};
use dial_sinks::samples::{SampleKind, sample};
use dial_sinks::wire::wire;
use insta::assert_json_snapshot;
use serde_json::Value;

pub(crate) const TOLD: [(SampleKind, &str); 4] = [
    (SampleKind::Single, "single"),
    (SampleKind::Correlated, "correlated"),
    (SampleKind::Incident, "incident"),
    (SampleKind::Storm, "storm"),
];

#[test]
fn slack() {
    for (kind, name) in TOLD {
        assert_json_snapshot!(format!("slack_{name}"), slack::payload(&sample(kind)));
    }
}

#[test]
fn thehive() {
    let labels = TheHiveLabels { tags: vec!["team-cloud".to_owned()], ..TheHiveLabels::default() };
    for (kind, name) in TOLD {
        let message = sample(kind);
        let alert = thehive::alert(&message, &message.thread, &labels, TheHiveVersion::Five);
        assert_json_snapshot!(format!("thehive_five_{name}"), alert);
    }
    let message = sample(SampleKind::Correlated);
    let alert = thehive::alert(&message, &message.thread, &labels, TheHiveVersion::Four);
    assert_json_snapshot!("thehive_four_correlated", alert);
    insta::assert_snapshot!("thehive_update", thehive::update(&sample(SampleKind::Incident)));
}

#[test]
fn webhook() {
    // The others are in the JSON's own tests; of a storm only what is not a thousand times the same.
    let mut storm = wire(&sample(SampleKind::Storm));
    for (list, kept) in [("finding_ids", 2), ("findings", 1)] {
        if let Some(Value::Array(list)) = storm.get_mut(list) {
            list.truncate(kept);
        }
    }
    assert_json_snapshot!("webhook_storm", storm);
    let source = r#"{"summary": {{ headline }}, "severity": {{ severity }}, "who": {{ facts.Who }}, "from": {{ facts.From }},
        "timeline": {{ timeline }}, "others": {{ others | length }}, "count": {{ count }}, "link": {{ links.console }}}"#;
    let template = webhook::Template::new("alert.json.j2", source, None).unwrap();
    for (kind, name) in TOLD {
        let body: Value = serde_json::from_str(&template.render(&sample(kind)).unwrap()).unwrap();
        assert_json_snapshot!(format!("webhook_template_{name}"), body);
    }
}
