//! [`SecretPlace`]: where a secret lies. Settings name the place and never the secret.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// Largest secret in bytes: what AWS Secrets Manager takes.
pub const LARGEST: usize = 65_536;

/// The value of an environment variable, by its name; `None` of one that is not set. The program's settings hand it in: this
/// crate reads no environment.
pub type Variables = fn(&str) -> Option<String>;

/// Where a secret lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPlace {
    /// On this machine.
    Local(LocalPlace),
    /// `secretsmanager:NAME`: in AWS Secrets Manager.
    SecretsManager(ManagedName),
}

/// Where a secret lies that is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalPlace {
    /// `env:NAME`
    Variable(String),
    /// `file:PATH`
    File(PathBuf),
}

/// A secret of AWS Secrets Manager: `NAME-OR-ARN`, or `NAME-OR-ARN#KEY` for one key of a JSON object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedName {
    /// Its name or ARN.
    pub id: String,
    /// Which key of the JSON object that it holds; the whole text without one.
    pub key: Option<String>,
}

impl SecretPlace {
    /// What the text names; `what` is the secret, for the message.
    ///
    /// # Errors
    /// What to write instead, to follow the key's name. The text is not repeated: it may be the secret itself.
    pub fn parse(text: &str, what: &str) -> Result<SecretPlace, String> {
        if let Some(name) = text.strip_prefix("secretsmanager:") {
            return ManagedName::parse(name).map(SecretPlace::SecretsManager);
        }
        match LocalPlace::of(text) {
            Some(place) => place.map(SecretPlace::Local),
            None => Err(format!(
                "is no place of a {what}: write `env:NAME`, `file:PATH` or `secretsmanager:NAME`, and the {what} there"
            )),
        }
    }
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretPlace::Local(place) => place.fmt(f),
            SecretPlace::SecretsManager(name) => name.fmt(f),
        }
    }
}

impl LocalPlace {
    /// What the text names; `what` is the secret, for the message.
    ///
    /// # Errors
    /// What to write instead, to follow the key's name. The text is not repeated: it may be the secret itself.
    pub fn parse(text: &str, what: &str) -> Result<LocalPlace, String> {
        let elsewhere = || match text.starts_with("secretsmanager:") {
            true => format!(
                "is read at the start, from this machine: write `env:NAME` or `file:PATH`, and the {what} there"
            ),
            false => format!("is no place of a {what}: write `env:NAME` or `file:PATH`, and the {what} there"),
        };
        LocalPlace::of(text).unwrap_or_else(|| Err(elsewhere()))
    }

    fn of(text: &str) -> Option<Result<LocalPlace, String>> {
        match text.split_once(':') {
            // Variables of that prefix are settings, and an unknown setting is a mistake.
            Some(("env", name)) if name.starts_with("DIAL_") => Some(Err(format!(
                "names the variable {name}, but those that begin with DIAL_ are settings: use another name"
            ))),
            Some(("env", name)) if !name.is_empty() => Some(Ok(LocalPlace::Variable(name.to_owned()))),
            Some(("file", path)) if !path.is_empty() => Some(Ok(LocalPlace::File(PathBuf::from(path)))),
            _ => None,
        }
    }

    /// The secret, without blanks around it. Blocks where it is a file's.
    ///
    /// # Errors
    /// Says which place holds none, to follow the key's name. Never says what a place holds.
    pub fn read(&self, variables: Variables) -> Result<String, String> {
        let text = match self {
            LocalPlace::Variable(name) => {
                variables(name).ok_or_else(|| format!("names the environment variable {name}, which is not set"))?
            }
            LocalPlace::File(path) => {
                let failed = |why: String| format!("names the file {}, which cannot be read: {why}", path.display());
                let mut bytes = Vec::new();
                let most = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
                let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
                read.map_err(|error| failed(error.to_string()))?;
                if bytes.len() > LARGEST {
                    return Err(failed(format!("it is larger than {LARGEST} bytes, so it is no secret")));
                }
                String::from_utf8(bytes).map_err(|_| failed("it is no UTF-8 text".to_owned()))?
            }
        };
        match text.trim() {
            "" => Err(format!("names {self}, where there is nothing: put the secret there")),
            secret => Ok(secret.to_owned()),
        }
    }
}

