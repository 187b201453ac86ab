use super::*;
use crate::outbox::tests::world::{START, single};
use dial_rules::finding::Evidence;

fn with_event(id: &str, region: Option<&str>) -> Finding {
    let mut finding = single("0f", "r", "alice");
    let evidence = finding.evidence.pop_first().map(|evidence| Evidence { event_id: id.to_owned(), ..evidence });
    finding.evidence.extend(evidence);
    finding.subject.region = region.map(str::to_owned);
    finding
}

#[test]
fn the_console_is_linked_only_by_what_is_harmless() {
    let id = "5f0c9f9e-1b1e-4a52-9e6e-000000000001";
    let console = |id: &str, region| links(&with_event(id, region), None).console;
    assert_eq!(
        console(id, Some("eu-west-1")).unwrap(),
        format!("https://eu-west-1.console.aws.amazon.com/cloudtrailv2/home?region=eu-west-1#/events/{id}")
    );
    assert!(console(id, Some("cn-north-1")).unwrap().starts_with("https://cn-north-1.console.amazonaws.cn/"));
    assert!(console(id, Some("us-gov-west-1")).unwrap().contains("amazonaws-us-gov.com"));
    let bad = ["", "a/b", "a b", "<x>", "arn:aws:x", "é", "a\u{202e}b", "a#b", &"a".repeat(65)];
    for text in bad {
        assert_eq!(console(text, Some("eu-west-1")), None, "{text:?}");
        assert_eq!(console(id, Some(text)), None, "{text:?}");
    }
    assert_eq!((console(id, Some("evil.example")), console(id, None)), (None, None));
}

#[test]
fn commands_are_safe_to_paste() {
    let list = |rule| links(&with_event("e", None), Some((rule, START, START))).list.unwrap();
    assert_eq!(
        list(Some("3f6c-1")),
        "dial findings list --rule 3f6c-1 --from 2026-03-03T10:00:00Z --to 2026-03-03T10:00:00.001Z"
    );
    assert!(list(None).starts_with("dial findings list --from "));
    for (rule, word) in [("a b", "'a b'"), ("$(x)", "'$(x)'"), ("a'b", r"'a'\''b'"), ("-x", "'-x'"), ("a\nb", "'ab'")] {
        assert!(list(Some(rule)).contains(&format!("--rule {word} --from")), "{rule:?}: {}", list(Some(rule)));
    }
    assert_eq!(links(&with_event("e", None), None).show, "dial findings show 0f");
}
