//! The same events with other names, ids, accounts, regions, addresses and agents: each text that names one of them becomes
//! another one, the same everywhere.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Fields whose texts are names that somebody chose, or ids that AWS gave.
const NAMES: &[&str] = &[
    "userName",
    "roleName",
    "functionName",
    "secretId",
    "trailName",
    "name",
    "dBSnapshotIdentifier",
    "roleSessionName",
    "requestID",
    "eventID",
    "sharedEventID",
    "commandId",
    "sessionId",
    "clientToken",
    "resolverQueryLogConfigId",
];
/// Regions that AWS has.
const REGIONS: &[&str] = &["ap-southeast-4", "eu-south-2", "us-west-1", "ca-west-1", "sa-east-1", "me-central-1"];
/// How callers name themselves.
const AGENTS: &[&str] = &[
    "aws-cli/2.31.6 md/awscrt#0.27.6 ua/2.1 os/linux#6.8.0 lang/python#3.13.7",
    "Boto3/1.40.45 md/Botocore#1.40.45 ua/2.1 os/windows#10 lang/python#3.12.3",
    "aws-sdk-go-v2/1.39.2 os/macos lang/go#1.25.1",
];
/// What AWS's ids begin with.
const PREFIXES: &[&str] = &["i-", "sg-", "subnet-", "snap-", "ami-", "vpc-", "fl-", "vol-", "eni-", "rqlc-"];

/// The records as another account, on another day's credentials, would have made them. A seed determines how.
pub(crate) fn rewritten(records: &[Value], seed: u64) -> Vec<Value> {
    let mut names = BTreeMap::new();
    records.iter().for_each(|record| collect(record, "", seed, &mut names));
    let mut names: Vec<(String, String)> = names.into_iter().collect();
    // A longer name first: it may hold a shorter one.
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    records.iter().map(|record| replaced(record, &names)).collect()
}

fn collect(value: &Value, field: &str, seed: u64, names: &mut BTreeMap<String, String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, field, seed, names)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| collect(value, name, seed, names)),
        Value::String(text) => {
            for word in text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-') {
                if let Some(other) = other_id(word, seed) {
                    names.insert(word.to_owned(), other);
                }
            }
            if let Some((name, other)) = other_text(field, text, seed) {
                names.insert(name, other);
            }
        }
        _ => {}
    }
}

/// Another account, credential or resource id for one.
fn other_id(word: &str, seed: u64) -> Option<String> {
    let digest = digest(word, seed);
    if word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = u64::from_be_bytes(digest[..8].try_into().unwrap()) % 900_000_000_000 + 100_000_000_000;
        return Some(number.to_string());
    }
    if ["AKIA", "ASIA", "AIDA", "AROA"].iter().any(|prefix| word.starts_with(prefix)) && word.len() >= 16 {
        let letter = |byte: &u8| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(*byte) % 32]);
        return Some(format!("{}{}", &word[..4], digest.iter().take(16).map(letter).collect::<String>()));
    }
    let prefix = PREFIXES.iter().find(|prefix| word.starts_with(**prefix) && word.len() >= prefix.len() + 8)?;
    Some(format!("{prefix}0{}", hex(&digest[..8])))
}

/// Another name, region, address or agent for the text of a field.
fn other_text(field: &str, text: &str, seed: u64) -> Option<(String, String)> {
    let digest = digest(text, seed);
    let pick = |from: &[&str]| from[usize::from(digest[0]) % from.len()].to_owned();
    let service = text.ends_with(".amazonaws.com");
    let other = match field {
        "awsRegion" => pick(REGIONS),
        "userAgent" if !service => pick(AGENTS),
        "sourceIPAddress" if !service => format!("203.0.113.{}", digest[0]),
        _ if NAMES.contains(&field) => {
            let name = text.rsplit(['/', ':']).next().unwrap_or(text);
            return (name.len() >= 4 && other_id(name, seed).is_none())
                .then(|| (name.to_owned(), format!("n{}", hex(&digest[..6]))));
        }
        _ => return None,
    };
    Some((text.to_owned(), other))
}

fn replaced(value: &Value, names: &[(String, String)]) -> Value {
    match value {
        Value::String(text) => Value::String(replaced_text(text, names)),
        Value::Array(items) => items.iter().map(|item| replaced(item, names)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), replaced(value, names))).collect(),
        other => other.clone(),
    }
}

/// Every name replaced once: what has been put in is not looked at again.
fn replaced_text(text: &str, names: &[(String, String)]) -> String {
    let mut made = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        match names.iter().find(|(name, _)| rest.starts_with(name.as_str())) {
            Some((name, other)) => {
                made.push_str(other);
                rest = &rest[name.len()..];
            }
            None => {
                made.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    made
}

fn digest(text: &str, seed: u64) -> Vec<u8> {
    Sha256::digest(format!("{seed} {text}")).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
