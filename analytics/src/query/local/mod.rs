//! Asking a folder, with DataFusion.

mod cells;
mod files;
mod functions;
mod json_path;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::object_store::path::Path as ObjectPath;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use dial_rules::event::Millis;
use futures::StreamExt;

use self::files::Files;
use super::cell::{Cell, Column};
use super::statement::Statement;
use crate::ddl::Dialect;
use crate::store::ObjectStore;
use crate::table::{PARTITION, TABLES, Table};
use crate::views::VIEWS;
use crate::visibility::{VisibilityError, visible};

/// Rows that are worked on at a time. Rows with `raw` take a kilobyte or two each, and merging what was sorted by way of
/// temporary files holds so many of each.
const ROWS: usize = 2048;
/// Room on the stack, in bytes, for asking the deepest statement there may be: DataFusion walks it by recursion.
pub const STACK: usize = 256 << 20;
/// The same for the threads that work on the answer.
pub const WORKER_STACK: usize = 32 << 20;

/// Who has taken most memory is told by so many names.
const TOLD: std::num::NonZeroUsize = std::num::NonZeroUsize::MIN.saturating_add(2);

/// Why a folder gives no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// It is not known which files count.
    #[error(transparent)]
    Visibility(#[from] VisibilityError),
    /// The question is at fault.
    #[error("{0}")]
    Question(String),
    /// It takes more memory or more room for temporary files than there may be.
    #[error("the query takes more memory than it may: allow more, or ask for fewer columns or days: {0}")]
    Memory(String),
    /// A file is broken or gone, or DataFusion is.
    #[error("{0}")]
    Engine(String),
}

/// The archive in a folder, as it was at one moment.
pub struct Local {
    context: SessionContext,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").finish_non_exhaustive()
    }
}

/// Where the archive is, and what a question may take.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// How many bytes of memory; beyond that, sorting and grouping use temporary files.
    pub memory: usize,
    /// Whether one thread does it all, which takes longer, and less memory: what several have sorted must be merged.
    pub alone: bool,
}

impl Local {
    /// The tables and views over the files that count at `now`. `store` is over the same folder.
    ///
    /// # Errors
    /// See [`LocalError`].
    pub async fn open(place: Place<'_>, store: &dyn ObjectStore, now: Millis) -> Result<Local, LocalError> {
        let pool = TrackConsumersPool::new(FairSpillPool::new(place.memory), TOLD);
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc().map_err(engine)?;
        let config = SessionConfig::new()
            .with_information_schema(true)
            .with_batch_size(ROWS)
            .with_default_catalog_and_schema("archive", "dial")
            .set_str("datafusion.execution.time_zone", "+00:00");
        let config = if place.alone { config.with_target_partitions(1) } else { config };
        let context = SessionContext::new_with_config_rt(config, runtime);
        functions::register(&context);
        let folder = place
            .folder
            .canonicalize()
            .map_err(|error| LocalError::Engine(format!("{}: {error}", place.folder.display())))?;
        for table in TABLES {
            let files = files(&folder, store, table, now).await?;
            context.register_table(table.name, Arc::new(files)).map_err(engine)?;
        }
        for view in VIEWS {
            let create = format!("CREATE VIEW {} AS {}", view.name, view.query(Dialect::DataFusion));
            context.sql(&create).await.map_err(engine)?;
        }
        Ok(Local { context })
    }

    /// Asks, on a thread with a stack of [`STACK`] bytes whose runtime's workers have [`WORKER_STACK`]; with less, a deep
    /// statement ends the process.
    ///
    /// # Errors
    /// See [`LocalError`]. What goes wrong on the way comes from [`Rows::next`].
    pub async fn ask(&self, statement: &Statement) -> Result<Rows, LocalError> {
        let plan = self.context.state().create_logical_plan(statement.text()).await.map_err(question)?;
        let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        reads.verify_plan(&plan).map_err(question)?;
        if let LogicalPlan::Statement(_) = plan {
            return Err(LocalError::Question("`dial query` only reads".to_owned()));
        }
        let frame = self.context.execute_logical_plan(plan).await.map_err(question)?;
        let stream = frame.execute_stream().await.map_err(question)?;
        Ok(Rows { columns: cells::columns(&stream.schema()), stream })
    }
}

/// The files of a table that count at `now`.
async fn files(folder: &Path, store: &dyn ObjectStore, table: &Table, now: Millis) -> Result<Files, LocalError> {
    let mut files = Vec::new();
    for listed in visible(store, table, now).await? {
        let path = ObjectPath::from_absolute_path(folder.join(&listed.key));
        let path = path.map_err(|error| LocalError::Engine(format!("{}: {error}", listed.key)))?;
        let day = listed.key.split('/').find_map(|part| part.strip_prefix(PARTITION)?.strip_prefix('='));
        files.extend(day.map(|day| (path.to_string(), listed.size, day.to_owned())));
    }
    Ok(Files::of(table, files))
}

/// The rows of an answer, as they come.
pub struct Rows {
    columns: Vec<Column>,
    stream: SendableRecordBatchStream,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl Rows {
    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The next rows; none when there are no more.
    ///
    /// # Errors
    /// See [`LocalError`].
    pub async fn next(&mut self) -> Result<Vec<Vec<Cell>>, LocalError> {
        while let Some(batch) = self.stream.next().await {
            let rows = cells::rows(&batch.map_err(question)?).map_err(|error: ArrowError| engine(error.into()))?;
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
        Ok(Vec::new())
    }
}

/// Whose fault it is. DataFusion wraps what it says, so it is told by what is inside.
fn question(error: DataFusionError) -> LocalError {
    let text = |error: &DataFusionError| error.strip_backtrace();
    match error.find_root() {
        DataFusionError::ResourcesExhausted(told) => LocalError::Memory(told.clone()),
        DataFusionError::SQL(..)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Execution(_)
        | DataFusionError::ArrowError(..)
        | DataFusionError::Diagnostic(..) => LocalError::Question(text(&error)),
        _ => LocalError::Engine(text(&error)),
    }
}

fn engine(error: DataFusionError) -> LocalError {
    match question(error) {
        LocalError::Question(text) => LocalError::Engine(text),
        other => other,
    }
}
