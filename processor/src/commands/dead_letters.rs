//! `dial dead-letters list`, `show` and `redrive`.

mod alerts;
mod bytes;
mod list;
mod named;
mod place;
mod record;
mod redrive;
mod show;

use dial_analytics::dead_letters::LetterFileError;
use dial_analytics::redrive::RedriveError;
use dial_analytics::store::StoreError;

pub(crate) use self::named::Named;
pub(crate) use self::place::Place;
use crate::cli::{DeadLetters, LetterKind, LettersList, LettersRedrive, LettersShow};
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, plain};
use crate::settings::Settings;

pub(crate) async fn run(command: DeadLetters, settings: &Settings, output: &Output) -> Result<Outcome> {
    match command {
        DeadLetters::List(args) => list(args, settings, output).await,
        DeadLetters::Show(args) => show(args, settings, output).await,
        DeadLetters::Redrive(args) => redrive(args, settings, output).await,
    }
}

async fn list(args: LettersList, settings: &Settings, output: &Output) -> Result<Outcome> {
    let kinds = Kinds::of(args.of.kind, args.sink.as_deref())?;
    let mut ends = Vec::new();
    if kinds.records {
        ends.extend(list::records(&args, settings, output).await?);
    }
    if kinds.alerts {
        ends.extend(alerts::list(&args, settings, output).await?);
    }
    kinds.end(ends, output)
}

async fn show(args: LettersShow, settings: &Settings, output: &Output) -> Result<Outcome> {
    of_kind(args.of.kind, std::slice::from_ref(&args.name))?;
    match args.name.clone() {
        Named::Record(place) => show::record(&place, args, settings, output).await,
        Named::Alert(key) => alerts::show(&key, args, settings, output).await,
    }
}

async fn redrive(args: LettersRedrive, settings: &Settings, output: &Output) -> Result<Outcome> {
    if args.names.is_empty() && !args.all && args.sink.is_none() {
        let text = "which dead letters? write --all, --sink NAME for all alerts of a sink, or names as `dial dead-letters \
                    list` shows them; --dry-run says what would become of them";
        return Err(Failure::Usage(text.to_owned()));
    }
    of_kind(args.of.kind, &args.names)?;
    let mut kinds = Kinds::of(args.of.kind, args.sink.as_deref())?;
    let named = |kind| args.names.is_empty() || args.names.iter().any(|name| name.kind() == kind);
    kinds.records &= named(LetterKind::Record);
    kinds.alerts &= named(LetterKind::Alert);
    let mut ends = Vec::new();
    if kinds.records {
        ends.extend(redrive::records(&args, settings, output).await?);
    }
    if kinds.alerts {
        ends.extend(alerts::redrive(&args, settings, output).await?);
    }
    kinds.end(ends, output)
}

/// Of which kinds dead letters are asked for.
struct Kinds {
    records: bool,
    alerts: bool,
}

impl Kinds {
    /// Of both, unless one is named; only alerts have a sink.
    fn of(kind: Option<LetterKind>, sink: Option<&str>) -> Result<Kinds> {
        match (kind, sink) {
            (Some(LetterKind::Record), Some(_)) => {
                Err(Failure::Usage("records go to no sink: leave --sink out, or write --kind alert".to_owned()))
            }
            (Some(LetterKind::Record), None) => Ok(Kinds { records: true, alerts: false }),
            (Some(LetterKind::Alert), _) | (None, Some(_)) => Ok(Kinds { records: false, alerts: true }),
            (None, None) => Ok(Kinds { records: true, alerts: true }),
        }
    }

    /// The worst end of those that had something to do with; says so when none had.
    fn end(&self, ends: Vec<Outcome>, output: &Output) -> Result<Outcome> {
        if ends.is_empty() && !output.is_json() {
            let records = "Records that cannot be decoded are kept by the archive role: `dial run`, or `dial run --role \
                           archive`.";
            let alerts = "Alerts that no sink took within a day would be here; `dial sinks list` shows what waits.";
            let parts = [(self.records, records), (self.alerts, alerts)];
            let parts = parts.into_iter().filter(|(asked, _)| *asked).map(|(_, text)| text);
            output.line(&["No dead letters."].into_iter().chain(parts).collect::<Vec<_>>().join(" "))?;
        }
        let rank = |end: &Outcome| match end {
            Outcome::Fine => 0,
            Outcome::Found => 1,
            Outcome::Outside => 2,
            Outcome::Interrupted => 3,
        };
        Ok(ends.into_iter().max_by_key(rank).unwrap_or(Outcome::Fine))
    }
}

/// That names are of the kind that was asked for.
fn of_kind(kind: Option<LetterKind>, names: &[Named]) -> Result<()> {
    let wrong = names.iter().find(|name| kind.is_some_and(|kind| name.kind() != kind));
    wrong.map_or(Ok(()), |name| {
        Err(Failure::Usage(match name {
            Named::Record(place) => format!("{} is a record's: leave --kind out", plain(&place.to_string())),
            Named::Alert(key) => format!("{key} is an alert's: leave --kind out"),
        }))
    })
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Outside(error.to_string())
    }
}

impl From<LetterFileError> for Failure {
    fn from(error: LetterFileError) -> Failure {
        Failure::Outside(error.to_string())
    }
}

impl From<RedriveError> for Failure {
    fn from(error: RedriveError) -> Failure {
        Failure::Outside(error.to_string())
    }
}
