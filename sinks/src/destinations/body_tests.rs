use proptest::prelude::*;

use super::*;
use crate::samples::{SampleKind, sample};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_fits_is_whole() {
    for kind in SampleKind::ALL {
        let message = sample(kind);
        assert_eq!(parsed(&body(&message, MOST)), wire(&message), "{kind:?}");
    }
}

#[test]
fn what_does_not_fit_is_cut_in_order_and_says_so() {
    let message = sample(SampleKind::Storm);
    let whole = wire(&message).to_string().len();
    let mut seen = Vec::new();
    for most in (4_000..whole).rev().step_by(499) {
        let text = body(&message, most);
        assert!(text.len() <= most, "{} > {most}", text.len());
        let alert = parsed(&text);
        let truncated = alert["truncated"].as_array().unwrap().clone();
        for name in &truncated {
            if !seen.contains(name) {
                seen.push(name.clone());
            }
        }
        let length = |name: &str| alert[name].as_array().unwrap().len();
        // What comes later is untouched while there is something of what comes before.
        assert!(length("findings") == 0 || length("finding_ids") == 1_000);
        assert!(length("finding_ids") > 0);
        for whole in ["schema", "key", "thread", "count", "links", "severity", "is_sample"] {
            assert_eq!(alert[whole], wire(&message)[whole], "{whole} at {most}");
        }
    }
    assert_eq!(seen, ["findings", "finding_ids"], "a storm has one moment and one piece of evidence, which stay");
}

#[test]
fn evidence_goes_before_the_ids_do() {
    let message = sample(SampleKind::Correlated);
    let (whole, short) = (wire(&message).to_string().len(), wire(&message));
    let alert = parsed(&body(&message, whole - 700));
    assert_eq!(alert["truncated"][0], "moments");
    assert_eq!(alert["finding_ids"], short["finding_ids"]);
    let alert = parsed(&body(&message, whole - 900));
    assert_eq!(alert["truncated"], serde_json::json!(["moments", "finding.evidence"]));
    assert!(alert["finding"]["evidence"].as_array().unwrap().len() < 3);
}

#[test]
fn texts_are_shortened_when_nothing_else_is_left() {
    let mut message = sample(SampleKind::Single);
    message.title = "\u{1f4a5}".repeat(100_000);
    message.advice.why = "\u{202e}".repeat(100_000);
    let text = body(&message, MOST);
    assert!(text.len() < 10_000, "{}", text.len());
    let alert = parsed(&text);
    assert_eq!(alert["truncated"], serde_json::json!(["texts"]));
    assert_eq!(alert["title"].as_str().unwrap().chars().count(), SHORT[0] + 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn odd_characters_are_escaped_and_mean_the_same(text in r"[\x00-\x1fa-z\u{7f}-\u{9f}\u{200b}-\u{2069}\u{feff}\u{fffe}\u{ffff}\u{1f600}\\\x22]{0,40}") {
        let value = serde_json::json!({ text.clone(): [text] });
        let written = json_text(&value);
        prop_assert!(!written.chars().any(is_odd), "{written:?}");
        prop_assert_eq!(parsed(&written), value);
    }

    #[test]
    fn no_message_is_larger_than_the_limit(title in "\\PC{0,2000}", ids in 1_usize..9_000, moments in 1_usize..400, most in 30_000_usize..MOST) {
        let mut message = sample(SampleKind::Incident);
        message.title = title;
        message.finding_ids = (0..ids).map(|n| format!("{n:032x}")).collect();
        message.moments = message.moments.iter().cycle().take(moments).cloned().collect();
        let text = body(&message, most);
        prop_assert!(text.len() <= most);
        let alert = parsed(&text);
        let is_cut = alert.get("truncated").is_some();
        prop_assert_eq!(is_cut, json_text(&wire(&message)).len() > most);
    }
}
