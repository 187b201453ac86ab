//! [`Slot`]: the bytes of a table's file → the part of the tables that they are. Pure.

use dial_rules::addresses::{AwsRanges, Database, List, Network, Parts, TorExits, lists};

use crate::settings::Addresses as AddressSettings;

/// A table that has a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    Country,
    City,
    Asn,
    AwsRanges,
    TorExits,
    /// The list at this place.
    List(usize),
}

impl Slot {
    /// The key that names the file.
    pub(crate) fn setting(self) -> String {
        match self {
            Slot::Country => "addresses.country".to_owned(),
            Slot::City => "addresses.city".to_owned(),
            Slot::Asn => "addresses.asn".to_owned(),
            Slot::AwsRanges => "addresses.aws_ranges".to_owned(),
            Slot::TorExits => "addresses.tor_exits".to_owned(),
            Slot::List(at) => format!("addresses.lists[{at}].file"),
        }
    }

    /// What a fetched one is called on disk.
    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Slot::Country => "country",
            Slot::City => "city",
            Slot::Asn => "asn",
            Slot::AwsRanges => "aws_ranges",
            Slot::TorExits => "tor_exits",
            Slot::List(_) => "list",
        }
    }

    /// What exchanging this table for these bytes does. All that takes time is done when this returns. `name` is the file's,
    /// for messages.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub(crate) fn read(self, name: &str, bytes: Vec<u8>) -> Result<Exchange, String> {
        Ok(match self {
            Slot::Country => Exchange::Country(Database::parse(name, bytes)?),
            Slot::City => Exchange::City(Database::parse(name, bytes)?),
            Slot::Asn => Exchange::Asn(Database::parse(name, bytes)?),
            Slot::AwsRanges => {
                Exchange::AwsRanges(AwsRanges::parse(&bytes).map_err(|wrong| format!("{name}: {wrong}"))?)
            }
            Slot::TorExits => {
                Exchange::TorExits(TorExits::parse(&text(name, bytes)?).map_err(|wrong| format!("{name}: {wrong}"))?)
            }
            Slot::List(at) => {
                let networks = lists::parse(&text(name, bytes)?)
                    .map_err(|faults| format!("{name}: {}", faults.join(&format!("\n  {name}: "))))?;
                Exchange::List(at, networks)
            }
        })
    }
}

/// A table that was read, and where it belongs.
#[derive(Debug)]
pub(crate) enum Exchange {
    Country(Database),
    City(Database),
    Asn(Database),
    AwsRanges(AwsRanges),
    TorExits(TorExits),
    List(usize, Vec<Network>),
}

impl Exchange {
    /// Puts it in the place of the one before.
    pub(crate) fn apply(self, parts: &mut Parts) {
        match self {
            Exchange::Country(database) => parts.country = Some(database),
            Exchange::City(database) => parts.city = Some(database),
            Exchange::Asn(database) => parts.asn = Some(database),
            Exchange::AwsRanges(ranges) => parts.aws = Some(ranges),
            Exchange::TorExits(exits) => parts.tor = Some(exits),
            Exchange::List(at, networks) => {
                if let Some(list) = parts.lists.get_mut(at) {
                    *list = List::new(list.name.clone(), list.reason.clone(), list.expires, networks);
                }
            }
        }
    }
}

fn text(name: &str, bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        format!("{name}: byte {good} is not UTF-8: it should be a text file")
    })
}

/// What the settings say by themselves: the lists, those with a file still empty.
pub(crate) fn of_settings(settings: &AddressSettings) -> Parts {
    let list = |list: &crate::settings::AddressList| {
        // What is no network was told when the settings were read.
        let networks = list.networks.iter().filter_map(|text| Network::parse(text).ok());
        List::new(list.name.clone(), list.reason.clone(), list.end(), networks)
    };
    Parts { lists: settings.lists.iter().map(list).collect(), ..Parts::default() }
}
