use std::collections::BTreeMap;

use super::*;
use crate::memory::MemoryFindingStore;
use crate::outbox::pace::Pace;
use crate::outbox::shelve::shelve;
use crate::outbox::tests::world::{Policy, START, correlated, single};
use crate::sqlite::SqliteFindingStore;
use crate::store::FindingStore;

async fn composed(group: Group, findings: Vec<Finding>) -> Option<Message> {
    let store = MemoryFindingStore::new();
    let mut alert = Alert::new("slack", group, START);
    let ids: BTreeMap<String, u64> = findings.iter().map(|finding| (finding.finding_id.clone(), 1)).collect();
    alert.join(&ids, START, &Pace::default());
    store.record(findings).await.unwrap();
    let delivery = alert.claim("w", START).unwrap();
    compose(&store, &Policy, &alert, &delivery).await.unwrap()
}

fn incident() -> Group {
    Group::Incident { id: "i".to_owned() }
}

#[tokio::test]
async fn the_worst_leads_and_then_what_says_the_most() {
    let mut low = single("1", "low", "alice");
    low.subject.severity = Severity::Low;
    let chain = correlated("2", "chain", "alice", 1, &["e"]);
    let message = composed(incident(), vec![low, single("3", "high", "alice"), chain]).await.unwrap();
    let order: Vec<&str> =
        [&message.lead].into_iter().chain(&message.others).map(|one| one.finding.finding_id.as_str()).collect();
    assert_eq!(order, ["2", "3", "1"]);
    assert_eq!(message.title, "3 findings: Rule chain, Rule high, Rule low");
    assert_eq!((message.severity, message.count, message.sequence), (Severity::High, 3, 0));
    assert_eq!((message.moments.len(), message.advice.why.as_str()), (3, "chain"));
    assert_eq!(message.links.list, None, "all are told");
}

#[tokio::test]
async fn one_finding_has_its_rules_title() {
    let message = composed(incident(), vec![single("1", "r", "alice")]).await.unwrap();
    assert_eq!((message.title.as_str(), message.count), ("Rule r", 1));
}

#[tokio::test]
async fn many_are_counted_and_the_list_has_them_all() {
    let one = |n: i64| {
        let mut finding = single(&format!("{n:04}"), "r", "alice");
        finding.last_seen = START + n * 100;
        finding
    };
    let message = composed(Group::Storm { rule_id: "r".to_owned() }, (0..900).map(one).collect()).await.unwrap();
    assert_eq!(message.title, "900 × Rule r in 2 min");
    assert_eq!((message.others.len(), message.finding_ids.len(), message.moments.len()), (MOST_SHOWN, 900, 1));
    assert_eq!(message.lead.finding.finding_id, "0899");
    let list = message.links.list.unwrap();
    assert_eq!(list, "dial findings list --rule r --from 2026-03-03T10:00:00Z --to 2026-03-03T10:01:29.901Z");
}

#[tokio::test]
async fn of_findings_that_are_gone_nothing_is_said() {
    let store = MemoryFindingStore::new();
    let mut alert = Alert::new("slack", incident(), START);
    alert.join(&BTreeMap::from([("gone".to_owned(), 1)]), START, &Pace::default());
    let delivery = alert.claim("w", START).unwrap();
    assert_eq!(compose(&store, &Policy, &alert, &delivery).await.unwrap(), None);
}

#[tokio::test]
async fn findings_that_cannot_be_read_are_not_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("findings.db");
    let store = SqliteFindingStore::open(path.clone()).await.unwrap();
    let mut alert = Alert::new("slack", incident(), START);
    alert.join(&BTreeMap::from([("1".to_owned(), 1), ("2".to_owned(), 1)]), START, &Pace::default());
    store.record(vec![single("1", "r", "alice"), single("2", "r", "alice")]).await.unwrap();
    let delivery = alert.claim("w", START).unwrap();
    let damage = |id: &str| {
        let row = rusqlite::Connection::open(&path).unwrap();
        row.execute("UPDATE findings SET body = '{' WHERE finding_id = ?1", [id]).unwrap();
    };
    damage("1");
    let message = compose(&store, &Policy, &alert, &delivery).await.unwrap().unwrap();
    assert_eq!((message.lead.finding.finding_id.as_str(), message.finding_ids.len()), ("2", 2), "the rest is told");
    damage("2");
    compose(&store, &Policy, &alert, &delivery).await.unwrap_err();
    shelve(&store, &Policy, &delivery).await.unwrap_err();
}

#[test]
fn spans_are_rounded_up() {
    let cases = [(0, "1 min"), (60_000, "1 min"), (60_001, "2 min"), (7_200_000, "2 h"), (200_000_000, "3 days")];
    for (millis, text) in cases {
        assert_eq!(span(millis), text);
    }
}

#[tokio::test]
async fn what_subscribers_filter_by_is_of_all_findings() {
    let one = |n: i64| {
        let mut finding = single(&format!("{n:04}"), "r", "alice");
        finding.subject.account_id = Some(format!("{n:012}"));
        finding
    };
    let message = composed(Group::Storm { rule_id: "r".to_owned() }, (0..900).map(one).collect()).await.unwrap();
    assert_eq!(message.of.accounts.len(), 900);
    assert!(!message.of.is_correlated);
}
