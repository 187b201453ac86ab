//! The stream's shards, seen and changed from outside: how far each role is, how many the traffic needs, and the way
//! there.

pub(crate) mod admin;
mod history;
mod kinesis;
pub(crate) mod lag;
pub(crate) mod overview;
pub(crate) mod rates;
pub(crate) mod scaler;
pub(crate) mod scrape;
pub(crate) mod traffic;

#[cfg(test)]
mod memory;

pub(crate) use kinesis::KinesisAdmin;

use dial_ingest::stream::Shard;
use dial_ingest::{PortError, StreamClient, retry};

/// How often a call that was throttled or got no answer is made.
const TRIES: u32 = 5;

/// Every shard of the stream, page by page.
pub(crate) async fn all(stream: &dyn StreamClient) -> Result<Vec<Shard>, PortError> {
    let mut shards = Vec::new();
    let mut page = None;
    loop {
        let answer = patiently(|| stream.list_shards(page.as_deref())).await?;
        shards.extend(answer.shards);
        if answer.next.is_none() || answer.next == page {
            return Ok(shards);
        }
        page = answer.next;
    }
}

/// Makes a call again when it was throttled or got no answer.
async fn patiently<T, F: Future<Output = Result<T, PortError>>>(call: impl Fn() -> F) -> Result<T, PortError> {
    use dial_ingest::ErrorKind::{Throttled, Unavailable};
    let mut tried = 0;
    loop {
        tried += 1;
        match call().await {
            Err(error) if matches!(error.kind, Throttled | Unavailable) && tried < TRIES => {
                tokio::time::sleep(retry::delay(tried, error.kind, 0)).await;
            }
            other => return other,
        }
    }
}
