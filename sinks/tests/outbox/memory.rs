//! The suite over [`MemoryFindingStore`].

use std::sync::Arc;

use dial_sinks::memory::MemoryFindingStore;

use crate::subject::{Store, Subject};
use crate::{racing, suite};

fn subject() -> Subject {
    Subject::new(400, |_, count| {
        let store: Store = Arc::new(MemoryFindingStore::new());
        vec![store; count]
    })
}

#[test]
fn random_operations_do_what_the_model_does() {
    suite::random_operations_do_what_the_model_does(&subject());
}

#[test]
fn owing_is_part_of_the_write() {
    suite::owing_is_part_of_the_write(&subject());
}

#[test]
fn an_empty_outbox_answers() {
    suite::an_empty_outbox_answers(&subject());
}

#[test]
fn many_are_due_in_order() {
    suite::many_are_due_in_order(&subject());
}

#[test]
fn expired_rows_are_out_of_the_way() {
    suite::expired_rows_are_out_of_the_way(&subject());
}

#[test]
fn rows_have_limits() {
    suite::rows_have_limits(&subject());
}

#[test]
fn progress_has_a_limit() {
    suite::progress_has_a_limit(&subject());
}

#[test]
fn each_revision_has_one_writer() {
    racing::each_revision_has_one_writer(&subject());
}

#[test]
fn settling_never_hides_what_is_recorded() {
    racing::settling_never_hides_what_is_recorded(&subject());
}

#[test]
fn who_read_too_early_changes_nothing() {
    suite::who_read_too_early_changes_nothing(&subject());
}
