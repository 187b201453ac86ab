//! `dial findings show`.

use comfy_table::Cell;
use dial_rules::addresses::{AddressContext, AddressKind};
use dial_rules::assessment::Assessment;
use dial_rules::context::{Context, Reputation};
use dial_rules::correlation::Correlation;
use dial_rules::finding::{Evidence, Finding};
use dial_rules::lineage::Resolved;
use dial_rules::policy::{Disposition, Policy, Written};
use dial_rules::ruleset::RuleSet;
use dial_rules::tables::Tables;
use dial_sinks::filter::{FindingFilter, MAX_LIMIT};
use dial_sinks::store::FindingStore;
use serde::Serialize;

use super::incident::{self, Incident, OfIncident};
use crate::alerting::standing::{Standing, standings};
use crate::cli::FindingsShow;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, clock, plain};
use crate::rule_files::Governed;
use crate::settings::Settings;
use crate::{context, rule_files, stores, story};

pub(super) async fn show(args: FindingsShow, settings: &Settings, output: &Output) -> Result<Outcome> {
    let (rules, policy) = match rule_files::in_force(&[], settings) {
        Ok(Governed { rules, policy, .. }) => (Some(rules), policy),
        // A finding can be shown without what its rule says.
        Err(_) if settings.policy == Written::default() => (None, Policy::default()),
        Err(failure) => return Err(failure),
    };
    let store = stores::findings(settings, args.data.data.as_deref()).await?;
    let found = match &store {
        Some(store) => find(store.as_ref(), &args.id).await?,
        None => None,
    };
    let assessor = context::to_show(policy, settings, args.data.data.as_deref(), true).await?;
    let assessed = assessor.assess(found.into_iter().collect()).await;
    let (Some(store), Some(assessment)) = (&store, assessed.into_iter().next()) else {
        return Err(Failure::Usage(format!("there is no finding {}: see `dial findings list`", plain(&args.id))));
    };
    let Incident { name, others } = Incident::of(&assessment.finding, store.as_ref()).await?;
    let alerts = standings(store.as_ref(), &assessment.finding.finding_id).await?;
    if output.is_json() {
        output.json(&Whole { finding: OfIncident { assessment: &assessment, incident: name }, alerts })?;
    } else {
        let tables = &assessor.enricher().live().now();
        let shown = Shown { assessment: &assessment, alerts: &alerts, rules: rules.as_ref(), tables };
        shown.describe(&others, output)?;
    }
    Ok(Outcome::Fine)
}

/// The finding with this id, or the only one whose id begins so.
async fn find(store: &dyn FindingStore, id: &str) -> Result<Option<Finding>> {
    if let Some(finding) = store.get(id).await? {
        return Ok(Some(finding));
    }
    let mut matching: Vec<Finding> = Vec::new();
    let mut filter = FindingFilter { limit: MAX_LIMIT, ..FindingFilter::default() };
    loop {
        let page = store.list(&filter).await?;
        matching.extend(page.findings.into_iter().filter(|finding| finding.finding_id.starts_with(id)));
        if matching.len() > 1 {
            return Err(Failure::Usage(format!("several findings' ids begin with {}: write more of it", plain(id))));
        }
        match page.next {
            Some(next) => filter.cursor = Some(next),
            None => return Ok(matching.pop()),
        }
    }
}

/// What is shown, as JSON.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    finding: OfIncident<'a>,
    /// Left out of one that nobody is told of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alerts: Vec<Standing>,
}

/// What is shown, and what is needed to say it in words.
struct Shown<'a> {
    assessment: &'a Assessment,
    alerts: &'a [Standing],
    rules: Option<&'a RuleSet>,
    tables: &'a Tables,
}

impl Shown<'_> {
    fn describe(&self, others: &[Finding], output: &Output) -> Result<()> {
        let Assessment { finding, context, disposition } = self.assessment;
        output.finding_line(self.assessment)?;
        let line = |name: &str, value: &str| output.line(&format!("  {name:<11} {}", plain(value)));
        let lines = content(finding).into_iter().chain(self.correlated()).chain(around(context));
        let alerted = self.alerts.iter().map(|standing| ("alerted", standing.words(clock)));
        for (name, value) in lines.chain(judged(disposition)).chain(alerted) {
            line(name, &value)?;
        }
        if story::is_correlated(finding) {
            self.story(output)?;
        } else {
            finding.evidence.iter().try_for_each(|evidence| output.line(&evidence_line(evidence)))?;
        }
        incident::tell(others, output)?;
        for (title, text) in self.advice() {
            output.line(&format!("\n{title}"))?;
            for paragraph in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
                output.line(&format!("  {}", plain(paragraph)))?;
            }
        }
        Ok(())
    }

    fn correlation(&self) -> Option<&Correlation> {
        self.rules?.correlations().get(&self.assessment.finding.rule_id).map(AsRef::as_ref)
    }

    /// What only a correlated finding has: its group and its conditions.
    fn correlated(&self) -> Vec<(&'static str, String)> {
        let finding = &self.assessment.finding;
        if !story::is_correlated(finding) {
            return Vec::new();
        }
        let words = |(name, value): (&String, &String)| ("group", story::group_words(name, value, self.tables));
        let group = finding.group.iter().map(words);
        group.chain([("met", story::conditions(finding, self.correlation()))]).collect()
    }

    /// The timeline.
    fn story(&self, output: &Output) -> Result<()> {
        let finding = &self.assessment.finding;
        output.line("\nWhat happened")?;
        let rows = story::rows(story::timeline(finding, self.rules, self.tables));
        output.table(&story::COLUMNS, rows.into_iter().map(|row| row.into_iter().map(Cell::new).collect()))?;
        story::remarks(finding).iter().try_for_each(|remark| output.line(&format!("  {remark}")))
    }

    /// What the rule in force says to whoever looks at it.
    fn advice(&self) -> Vec<(&'static str, String)> {
        let id = &self.assessment.finding.rule_id;
        let rule = self.rules.into_iter().flat_map(|rules| rules.rules().iter().chain(rules.disabled()));
        let (means, to_do, harmless) = match (self.correlation(), rule.into_iter().find(|rule| rule.id == *id)) {
            (Some(correlation), _) => {
                (&correlation.description, &correlation.remediation, &correlation.false_positives)
            }
            (None, Some(rule)) => (&rule.description, &rule.remediation, &rule.false_positives),
            (None, None) => return Vec::new(),
        };
        let harmless = harmless.iter().map(|text| format!("- {text}")).collect::<Vec<_>>().join("\n");
        let all = [
            ("What it means", means.clone()),
            ("What to do", to_do.clone().unwrap_or_default()),
            ("Harmless if", harmless),
        ];
        all.into_iter().filter(|(_, text)| !text.trim().is_empty()).collect()
    }
}

