//! `dial shards scale`.

use std::io::IsTerminal;
use std::time::Duration;

use dial_ingest::resharding::{Look, Refusal, StreamStatus, calls_left, next_call, steps};
use dial_ingest::scaling::Limits;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::plan::arrows;
use super::{account_room, calls_line, history, now, stream_name, undescribed};
use crate::aws;
use crate::cli::ShardsScale;
use crate::commands::run::cancel_on_signal;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, note};
use crate::settings::Settings;
use crate::shards::KinesisAdmin;
use crate::shards::admin::{StreamAdmin, View};
use crate::shards::scaler::{ScaleError, Scaler, Step};

/// What was done, or would be, as JSON.
#[derive(Debug, Serialize)]
struct Report {
    stream: String,
    from: u32,
    to: u32,
    steps: Vec<u32>,
    /// None where the calls of the last 24 hours are not known.
    calls_left: Option<u32>,
    applied: bool,
}

pub(super) async fn scale(args: ShardsScale, settings: &Settings, output: &Output) -> Result<Outcome> {
    let name = stream_name(settings)?;
    let admin = KinesisAdmin::new(aws_sdk_kinesis::Client::new(&aws::config().await), name);
    let view = admin.look().await.map_err(|error| undescribed(name, &error))?;
    let limits = Limits { account_room: account_room(&admin).await, ..Limits::default() };
    let known = history(&admin).await;
    let steps = intended(view, args.count, &limits).map_err(|error| failure(name, args.count, &error))?;
    let mut report = Report {
        stream: name.to_owned(),
        from: view.look.shards,
        to: args.count,
        steps,
        calls_left: known.as_ref().map(|made| calls_left(made, &limits, now())),
        applied: false,
    };
    if args.apply {
        let stop = CancellationToken::new();
        cancel_on_signal(stop.clone())?;
        let progress = Progress::new();
        let tell = |step: &Step| progress.tell(step);
        // The room for more shards was checked; on the way what is opened counts against it.
        let limits = Limits { account_room: None, ..limits };
        let scaler = Scaler { admin: &admin, limits, clock: &now, tell: &tell };
        let done = scaler.run(args.count, &stop).await;
        progress.0.finish_and_clear();
        done.map_err(|error| failure(name, args.count, &error))?;
        report.applied = true;
    } else if let Some(refusal) = known.as_deref().and_then(|made| used_up(made, &report.steps, &limits)) {
        note(&format!("today it would not go through: {refusal}"));
    }
    print(&report, view.look, &limits, output)?;
    Ok(Outcome::Fine)
}

/// The steps from here, or why there are none to be had.
fn intended(view: View, to: u32, limits: &Limits) -> std::result::Result<Vec<u32>, ScaleError> {
    match steps(view.look.shards, to, limits) {
        _ if view.on_demand => Err(ScaleError::OnDemand),
        _ if view.look.status == StreamStatus::Deleting => Err(Refusal::Deleting.into()),
        Err(Refusal::Same(_)) => Ok(Vec::new()),
        other => Ok(other?),
    }
}

/// Whether fewer calls are left than there are steps.
fn used_up(made: &[i64], steps: &[u32], limits: &Limits) -> Option<Refusal> {
    let (left, now) = (calls_left(made, limits, now()), now());
    let wait = next_call(made, limits, now);
    (left == 0 && !steps.is_empty()).then_some(Refusal::CallsUsedUp { calls: limits.calls_a_day, wait })
}

/// An error as the user needs it: with how to go on.
fn failure(stream: &str, to: u32, error: &ScaleError) -> Failure {
    let again = format!("`dial shards scale {to} --apply` goes on from there");
    match error {
        ScaleError::OnDemand => Failure::Usage(format!("{stream}: {error}")),
        ScaleError::Refused(Refusal::None | Refusal::TooMany { .. } | Refusal::StillTooMany { .. }) => {
            Failure::Usage(format!("{stream}: {error}"))
        }
        ScaleError::Refused(Refusal::CallsUsedUp { .. }) | ScaleError::Stopped { .. } => {
            Failure::Outside(format!("{stream}: {error}; {again}"))
        }
        ScaleError::Failed(_) => Failure::Outside(format!("{stream}: {error}; when that is mended, {again}")),
        _ => Failure::outside(stream, error),
    }
}

fn print(report: &Report, look: Look, limits: &Limits, output: &Output) -> Result<()> {
    if output.is_json() {
        return output.json(report);
    }
    let Report { stream, from, to, .. } = report;
    if report.applied {
        return output.line(&format!("{stream} has {to} shards and is ACTIVE"));
    }
    if report.steps.is_empty() {
        return output.line(&format!("{stream} has {to} shards already"));
    }
    let calls = report.steps.len();
    output.line(&format!("{stream}: {} ({calls} calls of UpdateShardCount)", arrows(*from, &report.steps)))?;
    if look.status == StreamStatus::Changing {
        output.line("the stream is being changed now; that is waited for first")?;
    }
    let (left, known) = report.calls_left.map_or((0, false), |left| (left, true));
    output.line(&calls_line(left, limits.calls_a_day, known))?;
    output.line(&format!("nothing was changed. To do it: dial shards scale {to} --apply"))
}

/// On a terminal one line that changes, else a line for everything that is new.
struct Progress(ProgressBar);

impl Progress {
    fn new() -> Progress {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(bar)
    }

    fn tell(&self, step: &Step) {
        let text = match step {
            Step::Asked { from, to } => format!("Kinesis is asked for {to} shards, of {from}"),
            Step::Waiting { shards, status: StreamStatus::Changing } => format!("{shards} open shards, UPDATING"),
            Step::Waiting { shards, .. } => format!("{shards} open shards, not described as changed yet"),
            Step::Again(error) => format!("{error}; trying again"),
            Step::Unnoted(error) => format!("the number of calls left today cannot be kept: {error}"),
        };
        let is_news = !matches!(step, Step::Waiting { .. });
        if self.0.is_hidden() && is_news {
            note(&text);
        } else if is_news {
            self.0.println(&text);
        }
        self.0.set_message(text);
    }
}
