//! Where the files of one table lie: as they were written, as compaction made them, and the switches that say which of
//! them count. Pure.
//!
//! ```text
//! events/v1/dt=2024-05-01/shardId-000000000000_4959…_4961….parquet       written
//! events/compacted-v1/dt=2024-05-01/00000001-5b1e…c2.parquet             compacted, of generation 1
//! events/switches-v1/dt=2024-05-01/00000001.parquet                      the switch of generation 1
//! ```

use crate::layout::Day;
use crate::table::Table;

/// The three folders of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    written: String,
    compacted: String,
    switches: String,
}

/// What a file is, by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It lies as the archive wrote it, and counts unless a switch hides it.
    Written,
    /// Compaction of this generation made it, and it counts once the switch of that shows it.
    Compacted(u64),
    /// The switch of this generation.
    Switch(u64),
}

impl Folders {
    /// Those of a table.
    #[must_use]
    pub fn of(table: &Table) -> Folders {
        let (name, version) = table.folder.rsplit_once('/').unwrap_or((table.name, table.folder));
        Folders {
            written: table.folder.to_owned(),
            compacted: format!("{name}/compacted-{version}"),
            switches: format!("{name}/switches-{version}"),
        }
    }

    /// Files as they were written: `events/v1`.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Files that compaction made: `events/compacted-v1`.
    #[must_use]
    pub fn compacted(&self) -> &str {
        &self.compacted
    }

    /// Switches: `events/switches-v1`.
    #[must_use]
    pub fn switches(&self) -> &str {
        &self.switches
    }

    /// The day and the kind of a Parquet file of this table; `None` of any other object.
    #[must_use]
    pub fn place(&self, key: &str) -> Option<(Day, Kind)> {
        let within = |folder: &str| {
            let (day, name) = key.strip_prefix(folder)?.strip_prefix("/dt=")?.split_once('/')?;
            let stem = name.strip_suffix(".parquet").filter(|stem| !stem.is_empty() && !stem.contains('/'))?;
            Some((Day::parse(day)?, stem))
        };
        if let Some((day, _)) = within(&self.written) {
            return Some((day, Kind::Written));
        }
        if let Some((day, stem)) = within(&self.compacted) {
            let (number, _) = stem.split_once('-')?;
            return Some((day, Kind::Compacted(generation(number)?)));
        }
        let (day, stem) = within(&self.switches)?;
        Some((day, Kind::Switch(generation(stem)?)))
    }

    /// The key of the file that compaction makes of the sources with this digest.
    #[must_use]
    pub fn target_key(&self, day: Day, generation: u64, digest: &str) -> String {
        format!("{}/dt={day}/{generation:08}-{digest}.parquet", self.compacted)
    }

    /// The key of a switch.
    #[must_use]
    pub fn switch_key(&self, day: Day, generation: u64) -> String {
        format!("{}/dt={day}/{generation:08}.parquet", self.switches)
    }
}

/// Generations are written with eight digits or more and count from 1.
fn generation(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok().filter(|number| *number > 0)?;
    (format!("{number:08}") == text).then_some(number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::events_schema::EVENTS;
    use crate::store::check_key;

    #[test]
    fn keys_tell_what_they_are() {
        let folders = Folders::of(&EVENTS);
        let day = Day::parse("2024-05-01").unwrap();
        let table = [
            ("events/v1/dt=2024-05-01/a_1_2.parquet".to_owned(), Some((day, Kind::Written))),
            (folders.target_key(day, 3, "ab"), Some((day, Kind::Compacted(3)))),
            (folders.switch_key(day, 3), Some((day, Kind::Switch(3)))),
            (folders.switch_key(day, 123_456_789), Some((day, Kind::Switch(123_456_789)))),
            ("events/v1/dt=2024-05-01/a.jsonl".to_owned(), None),
            ("events/v1/dt=2024-5-1/a.parquet".to_owned(), None),
            ("events/v1/dt=2024-05-01/x/a.parquet".to_owned(), None),
            ("events/v1/dt=2024-05-01/.parquet".to_owned(), None),
            ("events/v2/dt=2024-05-01/a.parquet".to_owned(), None),
            ("events/compacted-v1/dt=2024-05-01/a.parquet".to_owned(), None),
            ("events/compacted-v1/dt=2024-05-01/3-ab.parquet".to_owned(), None),
            ("events/switches-v1/dt=2024-05-01/00000000.parquet".to_owned(), None),
            ("events/switches-v1/dt=2024-05-01/+0000001.parquet".to_owned(), None),
            ("findings/v1/dt=2024-05-01/a.parquet".to_owned(), None),
        ];
        for (key, place) in table {
            assert_eq!(folders.place(&key), place, "{key}");
            assert!(place.is_none() || check_key("put", &key).is_ok(), "{key}");
        }
    }
}
