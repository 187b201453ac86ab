//! Sinks that page people, talk to them, or open tickets.

use dial_sinks::destinations::Address;
use dial_sinks::destinations::google_chat::{GoogleChat, GoogleChatOptions};
use dial_sinks::destinations::jira::{Jira, JiraOptions};
use dial_sinks::destinations::pagerduty::{ENQUEUE, PagerDuty, PagerDutyOptions};
use dial_sinks::destinations::teams::{Teams, TeamsOptions};

use super::http::{PATIENCE, made, url};
use super::{Made, Maker, required};
use crate::settings;

/// What an issue is without another word.
const TASK: &str = "Task";

impl Maker {
    pub(super) fn pagerduty(&self, of: &settings::Sink) -> Made {
        let options = PagerDutyOptions {
            url: url(of.url.as_deref().unwrap_or(ENQUEUE))?,
            key: self.required_secret(&of.key, "key")?,
            patience: PATIENCE,
        };
        made(PagerDuty::new(options), "kind")
    }

    pub(super) fn teams(&self, of: &settings::Sink) -> Made {
        let url = Address::Secret(self.required_secret(&of.webhook, "webhook")?);
        made(Teams::new(TeamsOptions { url, patience: PATIENCE }), "kind")
    }

    pub(super) fn google_chat(&self, of: &settings::Sink) -> Made {
        let url = Address::Secret(self.required_secret(&of.webhook, "webhook")?);
        made(GoogleChat::new(GoogleChatOptions { url, patience: PATIENCE }), "kind")
    }

    pub(super) fn jira(&self, of: &settings::Sink) -> Made {
        let options = JiraOptions {
            url: url(required(&of.url, "url")?)?,
            token: self.required_secret(&of.token, "token")?,
            user: of.user.clone(),
            project: required(&of.project, "project")?.to_owned(),
            issue_type: of.issue_type.as_deref().unwrap_or(TASK).to_owned(),
            patience: PATIENCE,
        };
        made(Jira::new(options), "project")
    }
}
