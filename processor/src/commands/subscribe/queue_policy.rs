//! The policy of a queue that lets a topic send to it. Pure.

use dial_sinks::arn::Arn;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The queue's policy with the statement that lets this topic, and no other resource of SNS, send; `None` where it has that
/// already. Statements of others stay as they are.
///
/// # Errors
/// When the policy that is there makes no sense.
pub(super) fn allowing(policy: Option<&str>, topic: &Arn, queue_arn: &str) -> Result<Option<String>, String> {
    let statement = statement(topic, queue_arn);
    let mut policy = match policy {
        None | Some("") => json!({ "Version": "2012-10-17", "Statement": [] }),
        Some(text) => serde_json::from_str(text).map_err(|_| unreadable(queue_arn))?,
    };
    let statements = policy.get_mut("Statement").ok_or_else(|| unreadable(queue_arn))?;
    // IAM takes one statement without a list, too.
    if statements.is_object() {
        *statements = json!([statements.take()]);
    }
    let statements = statements.as_array_mut().ok_or_else(|| unreadable(queue_arn))?;
    if statements.contains(&statement) {
        return Ok(None);
    }
    statements.retain(|other| other["Sid"] != statement["Sid"]);
    statements.push(statement);
    Ok(Some(policy.to_string()))
}

fn statement(topic: &Arn, queue_arn: &str) -> Value {
    let topic = topic.to_string();
    // A name of its own for each topic, of letters and digits.
    let digest = format!("{:x}", Sha256::digest(&topic));
    json!({
        "Sid": format!("DialAlerts{}", digest.get(..12).unwrap_or_default()),
        "Effect": "Allow",
        "Principal": { "Service": "sns.amazonaws.com" },
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": { "ArnEquals": { "aws:SourceArn": topic } },
    })
}

fn unreadable(queue_arn: &str) -> String {
    format!(
        "the policy of the queue {queue_arn} cannot be read, so nothing is added to it: correct it, or name another queue"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:eu-west-1:111122223333:triage";

    fn topic(name: &str) -> Arn {
        format!("arn:aws:sns:eu-west-1:111122223333:{name}").parse().unwrap()
    }

    #[test]
    fn only_the_topic_may_send() {
        let text = allowing(None, &topic("alerts"), QUEUE).unwrap().unwrap();
        let policy: Value = serde_json::from_str(&text).unwrap();
        let [statement] = policy["Statement"].as_array().unwrap().as_slice() else { panic!("{policy}") };
        assert_eq!(statement["Condition"]["ArnEquals"]["aws:SourceArn"], topic("alerts").to_string());
        assert_eq!(statement["Principal"], json!({ "Service": "sns.amazonaws.com" }));
        assert_eq!((&statement["Action"], &statement["Resource"]), (&json!("sqs:SendMessage"), &json!(QUEUE)));
        assert_eq!(allowing(Some(&text), &topic("alerts"), QUEUE), Ok(None), "twice is once");
    }

    #[test]
    fn statements_of_others_stay() {
        let other = json!({ "Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*" });
        for statements in [other.clone(), json!([other])] {
            let policy = json!({ "Version": "2012-10-17", "Id": "x", "Statement": statements }).to_string();
            let first = allowing(Some(&policy), &topic("alerts"), QUEUE).unwrap().unwrap();
            let both = allowing(Some(&first), &topic("other"), QUEUE).unwrap().unwrap();
            let both: Value = serde_json::from_str(&both).unwrap();
            let all = both["Statement"].as_array().unwrap();
            assert_eq!((all.len(), &all[0], &both["Id"]), (3, &other, &json!("x")));
        }
    }

    #[test]
    fn a_statement_that_was_changed_is_replaced() {
        let text = allowing(None, &topic("alerts"), QUEUE).unwrap().unwrap();
        let changed = text.replace("sqs:SendMessage", "sqs:*");
        assert_eq!(allowing(Some(&changed), &topic("alerts"), QUEUE), Ok(Some(text)));
    }

    #[test]
    fn what_is_no_policy_is_left_alone() {
        for text in ["{", "[]", "{}", "{\"Statement\":1}"] {
            assert!(allowing(Some(text), &topic("alerts"), QUEUE).unwrap_err().contains("cannot be read"), "{text}");
        }
    }
}
