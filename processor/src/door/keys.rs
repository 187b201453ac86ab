//! Who may post: whoever knows one of the keys.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::settings::{Door, SecretPlace, read_key};

/// The header that EventBridge API destinations and AWS's own gateways use.
const API_KEY: &str = "x-api-key";
/// How often files are read again.
pub(super) const REREAD: Duration = Duration::from_secs(5);

/// The keys in force, as hashes: comparing these takes as long whatever the guess.
#[derive(Debug)]
pub(super) struct Keys {
    places: Vec<SecretPlace>,
    hashes: Mutex<Arc<[Hash]>>,
}

type Hash = [u8; 32];

fn hash(key: &str) -> Hash {
    Sha256::digest(key.as_bytes()).into()
}

impl Keys {
    /// Reads the keys that the settings name.
    ///
    /// # Errors
    /// Says of which place no key can be read. Never says what a place holds.
    pub(super) fn read(settings: &Door) -> Result<Keys, String> {
        let places = settings.places();
        let hashes = places.iter().map(|place| read_key(place).map(|key| hash(&key))).collect::<Result<Arc<_>, _>>()?;
        Ok(Keys { places, hashes: Mutex::new(hashes) })
    }

    /// Reads the keys again. A place where there is none any more opens no longer; with none left, nothing opens.
    pub(super) fn read_again(&self) {
        let key = |place: &SecretPlace| match read_key(place) {
            Ok(key) => Some(hash(&key)),
            Err(wrong) => {
                tracing::error!("{wrong}; this key does not open any more");
                None
            }
        };
        let hashes = self.places.iter().filter_map(key).collect();
        *self.hashes.lock().unwrap_or_else(PoisonError::into_inner) = hashes;
    }

    /// Whether some key can change while the program runs.
    pub(super) fn can_change(&self) -> bool {
        self.places.iter().any(|place| matches!(place, SecretPlace::File(_)))
    }

    /// Whether nobody needs a key.
    pub(super) fn is_open(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether a request with these headers comes with a key: in `x-api-key`, or as a bearer token (RFC 6750, § 2.1). It is
    /// compared with all keys, always.
    pub(super) fn admit(&self, headers: &HeaderMap) -> bool {
        if self.is_open() {
            return true;
        }
        let hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut found = Choice::from(0);
        for given in [api_key(headers), bearer(headers)] {
            let is_given = Choice::from(u8::from(given.is_some()));
            let given = hash(given.unwrap_or_default());
            for known in hashes.iter() {
                found |= known.ct_eq(&given) & is_given;
            }
        }
        found.into()
    }
}

fn api_key(headers: &HeaderMap) -> Option<&str> {
    headers.get(API_KEY)?.to_str().ok().map(str::trim)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const ONE: &str = "0123456789abcdef-one";
    const TWO: &str = "0123456789abcdef-two";

    fn with(name: &str, value: &str) -> HeaderMap {
        let name: HeaderName = name.parse().unwrap();
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    /// Keys in files, and the files.
    fn keys(texts: &[&str]) -> (Keys, Vec<std::path::PathBuf>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..texts.len()).map(|n| folder.path().join(n.to_string())).collect();
        paths.iter().zip(texts).for_each(|(path, text)| fs::write(path, text).unwrap());
        let places = paths.iter().map(|path| format!("file:{}", path.display())).collect();
        let keys = Keys::read(&Door { keys: Some(places), ..Door::default() }).unwrap();
        (keys, paths, folder)
    }

    #[test]
    fn only_a_key_itself_opens() {
        let (keys, _paths, _folder) = keys(&[ONE, TWO]);
        for (name, value, opens) in [
            ("x-api-key", ONE, true),
            ("x-api-key", TWO, true),
            ("X-Api-Key", TWO, true),
            ("authorization", "Bearer 0123456789abcdef-one", true),
            ("authorization", "bearer 0123456789abcdef-two", true),
            ("x-api-key", "0123456789abcdef-on", false),
            ("x-api-key", "0123456789abcdef-one1", false),
            ("x-api-key", "Bearer 0123456789abcdef-one", false),
            ("x-api-key", "", false),
            ("authorization", "Basic 0123456789abcdef-one", false),
            ("authorization", ONE, false),
            ("authorization", "Bearer ", false),
            ("cookie", ONE, false),
        ] {
            assert_eq!(keys.admit(&with(name, value)), opens, "{name}: {value}");
        }
        assert!(!keys.admit(&HeaderMap::new()));
    }

    #[test]
    fn without_keys_all_is_open_and_only_then() {
        let open = Keys::read(&Door { keys: Some(vec![]), ..Door::default() }).unwrap();
        assert!(open.is_open() && open.admit(&HeaderMap::new()) && !open.can_change());
        let missing = Door { keys: Some(vec!["env:NO_SUCH_VARIABLE_OF_DIAL".to_owned()]), ..Door::default() };
        assert!(Keys::read(&missing).unwrap_err().contains("not set"));
    }

    #[test]
    fn keys_rotate() {
        let (keys, paths, _folder) = keys(&[ONE]);
        assert!(keys.can_change());
        fs::write(&paths[0], TWO).unwrap();
        assert!(keys.admit(&with(API_KEY, ONE)) && !keys.admit(&with(API_KEY, TWO)));
        keys.read_again();
        assert!(!keys.admit(&with(API_KEY, ONE)) && keys.admit(&with(API_KEY, TWO)));
        // A key that is taken away opens no more, and nothing does in its place.
        fs::remove_file(&paths[0]).unwrap();
        keys.read_again();
        for headers in [HeaderMap::new(), with(API_KEY, TWO), with(API_KEY, "")] {
            assert!(!keys.is_open() && !keys.admit(&headers));
        }
    }
}
