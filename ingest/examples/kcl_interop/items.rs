//! The lease table as it is: items attribute by attribute, whoever wrote them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

/// The attributes that our library writes. All others have to survive what it does.
const OURS: [&str; 13] = [
    "leaseKey",
    "leaseOwner",
    "leaseCounter",
    "checkpoint",
    "checkpointSubSequenceNumber",
    "pendingCheckpoint",
    "pendingCheckpointSubSequenceNumber",
    "pendingCheckpointState",
    "ownerSwitchesSinceCheckpoint",
    "parentShardId",
    "childShardIds",
    "startingHashKey",
    "endingHashKey",
];

/// All items of a lease table at one time, by their key; each attribute as type and value, `S shardId-…`.
#[derive(Clone, Debug)]
pub struct Items(pub BTreeMap<String, BTreeMap<String, String>>);

impl Items {
    /// Reads the table.
    pub async fn read(client: &Client, table: &str) -> Self {
        let answer = client.scan().table_name(table).consistent_read(true).send().await.expect("the lease table");
        let items = answer.items.unwrap_or_default().into_iter().map(|item| {
            let item: BTreeMap<String, String> = item.into_iter().map(|(name, value)| (name, show(&value))).collect();
            (item.get("leaseKey").cloned().unwrap_or_default().replace("S ", ""), item)
        });
        Self(items.collect())
    }

    /// An attribute of an item, without its type.
    pub fn value(&self, key: &str, attribute: &str) -> Option<&str> {
        self.0.get(key)?.get(attribute)?.split_once(' ').map(|(_, value)| value)
    }

    /// Where an item's owner, whoever comes next, has to go on.
    pub fn checkpoint(&self, key: &str) -> (&str, u64) {
        let sub = self.value(key, "checkpointSubSequenceNumber").and_then(|sub| sub.parse().ok());
        (self.value(key, "checkpoint").unwrap_or_default(), sub.unwrap_or_default())
    }

    /// The attributes that our library does not know, of all items.
    pub fn unknown(&self) -> BTreeMap<(&str, &str), &str> {
        let all = self.0.iter().flat_map(|(key, item)| item.iter().map(move |(name, value)| ((key, name), value)));
        let unknown = all.filter(|((_, name), _)| !OURS.contains(&name.as_str()));
        unknown.map(|((key, name), value)| ((key.as_str(), name.as_str()), value.as_str())).collect()
    }

    /// The types that each attribute has anywhere in the table.
    pub fn types(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut types: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, value) in self.0.values().flatten() {
            types.entry(name).or_default().insert(value.split(' ').next().unwrap_or_default());
        }
        types
    }
}

fn show(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => format!("S {text}"),
        AttributeValue::N(digits) => format!("N {digits}"),
        AttributeValue::Ss(ids) => format!("SS {}", ids.join(",")),
        AttributeValue::B(bytes) => format!("B {}", String::from_utf8_lossy(bytes.as_ref()).escape_debug()),
        AttributeValue::Null(_) => "NULL".to_owned(),
        other => format!("? {other:?}"),
    }
}

/// One item at several times, a column each.
pub fn side_by_side(key: &str, columns: &[(&str, &Items)]) -> String {
    /// Wide enough for a sequence number's last half; its first half is that of every other.
    const WIDTH: usize = 30;
    let fit = |text: &str| match text.char_indices().rev().nth(WIDTH - 4) {
        Some((from, _)) if text.len() > WIDTH => format!("{}…{}", &text[..2], &text[from..]),
        _ => text.to_owned(),
    };
    let names: BTreeSet<&String> =
        columns.iter().filter_map(|(_, items)| items.0.get(key)).flat_map(|item| item.keys()).collect();
    let mut text = format!("{:35}", key);
    for (title, _) in columns {
        let _ = write!(text, "  {title:WIDTH$}");
    }
    text.truncate(text.trim_end().len());
    for name in names {
        let _ = write!(text, "\n{name:35}");
        for (_, items) in columns {
            let value = items.0.get(key).and_then(|item| item.get(name)).map_or("-", String::as_str);
            let _ = write!(text, "  {:WIDTH$}", fit(value));
        }
        text.truncate(text.trim_end().len());
    }
    text
}
