//! Asking a folder.

use std::path::Path;
use std::time::Instant;

use dial_analytics::query::cell::Cell;
use dial_analytics::query::local::{Local, LocalError, Place, Rows, STACK, WORKER_STACK};
use dial_analytics::query::statement::Statement;
use dial_analytics::store::ObjectStore;
use tokio::runtime::Builder;
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
    let answered = tokio::task::block_in_place(|| with_room(answer(args, statement, folder, &mut printer, &stop)))??;
    let Some(printed) = answered else {
        note("dial: interrupted");
        return Ok(Outcome::Interrupted);
    };
    if printer.is_table() {
        let seconds = began.elapsed().as_secs_f64();
        note(&format!("{} rows in {seconds:.1} s", thousands(printed)));
    }
    Ok(Outcome::Fine)
}

/// Prints the answer. How many rows it had; `None` when it was interrupted.
async fn answer(
    args: &Query,
    statement: &Statement,
    folder: &Path,
    printer: &mut Printer<'_>,
    stop: &CancellationToken,
) -> Result<Option<u64>> {
    let memory = usize::try_from(args.memory_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20);
    let store = archive_folder(folder)?;
    let place = Place { folder, memory, alone: false };
    let answer = async {
        let started = match start(place, statement, store.as_ref()).await {
            // Nothing has been printed yet.
            Err(LocalError::Memory(_)) => start(Place { alone: true, ..place }, statement, store.as_ref()).await,
            started => started,
        };
        let (mut rows, mut next) = started.map_err(failure)?;
        printer.begin(rows.columns())?;
        while !next.is_empty() && printer.rows(next)? {
            next = rows.next().await.map_err(failure)?;
        }
        printer.end()
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(None),
        printed = answer => printed.map(Some),
    }
}

/// Asks, up to the first rows.
async fn start(
    place: Place<'_>,
    statement: &Statement,
    store: &dyn ObjectStore,
) -> std::result::Result<(Rows, Vec<Vec<Cell>>), LocalError> {
    let local = Local::open(place, store, now()).await?;
    let mut rows = local.ask(statement).await?;
    let first = rows.next().await?;
    Ok((rows, first))
}

/// Runs it where a deep statement has room.
fn with_room<T: Send>(work: impl Future<Output = T> + Send) -> Result<T> {
    let fail = |error: std::io::Error| Failure::outside("a thread with room for the query", error);
    let run = || {
        let workers = Builder::new_multi_thread().enable_all().thread_stack_size(WORKER_STACK).build().map_err(fail)?;
        let done = workers.block_on(work);
        // What still works on an answer that nobody wants is not waited for.
        workers.shutdown_background();
        Ok(done)
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run).map_err(fail)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn failure(error: LocalError) -> Failure {
    let text = error.to_string().lines().map(plain).collect::<Vec<_>>().join("\n");
    match error {
        LocalError::Question(_) => Failure::Usage(text),
        LocalError::Memory(_) => Failure::Outside(format!("{text}; --memory-mib allows more")),
        _ => Failure::Outside(text),
    }
}
