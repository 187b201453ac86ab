//! [`DynamoWindowStore`]: windows in a DynamoDB table, shared by any number of workers.
//!
//! The items that one call adds to one minute of one window are packed into rows named by their content, so writing them
//! again writes the same rows. Reads are strongly consistent and remove repetitions. A window that many bytes go to is
//! spread over several partitions. See [`create_table`] for what a row holds.

mod calls;
mod create;
#[cfg(test)]
mod interleaving;
mod keys;
mod pack;
#[cfg(test)]
mod simulated;
mod spread;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use dial_rules::event::Millis;
use futures::{StreamExt, TryStreamExt};

use self::calls::DynamoTable;
use self::spread::{Heat, Marker, Place, Thresholds};
use self::table::{Content, NewPack, Stretch, Table};
use super::keys::{hexadecimal, window_hash};
use super::retention::Retention;
use super::settle::{Items, Settled, coalesce, listed};
use super::store::{Addition, Appended, WindowError, WindowItem, WindowKey, WindowRange, WindowStore};

pub use create::create_table;

/// Reads and marker writes in flight at once, of one call.
const CONCURRENCY: usize = 16;

/// Windows in a DynamoDB table.
#[derive(Debug)]
pub struct DynamoWindowStore {
    table: Arc<dyn Table>,
    heat: Heat,
    retention: Retention,
}

/// Packs of one bucket, not yet spread.
#[derive(Debug)]
struct Load {
    place: Place,
    correlation: String,
    packs: Vec<String>,
    /// Seconds since 1970.
    expires: i64,
}

impl DynamoWindowStore {
    /// Uses `table`, which [`create_table`] made.
    pub fn new(client: Client, table: impl Into<String>, retention: Retention) -> Self {
        let table = Arc::new(DynamoTable { client, table: table.into() });
        Self { table, heat: Heat::new(Thresholds::default()), retention }
    }

    /// The packs of a bucket, each with its partition. Markers that they need are durable when this returns.
    async fn spread(&self, load: Load) -> Result<Vec<NewPack>, WindowError> {
        let Load { place, correlation, packs, expires } = load;
        let wanted = self.heat.count(&place, packs.iter().map(String::len).sum()).await;
        let suffixes = if wanted > 1 { self.mark(&place, Marker { suffixes: wanted, expires }).await? } else { 1 };
        let new_pack = |payload: String| {
            let hash = keys::payload_hash(&payload);
            let partition = keys::partition(&place.window, keys::suffix(&hash, suffixes));
            let position = keys::position(&place.bucket, &hash);
            NewPack { partition, position, payload, correlation: correlation.clone(), expires }
        };
        Ok(packs.into_iter().map(new_pack).collect())
    }

    /// Makes a marker durable that covers `needed`, and says how many suffixes it has.
    async fn mark(&self, place: &Place, needed: Marker) -> Result<u32, WindowError> {
        if let Some(known) = self.heat.marker(place).await.filter(|known| known.covers(needed)) {
            return Ok(known.suffixes);
        }
        let mut attempt = 0;
        loop {
            let there = self.table.marker(place).await?;
            let covering = there.filter(|there| there.covers(needed));
            let marker = covering.unwrap_or_else(|| Marker::extended(needed, there));
            if covering.is_some() || self.table.replace_marker(place, there, marker).await? {
                self.heat.learn(place, marker).await;
                return Ok(marker.suffixes);
            }
            attempt += 1;
            if !self.table.pause(attempt).await {
                let action = format!("spread minute {} of window {}", place.bucket, place.window);
                return Err(WindowError::unavailable(action, "other writers were faster each time; try again"));
            }
        }
    }

    async fn read_range(&self, range: &WindowRange) -> Result<Vec<WindowItem>, WindowError> {
        if range.from > range.to {
            return Ok(Vec::new());
        }
        let window = hexadecimal(&window_hash(&range.window));
        let (mut items, suffixes) = self.read_suffix(&window, 0, range).await?;
        let rest = futures::stream::iter(1..suffixes).map(|suffix| self.read_suffix(&window, suffix, range));
        let rest: Vec<(Items, u32)> = rest.buffer_unordered(CONCURRENCY).try_collect().await?;
        for ((time, key), body) in rest.into_iter().flat_map(|(items, _)| items) {
            super::settle::settle(&mut items, WindowItem { time, key, body });
        }
        Ok(listed(items))
    }

    /// The items of one suffix, and over how many the window is spread as far as this one says.
    async fn read_suffix(&self, window: &str, suffix: u32, range: &WindowRange) -> Result<(Items, u32), WindowError> {
        let (least, greatest) = keys::bounds(range.from, range.to);
        let stretch = Stretch { partition: keys::partition(window, suffix), least, greatest };
        let (mut items, mut suffixes, mut after) = (Items::new(), 1, None);
        loop {
            let page = self.table.query(&stretch, after).await?;
            for row in page.rows {
                match row.content {
                    Content::Pack(payload) => {
                        let name = format!("{} {}", stretch.partition, row.position);
                        pack::unpack(&name, &payload, (range.from, range.to), &mut items)?;
                    }
                    Content::Marker(marker) => {
                        suffixes = suffixes.max(marker.suffixes);
                        let bucket = keys::bucket_of(&row.position).to_owned();
                        self.heat.learn(&Place { window: window.to_owned(), bucket }, marker).await;
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok((items, suffixes));
            }
        }
    }
}

#[async_trait]
impl WindowStore for DynamoWindowStore {
    async fn append(&self, additions: Vec<Addition>, now: Millis) -> Result<Appended, WindowError> {
        let windows = coalesce(additions)?;
        let items = windows.values().map(|settled| settled.items.len()).sum();
        let mut appended = Appended { windows: windows.len(), items, rows: 0 };
        let loads = loads(&windows, self.retention, now)?;
        // All markers before the first pack: see `spread` for why nothing is missed.
        let spread = futures::stream::iter(loads).map(|load| self.spread(load)).buffer_unordered(CONCURRENCY);
        let packs: Vec<NewPack> = spread.try_collect::<Vec<_>>().await?.into_iter().flatten().collect();
        appended.rows = packs.len();
        self.table.put(packs).await?;
        Ok(appended)
    }

    async fn read(&self, ranges: &[WindowRange]) -> Result<Vec<Vec<WindowItem>>, WindowError> {
        let reads: Vec<_> = ranges.iter().map(|range| self.read_range(range)).collect();
        futures::stream::iter(reads).buffered(CONCURRENCY).try_collect().await
    }
}

fn loads(windows: &BTreeMap<WindowKey, Settled>, retention: Retention, now: Millis) -> Result<Vec<Load>, WindowError> {
    let mut loads = Vec::new();
    for (key, settled) in windows {
        let window = hexadecimal(&window_hash(key));
        let expires = seconds(retention.expires(now, settled.timespan));
        for (bucket, packs) in pack::packs(&settled.items)? {
            let place = Place { window: window.clone(), bucket: keys::bucket_text(bucket) };
            loads.push(Load { place, correlation: key.correlation.clone(), packs, expires });
        }
    }
    Ok(loads)
}

/// The next whole second: nothing is deleted too early.
fn seconds(time: Millis) -> i64 {
    time.div_euclid(1_000) + i64::from(time.rem_euclid(1_000) > 0)
}
