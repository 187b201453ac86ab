//! Arrow's values as those of an answer.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};

use super::super::cell::{Cell, Column};

/// Times as RFC 3339, in UTC.
const OPTIONS: FormatOptions<'static> = FormatOptions::new()
    .with_display_error(false)
    .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.3fZ"))
    .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.3f"))
    .with_null("");

/// The columns of an answer.
pub(super) fn columns(schema: &Schema) -> Vec<Column> {
    Column::distinct(schema.fields().iter().map(|field| (field.name().clone(), field.data_type().is_numeric())))
}

/// Its rows.
pub(super) fn rows(batch: &RecordBatch) -> Result<Vec<Vec<Cell>>, ArrowError> {
    let columns: Vec<Values<'_>> = batch.columns().iter().map(Values::of).collect::<Result<_, _>>()?;
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| column.cell(row)).collect()).collect()
}

/// The values of a column.
struct Values<'a> {
    array: &'a ArrayRef,
    formatter: ArrayFormatter<'a>,
}

impl<'a> Values<'a> {
    fn of(array: &'a ArrayRef) -> Result<Values<'a>, ArrowError> {
        Ok(Values { array, formatter: ArrayFormatter::try_new(array.as_ref(), &OPTIONS)? })
    }

    fn cell(&self, row: usize) -> Result<Cell, ArrowError> {
        if self.array.is_null(row) || *self.array.data_type() == DataType::Null {
            return Ok(Cell::Null);
        }
        let text = || self.formatter.value(row).try_to_string();
        Ok(match self.array.data_type() {
            DataType::Boolean => Cell::Flag(self.array.as_boolean().value(row)),
            of if of.is_numeric() => Cell::number(text()?),
            of if of.is_nested() => Cell::Nested(nested(self.array, row)?),
            _ => Cell::Text(text()?),
        })
    }
}

/// A value as JSON, lists and structures with all that is in them.
fn nested(array: &ArrayRef, row: usize) -> Result<Value, ArrowError> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    let all = |list: ArrayRef| (0..list.len()).map(|at| nested(&list, at)).collect::<Result<Vec<_>, _>>();
    Ok(match array.data_type() {
        DataType::List(_) => Value::Array(all(array.as_list::<i32>().value(row))?),
        DataType::LargeList(_) => Value::Array(all(array.as_list::<i64>().value(row))?),
        DataType::FixedSizeList(..) => Value::Array(all(array.as_fixed_size_list().value(row))?),
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let members = columns.map(|(field, column)| Ok((field.name().clone(), nested(column, row)?)));
            Value::Object(members.collect::<Result<Map<_, _>, ArrowError>>()?)
        }
        DataType::Map(..) => map(&array.as_map().value(row))?,
        _ => serde_json::to_value(Values::of(array)?.cell(row)?).unwrap_or(Value::Null),
    })
}

/// A map, whose entries are structures of key and value.
fn map(entries: &datafusion::arrow::array::StructArray) -> Result<Value, ArrowError> {
    let [keys, values] = entries.columns() else { return Ok(Value::Null) };
    let keys = Values::of(keys)?;
    let entry = |row| Ok((keys.cell(row)?.text().unwrap_or_default(), nested(values, row)?));
    Ok(Value::Object((0..entries.len()).map(entry).collect::<Result<Map<_, _>, ArrowError>>()?))
}
