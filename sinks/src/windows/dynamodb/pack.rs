//! Packs: items of one window and one bucket, as the text of one row. Pure.
//!
//! A pack is a JSON list of `[time, key, body]`. DynamoDB bills by the kilobyte and limits a row to 400 kB, so the items
//! of a batch that belong together share rows, and no row comes near the limit.

use std::collections::BTreeMap;

use dial_rules::event::Millis;

use super::keys;
use crate::windows::settle::{Items, settle};
use crate::windows::store::{WindowError, WindowItem};

/// Longest pack in bytes. An item, all of whose characters JSON has to escape, fits twice.
pub(super) const LONGEST: usize = 100 * 1024;

/// The items as packs, by the bucket's first instant. The same items give the same packs.
pub(super) fn packs(items: &Items) -> Result<BTreeMap<Millis, Vec<String>>, WindowError> {
    let mut packs: BTreeMap<Millis, Vec<String>> = BTreeMap::new();
    for ((time, key), body) in items {
        let encoded = serde_json::to_string(&(time, key, body));
        let encoded = encoded.map_err(|e| WindowError::unavailable(format!("write item {key} as JSON"), e))?;
        let of_bucket = packs.entry(keys::bucket(*time)).or_default();
        match of_bucket.last_mut().filter(|pack| pack.len() + encoded.len() + 2 <= LONGEST) {
            Some(pack) => {
                pack.push(',');
                pack.push_str(&encoded);
            }
            None => of_bucket.push(format!("[{encoded}")),
        }
    }
    packs.values_mut().flatten().for_each(|pack| pack.push(']'));
    Ok(packs)
}

/// Adds the items of a pack whose times are within `from` to `to`. `row` names it in messages.
pub(super) fn unpack(
    row: &str,
    payload: &str,
    (from, to): (Millis, Millis),
    items: &mut Items,
) -> Result<(), WindowError> {
    let damaged = |e: serde_json::Error| WindowError::Damaged { row: row.to_owned(), reason: e.to_string() };
    let pack: Vec<(Millis, String, String)> = serde_json::from_str(payload).map_err(damaged)?;
    for (time, key, body) in pack {
        if (from..=to).contains(&time) {
            settle(items, WindowItem { time, key, body });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::store::{LONGEST_BODY, LONGEST_KEY};
    use proptest::prelude::*;

    fn unpacked(packs: &BTreeMap<Millis, Vec<String>>) -> Items {
        let mut items = Items::new();
        for pack in packs.values().flatten() {
            unpack("row", pack, (Millis::MIN, Millis::MAX), &mut items).unwrap();
        }
        items
    }

    /// What is stored must be read by every later version.
    #[test]
    fn a_pack_is_a_list_of_times_keys_and_bodies() {
        let items = Items::from([((-1, "a".to_owned()), "{}".to_owned()), ((0, "b".to_owned()), "\"é".to_owned())]);
        let written = packs(&items).unwrap();
        let expected = [(-60_000, vec![r#"[[-1,"a","{}"]]"#.to_owned()]), (0, vec![r#"[[0,"b","\"é"]]"#.to_owned()])];
        assert_eq!(written, BTreeMap::from(expected));
    }

    #[test]
    fn the_worst_items_fit() {
        let worst = |i: Millis| ((i, "\u{1}".repeat(LONGEST_KEY)), "\u{1}".repeat(LONGEST_BODY));
        let items: Items = (0..5).map(worst).collect();
        let written = packs(&items).unwrap();
        assert_eq!(written.len(), 1);
        assert!(written[&0].iter().all(|pack| pack.len() <= LONGEST), "a pack is too long");
        assert_eq!(unpacked(&written), items);
    }

    #[test]
    fn a_damaged_pack_is_named() {
        let error = unpack("0f 2026", "[[1,\"a\"", (0, 0), &mut Items::new()).unwrap_err().to_string();
        assert!(error.contains("row 0f 2026") && error.contains("damaged"), "{error}");
    }

    proptest! {
        #[test]
        fn packs_are_full_but_not_too_long_and_give_their_items_back(
            items in prop::collection::btree_map((-90_000..90_000_i64, "\\PC{0,20}"), (any::<String>(), 0..8_000_usize), 0..60),
        ) {
            let items: Items = items.into_iter().map(|(place, (text, n))| (place, text + &"x".repeat(n))).collect();
            let written = packs(&items).unwrap();
            for (bucket, of_bucket) in &written {
                prop_assert!(of_bucket.iter().all(|pack| pack.len() <= LONGEST));
                prop_assert!(of_bucket.windows(2).all(|two| two[0].len() + two[1].len() > LONGEST / 2));
                for (time, ..) in unpacked(&BTreeMap::from([(*bucket, of_bucket.clone())])).keys() {
                    prop_assert_eq!(keys::bucket(*time), *bucket);
                }
            }
            prop_assert_eq!(unpacked(&written), items);
        }
    }
}
