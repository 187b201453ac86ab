//! Rows → the bytes of a Parquet file. The same rows, in the same order and with the same tables, give the same bytes.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Int64Builder, ListBuilder, RecordBatch, StringBuilder, TimestampMillisecondBuilder,
};
use bytes::Bytes;
use dial_rules::tables::Tables;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::events_schema::{EVENTS, FILLED};
use crate::row::{Cell, Known, Row, RowContext};
use crate::table::{Column, ColumnType, Table, element};

/// The most rows of a row group.
pub const ROW_GROUP_ROWS: usize = 131_072;

/// The most bytes of a row group.
pub const ROW_GROUP_BYTES: usize = 128 << 20;

/// The most bytes of a page before compression; a longer value has a page of its own.
pub const PAGE_BYTES: usize = 1 << 20;

/// How hard zstd tries. At 1, CloudTrail's columns come out no larger than at 3, in two thirds of the time
/// (docs/decisions/0008-compression.md).
const ZSTD_LEVEL: i32 = 1;

/// How often a filter at most says that a value may be there which is not. One in a hundred would make it twice as large.
const FILTER_ERRORS: f64 = 0.03;

/// Rows are turned into columns so many at a time, or fewer if they hold [`CHUNK_BYTES`].
const CHUNK_ROWS: usize = 4096;
const CHUNK_BYTES: usize = 8 << 20;

/// A file could not be written into memory. Not the rows' fault: every event fits the schema.
#[derive(Debug, thiserror::Error)]
#[error("writing Parquet failed, which is a defect of the program; nothing was committed: {0}")]
pub struct WriteError(#[from] ParquetError);

impl From<arrow::error::ArrowError> for WriteError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self(error.into())
    }
}

/// Writes `rows`, which are sorted, as one Parquet file of the table `events`. What is known of accounts and addresses
/// comes from the tables; the other columns are functions of the rows.
///
/// Beside the result it holds one chunk of rows as columns, and the compressed pages of one row group.
///
/// # Errors
/// See [`WriteError`].
pub fn write_events(rows: &[Row], context: &RowContext, tables: &Tables) -> Result<Bytes, WriteError> {
    let count = rows.len();
    let mut rows = rows.iter().peekable();
    let mut chunk = Vec::new();
    let batches = std::iter::from_fn(|| {
        let mut size = 0;
        chunk.clear();
        while let Some(row) =
            rows.next_if(|row| chunk.is_empty() || chunk.len() < CHUNK_ROWS && size + row.size() <= CHUNK_BYTES)
        {
            size += row.size();
            chunk.push(Known::new(row, tables));
        }
        (!chunk.is_empty()).then(|| batch(&chunk, context))
    });
    write_batches(&EVENTS, count, batches)
}

/// Writes batches of a table's schema, which are sorted as it says, as one Parquet file of it. They have `rows` rows in
/// all, or roughly so: the sizes of bloom filters follow from that.
///
/// Beside the result it holds one batch, and the compressed pages of one row group.
///
/// # Errors
/// Those of the batches, and [`WriteError`].
pub fn write_batches<E: From<WriteError>>(
    table: &Table,
    rows: usize,
    batches: impl IntoIterator<Item = Result<RecordBatch, E>>,
) -> Result<Bytes, E> {
    let failed = |error: ParquetError| E::from(WriteError(error));
    let options = ArrowWriterOptions::new()
        .with_properties(properties(table, rows)?)
        // The Parquet schema says it all; a second one in Arrow's words would be a third of a small file.
        .with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), table.schema(), options).map_err(failed)?;
    for batch in batches {
        writer.write(&batch?).map_err(failed)?;
    }
    Ok(writer.into_inner().map_err(failed)?.into())
}

