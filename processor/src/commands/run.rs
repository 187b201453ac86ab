//! `dial run`: the stream of the settings, or standard input, or a folder.

use std::sync::Arc;
use std::time::Duration;

use dial_ingest::dynamodb::DynamoLeases;
use dial_ingest::kinesis::KinesisStream;
use dial_ingest::{InitialPosition, PollPace, Producer, ProducerConfig, Read, StreamClient};
use dial_rules::finding::Finding;
use dial_rules::policy::routing::Routing;
use dial_rules::ruleset::RuleSet;
use dial_sinks::actors::dynamodb::{self as actors, DynamoActorStore};
use dial_sinks::dynamodb::{DynamoFindingStore, create_table};
use dial_sinks::windows::dynamodb::{self as windows, DynamoWindowStore};
use futures::future::OptionFuture;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::alerting::Alerting;
use crate::alerting::desk::AlertDesk;
use crate::archiver::Archive;
use crate::assess::Assessor;
use crate::aws;
use crate::cli::{Role as RoleName, Run};
use crate::correlator::{Correlator, Ports};
use crate::detector::{Counts, Detect};
use crate::door::{Door, InStream};
use crate::enrich::enricher::Enricher;
use crate::failure::{Failure, Outcome, Result};
use crate::follow_ups::Follower;
use crate::local;
use crate::monitor::{Listener, Monitor};
use crate::output::Output;
use crate::roles::{self, Crew, Role, Shift};
use crate::rule_files::Governed;
use crate::settings::{Initial, Settings};
use crate::stores;
use crate::{clock, context, rule_files};

/// How many findings are assessed together.
const AT_A_TIME: usize = 256;

pub(crate) async fn run(args: Run, settings: &Settings, output: &Output) -> Result<Outcome> {
    let output = &output.of_work();
    // First of all: tables may be waited for.
    let shutdown = CancellationToken::new();
    cancel_on_signal(shutdown.clone())?;
    let Some(live) = shutdown.run_until_cancelled(context::tables(settings)).await else { return Ok(Outcome::Fine) };
    let live = live?;
    let Governed { rules, policy, routing } = rule_files::to_evaluate(&args.rules.rules, settings, &live.now())?;
    let rules = Arc::new(rules);
    for remark in settings.remarks(&live.now().accounts, clock::now()) {
        tracing::warn!("{remark}");
    }
    live.keep(&shutdown);
    let door = door(&args, settings).await?;
    let enricher = Enricher::new(settings, live, None).map_err(Failure::Usage)?;
    let assessor = Assessor::new(policy, enricher);
    match &settings.stream.name {
        Some(_) if args.watch.is_some() => Err(Failure::Usage(
            "--watch follows a folder, but the settings name a stream: take one of them out".to_owned(),
        )),
        Some(stream) => {
            follow_stream((stream, door), &args, (rules, routing, assessor), settings, output, shutdown).await
        }
        None => local::run(&args, door, (rules, routing, assessor), settings, output, shutdown).await,
    }
}

/// SIGTERM and Ctrl-C end the work cleanly; a second one ends the program.
pub(crate) fn cancel_on_signal(shutdown: CancellationToken) -> Result<()> {
    let fail = |error| Failure::outside("signals", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if shutdown.is_cancelled() {
                std::process::exit(130);
            }
            tracing::info!("stopping: finishing what is being read; once more to stop at once");
            shutdown.cancel();
        }
    });
    Ok(())
}

