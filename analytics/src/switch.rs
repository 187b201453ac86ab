//! A [`Switch`]: the small file by which compaction says that some files count from now on and others no longer.
//!
//! Switches are a table of Parquet files themselves, so that Athena can join with them: a row for each file that is
//! hidden or shown, under the day's folder, one file a generation.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use bytes::Bytes;
use dial_rules::event::Millis;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::folders::{Folders, Kind};
use crate::layout::Day;
use crate::table::{Column, ColumnType, Table};
use crate::writer::{WriteError, write_batches};

const HIDE: &str = "hide";
const SHOW: &str = "show";

/// The columns of a table of switches.
pub const COLUMNS: &[Column] = &[
    column("path", ColumnType::Text, "The file, by its key below the archive's location."),
    column("action", ColumnType::Text, "`hide` or `show`."),
    column("effective_from", ColumnType::Time, "Queries that began at this time or later obey."),
    column("generation", ColumnType::Number, "Which switch of its day it is, from 1."),
];

const fn column(name: &'static str, column_type: ColumnType, meaning: &'static str) -> Column {
    Column { name, column_type, nullable: false, bloom: false, distinct: false, counted: false, meaning }
}

/// The table of switches, of whichever table.
pub(crate) const SWITCHES: Table = Table {
    name: "switches",
    folder: "switches",
    meaning: "Which files count.",
    day: "The day of the files.",
    columns: COLUMNS,
    sorted_by: &["path"],
    key: &["path", "generation"],
};

/// Which files of a day count no longer, and which do instead, from a moment on. Never changed and never deleted:
/// should a file that is hidden be written again, it still is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// The day of the files.
    pub day: Day,
    /// Which switch of its day it is, from 1. Of several that are made at once under one number, one is.
    pub generation: u64,
    /// Readers that began at this time or later obey. Everything that is shown was durable before.
    pub effective_from: Millis,
    /// Keys of files that count no longer.
    pub hide: Vec<String>,
    /// Keys of files that count now.
    pub show: Vec<String>,
}

/// A file that is no switch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{key}: not a switch that this version can read ({reason}); which rows of that day count is unknown without it: \
     read with the version that wrote it, or restore it from a backup"
)]
pub struct UnreadableSwitch {
    /// The file.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

impl Switch {
    /// As a Parquet file.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn encode(&self) -> Result<Bytes, WriteError> {
        let hide = self.hide.iter().map(|key| (key, HIDE));
        let mut rows: Vec<(&String, &str)> = hide.chain(self.show.iter().map(|key| (key, SHOW))).collect();
        rows.sort_unstable();
        let generation = i64::try_from(self.generation).unwrap_or(i64::MAX);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|(key, _)| Some(key.as_str())).collect::<StringArray>()),
            Arc::new(rows.iter().map(|(_, action)| Some(*action)).collect::<StringArray>()),
            Arc::new(TimestampMillisecondArray::from_value(self.effective_from, rows.len()).with_timezone("UTC")),
            Arc::new(Int64Array::from_value(generation, rows.len())),
        ];
        let batch = RecordBatch::try_new(SWITCHES.schema(), columns)?;
        write_batches(&SWITCHES, rows.len(), [Ok(batch)])
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// The file is no switch, or not that of its name.
    pub fn decode(folders: &Folders, key: &str, bytes: Bytes) -> Result<Switch, UnreadableSwitch> {
        decode(folders, key, bytes).map_err(|reason| UnreadableSwitch { key: key.to_owned(), reason })
    }
}

fn decode(folders: &Folders, key: &str, bytes: Bytes) -> Result<Switch, String> {
    let Some((day, Kind::Switch(generation))) = folders.place(key) else {
        return Err("its name is not a switch's".to_owned());
    };
    let mut switch = Switch { day, generation, effective_from: Millis::MIN, hide: Vec::new(), show: Vec::new() };
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(|builder| builder.build());
    for batch in reader.map_err(|e| e.to_string())? {
        add(&mut switch, folders, &batch.map_err(|e| e.to_string())?)?;
    }
    if switch.hide.is_empty() && switch.show.is_empty() {
        return Err("it names no file".to_owned());
    }
    Ok(switch)
}

