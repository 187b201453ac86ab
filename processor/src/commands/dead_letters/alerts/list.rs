//! `dial dead-letters list` of alerts.

use comfy_table::Cell;
use dial_rules::event::Millis;
use dial_sinks::outbox::dead::DeadAlert;
use dial_sinks::outbox::store::Outbox;

use super::entry::Entry;
use super::{MOST, kept};
use crate::cli::LettersList;
use crate::failure::{Outcome, Result};
use crate::output::{Output, clock, note, number_cell, plain, thousands};
use crate::settings::Settings;
use crate::stores;

/// How many are read together.
const TOGETHER: usize = 100;

/// `None` where none are kept.
pub(in super::super) async fn list(
    args: &LettersList,
    settings: &Settings,
    output: &Output,
) -> Result<Option<Outcome>> {
    let Some(store) = stores::findings(settings, args.of.data.data.as_deref()).await? else { return Ok(None) };
    let kept = kept(store.as_ref()).await?;
    if kept.is_empty() {
        return Ok(None);
    }
    let wanted = Wanted::new(args);
    let mut found = wanted.gather(store.as_ref(), &kept).await?;
    let more = found.len() > wanted.limit;
    found.truncate(wanted.limit);
    if found.is_empty() {
        let text = format!("no dead letter of an alert matches; {} are kept", thousands(kept.len() as u64));
        match output.is_json() {
            true => note(&text),
            false => output.line(&text)?,
        }
    }
    print(&found, &Entry::all(store.as_ref(), &found).await?, output)?;
    if more {
        let limit = wanted.limit;
        note(&format!("there are more than {limit}: raise --limit, or give the last one's time as --to"));
    }
    if kept.len() == MOST {
        note(&format!("only the first {} are known, by when they were given up", thousands(MOST as u64)));
    }
    Ok(Some(Outcome::Fine))
}

/// Which of them to list.
struct Wanted<'a> {
    from: Option<Millis>,
    to: Option<Millis>,
    sink: Option<&'a str>,
    reason: Option<String>,
    limit: usize,
}

impl Wanted<'_> {
    fn new(args: &LettersList) -> Wanted<'_> {
        Wanted {
            from: args.from,
            to: args.to,
            sink: args.sink.as_deref(),
            reason: args.reason.as_ref().map(|reason| reason.to_lowercase()),
            limit: usize::try_from(args.limit).unwrap_or(usize::MAX),
        }
    }

    fn accepts(&self, dead: &DeadAlert) -> bool {
        let error = || dead.delivery.last_error.as_deref().unwrap_or_default().to_lowercase();
        self.sink.is_none_or(|sink| sink == dead.sink)
            && self.reason.as_ref().is_none_or(|reason| error().contains(reason))
    }

    /// The latest of them, and one more if there is one; never many more in memory.
    async fn gather(&self, store: &dyn Outbox, kept: &[(Millis, String)]) -> Result<Vec<DeadAlert>> {
        let within = |at: Millis| self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to);
        let keys: Vec<String> = kept.iter().rev().filter(|(at, _)| within(*at)).map(|(_, key)| key.clone()).collect();
        let mut found = Vec::new();
        for keys in keys.chunks(TOGETHER.min(self.limit.saturating_add(1))) {
            let dead = DeadAlert::read(store, keys).await?;
            found.extend(dead.into_iter().filter(|dead| self.accepts(dead)));
            if found.len() > self.limit {
                break;
            }
        }
        Ok(found)
    }
}

fn print(found: &[DeadAlert], entries: &[Entry], output: &Output) -> Result<()> {
    if output.is_json() {
        return entries.iter().try_for_each(|entry| output.json(entry));
    }
    if entries.is_empty() {
        return Ok(());
    }
    let rows = found.iter().zip(entries).map(|(dead, entry)| {
        vec![
            Cell::new(clock(dead.given_up)),
            Cell::new(plain(&entry.sink)),
            Cell::new(plain(&entry.words())),
            number_cell(entry.attempts.into()),
            Cell::new(plain(entry.reason.as_deref().unwrap_or("–"))),
            Cell::new(plain(&entry.key)),
        ]
    });
    output.table(&["given up (UTC)", "sink", "alert", "attempts", "reason", "key"], rows)
}
