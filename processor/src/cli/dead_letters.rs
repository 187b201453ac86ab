//! `dial dead-letters`: what may be typed.

use clap::{Args, Subcommand, ValueEnum};

use super::{DataArgs, parse_time};
use crate::commands::dead_letters::Place;

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// What could not be processed, the latest first
    #[command(after_help = "Examples:
  dial dead-letters list
  dial dead-letters list --from 2024-05-01 --reason 'no event'
  dial dead-letters list --json | jq -r .reason | sort | uniq -c | sort -rn
  dial dead-letters list --data ./dial-data

Times are those at which the stream took records in; what was read from a file has none, and is left out when a time is
asked for. The archive role keeps dead letters; a worker that runs --role detect alone only counts them.")]
    List(LettersList),
    /// One dead letter: where it lies, what is wrong, and the bytes around the fault
    #[command(after_help = "Examples:
  dial dead-letters show shardId-000000000000/49590338271490256608559692538361571095921575989136588898/0
  dial dead-letters show POSITION --raw > letter.bin

POSITION is what `dial dead-letters list` shows; its last part may be left out where the record has one dead letter.")]
    Show(LettersShow),
    /// Process dead letters again, as after an update that understands them
    #[command(after_help = "Examples:
  dial dead-letters redrive --all --dry-run    what this version can decode now
  dial dead-letters redrive --all
  dial dead-letters redrive POSITION POSITION

What decodes now is evaluated by the rules in force, recorded, correlated and archived, and leaves the list when all of
that is durable; what does not stays. It may be broken off at any time, and done again. Exit code 1 says that something of
what was asked for stays dead.")]
    Redrive(LettersRedrive),
}

/// Of what dead letters are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LetterKind {
    /// Records that could not be decoded
    Record,
}

#[derive(Debug, Args)]
pub(crate) struct LettersOf {
    /// Of which kind
    #[arg(long, value_name = "KIND", default_value = "record")]
    pub(crate) kind: LetterKind,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LettersList {
    /// Arrived at this time or later: a date, or a time such as 2024-05-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) from: Option<i64>,
    /// Arrived before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) to: Option<i64>,
    /// With this text in the reason, in whatever case
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// At most so many lines; for those before them, give the last one's time as --to
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) of: LettersOf,
}

#[derive(Debug, Args)]
pub(crate) struct LettersShow {
    /// SHARD/SEQUENCE[-SUBSEQUENCE][/INDEX], as `dial dead-letters list` shows it
    #[arg(value_name = "POSITION")]
    pub(crate) place: Place,
    /// The bytes themselves, and nothing else
    #[arg(long)]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) of: LettersOf,
}

#[derive(Debug, Args)]
pub(crate) struct LettersRedrive {
    /// Which ones, as `dial dead-letters list` shows them; without an index all of the record
    #[arg(value_name = "POSITION", required_unless_present = "all")]
    pub(crate) places: Vec<Place>,
    /// All of them
    #[arg(long, conflicts_with = "places")]
    pub(crate) all: bool,
    /// Say what would become of them, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) rules: super::RuleArgs,
    #[command(flatten)]
    pub(crate) of: LettersOf,
}
