//! The stream, and what is true of it whatever anybody believes.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use dial_ingest::memory::MemoryStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::advance;

use crate::clock::Micros;
use crate::consumer::number;
use crate::dice::Dice;

/// Record data of any size up to the largest, without memory of its own.
static ZEROS: [u8; 10 << 20] = [0; 10 << 20];

/// One shard and all its records, by number.
#[derive(Default)]
pub struct ShardTruth {
    pub records: Vec<u64>,
    pub parents: Vec<String>,
    pub children: Vec<String>,
    /// The hash keys, as the tree of splits orders them.
    pub order: u128,
    pub closed: bool,
    pub closed_at: Micros,
    pub forgotten: bool,
}

/// The stream in a time of its own: the world's.
pub struct Truth {
    pub stream: MemoryStream,
    pub shards: BTreeMap<String, ShardTruth>,
    pub put: u64,
    time: Runtime,
    now: Micros,
}

impl Truth {
    pub fn new(shards: u64, page_size: u64, names_children: bool) -> Self {
        let time = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let entered = time.enter();
        let stream = MemoryStream::new(shards as usize).with_page_size(page_size as usize);
        let stream = if names_children { stream } else { stream.without_child_shards() };
        drop(entered);
        let width = u128::MAX / u128::from(shards);
        let shards = (0..shards).map(|n| {
            let order = u128::from(n) * width;
            (format!("shardId-{n:012}"), ShardTruth { order, ..ShardTruth::default() })
        });
        Self { stream, shards: shards.collect(), put: 0, time, now: 0 }
    }

    /// What `call` makes of the stream at this time.
    pub fn at<T>(&mut self, now: Micros, call: impl AsyncFnOnce(&MemoryStream) -> T) -> T {
        let passed = Duration::from_micros(now.saturating_sub(self.now));
        self.now = self.now.max(now);
        self.time.block_on(async {
            if !passed.is_zero() {
                advance(passed).await;
            }
            call(&self.stream).await
        })
    }

    pub fn put(&mut self, now: Micros, size: usize) {
        let key = format!("key-{}", self.put);
        let data = Bytes::from_static(&ZEROS[..size.min(ZEROS.len())]);
        let (shard, sequence) = self.at(now, async |stream| stream.put(&key, data)).unwrap();
        let number = number(&dial_ingest::Position::new(sequence, 0));
        self.put += 1;
        assert_eq!(number, self.put, "records are numbered from 1");
        self.shards.get_mut(&shard).unwrap().records.push(number);
    }

    /// The open shards in the order of their hash keys.
    fn open(&self) -> Vec<String> {
        let mut open: Vec<_> = self.shards.iter().filter(|(_, shard)| !shard.closed).collect();
        open.sort_by_key(|(_, shard)| shard.order);
        open.into_iter().map(|(id, _)| id.clone()).collect()
    }

    fn close(&mut self, now: Micros, parents: &[String], children: &[(String, u128)]) {
        for parent in parents {
            let shard = self.shards.get_mut(parent).unwrap();
            (shard.closed, shard.closed_at) = (true, now);
            shard.children = children.iter().map(|(child, _)| child.clone()).collect();
        }
        for (child, order) in children {
            let shard = ShardTruth { parents: parents.to_vec(), order: *order, ..ShardTruth::default() };
            self.shards.insert(child.clone(), shard);
        }
    }

    /// Splits a shard, or merges two neighbours; says which, if either.
    pub fn reshard(&mut self, now: Micros, dice: &mut Dice, most: usize) -> Option<&'static str> {
        let open = self.open();
        let which = dice.below(open.len() as u64) as usize;
        let order = self.shards[&open[which]].order;
        if open.len() < most && dice.chance(55) {
            let [left, right] = self.stream.split(&open[which]).unwrap();
            let next = open.get(which + 1).map_or(u128::MAX, |next| self.shards[next].order);
            self.close(now, &open[which..=which], &[(left, order), (right, order + (next - order) / 2)]);
            return Some("splits");
        }
        if let [lower, upper, ..] = &open[which..] {
            let child = self.stream.merge(lower, upper).unwrap();
            self.close(now, &open[which..which + 2], &[(child, order)]);
            return Some("merges");
        }
        None
    }

    /// A closed shard ages out.
    pub fn forget(&mut self, shard_id: &str) {
        self.stream.forget(shard_id);
        self.shards.get_mut(shard_id).unwrap().forgotten = true;
    }

    /// A shard's parents, and theirs, and so on.
    pub fn ancestors(&self, shard_id: &str) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        let mut open: Vec<&str> = self.shards[shard_id].parents.iter().map(String::as_str).collect();
        while let Some(id) = open.pop() {
            if !found.contains(&id) {
                found.push(id);
                open.extend(self.shards[id].parents.iter().map(String::as_str));
            }
        }
        found
    }
}
