//! Reading the archive back: for tests, tools, and whoever wants to count.

use arrow::array::{
    Array, AsArray, BooleanArray, Int64Array, ListArray, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::DataType;
use bytes::Bytes;
use dial_rules::event::{Millis, rfc3339};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use serde_json::{Map, Value};

use crate::dead_letter_file::{Letter, UnreadableLetter, read_letters};
use crate::dead_letters;
use crate::events_schema::EVENTS;
use crate::position::{Position, RowKey};
use crate::store::{ObjectStore, StoreError};
use crate::visibility::{VisibilityError, visible};

/// Why a part of the archive could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not known which files count.
    #[error(transparent)]
    Visibility(#[from] VisibilityError),
    /// A file is not Parquet, or is broken.
    #[error("not a readable Parquet file: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// A part of a file is broken.
    #[error("not a readable Parquet file: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A file lacks a column, or has another type in it.
    #[error("not a file of the table events: no usable column `{0}`")]
    Column(&'static str),
    /// A file of dead letters is broken.
    #[error(transparent)]
    Letter(#[from] UnreadableLetter),
}

/// How many rows a file has, by its footer.
///
/// # Errors
/// [`ReadError::Parquet`].
pub fn count_rows(file: Bytes) -> Result<u64, ReadError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let rows = builder.metadata().file_metadata().num_rows();
    Ok(u64::try_from(rows).unwrap_or_default())
}

/// How many rows a file has, by reading all of them: what is damaged anywhere is an error.
///
/// # Errors
/// [`ReadError::Parquet`] and [`ReadError::Arrow`].
pub fn read_rows(file: Bytes) -> Result<u64, ReadError> {
    batches(file)?.try_fold(0, |rows, batch| Ok(rows + batch?.num_rows() as u64))
}

/// A file's rows, some thousand at a time.
///
/// # Errors
/// [`ReadError::Parquet`].
pub fn batches(file: Bytes) -> Result<ParquetRecordBatchReader, ReadError> {
    Ok(ParquetRecordBatchReaderBuilder::try_new(file)?.build()?)
}

/// A file's rows as JSON objects by column, times as RFC 3339.
///
/// # Errors
/// See [`ReadError`].
pub fn rows(file: Bytes) -> Result<Vec<Map<String, Value>>, ReadError> {
    let mut rows = Vec::new();
    for batch in batches(file)? {
        let batch = batch?;
        rows.extend((0..batch.num_rows()).map(|n| row(&batch, n)));
    }
    Ok(rows)
}

fn row(batch: &RecordBatch, n: usize) -> Map<String, Value> {
    let schema = batch.schema();
    let fields = schema.fields().iter().zip(batch.columns());
    fields.map(|(field, column)| (field.name().clone(), value(column.as_ref(), n))).collect()
}

fn value(column: &dyn Array, n: usize) -> Value {
    let any = column.as_any();
    if column.is_null(n) {
        Value::Null
    } else if let Some(texts) = any.downcast_ref::<StringArray>() {
        texts.value(n).into()
    } else if let Some(flags) = any.downcast_ref::<BooleanArray>() {
        flags.value(n).into()
    } else if let Some(numbers) = any.downcast_ref::<Int64Array>() {
        numbers.value(n).into()
    } else if let Some(times) = any.downcast_ref::<TimestampMillisecondArray>() {
        rfc3339(times.value(n)).into()
    } else if let Some(lists) = any.downcast_ref::<ListArray>() {
        let list = lists.value(n);
        (0..list.len()).map(|i| value(list.as_ref(), i)).collect()
    } else {
        Value::String(format!("a {}", column.data_type()))
    }
}

/// What names a row, and the event in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArchivedRow {
    /// The shard's id.
    pub shard_id: String,
    /// Where it lies in its shard.
    pub key: RowKey,
    /// The event's id.
    pub event_id: String,
}

/// What an archive holds, without the events themselves.
#[derive(Debug, Default)]
pub struct Contents {
    /// The rows of `events`, file by file.
    pub rows: Vec<ArchivedRow>,
    /// The dead letters, each with its shard's id.
    pub dead_letters: Vec<(String, Letter)>,
    /// The files' keys.
    pub files: Vec<String>,
}

/// Reads which rows and dead letters are in an archive, whichever of its files count: what it promises, each record's
/// exactly once, can be checked on this. Everything is held in memory.
///
/// # Errors
/// See [`ReadError`].
pub async fn contents(store: &dyn ObjectStore) -> Result<Contents, ReadError> {
    let mut contents = Contents::default();
    // No time, however late, is before a switch that is there: what it shows was durable before it was put.
    for listed in visible(store, &EVENTS, Millis::MAX).await? {
        let file = store.get(&listed.key).await?;
        for batch in batches(file)? {
            archived(&batch?, &mut contents.rows)?;
        }
        contents.files.push(listed.key);
    }
    for file in dead_letters::survey(store).await?.files {
        contents.dead_letters.extend(read_letters(&store.get(&file.key).await?)?);
        contents.files.push(file.key);
    }
    Ok(contents)
}

fn archived(batch: &RecordBatch, rows: &mut Vec<ArchivedRow>) -> Result<(), ReadError> {
    let column = |name: &'static str, data_type: DataType| {
        let column = batch.column_by_name(name);
        column.filter(|column| *column.data_type() == data_type).ok_or(ReadError::Column(name))
    };
    let shards = column("shard_id", DataType::Utf8)?.as_string::<i32>();
    let sequences = column("sequence_number", DataType::Utf8)?.as_string::<i32>();
    let ids = column("event_id", DataType::Utf8)?.as_string::<i32>();
    let subs = column("sub_sequence_number", DataType::Int64)?;
    let subs = subs.as_primitive::<arrow::datatypes::Int64Type>();
    let indexes = column("record_index", DataType::Int64)?;
    let indexes = indexes.as_primitive::<arrow::datatypes::Int64Type>();
    for n in 0..batch.num_rows() {
        let sub = u64::try_from(subs.value(n)).map_err(|_| ReadError::Column("sub_sequence_number"))?;
        let position = Position::new(sequences.value(n), sub);
        rows.push(ArchivedRow {
            shard_id: shards.value(n).to_owned(),
            key: RowKey {
                position: position.map_err(|_| ReadError::Column("sequence_number"))?,
                index: u64::try_from(indexes.value(n)).map_err(|_| ReadError::Column("record_index"))?,
            },
            event_id: ids.value(n).to_owned(),
        });
    }
    Ok(())
}
