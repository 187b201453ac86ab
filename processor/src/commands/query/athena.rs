//! Asking Athena.

use std::hash::{BuildHasher, RandomState};

use dial_analytics::layout::Day;
use dial_analytics::query::athena::ask::{Answer, AskError, ask};
use dial_analytics::query::athena::cost::cost;
use dial_analytics::query::athena::sdk::Athena;
use dial_analytics::query::athena::service::{Question, ServiceError, ServiceErrorKind};
use dial_analytics::query::bound::{Archive, Unbounded, check};
use dial_analytics::query::statement::Statement;
use dial_rules::event::Millis;
use tokio_util::sync::CancellationToken;

use super::printer::Printer;
use crate::aws;
use crate::cli::Query;
use crate::clock::now;
use crate::commands::run::cancel_on_signal;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{note, plain, thousands};
use crate::settings;

/// The tables and views that hold every event there ever was.
const LARGE: &[&str] = &["events", "events_written", "events_compacted", "events_distinct", "cloudtrail_logs"];
/// What is suggested to whoever does not say of which days: the last seven.
const SUGGESTED: Millis = 7 * 86_400_000;

pub(super) async fn run(
    args: &Query,
    statement: &Statement,
    (database, settings): (&str, &settings::Athena),
    printer: Printer<'_>,
) -> Result<Outcome> {
    if !args.whole_table {
        let since = Day::of(now().saturating_sub(SUGGESTED)).to_string();
        check(statement, Archive { database, tables: LARGE }, &since).map_err(refused)?;
    }
    let stop = CancellationToken::new();
    cancel_on_signal(stop.clone())?;
    let question = Question {
        sql: statement.text().to_owned(),
        token: token(),
        catalog: settings.catalog.clone(),
        database: database.to_owned(),
        workgroup: settings.workgroup.clone(),
        output: settings.output_folder(),
    };
    let service = Athena::new(aws_sdk_athena::Client::new(&aws::config().await));
    let seed = RandomState::new().hash_one(());
    match ask(&service, &question, stop.cancelled(), seed).await {
        Ok(answer) => print(answer, printer, settings.price_per_tb, &stop).await,
        Err(AskError::Interrupted { id, stopped, scanned }) => {
            note(&format!("dial: {}", AskError::Interrupted { id, stopped, scanned }));
            note(&bill(scanned, settings.price_per_tb));
            Ok(Outcome::Interrupted)
        }
        Err(error) => Err(failure(&error)),
    }
}

async fn print(
    mut answer: Answer<'_>,
    mut printer: Printer<'_>,
    price: f64,
    stop: &CancellationToken,
) -> Result<Outcome> {
    printer.begin(answer.columns())?;
    loop {
        let rows = tokio::select! {
            biased;
            () = stop.cancelled() => {
                printer.end()?;
                note(&format!("dial: interrupted; Athena has the whole answer of the query {}", answer.id()));
                return Ok(Outcome::Interrupted);
            }
            rows = answer.rows() => rows.map_err(|error| Failure::Outside(error.to_string()))?,
        };
        if rows.is_empty() || !printer.rows(rows)? {
            break;
        }
    }
    let printed = printer.end()?;
    let seconds = answer.millis() / 1_000;
    let tenths = answer.millis() % 1_000 / 100;
    let bill = bill(answer.scanned(), price);
    note(&format!("{} rows in {seconds}.{tenths} s; {bill}", thousands(printed)));
    Ok(Outcome::Fine)
}

/// What was read and what that costs.
fn bill(scanned: u64, price: f64) -> String {
    format!("Athena read {}, about {:.4} USD", size(scanned), cost(scanned, price))
}

/// `12.3 MiB`.
fn size(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

/// Of a query that is the same, however often the network makes us start it; and of no other.
fn token() -> String {
    let half = || RandomState::new().hash_one((std::process::id(), now()));
    format!("{:016x}{:016x}", half(), half())
}

fn refused(unbounded: Unbounded) -> Failure {
    Failure::Usage(match unbounded {
        Unbounded::Tables { tables, only_above, coalesced, suggestion } => {
            let named = tables.iter().map(|table| plain(table)).collect::<Vec<_>>().join(", ");
            let above = if only_above { " from below" } else { "" };
            let hint = if coalesced {
                " After an outer JOIN with USING (dt), `dt` is of neither table: bind that of each in a subquery, or join them \
                 ON a.dt = b.dt and bind a.dt."
            } else {
                ""
            };
            let lines: Vec<String> = suggestion.lines().map(|line| format!("  {}", plain(line))).collect();
            format!(
                "nothing bounds `dt` of {named}{above}, so Athena would read, and bill, every day there is. Say of which \
                 days, in the WHERE of the same SELECT and as text.{hint} Of the last seven:\n\n{}\n\nor ask with --whole-table",
                lines.join("\n")
            )
        }
        Unbounded::Unreadable(error) => format!(
            "it cannot be told whether this query bounds `dt`: {}. If it does, or is to read every day there is, ask with \
             --whole-table",
            plain(&error)
        ),
    })
}

fn failure(error: &AskError) -> Failure {
    let text = error.to_string();
    let of_the_question = match error {
        AskError::Start(ServiceError { kind, .. }) => *kind == ServiceErrorKind::Invalid,
        AskError::Failed { question, .. } => *question,
        AskError::Lost { .. } | AskError::Cancelled { .. } | AskError::Interrupted { .. } => false,
    };
    // Lines are Athena's own, as of a syntax error; nothing else of it steers a terminal.
    let text = text.lines().map(plain).collect::<Vec<_>>().join("\n");
    if of_the_question { Failure::Usage(text) } else { Failure::Outside(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_their_units() {
        let told = [0, 1023, 1024, 10 << 20, (3 << 29) + (1 << 27), 5 << 40].map(size);
        assert_eq!(told, ["0 B", "1023 B", "1.0 KiB", "10.0 MiB", "1.6 GiB", "5.0 TiB"]);
        assert_eq!(bill(1, 5.0), "Athena read 1 B, about 0.0000 USD");
        assert_eq!(bill(1 << 40, 6.75), "Athena read 1.0 TiB, about 6.7500 USD");
    }

    #[test]
    fn tokens_are_of_one_query_each() {
        let (one, other) = (token(), token());
        assert!(one != other && (32..=128).contains(&one.len()));
    }

    #[test]
    fn a_refusal_says_what_to_write() {
        let tables = vec!["events".to_owned()];
        let told = refused(Unbounded::Tables {
            tables,
            only_above: false,
            coalesced: false,
            suggestion: "SELECT 1 FROM events WHERE dt >= '2024-05-01'".to_owned(),
        });
        let told = told.to_string();
        assert!(!told.contains("USING"), "{told}");
        assert!(told.contains("`dt` of events,") && told.contains("\n  SELECT 1 FROM events WHERE dt >="), "{told}");
        assert!(told.contains("--whole-table"));
    }

    #[test]
    fn a_refusal_says_why_an_outer_join_is_not_bound() {
        let tables = vec!["a".to_owned(), "b".to_owned()];
        let told = refused(Unbounded::Tables { tables, only_above: false, coalesced: true, suggestion: String::new() });
        let told = told.to_string();
        assert!(told.contains("is of neither table: bind that of each in a subquery, or join them ON"), "{told}");
    }
}
