//! The table of `dial shards list`: shards and leases brought together.

use std::collections::{BTreeMap, BTreeSet};

use dial_ingest::lease::Lease;
use dial_ingest::stream::Shard;
use serde::Serialize;

use super::lag::Lag;
use super::rates::{Rate, Rates};

/// One role's view of one shard.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) role: &'static str,
    pub(crate) shard_id: String,
    /// The shards that it came from.
    pub(crate) parents: Vec<String>,
    pub(crate) state: State,
    /// The worker whose lease it is; none while nobody reads it.
    pub(crate) owner: Option<String>,
    /// The sequence number or the word in the lease table; none while there is no lease.
    pub(crate) checkpoint: Option<String>,
    pub(crate) sub_sequence: Option<u64>,
    /// The age of the first record after the checkpoint; none where it is not known, or the shard was read to its end.
    pub(crate) lag_ms: Option<u64>,
    /// Why the lag is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lag_unknown: Option<String>,
    pub(crate) records_per_second: Option<f64>,
    pub(crate) bytes_per_second: Option<f64>,
}

/// What the stream says of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It takes in records.
    Open,
    /// It was split or merged; its records are there until they age out.
    Closed,
    /// The stream no longer knows it; its lease is still there.
    Gone,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Closed => "closed",
            State::Gone => "gone",
        }
    }
}

/// A role's leases, and their lags by shard.
#[derive(Debug, Clone)]
pub(crate) struct RoleLeases {
    pub(crate) role: &'static str,
    pub(crate) leases: Vec<Lease>,
    pub(crate) lags: BTreeMap<String, Lag>,
}

/// One row for each role and shard, by role and then by shard. Those that the role has read to their end only when
/// asked for `all`.
pub(crate) fn rows(shards: &[Shard], roles: &[RoleLeases], rates: &Rates, all: bool) -> Vec<Row> {
    let shards: BTreeMap<&str, &Shard> = shards.iter().map(|shard| (shard.shard_id.as_str(), shard)).collect();
    let mut rows = Vec::new();
    for role in roles {
        let leases: BTreeMap<&str, &Lease> =
            role.leases.iter().map(|lease| (lease.lease_key.as_str(), lease)).collect();
        let ids: BTreeSet<&str> = shards.keys().chain(leases.keys()).copied().collect();
        for id in ids {
            let lease = leases.get(id).copied();
            if all || !lease.is_some_and(Lease::is_ended) {
                rows.push(row(id, shards.get(id).copied(), lease, role, rates));
            }
        }
    }
    rows
}

fn row(id: &str, shard: Option<&Shard>, lease: Option<&Lease>, role: &RoleLeases, rates: &Rates) -> Row {
    let state = match shard {
        Some(shard) if shard.open => State::Open,
        Some(_) => State::Closed,
        None => State::Gone,
    };
    let parents = shard.map(|shard| &shard.parent_ids).or(lease.map(|lease| &lease.parent_shard_ids));
    let owner = lease.and_then(|lease| lease.lease_owner.clone());
    let (lag_ms, lag_unknown) = match (lease, role.lags.get(id)) {
        (None, _) => (None, Some("there is no lease: no worker of this role has seen the shard".to_owned())),
        (_, Some(Lag::Millis(millis))) => (Some(*millis), None),
        (_, Some(Lag::Ended)) => (None, None),
        (_, Some(Lag::Unknown(why))) => (None, Some(why.clone())),
        (_, None) => (None, Some("it was not asked for".to_owned())),
    };
    let rate = owner.as_deref().and_then(|owner| rates.of(owner, role.role, id));
    // A shard that nobody owns is read by nobody.
    let rate = if owner.is_none() { Some(Rate::default()) } else { rate };
    Row {
        role: role.role,
        shard_id: id.to_owned(),
        parents: parents.cloned().unwrap_or_default(),
        state,
        owner,
        checkpoint: lease.map(|lease| lease.checkpoint.sequence.to_string()),
        sub_sequence: lease.map(|lease| lease.checkpoint.sub_sequence),
        lag_ms,
        lag_unknown,
        records_per_second: rate.map(|rate| rate.records_per_second),
        bytes_per_second: rate.map(|rate| rate.bytes_per_second),
    }
}

/// A checkpoint as the table shows it: of a sequence number, which has 56 digits, the last 12, in which neighbours differ.
pub(crate) fn short(row: &Row) -> String {
    let Some(checkpoint) = &row.checkpoint else { return "no lease".to_owned() };
    let at = checkpoint.len().saturating_sub(12);
    let text = match checkpoint.get(at..) {
        Some(tail) if at > 0 && checkpoint.starts_with(|c: char| c.is_ascii_digit()) => format!("…{tail}"),
        _ => checkpoint.clone(),
    };
    match row.sub_sequence {
        Some(sub) if sub > 0 => format!("{text}/{sub}"),
        _ => text,
    }
}

