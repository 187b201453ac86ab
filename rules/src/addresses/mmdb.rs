//! A writer of small files in MaxMind's DB format, for tests: the search tree, then the records, then the metadata, as the
//! MaxMind DB File Format Specification 2.0 has them.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::network::Network;

/// A database of these networks and their records; `version` is 4 or 6, `record_size` 24, 28 or 32 bits.
pub(crate) fn write(version: u8, record_size: u32, kind: &str, records: &[(&str, Value)]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut tree: Vec<[Slot; 2]> = vec![[Slot::Empty; 2]];
    for (network, record) in records {
        let offset = data.len();
        value(record, &mut data);
        insert(&mut tree, &bits(version, Network::parse(network).expect(network)), offset);
    }
    let nodes = u32::try_from(tree.len()).expect("few nodes");
    let mut bytes = Vec::new();
    for node in &tree {
        let [left, right] = node.map(|slot| match slot {
            Slot::Empty => nodes,
            Slot::Node(at) => u32::try_from(at).expect("few nodes"),
            Slot::Record(at) => nodes + 16 + u32::try_from(at).expect("few records"),
        });
        push_node(left, right, record_size, &mut bytes);
    }
    bytes.extend([0; 16]);
    bytes.extend(data);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    let metadata = json!({
        "binary_format_major_version": {"u16": 2}, "binary_format_minor_version": {"u16": 0},
        "build_epoch": {"u64": 1_767_225_600u64}, "database_type": kind, "description": {"en": "for tests"},
        "ip_version": {"u16": version}, "languages": ["en"], "node_count": {"u32": nodes},
        "record_size": {"u16": record_size},
    });
    value(&metadata, &mut bytes);
    bytes
}

#[derive(Clone, Copy)]
enum Slot {
    Empty,
    Node(usize),
    Record(usize),
}

/// The bits of a network's prefix; IPv4 networks lie under ::/96 of an IPv6 tree.
fn bits(version: u8, network: Network) -> Vec<bool> {
    let length = usize::from(network.length());
    let of = |bytes: &[u8]| -> Vec<bool> {
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect()
    };
    match network.first() {
        IpAddr::V4(four) if version == 4 => of(&four.octets())[..length].to_vec(),
        IpAddr::V4(four) => [vec![false; 96], of(&four.octets())[..length].to_vec()].concat(),
        IpAddr::V6(six) => of(&six.octets())[..length].to_vec(),
    }
}

fn insert(tree: &mut Vec<[Slot; 2]>, bits: &[bool], record: usize) {
    let mut at = 0;
    let (last, path) = bits.split_last().expect("a prefix of at least one bit");
    for bit in path {
        at = match tree[at][usize::from(*bit)] {
            Slot::Node(next) => next,
            Slot::Empty | Slot::Record(_) => {
                tree.push([Slot::Empty; 2]);
                let next = tree.len() - 1;
                tree[at][usize::from(*bit)] = Slot::Node(next);
                next
            }
        };
    }
    tree[at][usize::from(*last)] = Slot::Record(record);
}

fn push_node(left: u32, right: u32, record_size: u32, bytes: &mut Vec<u8>) {
    let (left_bytes, right_bytes) = (left.to_be_bytes(), right.to_be_bytes());
    match record_size {
        24 => bytes.extend([&left_bytes[1..], &right_bytes[1..]].concat()),
        28 => {
            bytes.extend(&left_bytes[1..]);
            bytes.push(left_bytes[0] << 4 | right_bytes[0] & 0x0f);
            bytes.extend(&right_bytes[1..]);
        }
        _ => bytes.extend([left_bytes, right_bytes].concat()),
    }
}

/// A value of the data section. `{"u16": 2}` is a number of that type; other numbers are of type uint32.
fn value(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::String(text) => {
            control(2, text.len(), bytes);
            bytes.extend(text.as_bytes());
        }
        Value::Number(number) => unsigned(6, number.as_u64().expect("whole numbers"), bytes),
        Value::Bool(flag) => control(14, usize::from(*flag), bytes),
        Value::Array(list) => {
            control(11, list.len(), bytes);
            list.iter().for_each(|one| self::value(one, bytes));
        }
        Value::Object(map) => {
            let typed =
                [("u16", 5), ("u32", 6), ("u64", 9)].iter().find_map(|(name, kind)| Some((kind, map.get(*name)?)));
            if let Some((kind, number)) = typed {
                return unsigned(*kind, number.as_u64().expect("whole numbers"), bytes);
            }
            control(7, map.len(), bytes);
            for (key, one) in map {
                self::value(&Value::String(key.clone()), bytes);
                self::value(one, bytes);
            }
        }
        Value::Null => panic!("the format has no null"),
    }
}

fn unsigned(kind: u8, number: u64, bytes: &mut Vec<u8>) {
    let all = number.to_be_bytes();
    let used = &all[all.iter().take_while(|byte| **byte == 0).count()..];
    control(kind, used.len(), bytes);
    bytes.extend(used);
}

fn control(kind: u8, size: usize, bytes: &mut Vec<u8>) {
    let (small, more) = match size {
        0..29 => (size, None),
        29..285 => (29, Some(size - 29)),
        _ => panic!("longer values are not needed"),
    };
    let small = u8::try_from(small).expect("below 30");
    // Types from 8 on are written as 0, then the type less 7.
    match kind {
        1..=7 => bytes.push(kind << 5 | small),
        _ => bytes.extend([small, kind - 7]),
    }
    bytes.extend(more.map(|more| u8::try_from(more).expect("below 256")));
}
