//! TheHive: an alert for each of ours, or a case, in version 5 or 4.
//!
//! TheHive takes one alert of a type, source and `sourceRef`. Ours is the thread, so that an attempt whose answer was lost
//! finds its alert there. A case is made of such an alert, which keeps it single too.

mod answer;
mod payload;
mod place;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};

pub use self::payload::{TheHiveLabels, alert, update};

use self::answer::{Found, Told, told};
use self::place::{Kind, Place};
use crate::http::{Answer, client, with_json};
use crate::message::Message;
use crate::secret::Secret;
use crate::sink::{Growth, Handle, SendError, Sink};

/// Longest description to which something is added; a longer one gets an alert beside it.
const LONGEST_DESCRIPTION: usize = 100_000;

/// How alerts come to TheHive.
#[derive(Debug, Clone)]
pub struct TheHiveOptions {
    /// Where it is; [`checked_url`](crate::http::checked_url) lets it through.
    pub url: Url,
    /// The API key of a user who may manage alerts (and cases).
    pub key: Arc<dyn Secret>,
    /// The organisation, where the user is in several.
    pub organisation: Option<String>,
    /// Which API it speaks.
    pub version: TheHiveVersion,
    /// Makes a case of each alert.
    pub as_case: bool,
    /// What alerts are marked with.
    pub labels: TheHiveLabels,
    /// An answer that is not there by then is given up.
    pub patience: Duration,
}

/// A version of TheHive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TheHiveVersion {
    /// `/api/v1`.
    Five,
    /// `/api`, as versions 3 and 4 have it.
    Four,
}

/// Sends alerts to one organisation of TheHive.
#[derive(Debug)]
pub struct TheHive {
    options: TheHiveOptions,
    client: Client,
}

impl TheHive {
    /// A sink for one organisation.
    ///
    /// # Errors
    /// When the machine has no certificates to trust.
    pub fn new(mut options: TheHiveOptions) -> Result<TheHive, String> {
        // What is joined to a path replaces its last part, unless that is empty.
        if !options.url.path().ends_with('/') {
            options.url.set_path(&format!("{}/", options.url.path()));
        }
        let client = client(options.patience, &options.url)?;
        Ok(TheHive { options, client })
    }
}

#[async_trait]
impl Sink for TheHive {
    fn kind(&self) -> &'static str {
        "thehive"
    }

    fn growth(&self) -> Growth {
        Growth::Updates
    }

    async fn send(&self, message: &Message, sent: Option<&Handle>) -> Result<Option<Handle>, SendError> {
        let severity = payload::severity(message.severity);
        let place = match sent.and_then(Place::of) {
            Some(place) => self.add(place, message, severity).await?,
            // Later ones of an alert whose handle was lost are added to it too.
            None => match self.create(message, &message.thread, severity, None).await? {
                Made { place, is_told: false } if message.sequence > 0 => self.add(place, message, severity).await?,
                Made { place, .. } => place,
            },
        };
        Ok(Some(place.handle()))
    }
}

impl TheHive {
    /// Makes the alert, unless it was there before. A case that is `gone` is not the alert's, whatever it says.
    async fn create(
        &self,
        message: &Message,
        reference: &str,
        severity: u8,
        gone: Option<&Place>,
    ) -> Result<Made, SendError> {
        let reference = payload::reference(reference);
        let body = alert(message, &reference, &self.options.labels, self.options.version);
        let (found, is_told) = match self.call(Method::POST, &self.path("alert"), Some(&body)).await? {
            Told::Done(made) => (Found { id: answer::id(&made)?, severity, ..Found::default() }, true),
            Told::There(why) => {
                let found = self.find(&reference).await?.ok_or(why)?;
                let is_told = payload::is_told(&found.description, message);
                (found, is_told)
            }
            Told::Gone => return Err(SendError::Refused("HTTP 404: is the address that of TheHive?".to_owned())),
        };
        let Found { id, case, severity, .. } = found;
        let case = case.filter(|case| gone.is_none_or(|gone| !gone.is(Kind::Case, case)));
        let place = match (self.options.as_case, case) {
            (false, _) => Place { kind: Kind::Alert, id, severity },
            (true, Some(case)) => Place { kind: Kind::Case, id: case, severity },
            (true, None) => Place { kind: Kind::Case, id: self.promote(&id).await?, severity },
        };
        Ok(Made { place, is_told })
    }

    /// The alert with this reference, and the case that was made of it.
    async fn find(&self, reference: &str) -> Result<Option<Found>, SendError> {
        let (path, body) = match self.options.version {
            TheHiveVersion::Five => ("api/v1/query?name=dial-alert", payload::find_five(reference)),
            TheHiveVersion::Four => ("api/alert/_search?range=0-1", payload::find_four(reference)),
        };
        match self.call(Method::POST, path, Some(&body)).await? {
            Told::Done(found) => answer::first(&found),
            Told::There(why) => Err(why),
            Told::Gone => Ok(None),
        }
    }

