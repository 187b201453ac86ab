//! [`Answers`]: what was learnt of some keys, and why not of the others.

use std::collections::HashMap;

use crate::enrich::source::{Fault, Loaded, Source};

/// What was learnt of some keys.
#[derive(Debug)]
pub(crate) struct Answers<S: Source> {
    pub(super) known: HashMap<S::Key, Option<S::Value>>,
    pub(super) fault: Option<Fault>,
}

impl<S: Source> Answers<S> {
    /// The answer to a key that was asked for.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn get(&self, key: &S::Key) -> Result<Option<&S::Value>, Fault> {
        match (self.known.get(key), &self.fault) {
            (Some(answer), _) => Ok(answer.as_ref()),
            (None, Some(fault)) => Err(fault.clone()),
            // Every key is answered or there is a fault; whoever asks for another key has not asked before.
            (None, None) => Err(Fault::Nonsense("it left the question out".to_owned())),
        }
    }
}

impl<S: Source> Default for Answers<S> {
    fn default() -> Self {
        Answers { known: HashMap::new(), fault: None }
    }
}

impl<S: Source> Answers<S> {
    /// Adds what a question has come to of these keys; `None` when it was dropped.
    pub(super) fn take(&mut self, keys: Vec<S::Key>, landed: Option<&Loaded<S::Key, S::Value>>) {
        let Some(landed) = landed else {
            self.fault = Some(Fault::Unavailable("the question was dropped".to_owned()));
            return;
        };
        for key in keys {
            match landed.answers.get(&key) {
                Some(answer) => drop(self.known.insert(key, answer.clone())),
                None => self.fault = landed.fault.clone().or(self.fault.take()),
            }
        }
    }
}
