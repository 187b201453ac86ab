//! [`Database`]: a file in MaxMind's DB format that somebody has put on this machine.
//!
//! The format is that of the MaxMind DB File Format Specification 2.0. What records hold is up to who makes them: MaxMind
//! and DB-IP nest (`country.iso_code`, `city.names.en`), others write flat (`country_code`, `city`). Both are read.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use maxminddb::{MaxMindDbError, Reader, WithinOptions};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// An open database. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Database {
    /// The name that messages use.
    pub name: String,
    /// What its maker calls it, such as `GeoLite2-City`.
    pub kind: String,
    /// When it was made: seconds since the Unix epoch.
    pub built: u64,
    /// What its records hold.
    pub holds: Holds,
    reader: Arc<Reader<Vec<u8>>>,
}

/// What a database can say of an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holds {
    /// Its country.
    pub country: bool,
    /// Its city.
    pub city: bool,
    /// The number of its autonomous system.
    pub asn: bool,
}

/// A record of either shape; what has another type than it should is as good as missing.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Record<'r> {
    pub(super) country: Option<&'r str>,
    pub(super) city: Option<&'r str>,
    pub(super) asn: Option<u32>,
    pub(super) network: Option<&'r str>,
}

impl Database {
    /// Opens a database and walks through all of it, so that a damaged one is told now and not at some look-up.
    ///
    /// # Errors
    /// Says what is wrong with the file, and what to do.
    pub fn parse(name: &str, bytes: Vec<u8>) -> Result<Database, String> {
        let fault = |error: MaxMindDbError| {
            format!(
                "{name} is no MaxMind database, or a damaged one ({error}): fetch it again, as an .mmdb file unpacked"
            )
        };
        let reader = Reader::from_source(bytes).map_err(fault)?;
        let holds = walk(&reader).map_err(fault)?;
        let database = Database {
            name: name.to_owned(),
            kind: reader.metadata().database_type.clone(),
            built: reader.metadata().build_epoch,
            holds,
            reader: Arc::new(reader),
        };
        if database.holds == Holds::default() {
            return Err(format!(
                "{name} ({}) has neither countries nor cities nor autonomous systems in a form that is known",
                database.kind
            ));
        }
        Ok(database)
    }

    /// What it says of the address; nothing for one that it does not have.
    pub(super) fn find(&self, address: IpAddr) -> Record<'_> {
        let found = self.reader.lookup(address).and_then(|found| found.decode());
        found.ok().flatten().unwrap_or_default()
    }
}

/// Follows every branch of the tree and reads every record once. `Reader::verify` would do it too, but refuses metadata
/// without a description, as some free databases have.
fn walk(reader: &Reader<Vec<u8>>) -> Result<Holds, MaxMindDbError> {
    let nodes = reader.metadata().node_count as usize;
    // A tree has at most one leaf more than it has nodes, but for the aliases of IPv4's part. A damaged one may lead back
    // into itself.
    let most = nodes.saturating_mul(3).saturating_add(1);
    let mut seen = HashSet::new();
    let mut holds = Holds::default();
    for (at, found) in reader.networks(WithinOptions::default().include_networks_without_data())?.enumerate() {
        if at > most {
            return Err(MaxMindDbError::invalid_database("the search tree leads back into itself"));
        }
        let found = found?;
        if found.offset().is_some_and(|offset| seen.insert(offset)) {
            let record: Record<'_> = found.decode()?.unwrap_or_default();
            holds.country |= record.country.is_some();
            holds.city |= record.city.is_some();
            holds.asn |= record.asn.is_some();
        }
    }
    Ok(holds)
}

impl<'de: 'r, 'r> Deserialize<'de> for Record<'r> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Record<'r>, D::Error> {
        deserializer.deserialize_map(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record of an address database")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record<'de>, A::Error> {
        let mut record = Record::default();
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "country" | "country_code" => record.country = country(map.next_value()?).or(record.country),
                // Where the address is registered, for those of no known place.
                "registered_country" => {
                    let registered = country(map.next_value()?);
                    record.country = record.country.or(registered);
                }
                "city" => record.city = map.next_value::<Name<'de>>()?.0,
                "autonomous_system_number" => record.asn = map.next_value::<Number>()?.0,
                "autonomous_system_organization" => record.network = map.next_value::<Name<'de>>()?.0,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(record)
    }
}

/// A name that is an ISO 3166-1 code of two letters; databases of names alone say no country.
fn country(name: Name<'_>) -> Option<&str> {
    name.0.filter(|code| super::is_country(code))
}

/// A text, or what a nested object says instead: its `iso_code`, or its name in English.
struct Name<'r>(Option<&'r str>);

impl<'de: 'r, 'r> Deserialize<'de> for Name<'r> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name<'r>, D::Error> {
        deserializer.deserialize_any(NameVisitor).map(|name| Name(name.filter(|name| !name.is_empty())))
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, or an object with one")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Some(name))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut code, mut name) = (None, None);
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "iso_code" => code = map.next_value::<Name<'de>>()?.0,
                "names" | "en" => name = map.next_value::<Name<'de>>()?.0.or(name),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(code.or(name))
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// A number of an autonomous system; other types are as good as none.
struct Number(Option<u32>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        deserializer.deserialize_any(NumberVisitor).map(Number)
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Option<u32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the number of an autonomous system")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(u32::try_from(number).ok())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(u32::try_from(number).ok())
    }

    /// `64496`, or `AS64496`.
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.strip_prefix("AS").unwrap_or(text).parse().ok())
    }

    fn visit_u128<E>(self, _: u128) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
#[path = "database_tests.rs"]
mod tests;
