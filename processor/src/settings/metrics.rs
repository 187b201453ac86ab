//! `[metrics]`: where a worker tells what it does, and to whom.

use std::net::SocketAddr;

use dial_rules::fault::Fault;
use serde::{Deserialize, Serialize};

use super::secret_place::{SecretPlace, variable};

/// Where a worker listens unless told otherwise: the port that exporters of Prometheus' metrics commonly use.
pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:9464";

/// `[metrics]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Metrics {
    /// `auto`, `off`, or an address and port.
    pub(crate) listen: String,
    /// Where the token lies that must come with every request: `env:NAME` or `file:PATH`. Never the token itself.
    pub(crate) token: Option<String>,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics { listen: "auto".to_owned(), token: None }
    }
}

/// What `metrics.listen` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listen {
    /// Nowhere.
    Off,
    /// At the default address if nobody else does; several workers on one machine are no mistake.
    IfFree(SocketAddr),
    /// Here, or the worker does not start.
    At(SocketAddr),
}

impl Metrics {
    /// What `listen` says.
    ///
    /// # Errors
    /// What to write instead, to follow the key's name.
    pub(crate) fn listen(&self) -> Result<Listen, String> {
        let parse = |text: &str| {
            text.parse::<SocketAddr>().map_err(|_| {
                format!("is {text:?}: write `auto`, `off`, or an address with its port such as {DEFAULT_ADDRESS}")
            })
        };
        match self.listen.as_str() {
            "off" => Ok(Listen::Off),
            "auto" => Ok(Listen::IfFree(parse(DEFAULT_ADDRESS)?)),
            text => Ok(Listen::At(parse(text)?)),
        }
    }

    /// Which keys cannot be used, and why.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let listen = self.listen();
        let token = self.token.as_deref().map(|text| SecretPlace::parse(text, "token"));
        let open = match (&listen, &token) {
            (Ok(Listen::At(address)), None) if !address.ip().is_loopback() => Some(format!(
                "is {address}, which other machines can reach: have them authenticate by setting `metrics.token` to \
                 `env:NAME` or `file:PATH`, or listen on {DEFAULT_ADDRESS}"
            )),
            _ => None,
        };
        let wrong = [("listen", listen.err()), ("token", token.and_then(Result::err)), ("listen", open)];
        wrong.into_iter().filter_map(|(key, wrong)| Some(Fault::new(key, wrong?))).collect()
    }

    /// That the environment variable with the token is not set; a file may be there only where workers run.
    ///
    /// # Errors
    /// Names the variable.
    pub(crate) fn check_variable(&self) -> Result<(), String> {
        match (self.listen.as_str(), &self.token) {
            ("off", _) => Ok(()),
            (_, Some(token)) if token.starts_with("env:") => self.read_token().map(|_| ()),
            _ => Ok(()),
        }
    }

    /// The token, from where it lies.
    ///
    /// # Errors
    /// Says which place holds none. Never says what a place holds.
    pub(crate) fn read_token(&self) -> Result<Option<String>, String> {
        let Some(place) = &self.token else { return Ok(None) };
        let token = SecretPlace::parse(place, "token").and_then(|place| place.read(variable));
        token.map(Some).map_err(|wrong| format!("`metrics.token` {wrong}"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn metrics(listen: &str, token: Option<&str>) -> Metrics {
        Metrics { listen: listen.to_owned(), token: token.map(str::to_owned) }
    }

    #[test]
    fn only_loopback_goes_without_a_token() {
        for (listen, token, fine) in [
            ("auto", None, true),
            ("off", None, true),
            ("127.0.0.1:0", None, true),
            ("[::1]:9464", None, true),
            ("0.0.0.0:9464", None, false),
            ("[::]:9464", None, false),
            ("192.0.2.1:9464", None, false),
            ("0.0.0.0:9464", Some("env:METRICS_TOKEN"), true),
            ("localhost:9464", None, false),
            ("9464", None, false),
            ("", None, false),
        ] {
            assert_eq!(metrics(listen, token).faults().is_empty(), fine, "{listen} {token:?}");
        }
    }

    #[test]
    fn a_token_is_named_by_its_place_and_never_repeated() {
        let faults = metrics("auto", Some("s3cr3t-of-mine")).faults();
        let [Fault { path, message }] = faults.as_slice() else { panic!("{faults:?}") };
        assert_eq!(path, "token");
        assert!(!message.contains("s3cr3t") && message.contains("env:NAME"), "{message}");
        let faults = metrics("auto", Some("env:DIAL_TOKEN")).faults();
        assert!(faults[0].message.contains("DIAL_TOKEN"), "{faults:?}");
    }

    #[test]
    fn the_token_is_read_from_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let from_file = metrics("auto", Some(&format!("file:{}", path.display())));
        assert!(from_file.read_token().unwrap_err().contains("cannot be read"));
        fs::write(&path, "\n").unwrap();
        assert!(from_file.read_token().unwrap_err().contains("there is nothing"));
        fs::write(&path, "abc\n").unwrap();
        assert_eq!(from_file.read_token().unwrap().as_deref(), Some("abc"));
        let missing = metrics("auto", Some("env:NO_SUCH_VARIABLE_OF_DIAL"));
        assert!(missing.read_token().unwrap_err().contains("not set"));
        assert_eq!(metrics("auto", None).read_token(), Ok(None));
    }
}
