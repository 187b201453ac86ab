//! An archive to compact: small files, written as the archive role writes them, and read as anybody reads them.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dial_analytics::archive::write;
use dial_analytics::batch::ArchiveBatch;
use dial_analytics::events_schema::EVENTS;
use dial_analytics::folder::FolderStore;
use dial_analytics::position::Position;
use dial_analytics::read::{ArchivedRow, contents};
use dial_analytics::shard::Shard;
use dial_analytics::store::ObjectStore;
use dial_analytics::visibility::visible;
use dial_rules::decode::Decoder;
use dial_rules::event::rfc3339;
use serde_json::json;

/// 2024-05-01T22:00:00Z: two days' events follow.
const BEGIN: i64 = 1_714_600_800_000;

pub(crate) fn folder(path: &Path) -> FolderStore {
    FolderStore::open(path).unwrap()
}

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

/// Writes the files of these numbers, with so many events each.
pub(crate) async fn fill(store: &dyn ObjectStore, files: std::ops::Range<u64>, events: u64) {
    for file in files {
        let mut batch = ArchiveBatch::new(Shard::new(&format!("shardId-00000000000{}", file % 4)), true);
        for n in file * events..(file + 1) * events {
            let time = BEGIN + i64::try_from(n * 7919 % 14_400).unwrap() * 1000;
            let event = json!({
                "eventID": format!("{n:08x}"), "eventTime": rfc3339(time), "eventSource": "s3.amazonaws.com",
                "eventName": "GetObject", "awsRegion": "eu-west-1", "recipientAccountId": "111122223333",
                "requestParameters": {"bucketName": "b", "key": format!("{n}/{}", "x".repeat(200))},
            });
            let position = Position::new(&n.to_string(), 0).unwrap();
            batch.push(&position, Some(BEGIN + 14_400_000), Decoder::record(event.to_string().as_bytes()), 0);
        }
        write(store, &Arc::new(batch.seal().unwrap()), &Arc::default(), || true).await.unwrap();
    }
}

/// The rows that count, in order.
pub(crate) async fn rows(store: &dyn ObjectStore) -> Vec<ArchivedRow> {
    let mut rows = contents(store).await.unwrap().rows;
    rows.sort();
    rows
}

/// How many files count, and how many of them compaction made.
pub(crate) async fn files(store: &dyn ObjectStore) -> (usize, usize) {
    let files = visible(store, &EVENTS, now()).await.unwrap();
    (files.len(), files.iter().filter(|file| file.key.contains("/compacted-v1/")).count())
}