async fn follow_stream(
    (stream, door): (&str, Option<Door>),
    args: &Run,
    (rules, routing, mut assessor): (Arc<RuleSet>, Routing, Assessor),
    settings: &Settings,
    output: &Output,
    shutdown: CancellationToken,
) -> Result<Outcome> {
    let listener = listener(args, settings).await?;
    if let Some(remark) = settings.archive_remark() {
        tracing::warn!("{remark}");
    }
    let config = aws::config().await;
    let dynamodb = aws_sdk_dynamodb::Client::new(&config);
    let (news, arriving) = mpsc::unbounded_channel();
    let counts = Arc::new(Counts::default());
    let (mut running, mut alerting, mut archiving) = (Vec::new(), None, None);
    let lease_table = |role| Arc::new(DynamoLeases::new(dynamodb.clone(), settings.tables.leases(role)));
    if wants(args, RoleName::Detect) {
        create_table(&dynamodb, &settings.tables.findings()).await?;
        let findings = Arc::new(DynamoFindingStore::new(dynamodb.clone(), settings.tables.findings()));
        let tables = assessor.enricher().live().watch();
        actors::create_table(&dynamodb, &settings.tables.actors()).await?;
        let actors = Arc::new(DynamoActorStore::new(dynamodb.clone(), settings.tables.actors()));
        windows::create_table(&dynamodb, &settings.tables.windows()).await?;
        let (retention, windows) = (settings.correlation.retention(), settings.tables.windows());
        let windows = Arc::new(DynamoWindowStore::new(dynamodb.clone(), windows, retention));
        assessor = assessor.with_actors(actors.clone());
        let desk = AlertDesk { assessor: assessor.clone(), routing, rules: rules.clone() };
        let opened = Alerting::open(settings, findings, desk).await?;
        let findings = opened.findings();
        alerting = Some(opened);
        let ports = Ports { windows, actors, findings: findings.clone(), news: news.clone() };
        let follower = Follower::new(Correlator::new(rules.clone(), ports, counts.correlation.clone()));
        let allowed_lateness = settings.correlation.allowed_lateness();
        let detect = Detect { rules, tables, findings, follower, allowed_lateness, counts: counts.clone(), news };
        running.push(Role {
            name: "detect",
            leases: lease_table("detect"),
            processors: Arc::new(detect),
            read: settings.stream.detect_read(),
            pace: PollPace::EAGER,
        });
    } else {
        drop(news);
    }
    if wants(args, RoleName::Archive) {
        let archive = Archive::new(
            stores::archive_to_write(settings).await?,
            &settings.archive,
            assessor.enricher().live().watch(),
        );
        let archive = archive.counting(counts.clamped.clone());
        archiving = Some(archive.meter());
        running.push(Role {
            name: "archive",
            leases: lease_table("archive"),
            processors: Arc::new(archive),
            read: Read::Polling,
            pace: PollPace::GENTLE,
        });
    }
    let shift = shift(args, settings);
    tracing::info!(stream, worker = shift.worker_id, "following the stream");
    let kinesis = Arc::new(KinesisStream::new(aws_sdk_kinesis::Client::new(&config), stream));
    let opened = door.map(|door| {
        let producer = Producer::start(kinesis.clone(), ProducerConfig::default());
        door.serve(Arc::new(InStream(producer)), shutdown.clone())
    });
    let (door, accepting) = opened.unzip();
    let client: Arc<dyn StreamClient> = kinesis;
    let crew = Crew::new(&client, running, &shift);
    let sources = assessor.enricher().clone();
    let monitor = Monitor::new(shift.worker_id, crew.monitors(), counts.clone(), sources, shutdown.clone());
    let monitor = monitor.with_door(door).with_alerts(alerting.as_ref().map(Alerting::offers)).with_archive(archiving);
    let serving = listener.map(|listener| listener.serve(Arc::new(monitor)));
    let accepting = OptionFuture::from(accepting);
    let showing = show(arriving, &assessor, &counts, output);
    let work = async { tokio::join!(roles::run(crew, shutdown.clone()), showing, accepting) };
    let (ran, shown, _) = match alerting {
        Some(alerting) => alerting.beside(work, &shutdown).await,
        None => work.await,
    };
    if let Some(serving) = serving {
        serving.abort();
    }
    counts.log();
    ran.and(shown).map(|()| Outcome::Fine)
}

/// Takes the port for events, where there is one.
async fn door(args: &Run, settings: &Settings) -> Result<Option<Door>> {
    // What comes in by the door has no end.
    if args.until_drained {
        return Ok(None);
    }
    let mut door = settings.door.clone();
    if let Some(listen) = &args.listen {
        door.listen.clone_from(listen);
    }
    Door::open(&door).await
}

/// Takes the port for the metrics before anything else is begun.
pub(crate) async fn listener(args: &Run, settings: &Settings) -> Result<Option<Listener>> {
    let mut metrics = settings.metrics.clone();
    if let Some(listen) = &args.metrics_listen {
        metrics.listen.clone_from(listen);
    }
    Listener::open(&metrics).await
}

/// Whether this worker has that role.
pub(crate) fn wants(args: &Run, role: RoleName) -> bool {
    args.role.is_empty() || args.role.contains(&role)
}

fn shift(args: &Run, settings: &Settings) -> Shift {
    Shift {
        worker_id: settings.worker.id(),
        failover: Duration::from_secs(settings.worker.failover_seconds),
        initial_position: match settings.stream.initial_position {
            Initial::TrimHorizon => InitialPosition::TrimHorizon,
            Initial::Latest => InitialPosition::Latest,
        },
        prefetch: settings.worker.prefetch(),
        sharing: true,
        stop_when_drained: args.until_drained,
    }
}

/// Prints new findings as they are recorded, but those that the policy hides; all are counted.
pub(crate) async fn show(
    mut arriving: mpsc::UnboundedReceiver<Finding>,
    assessor: &Assessor,
    counts: &Counts,
    output: &Output,
) -> Result<()> {
    let mut together = Vec::new();
    while arriving.recv_many(&mut together, AT_A_TIME).await > 0 {
        for assessment in assessor.assess(std::mem::take(&mut together)).await {
            counts.add_status(assessment.disposition.status);
            match (assessment.is_open(), output.is_json()) {
                (false, _) => {}
                (true, true) => output.json(&assessment)?,
                (true, false) => output.finding_line(&assessment)?,
            }
        }
    }
    Ok(())
}