    async fn promote(&self, alert: &str) -> Result<String, SendError> {
        let what = match self.options.version {
            TheHiveVersion::Five => format!("alert/{alert}/case"),
            TheHiveVersion::Four => format!("alert/{alert}/createCase"),
        };
        match self.call(Method::POST, &self.path(&what), Some(&json!({}))).await? {
            Told::Done(case) => answer::id(&case),
            Told::There(why) => Err(why),
            Told::Gone => Err(SendError::Nonsense("the alert that it has just made is gone".to_owned())),
        }
    }

    /// Adds what is new to what is there; makes it anew where it was deleted.
    async fn add(&self, place: Place, message: &Message, severity: u8) -> Result<Place, SendError> {
        match self.tell(&place, message, severity).await? {
            Added::Done => Ok(place.at_least(severity)),
            Added::Gone => self.anew(&place, message, severity).await,
            Added::Full => self.beside(message, severity).await,
        }
    }

    /// Makes anew what is gone. Where an alert is left all the same, such as that of a case that was deleted, or a case that
    /// took in the one that is gone, what is new is said there.
    async fn anew(&self, gone: &Place, message: &Message, severity: u8) -> Result<Place, SendError> {
        let Made { place, is_told } = self.create(message, &message.thread, severity, Some(gone)).await?;
        if is_told {
            return Ok(place);
        }
        let added =
            if gone.is(place.kind, &place.id) { Added::Gone } else { self.tell(&place, message, severity).await? };
        match added {
            Added::Done => Ok(place.at_least(severity)),
            Added::Full => self.beside(message, severity).await,
            Added::Gone => {
                let what = place.kind.as_str();
                Err(SendError::Unavailable(format!("its search finds the {what} {}, which is not there", place.id)))
            }
        }
    }

    /// Makes an alert of this message alone: if there is one, another attempt of the same delivery made it.
    async fn beside(&self, message: &Message, severity: u8) -> Result<Place, SendError> {
        let reference = format!("{}-{}", message.thread, message.sequence);
        self.create(message, &reference, severity, None).await.map(|made| made.place)
    }

    async fn tell(&self, place: &Place, message: &Message, severity: u8) -> Result<Added, SendError> {
        match self.options.version {
            TheHiveVersion::Five => self.comment(place, message, severity).await,
            TheHiveVersion::Four => self.append(place, message, severity).await,
        }
    }

    /// Version 5. The comment comes last: an attempt that fails before has said nothing twice.
    async fn comment(&self, place: &Place, message: &Message, severity: u8) -> Result<Added, SendError> {
        let what = self.path(&format!("{}/{}", place.kind.as_str(), place.id));
        if severity > place.severity {
            let worse = json!({"severity": severity});
            if let Told::Gone = self.call(Method::PATCH, &what, Some(&worse)).await? {
                return Ok(Added::Gone);
            }
        }
        let comment = json!({"message": update(message)});
        match self.call(Method::POST, &format!("{what}/comment"), Some(&comment)).await? {
            Told::Done(_) => Ok(Added::Done),
            Told::There(why) => Err(why),
            Told::Gone => Ok(Added::Gone),
        }
    }

    /// Version 4 has no comments: what is new goes below the description, once.
    async fn append(&self, place: &Place, message: &Message, severity: u8) -> Result<Added, SendError> {
        let what = self.path(&format!("{}/{}", place.kind.as_str(), place.id));
        let there = match self.call(Method::GET, &what, None).await? {
            Told::Done(there) => there,
            Told::There(why) => return Err(why),
            Told::Gone => return Ok(Added::Gone),
        };
        let description = there["description"].as_str().unwrap_or_default();
        let addition = update(message);
        if description.contains(&addition) {
            return Ok(Added::Done);
        }
        if description.len() > LONGEST_DESCRIPTION {
            return Ok(Added::Full);
        }
        let changed = json!({
            "description": format!("{description}\n\n---\n\n{addition}"),
            "severity": severity.max(place.severity),
        });
        match self.call(Method::PATCH, &what, Some(&changed)).await? {
            Told::Done(_) => Ok(Added::Done),
            Told::There(why) => Err(why),
            Told::Gone => Ok(Added::Gone),
        }
    }

    fn path(&self, what: &str) -> String {
        match self.options.version {
            TheHiveVersion::Five => format!("api/v1/{what}"),
            TheHiveVersion::Four => format!("api/{what}"),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Told, SendError> {
        let TheHiveOptions { url, key, organisation, .. } = &self.options;
        let url = url.join(path).map_err(|error| SendError::Refused(format!("the address: {error}")))?;
        let secret = key.get().await.map_err(SendError::Unavailable)?;
        let mut request = self.client.request(method, url).bearer_auth(secret.trim());
        if let Some(organisation) = organisation {
            request = request.header("X-Organisation", organisation);
        }
        if let Some(body) = body {
            request = with_json(request, body);
        }
        let answer = Answer::to(request).await?;
        told(&answer, secret.trim(), Utc::now()).inspect_err(|error| {
            if matches!(error, SendError::Refused(_)) {
                key.refused();
            }
        })
    }
}

/// An alert or a case that is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Made {
    place: Place,
    /// Whether it tells what the message does, since this delivery made it.
    is_told: bool,
}

/// What came of adding to what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Added {
    Done,
    /// It was deleted.
    Gone,
    /// It takes no more.
    Full,
}