fn add(switch: &mut Switch, folders: &Folders, batch: &RecordBatch) -> Result<(), String> {
    let column = |n: usize| {
        let Column { name, column_type, .. } = COLUMNS[n];
        let found = batch.column_by_name(name).filter(|found| *found.data_type() == column_type.arrow());
        found.filter(|found| found.null_count() == 0).ok_or_else(|| format!("no usable column `{name}`"))
    };
    let (paths, actions) = (column(0)?.as_string::<i32>(), column(1)?.as_string::<i32>());
    let times = column(2)?.as_primitive::<TimestampMillisecondType>();
    let generations = column(3)?.as_primitive::<Int64Type>();
    for n in 0..batch.num_rows() {
        let (path, first) = (paths.value(n), switch.hide.is_empty() && switch.show.is_empty());
        let (day, kind) = folders.place(path).ok_or_else(|| format!("{path:?} is no file of this table"))?;
        if day != switch.day || u64::try_from(generations.value(n)) != Ok(switch.generation) {
            return Err(format!("{path:?} is of another day or generation"));
        }
        if !first && switch.effective_from != times.value(n) {
            return Err("it has several times".to_owned());
        }
        switch.effective_from = times.value(n);
        match (actions.value(n), kind) {
            (HIDE, Kind::Written | Kind::Compacted(_)) => switch.hide.push(path.to_owned()),
            (SHOW, Kind::Compacted(generation)) if generation == switch.generation => switch.show.push(path.to_owned()),
            (action, _) => return Err(format!("it would {action:?} {path:?}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::events_schema::EVENTS;

    fn switch() -> (Folders, Switch) {
        let folders = Folders::of(&EVENTS);
        let day = Day::parse("2024-05-01").unwrap();
        let written = |n: u32| format!("events/v1/dt=2024-05-01/shard_{n}_{n}.parquet");
        let mut hide: Vec<_> = (0..3000).map(written).collect();
        hide.push(folders.target_key(day, 1, "old"));
        hide.sort();
        let show = vec![folders.target_key(day, 2, "a"), folders.target_key(day, 2, "b")];
        (folders, Switch { day, generation: 2, effective_from: 1_714_608_000_001, hide, show })
    }

    #[test]
    fn a_switch_reads_as_it_was_written() {
        let (folders, switch) = switch();
        let bytes = switch.encode().unwrap();
        assert!(bytes.len() < 40_000, "{} bytes", bytes.len());
        let key = folders.switch_key(switch.day, 2);
        assert_eq!(Switch::decode(&folders, &key, bytes), Ok(switch));
    }

    #[test]
    fn what_is_none_is_said_so() {
        let (folders, switch) = switch();
        let key = folders.switch_key(switch.day, 2);
        let refused = |folders: &Folders, key: &str, bytes: Bytes, why: &str| {
            let error = Switch::decode(folders, key, bytes).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(key), "{error}");
        };
        let encode = |change: &dyn Fn(&mut Switch)| {
            let mut changed = switch.clone();
            change(&mut changed);
            changed.encode().unwrap()
        };
        refused(&folders, &key, Bytes::from_static(b"PAR1"), "");
        refused(&folders, &key, encode(&|s| (s.hide, s.show) = (vec![], vec![])), "names no file");
        refused(&folders, &key, encode(&|s| s.generation = 3), "another day or generation");
        refused(&folders, &key, encode(&|s| s.show.push(s.hide[9].clone())), "would \"show\"");
        refused(
            &folders,
            &key,
            encode(&|s| s.hide.push("events/v1/dt=2024-05-02/a.parquet".to_owned())),
            "another day",
        );
        refused(&folders, &key, encode(&|s| s.hide.push("elsewhere".to_owned())), "no file of this table");
        refused(&folders, &folders.switch_key(switch.day, 3), encode(&|_| ()), "another day or generation");
        refused(&folders, "events/switches-v1/dt=2024-05-01/x.parquet", encode(&|_| ()), "its name");
    }
}
