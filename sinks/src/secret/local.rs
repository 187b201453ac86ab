//! Secrets on this machine: environment variables, and files, which orchestrators replace when they rotate a secret.

use async_trait::async_trait;

use super::{LocalPlace, Secret};

/// A secret on this machine. Files are small, so one is read whenever it is used: nothing can be out of date.
#[derive(Debug)]
pub(super) struct Local {
    place: LocalPlace,
}

impl Local {
    pub(super) fn new(place: LocalPlace) -> Self {
        Self { place }
    }
}

#[async_trait]
impl Secret for Local {
    async fn get(&self) -> Result<String, String> {
        let place = self.place.clone();
        let read = match place {
            LocalPlace::Variable(_) => place.read(),
            LocalPlace::File(_) => tokio::task::spawn_blocking(move || place.read())
                .await
                .unwrap_or_else(|_| Err("could not be read: the program is stopping".to_owned())),
        };
        read.map_err(|wrong| format!("the place of its secret {wrong}"))
    }

    fn refused(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_changes_is_in_force_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let secret = Local::new(LocalPlace::File(path.clone()));
        assert!(secret.get().await.unwrap_err().contains("cannot be read"));
        // The same length, and most likely within one tick of the file system's clock.
        for value in ["first", "other", "third"] {
            std::fs::write(&path, format!("{value}\n")).unwrap();
            assert_eq!(secret.get().await.as_deref(), Ok(value));
        }
        assert!(!format!("{secret:?}").contains("third"));
    }

    #[tokio::test]
    async fn a_variable_that_is_not_set_is_named() {
        let secret = Local::new(LocalPlace::Variable("NO_SUCH_VARIABLE_OF_DIAL".to_owned()));
        assert!(secret.get().await.unwrap_err().contains("NO_SUCH_VARIABLE_OF_DIAL, which is not set"));
        let secret = Local::new(LocalPlace::Variable("CARGO_PKG_NAME".to_owned()));
        assert_eq!(secret.get().await.as_deref(), Ok("dial-sinks"));
    }
}
