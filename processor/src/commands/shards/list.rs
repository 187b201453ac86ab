//! `dial shards list`.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::{Cell, CellAlignment};
use dial_ingest::dynamodb::DynamoLeases;
use dial_ingest::kinesis::KinesisStream;
use dial_ingest::lease::Lease;
use dial_ingest::{ErrorKind, LeaseStore, StreamClient};
use futures::future::join_all;
use futures::{StreamExt, stream};
use tokio::time::Instant;

use super::{now, stream_name, unlisted};
use crate::aws;
use crate::cli::{Role, ShardsList};
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, note, plain};
use crate::settings::{Listen, Settings};
use crate::shards::lag::{self, Lag};
use crate::shards::overview::{RoleLeases, Row, rows, short, span};
use crate::shards::rates::Rates;
use crate::shards::{self, scrape};

/// How many shards are asked at a time.
const AT_A_TIME: usize = 16;

pub(super) async fn list(args: ShardsList, settings: &Settings, output: &Output) -> Result<Outcome> {
    let name = stream_name(settings)?;
    let config = aws::config().await;
    let client = KinesisStream::new(aws_sdk_kinesis::Client::new(&config), name);
    let dynamodb = aws_sdk_dynamodb::Client::new(&config);
    let known = shards::all(&client).await.map_err(|error| unlisted(name, &error))?;
    let rates = rates(&args, settings).await?;
    let mut roles = Vec::new();
    for role in names(&args.role) {
        let table = settings.tables.leases(role);
        let leases = leases(&DynamoLeases::new(dynamodb.clone(), &table), role, &table).await?;
        let lags = if args.quick { BTreeMap::new() } else { lags(&client, &leases).await };
        roles.push(RoleLeases { role, leases, lags });
    }
    print(&rows(&known, &roles, &rates.rates, args.all), output)?;
    Ok(if rates.failed { Outcome::Outside } else { Outcome::Fine })
}

/// The roles that were asked for, in the order of the straight line.
fn names(asked: &[Role]) -> impl Iterator<Item = &'static str> {
    let wanted = |role: &(Role, &str)| asked.is_empty() || asked.contains(&role.0);
    [(Role::Detect, "detect"), (Role::Archive, "archive")].into_iter().filter(wanted).map(|(_, name)| name)
}

async fn leases(store: &dyn LeaseStore, role: &str, table: &str) -> Result<Vec<Lease>> {
    match store.list().await {
        Ok(leases) => Ok(leases),
        Err(error) if error.kind == ErrorKind::NotFound => {
            note(&format!(
                "there is no table {table} yet: nobody has worked on this stream. Start `dial run --role {role}`"
            ));
            Ok(Vec::new())
        }
        Err(error) => Err(Failure::outside(table, error)),
    }
}

async fn lags(client: &dyn StreamClient, leases: &[Lease]) -> BTreeMap<String, Lag> {
    let measure = |lease: &Lease| {
        let lease = lease.clone();
        async move { (lease.lease_key.clone(), lag::measure(client, &lease, now).await) }
    };
    stream::iter(leases.iter().map(measure)).buffer_unordered(AT_A_TIME).collect().await
}

/// What the workers told.
#[derive(Default)]
struct Told {
    rates: Rates,
    /// A worker that was named did not answer.
    failed: bool,
}

async fn rates(args: &ShardsList, settings: &Settings) -> Result<Told> {
    let (urls, named) = match args.metrics.as_slice() {
        [] => (local(settings).into_iter().collect(), false),
        urls => (urls.to_vec(), true),
    };
    let mut told = Told::default();
    let token = settings.metrics.read_token();
    let token = token.or_else(|wrong| if named { Err(Failure::Usage(wrong)) } else { Ok(None) })?;
    let mut first = Vec::new();
    for (url, samples) in urls.iter().zip(join_all(urls.iter().map(|url| scrape::samples(url, token.as_deref()))).await)
    {
        match samples {
            Ok(samples) => first.push((url, Instant::now(), samples)),
            Err(error) if named => {
                note(&error);
                told.failed = true;
            }
            Err(error) => tracing::debug!(error, "no metrics of a worker on this machine"),
        }
    }
    if first.is_empty() {
        return Ok(told);
    }
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let second = join_all(first.iter().map(|(url, ..)| scrape::samples(url, token.as_deref()))).await;
    for ((url, when, before), after) in first.iter().zip(second) {
        let problem = match after {
            Ok(after) if told.rates.add(before, &after, when.elapsed()) => continue,
            Ok(_) => format!("{url}: these are not the metrics of `dial run`"),
            Err(error) => error,
        };
        // Something else may use the default port; it was not asked for.
        if named {
            note(&problem);
            told.failed = true;
        }
    }
    Ok(told)
}

/// Where a worker on this machine serves its metrics, if it does.
fn local(settings: &Settings) -> Option<String> {
    match settings.metrics.listen() {
        Ok(Listen::IfFree(address) | Listen::At(address)) if address.ip().is_loopback() && address.port() != 0 => {
            Some(format!("http://{address}/metrics"))
        }
        _ => None,
    }
}

fn print(rows: &[Row], output: &Output) -> Result<()> {
    if output.is_json() {
        return rows.iter().try_for_each(|row| output.json(row));
    }
    let titles = ["role", "shard", "parents", "state", "owner", "checkpoint", "lag", "records/s"];
    output.table(&titles, rows.iter().map(cells))?;
    if rows.iter().any(|row| row.records_per_second.is_none()) {
        note("records/s are known to the workers: name their metrics by --metrics http://HOST:9464/metrics");
    }
    Ok(())
}

fn cells(row: &Row) -> Vec<Cell> {
    let lag = match (row.lag_ms, &row.lag_unknown) {
        (Some(millis), _) => span(millis),
        (None, None) => "–".to_owned(),
        (None, Some(_)) => "unknown".to_owned(),
    };
    let rate = row.records_per_second.map_or("unknown".to_owned(), |rate| format!("{rate:.1}"));
    let parents: Vec<&str> = row.parents.iter().map(|id| id.strip_prefix("shardId-").unwrap_or(id)).collect();
    vec![
        Cell::new(row.role),
        Cell::new(plain(&row.shard_id)),
        Cell::new(plain(&parents.join(" "))),
        Cell::new(row.state.as_str()),
        Cell::new(plain(row.owner.as_deref().unwrap_or("nobody"))),
        Cell::new(plain(&short(row))),
        Cell::new(lag).set_alignment(CellAlignment::Right),
        Cell::new(rate).set_alignment(CellAlignment::Right),
    ]
}