/// How a file of `rows` rows of a table is written: its compression, row groups, pages, filters and order.
///
/// # Errors
/// See [`WriteError`]; of a table that is sorted by a column which it does not have.
pub fn properties(table: &Table, rows: usize) -> Result<WriterProperties, WriteError> {
    // Filters are made for so many values and folded to what was there: making them too large costs time only.
    let most_values = rows.clamp(1, ROW_GROUP_ROWS) as u64;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        // A page is closed once it has reached the limit, with what at most as much again brought it there.
        .set_data_page_size_limit(PAGE_BYTES / 2)
        .set_dictionary_page_size_limit(PAGE_BYTES / 2)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorting(table)?));
    for column in table.columns {
        let path = ColumnPath::from(column.name);
        if column.bloom {
            properties = properties
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_fpp(path.clone(), FILTER_ERRORS)
                .set_column_bloom_filter_max_ndv(path.clone(), most_values);
        }
        if column.distinct {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), encoding(column));
        }
        if column.column_type == ColumnType::Json {
            // Nobody asks for JSON between two others: bounds a page would not be used.
            properties = properties.set_column_statistics_enabled(path, EnabledStatistics::Chunk);
        }
    }
    Ok(properties.build())
}

/// How values that hardly repeat are written. Lengths apart from texts, and differences instead of values, compress by a
/// twentieth better than both plain; DuckDB, Trino and Spark since 3.3 read them.
fn encoding(column: &Column) -> Encoding {
    match column.column_type {
        ColumnType::Time | ColumnType::Number => Encoding::DELTA_BINARY_PACKED,
        ColumnType::Text if column.counted => Encoding::DELTA_BYTE_ARRAY,
        ColumnType::Text | ColumnType::Json | ColumnType::Texts => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        ColumnType::Flag => Encoding::PLAIN,
    }
}

fn sorting(table: &Table) -> Result<Vec<SortingColumn>, WriteError> {
    let mut leaves = Vec::new();
    for name in table.sorted_by {
        let place = table.position(name).and_then(|place| i32::try_from(place).ok());
        let place = place.ok_or_else(|| ParquetError::General(format!("{} has no column `{name}`", table.name)))?;
        leaves.push(SortingColumn { column_idx: place, descending: false, nulls_first: false });
    }
    Ok(leaves)
}

fn batch(rows: &[Known<'_>], context: &RowContext) -> Result<RecordBatch, WriteError> {
    let columns = FILLED.iter().map(|filled| {
        let cells = rows.iter().map(|row| (filled.cell)(row, context));
        array(filled.column.column_type, cells)
    });
    Ok(RecordBatch::try_new(EVENTS.schema(), columns.collect())?)
}

/// Cells of one column, all in its form.
pub(crate) fn array<'a>(column_type: ColumnType, cells: impl ExactSizeIterator<Item = Cell<'a>>) -> ArrayRef {
    let rows = cells.len();
    match column_type {
        ColumnType::Text | ColumnType::Json => texts(cells),
        ColumnType::Flag => {
            let mut builder = BooleanBuilder::with_capacity(rows);
            cells.for_each(|cell| match cell {
                Cell::Flag(flag) => builder.append_option(flag),
                _ => builder.append_null(),
            });
            Arc::new(builder.finish())
        }
        ColumnType::Time => {
            let mut builder = TimestampMillisecondBuilder::with_capacity(rows);
            cells.for_each(|cell| match cell {
                Cell::Time(time) => builder.append_option(time),
                _ => builder.append_null(),
            });
            Arc::new(builder.finish().with_timezone("UTC"))
        }
        ColumnType::Number => {
            let mut builder = Int64Builder::with_capacity(rows);
            cells.for_each(|cell| match cell {
                Cell::Number(number) => builder.append_option(number),
                _ => builder.append_null(),
            });
            Arc::new(builder.finish())
        }
        ColumnType::Texts => lists(cells),
    }
}

fn texts<'a>(cells: impl Iterator<Item = Cell<'a>>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    for cell in cells {
        match cell {
            Cell::Text(text) => builder.append_option(text),
            _ => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

fn lists<'a>(cells: impl Iterator<Item = Cell<'a>>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(element());
    for cell in cells {
        if let Cell::Texts(texts) = cell {
            texts.iter().for_each(|text| builder.values().append_value(text));
            builder.append(true);
        } else {
            builder.append(false);
        }
    }
    Arc::new(builder.finish())
}
