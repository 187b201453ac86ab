//! `dial dead-letters`: what may be typed.

use clap::{Args, Subcommand, ValueEnum};

use super::{DataArgs, parse_time};
use crate::commands::dead_letters::Named;

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// What could not be processed, and alerts that were given up, the latest first
    #[command(after_help = "Examples:
  dial dead-letters list
  dial dead-letters list --from 2024-05-01 --reason 'no event'
  dial dead-letters list --kind alert --sink soc
  dial dead-letters list --json | jq -r .reason | sort | uniq -c | sort -rn
  dial dead-letters list --data ./dial-data

Times are those at which the stream took records in, and at which alerts were given up; a record that was read from a file
has none, and is left out when a time is asked for. The archive role keeps the dead letters of records; a worker that runs
--role detect alone only counts them.")]
    List(LettersList),
    /// One dead letter: of a record the fault and the bytes around it, of an alert its findings and the last error
    #[command(after_help = "Examples:
  dial dead-letters show shardId-000000000000/49590338271490256608559692538361571095921575989136588898/0
  dial dead-letters show POSITION --raw > letter.bin
  dial dead-letters show 4f6c1d20                of an alert; the key's first eight digits will do

NAME is what `dial dead-letters list` shows: of a record its position, whose last part may be left out where the record has
one dead letter; of an alert its key.")]
    Show(LettersShow),
    /// Process dead letters again: records that this version understands, and alerts whose destination is back
    #[command(after_help = "Examples:
  dial dead-letters redrive --all --dry-run    what this version can decode now
  dial dead-letters redrive --all
  dial dead-letters redrive NAME NAME
  dial dead-letters redrive --sink soc         all alerts that soc did not take
  dial dead-letters redrive --all --kind alert

A record that decodes now is evaluated by the rules in force, recorded, correlated and archived, and leaves the list when
all of that is durable; workers deliver what it is alerted of. An alert is sent again under the key that it had, and leaves
the list when its destination took it. What does not succeed stays. It may be broken off at any time, and done again. Exit
code 1 says that something of what was asked for stays dead.")]
    Redrive(LettersRedrive),
}

/// Of what dead letters are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LetterKind {
    /// Records that could not be decoded
    Record,
    /// Alerts that a sink did not take within a day
    Alert,
}

#[derive(Debug, Args)]
pub(crate) struct LettersOf {
    /// Of one kind only
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<LetterKind>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LettersList {
    /// Arrived, or given up, at this time or later: a date, or a time such as 2024-05-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) from: Option<i64>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) to: Option<i64>,
    /// With this text in the reason, in whatever case
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Only alerts for this sink
    #[arg(long, value_name = "NAME")]
    pub(crate) sink: Option<String>,
    /// At most so many lines of each kind; for those before them, give the last one's time as --to
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) of: LettersOf,
}

#[derive(Debug, Args)]
pub(crate) struct LettersShow {
    /// SHARD/SEQUENCE-SUBSEQUENCE/INDEX (the last two where there are any), or an alert's key, as `dial dead-letters list` shows it
    #[arg(value_name = "NAME")]
    pub(crate) name: Named,
    /// The record's bytes themselves, and nothing else
    #[arg(long)]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) of: LettersOf,
}

#[derive(Debug, Args)]
pub(crate) struct LettersRedrive {
    /// Which ones, as `dial dead-letters list` shows them; without an index all of the record
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<Named>,
    /// All of them
    #[arg(long, conflicts_with = "names")]
    pub(crate) all: bool,
    /// All alerts for this sink
    #[arg(long, value_name = "NAME", conflicts_with = "names")]
    pub(crate) sink: Option<String>,
    /// Say what would become of them, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) rules: super::RuleArgs,
    #[command(flatten)]
    pub(crate) of: LettersOf,
}