fn evidence_line(evidence: &Evidence) -> String {
    let Evidence { event_source, event_name, event_id, .. } = evidence;
    let about = evidence.target.as_deref().map(|target| format!("  {}", plain(target))).unwrap_or_default();
    let [source, name, id] = [event_source, event_name, event_id].map(|text| plain(text));
    format!("  {}  {source} {name}{about}  {id}", clock(evidence.event_time))
}

/// What was recorded.
fn content(finding: &Finding) -> Vec<(&'static str, String)> {
    let subject = &finding.subject;
    let lines = [
        ("finding", Some(finding.finding_id.clone())),
        ("rule", Some(finding.rule_id.clone())),
        ("techniques", Some(subject.techniques.join(" ")).filter(|text| !text.is_empty())),
        ("actor", subject.actor.clone()),
        ("arn", subject.actor_arn.clone()),
        ("from", subject.source_ip.clone()),
        ("account", subject.account_id.clone()),
        ("region", subject.region.clone()),
        ("first seen", Some(clock(finding.first_seen))),
        ("last seen", Some(clock(finding.last_seen))),
        ("events", Some(finding.event_count_text())),
    ];
    lines.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// What is known beside it.
fn around(context: &Context) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(account) = &context.account {
        let tags = account.tags.iter().map(|(key, value)| format!("{key}={value}"));
        let parts = account.name.iter().chain(&account.environment).chain(&account.ou).cloned().chain(tags);
        lines.push(("is", parts.collect::<Vec<_>>().join("  ")));
    }
    lines.extend(context.address.as_ref().map(|address| ("place", place(address))));
    if let Some(reputation) = &context.reputation {
        let Reputation { abuse_confidence_score, total_reports, usage_type, isp } = reputation;
        let score = format!("abuse confidence {abuse_confidence_score} in 100, {total_reports} reports");
        let parts = [Some(score), usage_type.clone(), isp.clone()];
        lines.push(("reputation", parts.into_iter().flatten().collect::<Vec<_>>().join("  ")));
    }
    lines.extend(told(context).map(|told| ("behind it", told)));
    lines.extend(context.missing.iter().map(|missing| ("missing", format!("{}: {}", missing.part, missing.reason))));
    lines.retain(|(_, text)| !text.is_empty());
    lines
}

/// Where an address is, whose it is, and what else tables say of it.
fn place(address: &AddressContext) -> String {
    let kind = match address.kind {
        AddressKind::Public => None,
        AddressKind::Private => Some("a private address".to_owned()),
        AddressKind::Documentation => Some("an address for examples only".to_owned()),
        AddressKind::Reserved => Some("an address that nobody can call from".to_owned()),
        AddressKind::Service => Some("an AWS service".to_owned()),
        AddressKind::Malformed => Some("neither an address nor a service".to_owned()),
    };
    let network = match (address.asn, &address.network) {
        (Some(asn), Some(network)) => Some(format!("AS{asn} {network}")),
        (Some(asn), None) => Some(format!("AS{asn}")),
        (None, network) => network.clone(),
    };
    let aws = address.aws_service.as_ref().map(|service| {
        let region = address.aws_region.as_deref().unwrap_or_default();
        format!("AWS {service} {region}").trim_end().to_owned()
    });
    let tor = address.tor_exit.filter(|is_exit| *is_exit).map(|_| "a Tor exit".to_owned());
    let lists = (!address.lists.is_empty()).then(|| format!("on your lists: {}", address.lists.join(", ")));
    let parts = [kind, address.city.clone(), address.country.clone(), network, aws, tor, lists];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

/// The person and the way from there to the caller, as far as it is known.
pub(super) fn told(context: &Context) -> Option<String> {
    Resolved { lineage: context.lineage.clone(), chain: context.chain.clone(), cut: false }.told()
}

/// What the policy makes of it.
fn judged(disposition: &Disposition) -> Vec<(&'static str, String)> {
    let why = disposition.by.as_ref().map(|entry| format!(": {}, by {}", entry.words(), entry.entry));
    let status = ("status", format!("{}{}", disposition.status, why.unwrap_or_default()));
    let adjusted = disposition.adjusted.iter().map(|words| ("severity", words.clone()));
    [status].into_iter().chain(adjusted).collect()
}
