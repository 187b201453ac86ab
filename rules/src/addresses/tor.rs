//! [`TorExits`]: the addresses from which the Tor network reaches the internet.

use std::net::IpAddr;
use std::sync::Arc;

use super::network::Network;
use super::ranges::Ranges;

/// Exits of the Tor network. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct TorExits {
    ranges: Arc<Ranges<()>>,
}

impl TorExits {
    /// Reads a list of exits: one address a line with `#` before comments, as <https://check.torproject.org/torbulkexitlist>
    /// has it, or the Tor project's exit-addresses, whose lines `ExitAddress ADDRESS DATE TIME` count.
    ///
    /// # Errors
    /// Names the first line that is neither, or says that there is none.
    pub fn parse(text: &str) -> Result<TorExits, String> {
        let mut networks = Vec::new();
        for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let entry = line.split('#').next().unwrap_or_default().trim();
            let mut words = entry.split_ascii_whitespace();
            let address = match (words.next(), words.next()) {
                (None | Some("ExitNode" | "Published" | "LastStatus" | "Downloaded" | "@type"), _) => continue,
                (Some("ExitAddress"), Some(address)) => address,
                _ => entry,
            };
            let network = Network::parse(address).map_err(|fault| format!("line {}: {fault}", at + 1))?;
            networks.push((network, ()));
        }
        if networks.is_empty() {
            return Err("there is no address in it: a list of Tor exits has thousands".to_owned());
        }
        Ok(TorExits { ranges: Arc::new(Ranges::new(networks)) })
    }

    /// Whether the address is one of them.
    pub fn holds(&self, address: IpAddr) -> bool {
        self.ranges.find(address).is_some()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let plain = "# exits\n198.51.100.7\n2001:db8::7\n\n";
        let full = "@type tordnsel 1.0\nDownloaded 2026-06-17 19:00:00\nExitNode 0000000000000000000000000000000000000000\n\
                    Published 2026-06-17 18:11:05\nLastStatus 2026-06-17 19:00:00\nExitAddress 198.51.100.7 2026-06-17 19:04:02\n\
                    ExitAddress 2001:db8::7 2026-06-17 19:04:02\n";
        for text in [plain, full] {
            let exits = TorExits::parse(text).unwrap();
            assert!(exits.holds("198.51.100.7".parse().unwrap()) && exits.holds("2001:db8::7".parse().unwrap()));
            assert!(!exits.holds("198.51.100.8".parse().unwrap()));
        }
    }

    #[test]
    fn something_else_is_told() {
        for (text, said) in [
            ("", "no address"),
            ("# nothing\n", "no address"),
            ("<html>\n", "line 1"),
            ("198.51.100.7\nExitAddress\n", "line 2"),
            ("198.51.100.7 198.51.100.8", "line 1"),
        ] {
            let error = TorExits::parse(text).unwrap_err();
            assert!(error.contains(said), "{text:?}: {error}");
        }
    }
}
