//! [`SecretPlace`]: where a secret lies. Settings name the place and never the secret.

use std::fs;
use std::path::PathBuf;

/// Where a secret lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretPlace {
    /// `env:NAME`
    Variable(String),
    /// `file:PATH`
    File(PathBuf),
}

impl SecretPlace {
    /// What the text names; `what` is the secret, for the message.
    ///
    /// # Errors
    /// What to write instead, to follow the key's name. The text is not repeated: it may be the secret itself.
    pub(crate) fn parse(text: &str, what: &str) -> Result<SecretPlace, String> {
        match text.split_once(':') {
            // Variables of that prefix are settings, and an unknown setting is a mistake.
            Some(("env", name)) if name.starts_with("DIAL_") => Err(format!(
                "names the variable {name}, but those that begin with DIAL_ are settings: use another name"
            )),
            Some(("env", name)) if !name.is_empty() => Ok(SecretPlace::Variable(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(SecretPlace::File(PathBuf::from(path))),
            _ => Err(format!("is no place of a {what}: write `env:NAME` or `file:PATH`, and the {what} there")),
        }
    }

    /// The secret, without blanks around it.
    ///
    /// # Errors
    /// Says which place holds none, to follow the key's name. Never says what a place holds.
    pub(crate) fn read(&self) -> Result<String, String> {
        let text = match self {
            SecretPlace::Variable(name) => {
                std::env::var(name).map_err(|_| format!("names the environment variable {name}, which is not set"))?
            }
            SecretPlace::File(path) => fs::read_to_string(path)
                .map_err(|error| format!("names the file {}, which cannot be read: {error}", path.display()))?,
        };
        match text.trim() {
            "" => Err(format!("names {self}, where there is nothing: put the secret there")),
            secret => Ok(secret.to_owned()),
        }
    }
}

impl std::fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SecretPlace::Variable(name) => write!(f, "env:{name}"),
            SecretPlace::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}
