//! `dial shards`: what may be typed.

use clap::{Args, Subcommand};

use super::Role;

#[derive(Debug, Subcommand)]
pub(crate) enum Shards {
    /// Every shard: who reads it, up to where, how far behind and how fast
    #[command(after_help = LIST)]
    List(ShardsList),
    /// How many shards the traffic needs, and the steps there
    #[command(after_help = PLAN)]
    Plan(ShardsPlan),
    /// Change the number of shards: prints the steps, or with --apply takes them
    #[command(after_help = SCALE)]
    Scale(ShardsScale),
}

const LIST: &str = "Examples:
  dial shards list
  dial shards list --role detect --all
  dial shards list --metrics http://10.0.0.5:9464/metrics --metrics http://10.0.0.6:9464/metrics
  dial shards list --json | jq 'select(.lag_ms > 60000)'

Lag is the age of the first record after the checkpoint: the oldest one whose effect is not durable yet. To know it the \
command reads one record behind each checkpoint, which costs one of the five reads that a shard gives in a second; \
with --quick it does not. The age is by this machine's clock.

Records per second are known to the workers only. They are read from their metrics, twice, --seconds apart: from each \
--metrics, else from the worker on this machine, if its metrics are where the settings say. What is not known is \
printed as `unknown`.";

const PLAN: &str = "Examples:
  dial shards plan
  dial shards plan --aim 40 --seconds 60
  dial shards plan --bytes-per-second 3200000 --records-per-second 2500

The traffic is measured by reading what arrived in the last --seconds (10 unless told otherwise), once, from every open \
shard, at the archive role's pace: at most 1 MB a second of the 2 MB that a shard gives, for about that long. It counts \
records as Kinesis does, an aggregated one once, with their partition keys, and by this machine's clock. A few seconds \
say nothing of peaks: for a stream that breathes, give the peak that CloudWatch shows (IncomingBytes and \
IncomingRecords, the sum of a minute divided by 60).

The plan has hysteresis: more shards when they are fuller than 1.4 times the aim, fewer when they are emptier than \
half of it. Kinesis at most doubles or halves the number in one step, and takes ten steps in 24 hours.";

const SCALE: &str = "Examples:
  dial shards scale 8                      prints the steps, changes nothing
  dial shards scale 8 --apply              takes them, and waits for each

Ctrl-C ends the waiting, not the step that Kinesis is taking; the same command goes on from there. What Kinesis would \
refuse is refused before it is asked: more than its limits, and an eleventh step in 24 hours. For that, the times of \
the steps are kept in the stream's tag `dial.shard-count-calls`; steps that others took are not in it.";

#[derive(Debug, Args)]
pub(crate) struct ShardsList {
    /// Of these roles; of both unless told otherwise
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Vec<Role>,
    /// Closed shards too that a role has read to their end
    #[arg(long)]
    pub(crate) all: bool,
    /// Do not read from the shards: the lag stays unknown
    #[arg(long)]
    pub(crate) quick: bool,
    /// A worker's metrics, for its records per second; may be given several times
    #[arg(long, value_name = "URL")]
    pub(crate) metrics: Vec<String>,
    /// How long to watch the workers' metrics
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub(crate) seconds: u64,
}

#[derive(Debug, Args)]
pub(crate) struct ShardsPlan {
    /// How full, in percent of what it can carry, a shard is to be
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=90))]
    pub(crate) aim: u32,
    /// How much of the past is read to measure the traffic
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// The traffic in bytes, instead of measuring it
    #[arg(long, value_name = "N", requires = "records_per_second")]
    pub(crate) bytes_per_second: Option<u64>,
    /// The traffic in records, instead of measuring it
    #[arg(long, value_name = "N", requires = "bytes_per_second")]
    pub(crate) records_per_second: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct ShardsScale {
    /// How many open shards there are to be
    #[arg(value_name = "N")]
    pub(crate) count: u32,
    /// Do it
    #[arg(long)]
    pub(crate) apply: bool,
}
