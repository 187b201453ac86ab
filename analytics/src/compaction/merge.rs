//! Many files → one, sorted. Pure but for being slow.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, concat, interleave_record_batch, lexsort_to_indices};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::table::{EvolveError, Table, evolve, knows_all};
use crate::writer::{WriteError, write_batches};

/// Rows are read and written so many at a time.
const CHUNK: usize = 2048;

/// Why files could not be merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// A file is not Parquet, or is broken.
    #[error("not a readable Parquet file: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// A part of a file is broken.
    #[error("not a readable Parquet file: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A file is of another table, or of a newer version of it.
    #[error(transparent)]
    Evolve(#[from] EvolveError),
    /// The result could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The rows of files on their way into one.
#[derive(Debug)]
pub(crate) struct Merge {
    table: &'static Table,
    batches: Vec<RecordBatch>,
    rows: usize,
}

impl Merge {
    pub(crate) fn new(table: &'static Table) -> Merge {
        Merge { table, batches: Vec::new(), rows: 0 }
    }

    /// Takes a file's rows in. A file with fewer columns than the table has now gets them; one with more is refused, since
    /// it will be deleted and what they hold with it.
    pub(crate) fn push(mut self, file: Bytes) -> Result<Merge, MergeError> {
        let file = ParquetRecordBatchReaderBuilder::try_new(file)?;
        knows_all(file.schema(), self.table)?;
        for batch in file.with_batch_size(CHUNK).build()? {
            let batch = evolve(&batch?, self.table)?;
            self.rows += batch.num_rows();
            self.batches.push(batch);
        }
        Ok(self)
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows as u64
    }

    /// The file of all rows, in the table's order; among equals in the order in which they were taken in. The same
    /// files give the same bytes.
    pub(crate) fn finish(self) -> Result<Bytes, MergeError> {
        let Merge { table, batches, rows } = self;
        let order = order(table, &batches)?;
        let mut places = Vec::with_capacity(rows);
        for (n, batch) in batches.iter().enumerate() {
            places.extend((0..batch.num_rows()).map(|row| (n, row)));
        }
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        let chunks = order.values().chunks(CHUNK).map(|chunk| {
            let rows: Vec<(usize, usize)> = chunk.iter().map(|at| places[*at as usize]).collect();
            Ok::<_, MergeError>(interleave_record_batch(&batches, &rows)?)
        });
        write_batches(table, rows, chunks)
    }
}

/// The rows' numbers, in the order that they are to have.
fn order(table: &Table, batches: &[RecordBatch]) -> Result<UInt32Array, MergeError> {
    let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    if rows == 0 {
        return Ok(UInt32Array::from_iter_values([]));
    }
    let mut columns = Vec::new();
    for name in table.sorted_by {
        let parts: Vec<_> = batches.iter().filter_map(|batch| batch.column_by_name(name)).map(AsRef::as_ref).collect();
        columns.push(concat(&parts)?);
    }
    // What keeps equal rows in their order: sorting by several columns does not by itself.
    let rows = u32::try_from(rows).map_err(|_| {
        parquet::errors::ParquetError::General("more than four thousand million rows to be merged".to_owned())
    })?;
    columns.push(Arc::new(UInt32Array::from_iter_values(0..rows)) as ArrayRef);
    let columns: Vec<_> = columns.into_iter().map(|values| SortColumn { values, options: None }).collect();
    Ok(lexsort_to_indices(&columns, None)?)
}
