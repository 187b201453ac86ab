//! Asking a folder.

use std::time::Instant;

use dial_analytics::query::local::{Local, LocalError, Place};
use dial_analytics::query::statement::Statement;
use tokio_util::sync::CancellationToken;

use super::printer::Printer;
use crate::cli::Query;
use crate::clock::now;
use crate::commands::run::cancel_on_signal;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{note, plain, thousands};
use crate::settings::Settings;
use crate::stores::{archive_folder, archive_place};

pub(super) async fn run(
    args: &Query,
    statement: &Statement,
    settings: &Settings,
    mut printer: Printer<'_>,
) -> Result<Outcome> {
    let folder = archive_place(settings, args.data.data.as_deref())?;
    if !folder.is_dir() {
        let why =
            "there is no archive yet: `dial run` and `dial demo` make one, and `dial scan --archive` of your own files";
        return Err(Failure::Usage(format!("{}: {why}", folder.display())));
    }
    let stop = CancellationToken::new();
    cancel_on_signal(stop.clone())?;
    let began = Instant::now();
    let memory = usize::try_from(args.memory_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20);
    let store = archive_folder(folder)?;
    let answer = async {
        let local = Local::open(Place { folder, memory }, store.as_ref(), now()).await.map_err(failure)?;
        let mut rows = local.ask(statement).await.map_err(failure)?;
        printer.begin(rows.columns())?;
        loop {
            let next = rows.next().await.map_err(failure)?;
            if next.is_empty() || !printer.rows(next)? {
                return printer.end();
            }
        }
    };
    let printed = tokio::select! {
        biased;
        () = stop.cancelled() => {
            note("dial: interrupted");
            return Ok(Outcome::Interrupted);
        }
        printed = answer => printed?,
    };
    if printer.is_table() {
        let seconds = began.elapsed().as_secs_f64();
        note(&format!("{} rows in {seconds:.1} s", thousands(printed)));
    }
    Ok(Outcome::Fine)
}

fn failure(error: LocalError) -> Failure {
    let text = error.to_string().lines().map(plain).collect::<Vec<_>>().join("\n");
    match error {
        LocalError::Question(_) => Failure::Usage(text),
        LocalError::Memory(_) => Failure::Outside(format!("{text}; --memory-mib allows more")),
        _ => Failure::Outside(text),
    }
}
