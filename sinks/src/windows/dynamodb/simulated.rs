//! A table in memory whose calls wait until a schedule lets them go on, and which can break its promises.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::channel::oneshot;

use super::keys;
use super::spread::{Marker, Place};
use super::table::{Content, NewPack, Page, Row, Stretch, Table};
use crate::windows::store::WindowError;

/// A promise to break.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    None,
    /// A marker is acknowledged before it is durable: it is so only after its writer's next query.
    LateMarkers,
    /// A query answers as of one write ago.
    StaleQueries,
    /// A query says that its first page was all.
    FirstPages,
    /// Markers are not seen.
    NoMarkers,
    /// Whoever writes a marker replaces a wider one.
    ShrinkingMarkers,
}

type Rows = BTreeMap<(String, String), Content>;

#[derive(Debug, Default)]
pub(super) struct State {
    rows: Rows,
    before_last_write: Rows,
    late: Vec<(Place, Marker)>,
    /// Calls that wait, by worker.
    pub(super) gates: Vec<VecDeque<oneshot::Sender<()>>>,
    /// What workers did, in order.
    pub(super) log: Vec<Did>,
}

impl State {
    pub(super) fn of(workers: usize) -> Self {
        Self { gates: (0..workers).map(|_| VecDeque::new()).collect(), ..Self::default() }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Did {
    Appended(usize),
    BeganToRead(usize),
    Read(usize, Vec<String>),
}

/// The table as one worker sees it.
#[derive(Debug, Clone)]
pub(super) struct SimulatedTable {
    pub(super) state: Arc<Mutex<State>>,
    pub(super) worker: usize,
    pub(super) fault: Fault,
}

impl SimulatedTable {
    async fn gate(&self) {
        let (open, opened) = oneshot::channel();
        self.state.lock().unwrap().gates[self.worker].push_back(open);
        opened.await.unwrap();
    }

    fn write(&self, key: (String, String), content: Content) {
        let mut state = self.state.lock().unwrap();
        state.before_last_write = state.rows.clone();
        state.rows.insert(key, content);
    }

    fn page(&self, stretch: &Stretch, after: Option<String>) -> Page {
        let state = self.state.lock().unwrap();
        let rows = if self.fault == Fault::StaleQueries { &state.before_last_write } else { &state.rows };
        let within = |(partition, position): &(String, String)| {
            *partition == stretch.partition
                && *position >= stretch.least
                && *position <= stretch.greatest
                && after.as_ref().is_none_or(|after| position > after)
        };
        let shown = |content: &Content| self.fault != Fault::NoMarkers || matches!(content, Content::Pack(_));
        let mut rows = rows.iter().filter(|(key, content)| within(key) && shown(content));
        let row =
            rows.next().map(|((_, position), content)| Row { position: position.clone(), content: content.clone() });
        let more = rows.next().is_some() && self.fault != Fault::FirstPages;
        let next = row.as_ref().filter(|_| more).map(|row| row.position.clone());
        Page { rows: row.into_iter().collect(), next }
    }

    pub(super) fn write_marker(&self, place: &Place, marker: Marker) {
        self.write((place.window.clone(), keys::marker_position(&place.bucket)), Content::Marker(marker));
    }
}

#[async_trait]
impl Table for SimulatedTable {
    async fn put(&self, packs: Vec<NewPack>) -> Result<(), WindowError> {
        for pack in packs {
            self.gate().await;
            self.write((pack.partition, pack.position), Content::Pack(pack.payload));
        }
        Ok(())
    }

    /// Pages have one row.
    async fn query(&self, stretch: &Stretch, after: Option<String>) -> Result<Page, WindowError> {
        self.gate().await;
        let page = self.page(stretch, after);
        let late = std::mem::take(&mut self.state.lock().unwrap().late);
        late.iter().for_each(|(place, marker)| self.write_marker(place, *marker));
        Ok(page)
    }

    async fn marker(&self, place: &Place) -> Result<Option<Marker>, WindowError> {
        self.gate().await;
        let state = self.state.lock().unwrap();
        match state.rows.get(&(place.window.clone(), keys::marker_position(&place.bucket))) {
            Some(Content::Marker(marker)) => Ok(Some(*marker)),
            _ => Ok(None),
        }
    }

    async fn replace_marker(&self, place: &Place, before: Option<Marker>, marker: Marker) -> Result<bool, WindowError> {
        self.gate().await;
        let key = (place.window.clone(), keys::marker_position(&place.bucket));
        let there = self.state.lock().unwrap().rows.get(&key).cloned();
        match self.fault {
            Fault::LateMarkers => self.state.lock().unwrap().late.push((place.clone(), marker)),
            Fault::ShrinkingMarkers => self.write_marker(place, marker),
            _ if there == before.map(Content::Marker) => self.write_marker(place, marker),
            _ => return Ok(false),
        }
        Ok(true)
    }

    async fn pause(&self, attempt: u32) -> bool {
        self.gate().await;
        attempt < 10
    }
}