impl fmt::Display for LocalPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LocalPlace::Variable(name) => write!(f, "env:{name}"),
            LocalPlace::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl ManagedName {
    fn parse(text: &str) -> Result<ManagedName, String> {
        let (id, key) = match text.split_once('#') {
            Some((id, key)) => (id, Some(key)),
            None => (text, None),
        };
        if key == Some("") {
            return Err(
                "names no key after `#`: write one key of the secret's JSON object, or leave `#` away".to_owned()
            );
        }
        // The characters of names, and of ARNs; those that services manage for us have an exclamation mark.
        let is_named = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-!:".contains(c);
        let parts: Vec<&str> = id.split(':').collect();
        let is_fine = match parts.as_slice() {
            [name] => !name.is_empty(),
            ["arn", _, "secretsmanager", region, _, "secret", name] => !region.is_empty() && !name.is_empty(),
            _ => false,
        };
        if !is_fine || id.len() > 2_048 || !id.chars().all(is_named) {
            return Err(
                "names no secret of AWS Secrets Manager: write its name or its ARN after `secretsmanager:`".to_owned()
            );
        }
        Ok(ManagedName { id: id.to_owned(), key: key.map(str::to_owned) })
    }

    /// The region that the ARN names; a name has none.
    pub fn region(&self) -> Option<&str> {
        self.id.strip_prefix("arn:")?.split(':').nth(2)
    }
}

impl fmt::Display for ManagedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secretsmanager:{}", self.id)?;
        self.key.as_ref().map_or(Ok(()), |key| write!(f, "#{key}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_written_alike() {
        let arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:dial/slack-AbCdEf";
        for text in [
            "env:SLACK_TOKEN".to_owned(),
            "file:/run/secrets/slack".to_owned(),
            "secretsmanager:dial/slack".to_owned(),
            "secretsmanager:rds!db-1".to_owned(),
            format!("secretsmanager:{arn}"),
            format!("secretsmanager:{arn}#token: of the bot"),
        ] {
            assert_eq!(SecretPlace::parse(&text, "token").unwrap().to_string(), text);
        }
        let Ok(SecretPlace::SecretsManager(name)) = SecretPlace::parse(&format!("secretsmanager:{arn}#k"), "token")
        else {
            panic!("it is in Secrets Manager");
        };
        assert_eq!((name.id.as_str(), name.key.as_deref(), name.region()), (arn, Some("k"), Some("eu-west-1")));
        let name = ManagedName { id: "dial/slack".to_owned(), key: None };
        assert_eq!(name.region(), None);
    }

    #[test]
    fn what_names_no_place_is_not_repeated() {
        for text in [
            "s3cr3t",
            "",
            "env:",
            "file:",
            "secretsmanager:",
            "secretsmanager:#s3cr3t",
            "secretsmanager:name#",
            "secretsmanager:s3cr3t word",
            "secretsmanager:arn:aws:sns:eu-west-1:111122223333:s3cr3t",
            "secretsmanager:a:s3cr3t",
            "SecretsManager:s3cr3t",
            "https://s3cr3t@example.com",
        ] {
            let wrong = SecretPlace::parse(text, "token").unwrap_err();
            assert!(!wrong.contains("s3cr3t"), "{wrong}");
        }
        assert!(SecretPlace::parse("env:DIAL_TOKEN", "token").unwrap_err().contains("DIAL_TOKEN"));
    }

    #[test]
    fn a_place_that_must_be_local_is() {
        assert_eq!(LocalPlace::parse("env:TOKEN", "token"), Ok(LocalPlace::Variable("TOKEN".to_owned())));
        let wrong = LocalPlace::parse("secretsmanager:dial/token", "token").unwrap_err();
        assert!(wrong.contains("file:PATH") && !wrong.contains("dial/token"), "{wrong}");
    }

    #[test]
    fn files_that_hold_no_secret_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let place = LocalPlace::File(path.clone());
        assert!(place.read(|_| None).unwrap_err().contains("cannot be read"));
        for (bytes, why) in
            [(b" \n".to_vec(), "nothing"), (vec![b'x'; LARGEST + 1], "larger"), (vec![0xff, 0xfe], "UTF-8")]
        {
            std::fs::write(&path, bytes).unwrap();
            let wrong = place.read(|_| None).unwrap_err();
            assert!(wrong.contains(why), "{wrong}");
        }
        std::fs::write(&path, " s3cr3t\n").unwrap();
        assert_eq!(place.read(|_| None).as_deref(), Ok("s3cr3t"));
    }
}
