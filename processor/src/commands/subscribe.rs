//! `dial subscribe`: a queue that gets a topic's alerts, or some of them.

mod cloud;
mod plan;
mod queue_policy;

use dial_rules::ruleset::RuleSet;
use dial_sinks::arn::Arn;
use dial_sinks::destinations::filter_policy::Interest;
use serde::Serialize;
use serde_json::Value;

use self::cloud::Cloud;
use self::plan::{Queue, Step, Wanted, check_name, steps};
use crate::cli::Subscribe;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, plain};
use crate::settings::Settings;
use crate::{aws, rule_files};

/// What was done, or would be, as JSON.
#[derive(Debug, Serialize)]
struct Report {
    topic: String,
    queue: String,
    region: String,
    /// The next three: none while it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription_arn: Option<String>,
    filter_policy: Value,
    steps: Vec<String>,
    applied: bool,
}

pub(crate) async fn run(args: Subscribe, settings: &Settings, output: &Output) -> Result<Outcome> {
    let topic = topic(&args, settings)?;
    check_name(&args.queue, &topic).map_err(|wrong| Failure::Usage(format!("--queue {wrong}")))?;
    let interest = Interest {
        min_severity: args.min_severity,
        kinds: args.kind.iter().map(|kind| (*kind).into()).collect(),
        rules: rule_ids(&args.rule, settings)?,
        accounts: args.account,
        techniques: args.technique,
    };
    let filter = interest.policy().map_err(Failure::Usage)?;
    let wanted = Wanted { topic, queue: args.queue, filter };
    let cloud = Cloud::new(&aws::config().await, &wanted.topic);
    cloud.check_topic(&wanted.topic).await?;
    let seen = cloud.look(&wanted).await?;
    let steps = steps(&wanted, &seen).map_err(Failure::Outside)?;
    let (mut queue, mut subscription) = (seen.queue, seen.subscription.map(|one| one.arn));
    if !args.dry_run {
        let there = match queue.take() {
            Some(queue) => queue,
            None => cloud.create(&wanted.queue).await?,
        };
        for step in &steps {
            subscription = cloud.take(step, &wanted, &there, subscription).await?;
        }
        queue = Some(there);
    }
    let report = report(wanted, queue, subscription, &steps, !args.dry_run);
    if output.is_json() {
        output.json(&report)?
    } else {
        print(&report, output)?
    }
    Ok(Outcome::Fine)
}

/// The topic, as it is named; else that of the only sink that is one.
fn topic(args: &Subscribe, settings: &Settings) -> Result<Arn> {
    let example = "arn:aws:sns:eu-west-1:111122223333:alerts";
    let of_sinks: Vec<&String> = settings.sinks.values().filter_map(|sink| sink.topic.as_ref()).collect();
    let topic = match (&args.topic, of_sinks.as_slice()) {
        (Some(topic), _) => topic,
        (None, [only]) => *only,
        (None, []) => {
            return Err(Failure::Usage(format!(
                "no topic is named: add --topic with the ARN of the topic that alerts are published to, such as {example}"
            )));
        }
        (None, several) => {
            let all = several.iter().map(|topic| topic.as_str()).collect::<Vec<_>>().join(", ");
            return Err(Failure::Usage(format!("the settings name several topics: add --topic with one of {all}")));
        }
    };
    Arn::of_service(topic, "sns", example).map_err(|wrong| Failure::Usage(format!("--topic {wrong}")))
}

/// The whole ids of the rules that are meant. A whole UUID needs no rule here: the rules in force may be elsewhere.
fn rule_ids(begins: &[String], settings: &Settings) -> Result<Vec<String>> {
    const WHOLE: usize = 36;
    if begins.iter().all(|id| id.len() == WHOLE) {
        return Ok(begins.to_vec());
    }
    let rules = rule_files::in_force(&[], settings)?.rules;
    begins
        .iter()
        .map(|begins| if begins.len() == WHOLE { Ok(begins.clone()) } else { rule_id(begins, &rules) })
        .collect()
}

/// The id of the only rule whose id begins so.
fn rule_id(begins: &str, rules: &RuleSet) -> Result<String> {
    let single = rules.rules().iter().map(|rule| rule.id.as_str());
    let correlated = rules.correlations().iter().map(|rule| rule.id.as_str());
    let mut found: Vec<&str> = single.chain(correlated).filter(|id| id.starts_with(begins)).collect();
    if found.contains(&begins) {
        found = vec![begins];
    }
    match found.as_slice() {
        [only] if !begins.is_empty() => Ok((*only).to_owned()),
        [] => Err(Failure::Usage(format!("no rule has the id {}: `dial rules list` shows them", plain(begins)))),
        _ => {
            Err(Failure::Usage(format!("several rules have ids that begin with {:?}: write more of it", plain(begins))))
        }
    }
}

fn report(
    wanted: Wanted,
    queue: Option<Queue>,
    subscription_arn: Option<String>,
    steps: &[Step],
    applied: bool,
) -> Report {
    let (queue_url, queue_arn) = queue.map(|queue| (queue.url, queue.arn)).unzip();
    Report {
        region: wanted.topic.region.clone(),
        topic: wanted.topic.to_string(),
        queue: wanted.queue,
        queue_url,
        queue_arn,
        subscription_arn,
        filter_policy: wanted.filter,
        steps: steps.iter().map(|step| step.words().to_owned()).collect(),
        applied,
    }
}

fn print(report: &Report, output: &Output) -> Result<()> {
    let Report { topic, queue, region, .. } = report;
    match (report.steps.as_slice(), report.applied) {
        ([], _) => output.line(&format!("{queue} is subscribed to {topic} already; nothing is to be done"))?,
        (steps, true) => {
            output.line(&format!("{queue} is subscribed to {topic}:"))?;
            steps.iter().try_for_each(|step| output.line(&format!("  done: {step}")))?;
        }
        (steps, false) => {
            output.line(&format!("To subscribe {queue} to {topic}:"))?;
            steps.iter().try_for_each(|step| output.line(&format!("  to do: {step}")))?;
        }
    }
    let everything = report.filter_policy.as_object().is_some_and(serde_json::Map::is_empty);
    let filter = if everything { "none, every alert passes".to_owned() } else { report.filter_policy.to_string() };
    output.line(&format!("\nFilter policy\n  {filter}"))?;
    let Some(url) = &report.queue_url else { return Ok(()) };
    output.line(&format!(
        "\nTo read it
  aws sqs receive-message --region {region} --queue-url {url} \\
    --max-number-of-messages 10 --wait-time-seconds 20 --message-attribute-names All
  A message's Body is the alert's JSON (docs/SCHEMA.md); delete each with `aws sqs delete-message` and its ReceiptHandle"
    ))?;
    let Some(subscription) = &report.subscription_arn else { return Ok(()) };
    output.line(&format!("\nTo end it\n  aws sns unsubscribe --region {region} --subscription-arn {subscription}"))
}
