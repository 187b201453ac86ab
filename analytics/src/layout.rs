//! Where the archive's files lie. Pure.
//!
//! ```text
//! events/v1/dt=2024-05-01/shardId-000000000000_4959…_4961….parquet
//! findings/v1/dt=2024-05-01/….parquet
//! dead-letters/dt=2024-05-01/shardId-000000000000_4959…_4961….jsonl
//! ```
//!
//! One file an event day for what a shard held between two positions. Hive partitions: `dt` is a column of the table
//! and not of the file.

use std::fmt;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime};
use dial_rules::event::Millis;

use crate::position::Position;
use crate::shard::{Shard, sha256_hex};

/// The folder of the table `events`. Another version is another table: within one, columns are only added.
pub const EVENTS: &str = "events/v1";

/// The folder of the table `findings`.
pub const FINDINGS: &str = "findings/v1";

/// The folder of dead letters.
pub const DEAD_LETTERS: &str = "dead-letters";

/// The folder of what was redriven: for each file of dead letters that was, a declaration and a mark.
pub const REDRIVES: &str = "redrives";

/// The longest file name that is written out.
const LONGEST: usize = 220;

/// A day, UTC: the partition `dt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(NaiveDate);

impl Day {
    /// No event lies before this day: CloudTrail began in 2013.
    pub const FIRST: Day = Day(date(2010, 1, 1));
    /// No event lies after this day, whatever arrives.
    pub const LAST: Day = Day(date(2099, 12, 31));

    /// The day of a time, within [`Day::FIRST`] and [`Day::LAST`].
    #[must_use]
    pub fn of(time: Millis) -> Day {
        let day = DateTime::from_timestamp_millis(time).map(|time| Day(time.date_naive()));
        let beyond = if time < 0 { Day::FIRST } else { Day::LAST };
        day.unwrap_or(beyond).clamp(Day::FIRST, Day::LAST)
    }

    /// The partition of an event that happened at `time` and arrived at `arrival` (`None` where nobody knows, as of
    /// files): its day, but not before [`Day::FIRST`] and not later than the day after its arrival, or else
    /// [`Day::LAST`]. Whoever writes an event's time cannot make more folders than that, however hard he tries.
    #[must_use]
    pub fn of_event(time: Millis, arrival: Option<Millis>) -> Day {
        let latest = arrival.map_or(Day::LAST, |arrival| Day::of(arrival).next());
        Day::of(time).min(latest)
    }

    /// Whether the time itself lies on this day, or was clamped to it.
    #[must_use]
    pub fn holds(self, time: Millis) -> bool {
        DateTime::from_timestamp_millis(time).is_some_and(|time| time.date_naive() == self.0)
    }

    /// When the day is over: midnight after it.
    #[must_use]
    pub fn end(self) -> Millis {
        let midnight = self.0.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
        midnight.saturating_add(86_400_000)
    }

    fn next(self) -> Day {
        let next = self.0.checked_add_days(Days::new(1)).map(Day);
        next.unwrap_or(Day::LAST).min(Day::LAST)
    }

    /// The day that `YYYY-MM-DD` names, within the bounds.
    #[must_use]
    pub fn parse(text: &str) -> Option<Day> {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(Day)?;
        (day.to_string() == text && (Day::FIRST..=Day::LAST).contains(&day)).then_some(day)
    }
}

const fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    match NaiveDate::from_ymd_opt(year, month, day) {
        Some(date) => date,
        None => NaiveDate::MIN,
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

/// The name, without its ending, of every file that holds something of the records from `first` to `last`.
#[must_use]
pub fn file_stem(shard: &Shard, first: &Position, last: &Position) -> String {
    let stem = format!("{}_{first}_{last}", shard.file_name());
    if stem.len() <= LONGEST {
        return stem;
    }
    // Kinesis' real sequence numbers have 56 digits. Its API admits more than fit in a file's name.
    format!("{}_{}", shard.file_name(), sha256_hex(stem.as_bytes()))
}

/// The key of the Parquet file of one event day.
#[must_use]
pub fn events_key(day: Day, stem: &str) -> String {
    format!("{EVENTS}/dt={day}/{stem}.parquet")
}

/// The key of a Parquet file of findings of one day ([`FindingRow::day`](crate::findings::FindingRow::day)).
#[must_use]
pub fn findings_key(day: Day, stem: &str) -> String {
    format!("{FINDINGS}/dt={day}/{stem}.parquet")
}

/// The key of the dead letters of one arrival day.
#[must_use]
pub fn dead_letters_key(day: Day, stem: &str) -> String {
    format!("{DEAD_LETTERS}/dt={day}/{stem}.jsonl")
}

/// The day and the stem of a file of dead letters, by its key; `None` of any other object.
#[must_use]
pub fn dead_letters_of(key: &str) -> Option<(Day, &str)> {
    let (day, name) = key.strip_prefix(DEAD_LETTERS)?.strip_prefix("/dt=")?.split_once('/')?;
    Some((Day::parse(day)?, name.strip_suffix(".jsonl")?))
}

/// Begins the number of a file that a redrive has made. No shard's name, and no position, has its underscore.
const REDRIVEN: &str = "_redriven-";

/// The stem of the files that redriving the letters of a file makes: of rows, and of what is left.
#[must_use]
pub fn redriven_stem(stem: &str) -> String {
    match generation(stem) {
        Some((base, number)) => format!("{base}{REDRIVEN}{}", number.saturating_add(1)),
        None => format!("{stem}{REDRIVEN}0"),
    }
}

/// The stem of the file whose redrive made this one, if one did.
#[must_use]
pub fn redriven_from(stem: &str) -> Option<String> {
    let (base, number) = generation(stem)?;
    Some(number.checked_sub(1).map_or_else(|| base.to_owned(), |before| format!("{base}{REDRIVEN}{before}")))
}

fn generation(stem: &str) -> Option<(&str, u64)> {
    let (base, number) = stem.rsplit_once(REDRIVEN)?;
    Some((base, number.parse().ok()?))
}

/// Whether a file of this stem may hold something of this record. Says yes where the name does not tell.
#[must_use]
pub fn may_hold(stem: &str, shard: &Shard, position: &Position) -> bool {
    let base = stem.split_once(REDRIVEN).map_or(stem, |(base, _)| base);
    let range = base.strip_prefix(shard.file_name()).and_then(|range| range.strip_prefix('_'));
    let Some(range) = range else { return false };
    let parse = |text: &str| {
        let (sequence, sub) = text.split_once('-').unwrap_or((text, "0"));
        Position::new(sequence, sub.parse().ok()?).ok()
    };
    match range.split_once('_').map(|(first, last)| (parse(first), parse(last))) {
        Some((Some(first), Some(last))) => (&first..=&last).contains(&position),
        _ => true,
    }
}

/// Where it is declared what redriving a file of dead letters comes to.
#[must_use]
pub fn redrive_plan_key(day: Day, stem: &str) -> String {
    format!("{REDRIVES}/dt={day}/{stem}.plan.json")
}

/// What is there once all of that is durable.
#[must_use]
pub fn redrive_done_key(day: Day, stem: &str) -> String {
    format!("{REDRIVES}/dt={day}/{stem}.done.json")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::check_key;
    use dial_rules::event::parse_rfc3339;
    use proptest::prelude::*;

    fn at(text: &str) -> Millis {
        parse_rfc3339(text).unwrap()
    }

    #[test]
    fn an_event_lies_on_its_day_within_reason() {
        let arrival = Some(at("2024-05-01T23:59:59Z"));
        let table = [
            ("2024-05-01T00:00:00Z", "2024-05-01", true),
            ("2024-05-01T23:30:00-02:00", "2024-05-02", true),
            ("2024-05-03T00:00:00Z", "2024-05-02", false),
            ("9999-12-31T23:59:59Z", "2024-05-02", false),
            ("2010-01-01T00:00:00Z", "2010-01-01", true),
            ("2009-12-31T23:59:59Z", "2010-01-01", false),
            ("0001-01-01T00:00:00Z", "2010-01-01", false),
        ];
        for (time, day, holds) in table {
            let got = Day::of_event(at(time), arrival);
            assert_eq!((got.to_string().as_str(), got.holds(at(time))), (day, holds), "{time}");
        }
        assert_eq!(Day::of_event(at("9999-12-31T23:59:59Z"), None), Day::LAST);
        assert_eq!(Day::of_event(i64::MAX, Some(i64::MAX)), Day::LAST);
        assert_eq!(Day::of_event(i64::MIN, Some(i64::MIN)), Day::FIRST);
    }

    #[test]
    fn keys_are_as_the_table_is_declared() {
        let (first, last) = (Position::new("5", 0).unwrap(), Position::new("9", 3).unwrap());
        let stem = file_stem(&Shard::new("shardId-000000000000"), &first, &last);
        let day = Day::of(at("2024-05-01T12:00:00Z"));
        assert_eq!(events_key(day, &stem), "events/v1/dt=2024-05-01/shardId-000000000000_5_9-3.parquet");
        assert_eq!(dead_letters_key(day, &stem), "dead-letters/dt=2024-05-01/shardId-000000000000_5_9-3.jsonl");
    }

    #[test]
    fn files_of_redrives_know_what_they_were_made_of() {
        let stem = "shardId-000000000000_5_9-3";
        let (one, two) = (redriven_stem(stem), redriven_stem(&redriven_stem(stem)));
        assert_eq!((redriven_from(stem), redriven_from(&one)), (None, Some(stem.to_owned())));
        assert_eq!(redriven_from(&two), Some(one.clone()));
        assert_eq!(two, "shardId-000000000000_5_9-3_redriven-1");
        let longest = redriven_stem(&format!("{}_redriven-{}", "s".repeat(LONGEST), 9_999));
        for key in [
            events_key(Day::LAST, &longest),
            dead_letters_key(Day::LAST, &longest),
            redrive_plan_key(Day::LAST, &longest),
            redrive_done_key(Day::LAST, &longest),
        ] {
            assert!(check_key("put", &key).is_ok(), "{key}");
        }
        assert_eq!(dead_letters_of(&dead_letters_key(Day::FIRST, &one)), Some((Day::FIRST, one.as_str())));
        for other in ["dead-letters/a.jsonl", "dead-letters/dt=2024-13-01/a.jsonl", "events/v1/dt=2024-05-01/a.parquet"]
        {
            assert_eq!(dead_letters_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_name_tells_what_its_file_cannot_hold() {
        let shard = Shard::new("shardId-000000000000");
        let at = |sequence: &str, sub| Position::new(sequence, sub).unwrap();
        let (stem, other) = ("shardId-000000000000_5_9-3", Shard::new("shardId-00000000000"));
        for (position, held) in [(at("4", 9), false), (at("5", 0), true), (at("9", 3), true), (at("9", 4), false)] {
            assert_eq!(may_hold(stem, &shard, &position), held, "{position}");
            assert_eq!(may_hold(&redriven_stem(stem), &shard, &position), held, "{position}");
        }
        assert!(!may_hold(stem, &other, &at("5", 0)));
        let hashed = format!("shardId-000000000000_{}", sha256_hex(b"x"));
        assert!(may_hold(&hashed, &shard, &at("5", 0)));
    }

    proptest! {
        #[test]
        fn folders_are_bounded_whatever_an_event_says(time in any::<i64>(), arrival in any::<Option<i64>>()) {
            let day = Day::of_event(time, arrival);
            prop_assert!((Day::FIRST..=Day::LAST).contains(&day));
            prop_assert_eq!(Day::parse(&day.to_string()), Some(day));
            if let Some(arrival) = arrival {
                prop_assert!(day <= Day::of(arrival).next());
            }
        }

        #[test]
        fn different_ranges_have_different_names_that_every_store_takes(
            shard in ".{0,200}", a in "[0-9]{1,129}", b in "[0-9]{1,129}", i in 0u64..3, j in 0u64..3,
        ) {
            let shard = Shard::new(&shard);
            let (p, q) = (Position::new(&a, i).unwrap(), Position::new(&b, j).unwrap());
            let stem = file_stem(&shard, &p, &q);
            prop_assert!(check_key("put", &events_key(Day::FIRST, &stem)).is_ok());
            prop_assert_eq!(file_stem(&shard, &q, &p) == stem, p == q);
        }
    }
}
