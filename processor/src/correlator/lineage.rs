//! Filing under everybody who is behind a credential.
//!
//! A match is filed under a credential and only then it is asked whose that is. A link is durable and only then it is
//! asked what is filed under its credential. So of a match and a link at the same instant one sees the other, and so on
//! from hop to hop.

use std::collections::BTreeSet;

use dial_rules::correlation::Filed;
use dial_rules::event::Millis;
use dial_sinks::actors::resolve;
use dial_sinks::windows::store::WindowRange;

use super::filing::{Batch, Growing};
use super::touched::Tickets;
use super::{CorrelateError, Correlator, Meter, entry};

impl Correlator {
    /// Appends matches, and draws tickets for their windows.
    pub(super) async fn append(&self, batch: &Batch, now: Millis, tickets: &mut Tickets) -> Result<(), CorrelateError> {
        let (additions, unfit) = batch.additions(self.correlations())?;
        Meter::add(&self.0.meter.left_out, unfit);
        let (additions, touches) = additions.split();
        if additions.is_empty() {
            return Ok(());
        }
        self.call("add to windows", self.0.ports.windows.append(additions, now)).await?;
        for touch in touches.into_iter().filter(|touch| touch.window.correlation != entry::BY_CREDENTIAL) {
            let window = self.0.shelf.window(&touch.window).await;
            tickets.add(window.touch(touch.buckets, touch.items));
        }
        Ok(())
    }

    /// Everything that is filed under these credentials.
    pub(super) async fn filed_under(&self, credentials: BTreeSet<String>) -> Result<Vec<Filed>, CorrelateError> {
        if credentials.is_empty() || !self.correlations().use_lineage() {
            return Ok(Vec::new());
        }
        let whole = |credential: &String| WindowRange {
            window: entry::index_of(credential),
            from: Millis::MIN,
            to: Millis::MAX,
        };
        let ranges: Vec<WindowRange> = credentials.iter().map(whole).collect();
        let read = self.call("read what is filed under credentials", self.0.ports.windows.read(&ranges)).await?;
        read.iter().flatten().map(entry::filed_in).collect()
    }

    /// Files matches under everybody behind them, until nobody new is found. They are filed already by what their events
    /// say themselves.
    pub(super) async fn widen(
        &self,
        filed: BTreeSet<Filed>,
        now: Millis,
        tickets: &mut Tickets,
    ) -> Result<(), CorrelateError> {
        let mut growing = Growing::of(self.correlations(), filed);
        let origins = growing.origins();
        while !origins.is_empty() {
            let resolved = resolve(&self.0.actors, origins.clone());
            let resolved = self.call("read who is behind credentials", resolved).await?;
            let new = growing.grow(self.correlations(), &resolved);
            self.append(&new, now, tickets).await?;
            // Whoever learns more of the others from now on finds the matches there.
            if new.indexed.is_empty() {
                break;
            }
        }
        Ok(())
    }
}
