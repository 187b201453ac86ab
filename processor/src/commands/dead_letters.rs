//! `dial dead-letters list`, `show` and `redrive`.

mod bytes;
mod list;
mod place;
mod record;
mod redrive;
mod show;

use dial_analytics::dead_letters::LetterFileError;
use dial_analytics::redrive::RedriveError;
use dial_analytics::store::StoreError;

pub(crate) use self::place::Place;
use crate::cli::{DeadLetters, LetterKind};
use crate::failure::{Failure, Outcome, Result};
use crate::output::Output;
use crate::settings::Settings;

pub(crate) async fn run(command: DeadLetters, settings: &Settings, output: &Output) -> Result<Outcome> {
    match command {
        DeadLetters::List(args) => match args.of.kind {
            LetterKind::Record => list::records(args, settings, output).await,
        },
        DeadLetters::Show(args) => match args.of.kind {
            LetterKind::Record => show::record(args, settings, output).await,
        },
        DeadLetters::Redrive(args) => match args.of.kind {
            LetterKind::Record => redrive::records(args, settings, output).await,
        },
    }
}

/// What is said where nothing is kept.
fn none_kept(output: &Output) -> Result<Outcome> {
    if !output.is_json() {
        output.line(
            "No dead letters. Records that cannot be decoded are kept by the archive role: `dial run`, or \
             `dial run --role archive`.",
        )?;
    }
    Ok(Outcome::Fine)
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
