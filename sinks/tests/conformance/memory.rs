//! The suite over [`MemoryFindingStore`].

use std::sync::Arc;

use dial_sinks::memory::MemoryFindingStore;
use dial_sinks::store::FindingStore;

use crate::suite::{self, Subject};

fn subject() -> Subject {
    Subject::new(200, |_, count| {
        let store: Arc<dyn FindingStore> = Arc::new(MemoryFindingStore::new());
        vec![store; count]
    })
}

#[test]
fn any_order_with_repetitions_gives_the_same_content() {
    suite::any_order_with_repetitions_gives_the_same_content(&subject());
}

#[test]
fn outcomes_say_what_was_new_changed_and_unchanged() {
    suite::outcomes_say_what_was_new_changed_and_unchanged(&subject());
}

#[test]
fn failures_lose_and_add_nothing() {
    suite::failures_lose_and_add_nothing(&subject());
}

#[test]
fn concurrent_recorders_lose_nothing() {
    suite::concurrent_recorders_lose_nothing(&subject());
}

#[test]
fn concurrent_recorders_through_failures_lose_nothing() {
    suite::concurrent_recorders_through_failures_lose_nothing(&subject());
}

#[test]
fn lists_what_the_filter_lets_through_page_by_page() {
    suite::lists_what_the_filter_lets_through_page_by_page(&subject());
}

#[test]
fn an_updated_finding_moves_to_its_new_place() {
    suite::an_updated_finding_moves_to_its_new_place(&subject());
}

#[test]
fn an_empty_store_answers() {
    suite::an_empty_store_answers(&subject());
}

#[test]
fn hostile_strings_are_kept_within_bounds() {
    suite::hostile_strings_are_kept_within_bounds(&subject());
}

#[test]
fn large_batches_are_recorded() {
    suite::large_batches_are_recorded(&subject());
}
