//! Files of tables: read at the start, and again when they are replaced.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chrono::Utc;
use dial_rules::addresses::Addresses;

use super::Live;
use crate::enrich::watched_file::{Look, Stamp};
use crate::failure::{Failure, Result};
use crate::settings::Settings;

/// How often files are looked at.
pub(super) const LOOK: Duration = Duration::from_secs(5);

impl Live {
    pub(super) fn load_files(&self, settings: &Settings) -> Result<()> {
        let mut wrong = Vec::new();
        for (slot, file) in self.files.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            let name = file.path.display().to_string();
            let put = |bytes| slot.read(&name, bytes).map(|exchange| exchange.apply(&mut self.state().parts));
            if let Err(why) = file.read().and_then(put) {
                wrong.push(format!("{}: `{}`: {why}", settings.place(&slot.setting()), slot.setting()));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Failure::Usage(wrong.join("\n"))) }
    }

    /// That the tables fit what they are named for.
    pub(super) fn check(&self, settings: &Settings) -> Result<()> {
        let mut state = self.state();
        state.addresses = Addresses::new(state.parts.clone()).map_err(|faults| {
            let told = faults.into_iter().map(|(key, wrong)| format!("{}: `{key}`: {wrong}", settings.place(key)));
            Failure::Usage(told.collect::<Vec<_>>().join("\n"))
        })?;
        Ok(())
    }

    pub(super) async fn keep_files(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let live = Arc::clone(&self);
            // Reading a large database takes a while.
            let looked = tokio::task::spawn_blocking(move || live.look_at_files()).await;
            if let Err(error) = looked {
                tracing::error!(%error, "the files of tables could not be looked at");
            }
            self.warn_of_expired(Utc::now().timestamp_millis());
        }
    }

    /// Reads what has been replaced. A replacement that is of no use is told, and the table before it stays in force.
    fn look_at_files(&self) {
        let mut changed = false;
        for (slot, file) in self.files.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            let (setting, name) = (slot.setting(), file.path.display().to_string());
            match file.look(Stamp::of(&file.path)) {
                Look::Nothing => {}
                Look::Gone => tracing::warn!(setting, file = name, "is gone; what was read of it stays in force"),
                Look::Read => match file.read().and_then(|bytes| self.exchange(*slot, &name, bytes)) {
                    Ok(()) => {
                        tracing::info!(setting, file = name, "was replaced and is in force");
                        changed = true;
                    }
                    Err(wrong) => {
                        tracing::error!(
                            setting,
                            wrong,
                            "was replaced by what is of no use; the one before stays in force"
                        );
                    }
                },
            }
        }
        if changed {
            self.publish();
        }
    }
}
