//! Jira Cloud: an issue for each alert, through its REST API, version 3
//! (<https://developer.atlassian.com/cloud/jira/platform/rest/v3/>).
//!
//! An issue has a label of the alert's thread, and is looked for by it before it is made, so that an attempt whose answer was
//! lost finds it there.

mod answer;
mod document;
mod unsure;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};
use tokio::time::Instant;

pub use self::document::{comment, issue, label};

use self::answer::{Found, Told, told};
use self::unsure::Unsure;
use crate::http::{Answer, client, with_json};
use crate::message::Message;
use crate::secret::Secret;
use crate::sink::{Growth, Handle, SendError, Sink};

/// How many of the latest comments are looked through for one that was said.
const RECENT: &str = "20";

/// How alerts come to Jira.
#[derive(Debug, Clone)]
pub struct JiraOptions {
    /// The site, such as `https://acme.atlassian.net`; [`checked_url`](crate::http::checked_url) lets it through.
    pub url: Url,
    /// The API token of a user, or an OAuth 2.0 access token.
    pub token: Arc<dyn Secret>,
    /// The e-mail address of the token's user: the token is sent with it (Basic); without it, as a Bearer token.
    pub user: Option<String>,
    /// The project's key, such as `SEC`.
    pub project: String,
    /// The name of the issues' type, such as `Task`.
    pub issue_type: String,
    /// An answer that is not there by then is given up.
    pub patience: Duration,
}

/// Makes issues in one project of Jira.
#[derive(Debug)]
pub struct Jira {
    options: JiraOptions,
    client: Client,
    unsure: Unsure,
}

impl Jira {
    /// A sink for one project.
    ///
    /// # Errors
    /// What is wrong with the project's key, and when the machine has no certificates to trust.
    pub fn new(mut options: JiraOptions) -> Result<Jira, String> {
        if !answer::is_name(&options.project) {
            return Err(format!("is {:?}: write the project's key, such as SEC", options.project));
        }
        // What is joined to a path replaces its last part, unless that is empty.
        if !options.url.path().ends_with('/') {
            options.url.set_path(&format!("{}/", options.url.path()));
        }
        let client = client(options.patience, &options.url)?;
        Ok(Jira { options, client, unsure: Unsure::default() })
    }
}

#[async_trait]
impl Sink for Jira {
    fn kind(&self) -> &'static str {
        "jira"
    }

    fn growth(&self) -> Growth {
        Growth::Updates
    }

    async fn send(&self, message: &Message, sent: Option<&Handle>) -> Result<Option<Handle>, SendError> {
        let known = sent.map(|handle| handle.0.clone()).filter(|key| answer::is_key(key));
        if let Some(key) = &known
            && self.say(key, message).await?
        {
            return Ok(Some(Handle(key.clone())));
        }
        // It was deleted, or its key was lost; there may be another all the same.
        let found = self.find(message).await?.filter(|found| known.as_ref() != Some(&found.key));
        let is_first = known.is_none() && message.sequence == 0;
        let key = match found {
            // An attempt before this one made it.
            Some(Found { key, is_told }) if is_told || is_first => key,
            // What comes later is added to it too.
            Some(Found { key, .. }) if self.say(&key, message).await? => key,
            _ => self.create(message).await?,
        };
        Ok(Some(Handle(key)))
    }
}

impl Jira {
    /// The issue of the alert.
    async fn find(&self, message: &Message) -> Result<Option<Found>, SendError> {
        let jql = format!(
            "project = \"{}\" AND labels = \"{}\" ORDER BY created ASC",
            self.options.project,
            label(&message.thread)
        );
        let asked = json!({"jql": jql, "maxResults": 1, "fields": ["description"]});
        match self.call(Method::POST, "rest/api/3/search/jql", Some(&asked)).await? {
            Told::Done(found) => answer::first(&found, &message.key),
            Told::Gone => Err(SendError::Refused("HTTP 404: is the address that of Jira Cloud?".to_owned())),
        }
    }

    /// Makes the issue, unless an attempt of a moment ago may have made it and the search cannot know yet.
    async fn create(&self, message: &Message) -> Result<String, SendError> {
        if let Some(rest) = self.unsure.rest(&message.thread, Instant::now()) {
            let why =
                format!("it may have made the issue already: its search is asked again for {} s", rest.as_secs() + 1);
            return Err(SendError::Unavailable(why));
        }
        let body = issue(message, &self.options.project, &self.options.issue_type);
        // Before it is asked: who waits for this may go away.
        self.unsure.began(&message.thread, Instant::now());
        let made = match self.call(Method::POST, "rest/api/3/issue", Some(&body)).await {
            Ok(Told::Done(made)) => answer::key(&made["key"]),
            Ok(Told::Gone) => Err(SendError::Refused("HTTP 404: is the address that of Jira Cloud?".to_owned())),
            Err(error) => Err(error),
        };
        if matches!(made, Ok(_) | Err(SendError::Rejected(_) | SendError::Refused(_) | SendError::Limited { .. })) {
            self.unsure.ended(&message.thread);
        }
        made
    }

    /// Adds a comment, once; `false` when the issue is not there.
    async fn say(&self, key: &str, message: &Message) -> Result<bool, SendError> {
        let path = format!("rest/api/3/issue/{key}/comment");
        let latest = format!("{path}?orderBy=-created&maxResults={RECENT}");
        match self.call(Method::GET, &latest, None).await? {
            Told::Done(comments) if answer::has_comment(&comments, &message.key)? => return Ok(true),
            Told::Done(_) => {}
            Told::Gone => return Ok(false),
        }
        let body = json!({"body": comment(message)});
        Ok(matches!(self.call(Method::POST, &path, Some(&body)).await?, Told::Done(_)))
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Told, SendError> {
        let JiraOptions { url, token, user, .. } = &self.options;
        let url = url.join(path).map_err(|error| SendError::Refused(format!("the address: {error}")))?;
        let secret = token.get().await.map_err(SendError::Unavailable)?;
        let request = self.client.request(method, url);
        let mut request = match user {
            Some(user) => request.basic_auth(user, Some(secret.trim())),
            None => request.bearer_auth(secret.trim()),
        };
        if let Some(body) = body {
            request = with_json(request, body);
        }
        let answer = Answer::to(request).await?;
        told(&answer, secret.trim(), Utc::now()).inspect_err(|error| {
            if matches!(error, SendError::Refused(_)) {
                token.refused();
            }
        })
    }
}
