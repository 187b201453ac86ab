//! What a file's footer says of its rows: how many, from when, and how much memory they take.

use bytes::Bytes;
use dial_rules::event::Millis;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use crate::store::{ObjectStore, StoreError};
use crate::table::{ColumnType, Table};

/// Most footers lie within the last so many bytes.
const TAIL: u64 = 64 << 10;
/// What a row takes in each column beside its text: an offset, or a number.
const CELL: u64 = 8;
/// How much larger texts may be than their encoded form, where the footer does not say: dictionaries.
const GROWTH: u64 = 8;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer {
    /// How many rows.
    pub rows: u64,
    /// The earliest time of them; `None` if it has none, or does not say.
    pub earliest: Option<Millis>,
    /// How many bytes they take in memory, about.
    pub memory: u64,
}

/// A footer could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FooterError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file is not Parquet.
    #[error("{key} is not a readable Parquet file: {source}")]
    Parquet {
        /// The file.
        key: String,
        /// What is wrong.
        source: ParquetError,
    },
}

impl Footer {
    /// Reads the footer of a file of this many bytes: usually its last 64 KiB and no more.
    ///
    /// # Errors
    /// See [`FooterError`].
    pub async fn read(store: &dyn ObjectStore, table: &Table, key: &str, size: u64) -> Result<Footer, FooterError> {
        let mut wanted = TAIL.min(size);
        loop {
            let tail = store.tail(key, wanted).await?;
            match parse(tail, size) {
                Ok(metadata) => return Ok(Footer::of(table, &metadata)),
                Err(ParquetError::NeedMoreData(bytes)) if bytes as u64 > wanted && bytes as u64 <= size => {
                    wanted = bytes as u64;
                }
                Err(source) => return Err(FooterError::Parquet { key: key.to_owned(), source }),
            }
        }
    }

    fn of(table: &Table, metadata: &ParquetMetaData) -> Footer {
        let groups = metadata.row_groups();
        let rows: i64 = groups.iter().map(RowGroupMetaData::num_rows).sum();
        let rows = u64::try_from(rows).unwrap_or_default();
        let chunks = groups.iter().flat_map(RowGroupMetaData::columns);
        let texts: u64 = chunks.map(text_bytes).sum();
        let time = table.sorted_by.first();
        let earliest = groups
            .iter()
            .flat_map(RowGroupMetaData::columns)
            .filter(|chunk| time.is_some_and(|time| chunk.column_path().string() == *time));
        let earliest = earliest.filter_map(|chunk| match chunk.statistics() {
            Some(Statistics::Int64(statistics)) => statistics.min_opt().copied(),
            _ => None,
        });
        let cells = rows.saturating_mul(table.columns.iter().map(width).sum());
        Footer { rows, earliest: earliest.min(), memory: cells.saturating_add(texts) }
    }
}

fn width(column: &crate::table::Column) -> u64 {
    match column.column_type {
        ColumnType::Texts => 2 * CELL,
        _ => CELL,
    }
}

/// How many bytes a column's texts take.
fn text_bytes(chunk: &ColumnChunkMetaData) -> u64 {
    if chunk.column_type() != parquet::basic::Type::BYTE_ARRAY {
        return 0;
    }
    let said = chunk.unencoded_byte_array_data_bytes().and_then(|bytes| u64::try_from(bytes).ok());
    said.unwrap_or_else(|| u64::try_from(chunk.uncompressed_size()).unwrap_or_default().saturating_mul(GROWTH))
}

fn parse(tail: Bytes, size: u64) -> Result<ParquetMetaData, ParquetError> {
    let mut reader = ParquetMetaDataReader::new();
    reader.try_parse_sized(&tail, size)?;
    reader.finish()
}
