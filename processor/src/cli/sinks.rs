//! `dial sinks`: what may be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use dial_sinks::samples::SampleKind;

#[derive(Debug, Subcommand)]
pub(crate) enum Sinks {
    /// Every sink: what waits for it, what could not be delivered, and what it failed with last
    #[command(after_help = LIST)]
    List(SinksList),
    /// Send a marked sample to a sink, now
    #[command(after_help = TEST)]
    Test(SinksTest),
}

const LIST: &str = "Examples:
  dial sinks list
  dial sinks list --json | jq 'select(.waiting > 0)'

What waits is read from the table of findings, so the command needs no running worker. A worker's own view of its \
destinations, such as how long a delivery takes, is in its metrics.";

const TEST: &str = "Examples:
  dial sinks test security-slack
  dial sinks test siem --sample storm

The sample goes straight to the destination, once: without the outbox, and whatever the routes say. It is marked as a \
sample in its title and in its JSON (`is_sample`).

Exit codes: 0 when the destination took it, 1 when it did not.";

#[derive(Debug, Args)]
pub(crate) struct SinksList {
    /// The folder with findings.db; without it the place of the settings
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SinksTest {
    /// The sink's name: NAME of [sinks.NAME]
    pub(crate) name: String,
    /// What the sample tells of
    #[arg(long, value_enum, default_value_t = Sample::Single)]
    pub(crate) sample: Sample,
}

/// What a sample tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sample {
    /// A finding of one event
    Single,
    /// A finding of several events
    Correlated,
    /// Several findings of one thing
    Incident,
    /// A thousand findings of one rule
    Storm,
}

impl Sample {
    /// The sample's kind.
    pub(crate) fn kind(self) -> SampleKind {
        match self {
            Sample::Single => SampleKind::Single,
            Sample::Correlated => SampleKind::Correlated,
            Sample::Incident => SampleKind::Incident,
            Sample::Storm => SampleKind::Storm,
        }
    }
}
