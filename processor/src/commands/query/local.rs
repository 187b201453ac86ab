//! Asking a folder.

use std::path::Path;
use std::time::Instant;

use dial_analytics::query::local::{Local, LocalError, Place, STACK, WORKER_STACK};
use dial_analytics::query::statement::Statement;
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
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(None),
        printed = answer => printed.map(Some),
    }
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
