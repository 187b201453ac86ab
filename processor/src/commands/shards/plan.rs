//! `dial shards plan`.

use dial_ingest::kinesis::KinesisStream;
use dial_ingest::resharding::calls_left;
use dial_ingest::scaling::{Limits, Load, Observed, Plan, shard_count};
use serde::Serialize;

use super::{account_room, calls_line, history, now, stream_name, undescribed, unlisted};
use crate::aws;
use crate::cli::ShardsPlan;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, note, thousands};
use crate::settings::{ReadBy, Settings};
use crate::shards::admin::StreamAdmin;
use crate::shards::overview::span;
use crate::shards::traffic::{self, Window};
use crate::shards::{self, KinesisAdmin};

/// The plan as JSON.
#[derive(Debug, Serialize)]
struct Report {
    stream: String,
    shards: u32,
    bytes_per_second: u64,
    records_per_second: u64,
    /// Of how many seconds that is the mean; none where it was given.
    measured_seconds: Option<u64>,
    /// Of how many shards not all could be read in time.
    estimated_shards: u32,
    percent: u64,
    aim: u32,
    target: u32,
    steps: Vec<u32>,
    later: Vec<u32>,
    wait_seconds: Option<u64>,
    reason: String,
    /// None where the calls of the last 24 hours are not known.
    calls_left: Option<u32>,
}

pub(super) async fn plan(args: ShardsPlan, settings: &Settings, output: &Output) -> Result<Outcome> {
    let name = stream_name(settings)?;
    let config = aws::config().await;
    let client = aws_sdk_kinesis::Client::new(&config);
    let admin = KinesisAdmin::new(client.clone(), name);
    let view = admin.look().await.map_err(|error| undescribed(name, &error))?;
    if view.on_demand {
        return Err(Failure::Usage(format!(
            "{name} is in on-demand mode, in which Kinesis chooses the number of shards itself: nothing is to be planned"
        )));
    }
    let traffic = traffic(&args, &KinesisStream::new(client, name), name).await?;
    let observed = Observed { shards: view.look.shards, load: traffic.load };
    let limits = Limits { account_room: account_room(&admin).await, ..limits(settings) }.aiming_at(args.aim);
    let known = history(&admin).await;
    let made = known.clone().unwrap_or_default();
    let plan = shard_count(&observed, &limits, &made, now());
    let report = Report {
        stream: name.to_owned(),
        shards: observed.shards,
        bytes_per_second: observed.load.bytes_per_second,
        records_per_second: observed.load.records_per_second,
        measured_seconds: traffic.seconds,
        estimated_shards: traffic.estimated,
        percent: limits.percent(observed.load, observed.shards),
        aim: args.aim,
        target: plan.target,
        steps: plan.steps.clone(),
        later: plan.later.clone(),
        wait_seconds: plan.wait.map(|wait| wait.as_secs()),
        reason: plan.reason.to_string(),
        calls_left: known.map(|made| calls_left(&made, &limits, now())),
    };
    print(&report, &plan, &limits, output)?;
    Ok(Outcome::Fine)
}

/// What a shard carries under these settings: with fan-out only the archive role polls.
fn limits(settings: &Settings) -> Limits {
    let polling_consumers = match settings.stream.read {
        ReadBy::Polling => 2,
        ReadBy::FanOut => 1,
    };
    Limits { polling_consumers, ..Limits::default() }
}

struct Traffic {
    load: Load,
    seconds: Option<u64>,
    estimated: u32,
}

async fn traffic(args: &ShardsPlan, client: &KinesisStream, name: &str) -> Result<Traffic> {
    if let (Some(bytes_per_second), Some(records_per_second)) = (args.bytes_per_second, args.records_per_second) {
        return Ok(Traffic { load: Load { bytes_per_second, records_per_second }, seconds: None, estimated: 0 });
    }
    let known = shards::all(client).await.map_err(|error| unlisted(name, &error))?;
    let until = now();
    let window = Window { from: until - i64::try_from(args.seconds * 1_000).unwrap_or(i64::MAX), until };
    let arrived = traffic::measure(client, &known, window).await;
    let arrived = arrived.map_err(|error| Failure::outside(format!("measuring the traffic of {name}"), error))?;
    Ok(Traffic { load: arrived.load(window), seconds: Some(args.seconds), estimated: arrived.estimated })
}

fn print(report: &Report, plan: &Plan, limits: &Limits, output: &Output) -> Result<()> {
    if output.is_json() {
        return output.json(report);
    }
    let source = match report.measured_seconds {
        Some(seconds) => format!("on average over the last {seconds} s"),
        None => "as given".to_owned(),
    };
    output.line(&format!(
        "{}: {}; {} bytes and {} records a second, {source}",
        report.stream,
        counted(report.shards),
        thousands(report.bytes_per_second),
        thousands(report.records_per_second),
    ))?;
    if report.estimated_shards > 0 {
        note(&format!(
            "{} shards hold more than could be read in time; their part is estimated from what was read",
            report.estimated_shards
        ));
    }
    let change = match plan.target == report.shards {
        true => format!("keep {}", counted(report.shards)),
        false => format!("{} should do", counted(plan.target)),
    };
    output.line(&format!("{change}: {}", report.reason))?;
    if !plan.steps.is_empty() {
        output.line(&format!("steps now: {} ({} calls)", arrows(report.shards, &plan.steps), plan.steps.len()))?;
    }
    if let Some(wait) = plan.wait {
        let from = plan.steps.last().copied().unwrap_or(report.shards);
        let wait = span(wait.as_secs() * 1_000);
        output.line(&format!("steps in {wait}, when Kinesis takes more calls: {}", arrows(from, &plan.later)))?;
    }
    let (left, known) = report.calls_left.map_or((0, false), |left| (left, true));
    output.line(&calls_line(left, limits.calls_a_day, known))?;
    if plan.target != report.shards {
        output.line(&format!("to do it: dial shards scale {} --apply", plan.target))?;
    }
    Ok(())
}

fn counted(shards: u32) -> String {
    if shards == 1 { "1 shard".to_owned() } else { format!("{shards} shards") }
}

/// `4 → 8 → 12`
pub(super) fn arrows(from: u32, steps: &[u32]) -> String {
    let steps = steps.iter().map(|count| format!(" → {count}"));
    std::iter::once(from.to_string()).chain(steps).collect()
}
