//! Secrets on this machine: environment variables, and files, which orchestrators replace when they rotate a secret.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{LocalPlace, Secret, Variables};

/// A secret on this machine. Files are small, so one is read whenever it is used: nothing can be out of date.
#[derive(Debug)]
pub(super) struct Local {
    place: LocalPlace,
    variables: Variables,
    /// A file system that hangs holds one thread, and not one more at every attempt.
    turn: Arc<Mutex<()>>,
}

impl Local {
    pub(super) fn new(place: LocalPlace, variables: Variables) -> Self {
        Self { place, variables, turn: Arc::default() }
    }
}

#[async_trait]
impl Secret for Local {
    async fn get(&self) -> Result<String, String> {
        let (place, variables) = (self.place.clone(), self.variables);
        let read = match place {
            LocalPlace::Variable(_) => place.read(variables),
            LocalPlace::File(_) => {
                let turn = self.turn.clone().lock_owned().await;
                let read = move || {
                    let _turn = turn;
                    place.read(variables)
                };
                let read = tokio::task::spawn_blocking(read).await;
                read.unwrap_or_else(|_| Err("could not be read: the program is stopping".to_owned()))
            }
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
        let secret = Local::new(LocalPlace::File(path.clone()), |_| None);
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
        let variables: Variables = |name| (name == "TOKEN").then(|| " s3cr3t\n".to_owned());
        let secret = Local::new(LocalPlace::Variable("TOKNE".to_owned()), variables);
        assert!(secret.get().await.unwrap_err().contains("TOKNE, which is not set"));
        let secret = Local::new(LocalPlace::Variable("TOKEN".to_owned()), variables);
        assert_eq!(secret.get().await.as_deref(), Ok("s3cr3t"));
    }
}
