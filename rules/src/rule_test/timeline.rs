//! The events of a correlation's case: entries on a timeline, some of which repeat.

use rsigma_parser::Timespan;
use serde_json::{Map, Value};

use super::{START, complete};
use crate::decode::{Decoded, Decoder};
use crate::event::{Event, Millis};
use crate::lineage::{self, Lineage};

/// How many events one entry may stand for.
const MOST_REPEATS: u64 = 20_000;

/// An event of the timeline.
pub(super) struct Moment {
    /// The number of its entry, from 1.
    pub(super) entry: usize,
    pub(super) sent: Value,
    pub(super) event: Event,
    pub(super) lineage: Lineage,
}

/// The entries as events: each has `at`, or comes a second after the one before.
pub(super) fn moments(entries: &[Map<String, Value>]) -> Result<Vec<Moment>, String> {
    let mut moments = Vec::new();
    let mut time = START;
    for (at, entry) in entries.iter().enumerate() {
        let entry_number = at + 1;
        let mut entry = entry.clone();
        let fault = |message: String| format!("event {entry_number}: {message}");
        time = match entry.remove("at") {
            None => time + 1000,
            Some(offset) => START + span("at", &offset).map_err(fault)?,
        };
        let every = entry.remove("every").map_or(Ok(1000), |every| span("every", &every)).map_err(fault)?;
        let repeats = match entry.remove("repeat") {
            None => 1,
            Some(number) => number
                .as_u64()
                .filter(|number| (1..=MOST_REPEATS).contains(number))
                .ok_or_else(|| fault(format!("`repeat` is a number from 1 to {MOST_REPEATS}")))?,
        };
        for nth in 0..repeats {
            time += if nth == 0 { 0 } else { every };
            let id = format!("00000000-0000-4000-{entry_number:04}-{nth:012}");
            let sent = complete(entry.clone(), &id, time);
            moments.extend(decoded(entry_number, sent).map_err(fault)?);
        }
    }
    Ok(moments)
}

fn decoded(entry: usize, sent: Value) -> Result<Vec<Moment>, String> {
    let bytes = serde_json::to_vec(&sent).map_err(|error| error.to_string())?;
    let one = |decoded| match decoded {
        Decoded::DeadLetter(letter) => Err(format!("it cannot be decoded: {}", letter.reason)),
        Decoded::Event(event) => Ok(Moment { entry, sent: sent.clone(), event: *event, lineage: Lineage::default() }),
    };
    Decoder::record(&bytes).map(one).collect()
}

/// A length of time: `90s`, `10m`, `2h`, `1d`; `0` for none.
fn span(key: &str, written: &Value) -> Result<Millis, String> {
    let text = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
    let seconds = if text == "0" { Some(0) } else { Timespan::parse(&text).ok().map(|span| span.seconds) };
    let span = seconds.and_then(|seconds| i64::try_from(seconds).ok()?.checked_mul(1000));
    span.filter(|span| *span <= START)
        .ok_or_else(|| format!("`{key}: {text}` is no length of time such as 90s, 10m or 2h"))
}

/// Everybody behind each event's credential, by all events of the case.
pub(super) fn resolve(moments: &mut [Moment]) {
    let links = moments
        .iter()
        .filter(|moment| lineage::teaches(&moment.event))
        .flat_map(|moment| lineage::links(&moment.event));
    let known = lineage::ancestries(links);
    for moment in moments {
        let origin = lineage::origin(&moment.event);
        moment.lineage = lineage::resolve(origin, |credential| known.get(credential).cloned()).lineage;
    }
}
