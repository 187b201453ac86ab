//! The suite over [`MemoryWindowStore`].

use std::sync::Arc;

use dial_sinks::windows::memory::MemoryWindowStore;
use dial_sinks::windows::retention::Retention;
use dial_sinks::windows::store::WindowStore;

use crate::items::{NOON, TIMESPAN, addition, all, item};
use crate::suite::{self, Subject};

fn subject() -> Subject {
    Subject::new(300, |_, count| {
        let store: Arc<dyn WindowStore> = Arc::new(MemoryWindowStore::new(Retention::default()));
        vec![store; count]
    })
}

#[test]
fn appends_and_reads_in_any_order_agree_with_a_plain_list() {
    suite::appends_and_reads_in_any_order_agree_with_a_plain_list(&subject());
}

#[test]
fn failures_lose_and_add_nothing() {
    suite::failures_lose_and_add_nothing(&subject());
}

#[test]
fn adding_again_in_whatever_company_changes_nothing() {
    suite::adding_again_in_whatever_company_changes_nothing(&subject());
}

#[test]
fn of_differing_bodies_the_smaller_stays_whatever_the_order() {
    suite::of_differing_bodies_the_smaller_stays_whatever_the_order(&subject());
}

#[test]
fn ranges_include_both_ends_at_the_edges_of_buckets() {
    suite::ranges_include_both_ends_at_the_edges_of_buckets(&subject());
}

#[test]
fn windows_are_kept_apart() {
    suite::windows_are_kept_apart(&subject());
}

#[test]
fn an_empty_store_answers() {
    suite::an_empty_store_answers(&subject());
}

#[test]
fn items_over_a_limit_are_refused_and_nothing_is_written() {
    suite::items_over_a_limit_are_refused_and_nothing_is_written(&subject());
}

#[test]
fn of_concurrent_append_then_read_pairs_never_both_miss() {
    suite::of_concurrent_append_then_read_pairs_never_both_miss(&subject());
}

#[test]
fn a_hundred_thousand_items_in_one_window_are_all_counted() {
    suite::a_hundred_thousand_items_in_one_window_are_all_counted(&subject());
}

#[tokio::test]
async fn what_has_expired_is_deleted_in_time() {
    let retention = Retention { allowed_lateness: 5_000, stream_retention: 7_000 };
    let store = MemoryWindowStore::new(retention);
    let kept = 2 * TIMESPAN + 12_000;
    store.append(vec![addition("alice", vec![item(0, "old"), item(0, "again")])], NOON).await.unwrap();
    store.append(vec![addition("alice", vec![item(0, "again")])], NOON + TIMESPAN).await.unwrap();
    store.append(vec![addition("bob", vec![item(0, "1")])], NOON + kept - 1).await.unwrap();
    assert_eq!(store.items(), 3, "nothing has expired yet");
    store.append(vec![addition("bob", vec![item(0, "2")])], NOON + kept + TIMESPAN - 1).await.unwrap();
    assert_eq!(store.items(), 3, "one has expired, one was added");
    let read = store.read(&[all("alice"), all("bob")]).await.unwrap();
    assert_eq!(read, [vec![item(0, "again")], vec![item(0, "1"), item(0, "2")]]);
}
