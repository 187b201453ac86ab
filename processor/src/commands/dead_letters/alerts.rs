//! Dead letters of alerts: deliveries that were given up, in the table of findings.

mod entry;
mod list;
mod redrive;
mod show;

use dial_rules::event::Millis;
use dial_sinks::outbox::dead::DeadAlert;
use dial_sinks::outbox::store::Outbox;

pub(super) use self::list::list;
pub(super) use self::redrive::redrive;
pub(super) use self::show::show;
use crate::failure::Result;

/// Most dead letters of alerts that are known.
const MOST: usize = 100_000;

/// When which were given up, the first one first.
async fn kept(store: &dyn Outbox) -> Result<Vec<(Millis, String)>> {
    Ok(DeadAlert::keys(store, MOST).await?)
}

/// Those whose keys begin so.
fn matching<'k>(kept: &'k [(Millis, String)], begins: &'k str) -> impl Iterator<Item = &'k String> {
    kept.iter().map(|(_, key)| key).filter(move |key| key.starts_with(begins))
}
