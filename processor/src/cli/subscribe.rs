//! `dial subscribe`: what may be typed.

use clap::Args;
use dial_rules::severity::Severity;

use super::kind::Kind;

const AFTER: &str = "Examples:
  dial subscribe --topic arn:aws:sns:eu-west-1:111122223333:alerts --queue triage --dry-run
  dial subscribe --topic ARN --queue triage --min-severity high --kind correlated
  dial subscribe --topic ARN --queue payments --account 444455556666 --technique T1098
  dial subscribe --topic ARN --queue iam --rule 03b5938b --rule 6b70f895

Makes the queue in the topic's region unless it is there, lets this topic send to it, and subscribes it with a filter \
policy; SNS then delivers only what passes. Doing it again changes nothing, and with other options it changes the \
filter. Prints how to read the queue.

An alert may tell of several findings: it passes when one of them is of the rule, the account or the technique. \
Needs sns:GetTopicAttributes, ListSubscriptionsByTopic, GetSubscriptionAttributes, Subscribe and \
SetSubscriptionAttributes, and sqs:GetQueueUrl, GetQueueAttributes, CreateQueue and SetQueueAttributes.";

#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct Subscribe {
    /// The topic that alerts are published to; without it that of the settings' only SNS sink
    #[arg(long, value_name = "ARN")]
    pub(crate) topic: Option<String>,
    /// The queue's name
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: String,
    /// Of this severity and above
    #[arg(long, value_name = "LEVEL", default_value = "informational")]
    pub(crate) min_severity: Severity,
    /// Of this kind
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Vec<Kind>,
    /// Of the rule with this id, or the only one whose id begins so; may be given several times
    #[arg(long, value_name = "ID")]
    pub(crate) rule: Vec<String>,
    /// In this account; may be given several times
    #[arg(long, value_name = "ID")]
    pub(crate) account: Vec<String>,
    /// Of this ATT&CK technique or a sub-technique of it; may be given several times
    #[arg(long, value_name = "ID")]
    pub(crate) technique: Vec<String>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
