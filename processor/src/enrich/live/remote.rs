//! Tables behind URLs: fetched at the start unless a fresh copy is kept, and every day from then on.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::time::{Instant, timeout};

use super::files::LOOK;
use super::{Live, Purpose, START};
use crate::enrich::fetched::{Fetched, FetchedFile, Note};
use crate::enrich::parts::Slot;
use crate::enrich::source::Fault;
use crate::failure::{Failure, Result};
use dial_sinks::circuit::{Circuit, chance};

impl Live {
    pub(super) async fn load_fetched(&self, purpose: Purpose) -> Result<()> {
        for (slot, file) in &self.fetched {
            let kept_note = self.put_kept(*slot, file).unwrap_or_else(|wrong| {
                tracing::warn!(setting = slot.setting(), "{wrong}");
                None
            });
            let will_do =
                |note: &Note| purpose == Purpose::Show || !note.due_in(Utc::now().timestamp_millis()).is_zero();
            if kept_note.as_ref().is_some_and(will_do) {
                continue;
            }
            let fetched = timeout(START, self.fetch(*slot, file, kept_note.as_ref())).await;
            match (fetched.unwrap_or(Err(Fault::Slow)), kept_note) {
                (Ok(_), _) => {}
                (Err(fault), Some(_)) => {
                    tracing::warn!(setting = slot.setting(), %fault, "cannot be fetched; the kept one is in force");
                }
                (Err(fault), None) => {
                    return Err(Failure::Outside(format!(
                        "`{}` cannot be fetched from {}, and none has been kept of an earlier time: {fault}; name a file \
                         instead, or leave it out",
                        slot.setting(),
                        file.url
                    )));
                }
            }
        }
        Ok(())
    }

    /// Puts the copy on disk in force, if there is one.
    fn put_kept(&self, slot: Slot, file: &FetchedFile) -> std::result::Result<Option<Note>, String> {
        let Some(kept) = file.kept()? else { return Ok(None) };
        self.exchange(slot, file.url.as_str(), kept.bytes)?;
        Ok(Some(kept.note))
    }

    /// Fetches a table and puts it in force. It is kept only once it is known to be of use.
    pub(super) async fn fetch(
        &self,
        slot: Slot,
        file: &FetchedFile,
        known: Option<&Note>,
    ) -> std::result::Result<Note, Fault> {
        let fetched = file.fetch(known).await?;
        let note = match &fetched {
            Fetched::Same(note) => note.clone(),
            Fetched::New(copy) => {
                self.exchange(slot, file.url.as_str(), copy.bytes.clone()).map_err(Fault::Nonsense)?;
                copy.note.clone()
            }
        };
        if let Err(wrong) = file.keep(&fetched) {
            tracing::warn!(setting = slot.setting(), wrong, "a table was fetched and cannot be kept");
        }
        Ok(note)
    }

    pub(super) async fn keep_fetched(self: Arc<Self>, at: usize) {
        let Some((slot, file)) = self.fetched.get(at) else { return };
        let mut note = file.kept().ok().flatten().map(|kept| kept.note);
        let mut circuit = Circuit::default();
        loop {
            let due = note.as_ref().map_or(Duration::ZERO, |note| note.due_in(Utc::now().timestamp_millis()));
            tokio::time::sleep(due.max(circuit.wait(Instant::now())).max(LOOK)).await;
            match self.fetch(*slot, file, note.as_ref()).await {
                Ok(fetched) => {
                    note = Some(fetched);
                    circuit.succeeded();
                    self.publish();
                }
                Err(fault) => {
                    if !circuit.is_open() {
                        tracing::warn!(setting = slot.setting(), %fault, "cannot be fetched; the last one stays in force");
                    }
                    circuit.failed(fault, Instant::now(), chance());
                }
            }
        }
    }
}
