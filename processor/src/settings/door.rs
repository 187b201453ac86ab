//! `[door]`: where events may be posted, by whom, and how much.

use std::net::SocketAddr;

use dial_rules::fault::Fault;
use serde::{Deserialize, Serialize};

use super::positive;
use super::secret_place::{SecretPlace, variable};

/// What to write as an address.
const EXAMPLE: &str = "127.0.0.1:8787";
/// Shorter keys can be guessed.
const SHORTEST_KEY: usize = 16;
/// The largest bodies and expansions that may be asked for, in bytes.
const LARGEST: u64 = 1 << 30;

/// `[door]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Door {
    /// `off`, or an address and port.
    pub(crate) listen: String,
    /// Where the keys lie, any of which opens: `env:NAME` or `file:PATH`. Never a key itself. An empty list says that on this
    /// machine nobody needs one.
    pub(crate) keys: Option<Vec<String>>,
    /// The largest body of a request, as it is sent.
    pub(crate) max_body_bytes: u64,
    /// The largest that a body may be once it is decompressed.
    pub(crate) max_expanded_bytes: u64,
    /// How many connections may be open; others wait to be accepted.
    pub(crate) max_connections: u64,
    /// How many events are taken a second, on average; as many may come at once.
    pub(crate) events_per_second: u64,
    /// Without a stream: how much may wait in the inbox to be processed, in MiB.
    pub(crate) backlog_mib: u64,
}

impl Default for Door {
    fn default() -> Self {
        Door {
            listen: "off".to_owned(),
            keys: None,
            max_body_bytes: 1 << 20,
            max_expanded_bytes: 16 << 20,
            max_connections: 1024,
            events_per_second: 10_000,
            backlog_mib: 1024,
        }
    }
}

impl Door {
    /// Where to listen; `None` for nowhere.
    ///
    /// # Errors
    /// What to write instead, to follow the key's name.
    pub(crate) fn address(&self) -> Result<Option<SocketAddr>, String> {
        if self.listen == "off" {
            return Ok(None);
        }
        let wrong = |_| format!("is {:?}: write `off`, or an address with its port such as {EXAMPLE}", self.listen);
        self.listen.parse().map(Some).map_err(wrong)
    }

    /// Which keys cannot be used, and why.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let mut faults = positive(&[
            ("max_body_bytes", self.max_body_bytes),
            ("max_expanded_bytes", self.max_expanded_bytes),
            ("max_connections", self.max_connections),
            ("events_per_second", self.events_per_second),
            ("backlog_mib", self.backlog_mib),
        ]);
        for (key, bytes) in [("max_body_bytes", self.max_body_bytes), ("max_expanded_bytes", self.max_expanded_bytes)] {
            if bytes > LARGEST {
                faults.push(Fault::new(key, format!("is {bytes}: write at most {LARGEST}")));
            }
        }
        for (at, place) in self.keys.iter().flatten().enumerate() {
            let wrong = SecretPlace::parse(place, "key").err();
            faults.extend(wrong.map(|wrong| Fault::new(format!("keys[{at}]"), wrong)));
        }
        match self.address() {
            Err(wrong) => faults.push(Fault::new("listen", wrong)),
            Ok(None) => {}
            Ok(Some(address)) => faults.extend(self.open_fault(address)),
        }
        faults
    }

    /// That anybody could post.
    fn open_fault(&self, address: SocketAddr) -> Option<Fault> {
        let some = self.keys.as_ref().is_some_and(|keys| !keys.is_empty());
        match (address.ip().is_loopback(), &self.keys) {
            (_, _) if some => None,
            (true, Some(_)) => None,
            (true, None) => Some(Fault::new(
                "listen",
                "is set, but `door.keys` is not: write where the keys lie, as in keys = [\"env:DOOR_KEY\"], or keys = [] \
                 if everything on this machine may post events",
            )),
            (false, _) => Some(Fault::new(
                "listen",
                format!(
                    "is {address}, which other machines can reach: have them authenticate by setting `door.keys` to a list \
                     of `env:NAME` or `file:PATH`, or listen on {EXAMPLE}"
                ),
            )),
        }
    }

    /// The places of the keys.
    pub(crate) fn places(&self) -> Vec<SecretPlace> {
        self.keys.iter().flatten().filter_map(|place| SecretPlace::parse(place, "key").ok()).collect()
    }
}

/// The key that lies in this place.
///
/// # Errors
/// Says which place holds none that can be used. Never says what a place holds.
pub(crate) fn read_key(place: &SecretPlace) -> Result<String, String> {
    let key = place.read(variable).map_err(|wrong| format!("`door.keys` {wrong}"))?;
    if key.len() < SHORTEST_KEY {
        return Err(format!(
            "`door.keys` names {place}, where the key is shorter than {SHORTEST_KEY} characters: make one with \
             `openssl rand -hex 32`"
        ));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(listen: &str, keys: Option<&[&str]>) -> Door {
        let keys = keys.map(|keys| keys.iter().map(|&key| key.to_owned()).collect());
        Door { listen: listen.to_owned(), keys, ..Door::default() }
    }

    #[test]
    fn who_may_post_has_to_be_said() {
        for (listen, keys, fine) in [
            ("off", None, true),
            ("127.0.0.1:0", None, false),
            ("127.0.0.1:0", Some(&[][..]), true),
            ("[::1]:8787", Some(&["env:KEY"][..]), true),
            ("0.0.0.0:8787", Some(&[][..]), false),
            ("0.0.0.0:8787", None, false),
            ("[::]:8787", Some(&["file:/run/key", "env:OLD_KEY"][..]), true),
            ("localhost:8787", Some(&["env:KEY"][..]), false),
            ("auto", Some(&["env:KEY"][..]), false),
            ("127.0.0.1:0", Some(&["s3cr3t-of-mine"][..]), false),
            ("off", Some(&["env:DIAL_KEY"][..]), false),
        ] {
            let faults = door(listen, keys).faults();
            assert_eq!(faults.is_empty(), fine, "{listen} {keys:?} {faults:?}");
            assert!(faults.iter().all(|fault| !fault.message.contains("s3cr3t")), "{faults:?}");
        }
    }

    #[test]
    fn limits_are_within_reason() {
        for (door, key) in [
            (Door { max_body_bytes: 0, ..Door::default() }, "max_body_bytes"),
            (Door { max_expanded_bytes: 2 << 30, ..Door::default() }, "max_expanded_bytes"),
            (Door { events_per_second: 0, ..Door::default() }, "events_per_second"),
            (Door { max_connections: 0, ..Door::default() }, "max_connections"),
        ] {
            assert_eq!(door.faults().into_iter().map(|fault| fault.path).collect::<Vec<_>>(), [key]);
        }
    }

    #[test]
    fn a_short_key_is_none_and_never_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let place = SecretPlace::File(path.clone());
        assert!(read_key(&place).unwrap_err().contains("cannot be read"));
        std::fs::write(&path, "tooshort\n").unwrap();
        let wrong = read_key(&place).unwrap_err();
        assert!(wrong.contains("shorter") && !wrong.contains("tooshort"), "{wrong}");
        std::fs::write(&path, "0123456789abcdef\n").unwrap();
        assert_eq!(read_key(&place).as_deref(), Ok("0123456789abcdef"));
    }
}
