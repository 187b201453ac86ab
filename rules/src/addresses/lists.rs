//! [`List`]: addresses that the organisation has listed itself, and until when.

use super::network::Network;
use super::ranges::Ranges;
use crate::event::Millis;

/// Networks under one name.
#[derive(Debug, Clone)]
pub struct List {
    /// What rules call it: `dial.ip.lists: NAME`.
    pub name: String,
    /// Why it is kept, in words for people.
    pub reason: String,
    /// It is in force for events before this time, whenever they are looked at; without one, for all events.
    pub expires: Option<Millis>,
    /// Its networks.
    networks: std::sync::Arc<Ranges<()>>,
}

impl List {
    /// A list of these networks.
    pub fn new(
        name: impl Into<String>,
        reason: impl Into<String>,
        expires: Option<Millis>,
        networks: impl IntoIterator<Item = Network>,
    ) -> List {
        let networks = Ranges::new(networks.into_iter().map(|network| (network, ())));
        List { name: name.into(), reason: reason.into(), expires, networks: std::sync::Arc::new(networks) }
    }

    /// Whether it is in force for an event of this time and holds the address.
    pub fn holds(&self, address: std::net::IpAddr, at: Millis) -> bool {
        self.is_in_force(at) && self.networks.find(address).is_some()
    }

    /// Whether it is in force for an event of this time.
    pub fn is_in_force(&self, at: Millis) -> bool {
        self.expires.is_none_or(|expires| at < expires)
    }

    /// Whether it has no networks.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }
}

/// How many faults of a file are told.
const MOST_FAULTS: usize = 10;

/// Reads a file of networks: one network or address a line, `#` before comments, blank lines.
///
/// # Errors
/// The lines that are neither, each with its number from 1; the first ten of them, and how many more there are.
pub fn parse(text: &str) -> Result<Vec<Network>, Vec<String>> {
    let (mut networks, mut faults) = (Vec::new(), Vec::new());
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let entry = line.split('#').next().unwrap_or_default().trim();
        if entry.is_empty() {
            continue;
        }
        match Network::parse(entry) {
            Ok(network) => networks.push(network),
            Err(fault) => faults.push(format!("line {}: {fault}", at + 1)),
        }
    }
    let more = faults.len().saturating_sub(MOST_FAULTS);
    if faults.is_empty() {
        return Ok(networks);
    }
    faults.truncate(MOST_FAULTS);
    if more > 0 {
        faults.push(format!("and {more} more lines"));
    }
    Err(faults)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_line_by_line() {
        let text = "\u{feff}# offices\r\n198.51.100.0/24 # Berlin\r\n\r\n  2001:db8::/32\n203.0.113.7\n";
        let networks: Vec<String> = parse(text).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["198.51.100.0/24", "2001:db8::/32", "203.0.113.7/32"]);
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn faults_have_their_lines() {
        let faults = parse("198.51.100.0/24\nBerlin\n198.51.100.1/24\n").unwrap_err();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].starts_with("line 2: \"Berlin\"") && faults[1].starts_with("line 3:"), "{faults:?}");
        let faults = parse(&"x\n".repeat(25)).unwrap_err();
        assert_eq!((faults.len(), faults[10].as_str()), (11, "and 15 more lines"));
    }

    #[test]
    fn a_list_is_in_force_before_its_expiry() {
        let networks = parse("198.51.100.0/24").unwrap();
        let list = List::new("offices", "ours", Some(1000), networks.clone());
        let address = "198.51.100.7".parse().unwrap();
        assert!(list.holds(address, 999) && !list.holds(address, 1000) && !list.holds(address, 1001));
        assert!(!list.holds("198.51.101.7".parse().unwrap(), 0));
        assert!(List::new("offices", "ours", None, networks).holds(address, i64::MAX));
    }
}
