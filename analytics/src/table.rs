//! [`Table`]: what a table of the archive is, said once. Its Arrow schema, its columns and statements for Glue and
//! Athena ([`crate::ddl`]), and its page of documentation ([`crate::page`]) all come from it. Pure.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, RecordBatch, RecordBatchOptions, StringArray, new_null_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::events_schema::EVENTS;
use crate::findings_schema::FINDINGS;

/// The tables of the archive.
pub const TABLES: [&Table; 2] = [&EVENTS, &FINDINGS];

/// The partition column of every table: a folder's name and no column of a file.
pub const PARTITION: &str = "dt";

/// A table: Parquet files in folders by day.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name, in SQL.
    pub name: &'static str,
    /// The folder that its days lie in, such as `events/v1`.
    pub folder: &'static str,
    /// What its rows are, in one sentence.
    pub meaning: &'static str,
    /// What the partition column `dt` is.
    pub day: &'static str,
    /// Its columns, in their order.
    pub columns: &'static [Column],
    /// The columns that the rows of a file are sorted by, ascending.
    pub sorted_by: &'static [&'static str],
    /// The columns that name a row.
    pub key: &'static [&'static str],
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Text.
    Text,
    /// Text that is JSON.
    Json,
    /// True or false.
    Flag,
    /// A time: INT64, TIMESTAMP(MILLIS, UTC).
    Time,
    /// A whole number: INT64.
    Number,
    /// A list of texts.
    Texts,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub column_type: ColumnType,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether files carry a bloom filter of it: the ids that people look for.
    pub bloom: bool,
    /// Whether its values hardly repeat, so that files do without a dictionary of it.
    pub distinct: bool,
    /// Whether values begin like their neighbours', as those of counters do.
    pub counted: bool,
    /// What it means, in one sentence.
    pub meaning: &'static str,
}

/// A batch does not fit the table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvolveError {
    /// A column that always was there is not.
    #[error("not a file of the table {table}: it has no column `{column}`")]
    Missing {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A column is of another type.
    #[error("not a file of the table {table}: the column `{column}` is {found} and not {expected}")]
    Type {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Its type in the file.
        found: DataType,
        /// Its type in the table.
        expected: DataType,
    },
    /// A column that the table does not have.
    #[error(
        "it has the column `{column}`, which the table {table} does not have here: it was made by a newer version of the \
         program; compact with that one"
    )]
    Newer {
        /// The table.
        table: &'static str,
        /// The column.
        column: String,
    },
    /// A column has a null that may not have one.
    #[error("not a file of the table: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl Table {
    /// The Arrow schema, without the partition column.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(Column::field).collect::<Vec<_>>()))
    }

    /// A column's place.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The table of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Table> {
        TABLES.into_iter().find(|table| table.name == name)
    }
}

impl Column {
    /// Its field in the Arrow schema.
    #[must_use]
    pub fn field(&self) -> Field {
        Field::new(self.name, self.column_type.arrow(), self.nullable)
    }
}

impl ColumnType {
    /// The type in Arrow.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            ColumnType::Text | ColumnType::Json => DataType::Utf8,
            ColumnType::Flag => DataType::Boolean,
            ColumnType::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            ColumnType::Number => DataType::Int64,
            ColumnType::Texts => DataType::List(Arc::new(element())),
        }
    }

    /// The type in a Glue table, which is Hive's.
    #[must_use]
    pub fn glue(self) -> &'static str {
        match self {
            ColumnType::Text | ColumnType::Json => "string",
            ColumnType::Flag => "boolean",
            ColumnType::Time => "timestamp",
            ColumnType::Number => "bigint",
            ColumnType::Texts => "array<string>",
        }
    }

    /// The type in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            ColumnType::Text => "text",
            ColumnType::Json => "JSON",
            ColumnType::Flag => "flag",
            ColumnType::Time => "time",
            ColumnType::Number => "number",
            ColumnType::Texts => "list of texts",
        }
    }
}

/// An element of a list, by the name that the Parquet format prescribes.
pub(crate) fn element() -> Field {
    Field::new("element", DataType::Utf8, false)
}

/// Brings rows of an older file, which has fewer columns, to the table's columns: those it lacks are null, or empty
/// lists where a list is never null. Columns that the table does not have, of a newer file, are left out: whoever puts
/// what comes of this in the file's place, as compaction does, first has to see that there are none.
///
/// # Errors
/// See [`EvolveError`].
pub fn evolve(batch: &RecordBatch, table: &Table) -> Result<RecordBatch, EvolveError> {
    let columns = table.columns.iter().map(|column| evolved(batch, table, column)).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(table.schema(), columns, &options)?)
}

/// That the table has all columns of a file, so that nothing of it would be left out.
///
/// # Errors
/// [`EvolveError::Newer`].
pub(crate) fn knows_all(file: &Schema, table: &Table) -> Result<(), EvolveError> {
    match file.fields().iter().find(|field| table.position(field.name()).is_none()) {
        Some(field) => Err(EvolveError::Newer { table: table.name, column: field.name().clone() }),
        None => Ok(()),
    }
}

fn evolved(batch: &RecordBatch, table: &Table, column: &Column) -> Result<ArrayRef, EvolveError> {
    let expected = column.column_type.arrow();
    let rows = batch.num_rows();
    match batch.column_by_name(column.name) {
        Some(found) if *found.data_type() == expected => Ok(found.clone()),
        Some(found) => Err(EvolveError::Type {
            table: table.name,
            column: column.name,
            found: found.data_type().clone(),
            expected,
        }),
        None if column.nullable => Ok(new_null_array(&expected, rows)),
        None if column.column_type == ColumnType::Texts => {
            let none = Arc::new(StringArray::new_null(0));
            Ok(Arc::new(ListArray::try_new(Arc::new(element()), OffsetBuffer::new_zeroed(rows), none, None)?))
        }
        None => Err(EvolveError::Missing { table: table.name, column: column.name }),
    }
}

/// A column together with how a row fills it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filled<F> {
    pub(crate) column: Column,
    pub(crate) cell: F,
}

impl<F: Copy> Filled<F> {
    pub(crate) const fn new(name: &'static str, column_type: ColumnType, meaning: &'static str, cell: F) -> Self {
        let (nullable, bloom, counted) = (true, false, false);
        let distinct = matches!(column_type, ColumnType::Json | ColumnType::Time);
        Self { column: Column { name, column_type, nullable, bloom, distinct, counted, meaning }, cell }
    }

    pub(crate) const fn required(mut self) -> Self {
        self.column.nullable = false;
        self
    }

    pub(crate) const fn bloom(mut self) -> Self {
        self.column.bloom = true;
        self
    }

    pub(crate) const fn distinct(mut self) -> Self {
        self.column.distinct = true;
        self
    }

    pub(crate) const fn counted(mut self) -> Self {
        self.column.counted = true;
        self.distinct()
    }
}

/// The columns without how they are filled.
pub(crate) const fn columns<F: Copy, const N: usize>(filled: &[Filled<F>; N]) -> [Column; N] {
    let mut columns = [filled[0].column; N];
    let mut n = 1;
    while n < N {
        columns[n] = filled[n].column;
        n += 1;
    }
    columns
}