/// A time as people say it, to two units: `850 ms`, `12 s`, `3 min 20 s`, `2 d 4 h`.
pub(crate) fn span(millis: u64) -> String {
    let seconds = millis / 1_000;
    let two = |large: u64, one: &str, small: u64, other: &str| match small {
        0 => format!("{large} {one}"),
        small => format!("{large} {one} {small} {other}"),
    };
    match seconds {
        _ if millis < 1_000 => format!("{millis} ms"),
        0..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use dial_ingest::Position;
    use dial_ingest::lease::LeaseChange;

    use super::*;

    const SEQUENCE: &str = "49590338271490256608559692538361571095921575989136588898";

    fn shard(id: &str, parents: &[&str], open: bool) -> Shard {
        let parent_ids = parents.iter().map(|id| (*id).to_owned()).collect();
        Shard { shard_id: id.to_owned(), parent_ids, hash_range: None, open }
    }

    /// s0 was split into s1 and s2: detect has done with s0 and reads s1, s2 is new to it; s9 has aged out.
    fn scene() -> (Vec<Shard>, RoleLeases) {
        let shards = vec![shard("s0", &[], false), shard("s1", &["s0"], true), shard("s2", &["s0"], true)];
        let lease = |id: &str, change| Lease::of_shard(&shard(id, &[], true), Position::TRIM_HORIZON).after(&change);
        let leases = vec![
            lease("s9", LeaseChange::Release),
            lease("s0", LeaseChange::End { children: vec![] }),
            lease("s1", LeaseChange::Commit { position: Position::new(SEQUENCE.parse().unwrap(), 3) })
                .after(&LeaseChange::Take { owner: "w".to_owned() }),
        ];
        let lags = BTreeMap::from([
            ("s0".to_owned(), Lag::Ended),
            ("s1".to_owned(), Lag::Millis(1_500)),
            ("s9".to_owned(), Lag::Unknown("gone".to_owned())),
        ]);
        (shards, RoleLeases { role: "detect", leases, lags })
    }

    #[test]
    fn shards_and_leases_are_brought_together() {
        let (shards, role) = scene();
        let rows = rows(&shards, &[role], &Rates::default(), true);
        let facts: Vec<_> = rows.iter().map(|row| (row.shard_id.as_str(), row.state, row.lag_ms, short(row))).collect();
        assert_eq!(
            facts,
            [
                ("s0", State::Closed, None, "SHARD_END".to_owned()),
                ("s1", State::Open, Some(1_500), "…989136588898/3".to_owned()),
                ("s2", State::Open, None, "no lease".to_owned()),
                ("s9", State::Gone, None, "TRIM_HORIZON".to_owned()),
            ]
        );
        assert_eq!((rows[1].owner.as_deref(), rows[1].parents.as_slice()), (Some("w"), &["s0".to_owned()][..]));
        assert_eq!(rows[1].checkpoint.as_deref(), Some(SEQUENCE));
        assert_eq!(rows[1].records_per_second, None, "its worker was not asked");
        assert_eq!(rows[3].records_per_second, Some(0.0), "nobody reads it");
        assert!(rows[0].lag_unknown.is_none() && rows[2].lag_unknown.as_deref().unwrap().contains("no lease"));
    }

    #[test]
    fn what_was_read_to_its_end_is_left_out_unless_asked_for() {
        let (shards, role) = scene();
        let other = RoleLeases { role: "archive", leases: vec![], lags: BTreeMap::new() };
        let rows = rows(&shards, &[role, other], &Rates::default(), false);
        let ids: Vec<_> = rows.iter().map(|row| (row.role, row.shard_id.as_str())).collect();
        let detect = [("detect", "s1"), ("detect", "s2"), ("detect", "s9")];
        // To archive it is all new.
        let archive = [("archive", "s0"), ("archive", "s1"), ("archive", "s2")];
        assert_eq!(ids, [detect, archive].concat());
    }

    #[test]
    fn spans_have_two_units() {
        let minute = 60_000;
        for (millis, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_999, "1 s"),
            (minute, "1 min"),
            (3 * minute + 20_000, "3 min 20 s"),
            (125 * minute, "2 h 5 min"),
            (24 * 60 * minute, "1 d"),
            (26 * 60 * minute, "1 d 2 h"),
        ] {
            assert_eq!(span(millis), text);
        }
    }
}
