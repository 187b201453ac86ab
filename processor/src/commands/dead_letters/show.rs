//! `dial dead-letters show` of a record.

use std::io::{self, IsTerminal, Write};

use comfy_table::Cell;
use dial_analytics::dead_letter_file::Letter;
use dial_analytics::dead_letters::survey;
use dial_analytics::redrive::{Again, again};
use dial_analytics::store::ObjectStore;
use serde::Serialize;

use super::Place;
use super::bytes::{view, window};
use super::record::Entry;
use crate::cli::LettersShow;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, plain, thousands};
use crate::settings::Settings;
use crate::stores;

/// How many lines of bytes are shown before the one with the fault, and behind it.
const LINES: usize = 8;

pub(super) async fn record(place: &Place, args: LettersShow, settings: &Settings, output: &Output) -> Result<Outcome> {
    if args.raw && io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "these bytes could steer your terminal: send them into a file or another program, as in `--raw > letter.bin`"
                .to_owned(),
        ));
    }
    let found = match stores::archive_to_read(settings, args.of.data.data.as_deref()).await? {
        Some(store) => find(store.as_ref(), place).await?,
        None => Vec::new(),
    };
    let [(entry, letter)] = found.as_slice() else { return Err(not_one(place, &found)) };
    if args.raw {
        let mut out = io::stdout().lock();
        return match out.write_all(&letter.bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::outside("standard output", error)),
            _ => Ok(Outcome::Fine),
        };
    }
    match output.is_json() {
        true => output.json(&Shown::of(entry, letter))?,
        false => describe(entry, letter, output)?,
    }
    Ok(Outcome::Fine)
}

async fn find(store: &dyn ObjectStore, place: &Place) -> Result<Vec<(Entry, Letter)>> {
    let mut found = Vec::new();
    for file in survey(store).await?.files.iter().filter(|file| place.may_be_in(&file.stem)) {
        let Some((shard, letters)) = file.read(store).await? else { continue };
        let named = letters.into_iter().filter(|letter| place.names(&shard, letter));
        found.extend(named.map(|letter| (Entry::of(file, &shard, &letter), letter)));
    }
    Ok(found)
}

fn not_one(place: &Place, found: &[(Entry, Letter)]) -> Failure {
    let place = plain(&place.to_string());
    Failure::Usage(match found {
        [] => format!("there is no dead letter {place}: see `dial dead-letters list`"),
        _ => {
            let places: Vec<String> = found.iter().take(5).map(|(entry, _)| plain(&entry.position)).collect();
            format!("the record {place} has {} dead letters: {}, …: name one", found.len(), places.join(", "))
        }
    })
}

/// As JSON: with the bytes around the fault.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    /// Why it would stay dead, if it would.
    still: Option<String>,
    around: Around,
}

#[derive(Serialize)]
struct Around {
    /// Where in the record the first of them is.
    offset: u64,
    hex: String,
}

impl<'a> Shown<'a> {
    fn of(entry: &'a Entry, letter: &Letter) -> Shown<'a> {
        let window = window(letter.bytes.len(), fault(letter), LINES);
        let offset = letter.offset.saturating_add(window.start as u64);
        let hex = letter.bytes[window].iter().map(|byte| format!("{byte:02x}")).collect();
        Shown { entry, still: still(letter), around: Around { offset, hex } }
    }
}

/// The place of the fault among the letter's bytes.
fn fault(letter: &Letter) -> usize {
    usize::try_from(letter.fault.saturating_sub(letter.offset)).unwrap_or(usize::MAX)
}

fn still(letter: &Letter) -> Option<String> {
    match again(letter) {
        Again::Alive { .. } => None,
        Again::Dead(reason) => Some(reason),
    }
}

fn describe(entry: &Entry, letter: &Letter, output: &Output) -> Result<()> {
    let kept = match letter.length == entry.kept {
        true => "all kept".to_owned(),
        false => format!("the first {} kept", thousands(entry.kept)),
    };
    let now = still(letter).map_or("it can be decoded: `dial dead-letters redrive` it".to_owned(), |reason| {
        format!("still dead: {}", plain(&reason))
    });
    let rows = [
        ("position", plain(&entry.position)),
        ("arrived", entry.arrival_time.clone().unwrap_or_else(|| "– (it was read from a file)".to_owned())),
        ("reason", plain(&entry.reason)),
        ("fault", format!("byte {} of the record; the letter begins at byte {}", entry.fault, entry.offset)),
        ("bytes", format!("{}, {kept}", thousands(entry.length))),
        ("file", plain(&entry.file)),
        ("this version", now),
    ];
    output.table(&["", ""], rows.map(|(name, value)| vec![Cell::new(name), Cell::new(value)]))?;
    if letter.bytes.is_empty() {
        return output.line("no bytes of it are kept");
    }
    let (fault, length) = (fault(letter), letter.bytes.len());
    let window = window(length, fault, LINES);
    let (before, behind) = (window.start, length - window.end);
    output.line("")?;
    view(&letter.bytes, window, fault, letter.offset).iter().try_for_each(|line| output.line(line))?;
    if before + behind > 0 {
        let (before, behind) = (thousands(before as u64), thousands(behind as u64));
        output.line(&format!("{before} bytes before and {behind} behind are not shown: --raw writes all"))?;
    }
    Ok(())
}
