//! `dial rules list`; the others have files of their own.

use std::path::PathBuf;

use comfy_table::Cell;
use dial_rules::policy::{Policy, Written};
use dial_rules::rule::Rule;
use dial_rules::ruleset::Loaded;
use dial_rules::severity::Severity;
use serde_json::json;

use super::correlations;
use crate::cli::{RuleArgs, RuleFields, RuleList, Rules};
use crate::clock;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, note, plain, severity_cell};
use crate::rule_files::{self, Files};
use crate::settings::Settings;

pub(crate) async fn run(command: Rules, settings: &Settings, output: &Output) -> Result<Outcome> {
    match command {
        Rules::Check(args) => {
            read(&args.paths.paths, settings).and_then(|files| super::rule_check::run(&files, args.strict, output))
        }
        Rules::Test(args) => {
            read(&args.paths.paths, settings).and_then(|files| super::rule_tests::run(&files, &args, output))
        }
        Rules::List(args) => read(&args.paths.paths, settings).and_then(|files| list(&files, &args, settings, output)),
        Rules::Staged(args) => super::rule_staged::run(&args, settings, output).await,
        Rules::New(args) => super::rule_new::run(&args, output),
        Rules::Explain(args) => super::explain::run(&args, settings, output).await,
        Rules::Coverage(args) => super::coverage::run(&args, settings, output),
        Rules::Fields(RuleFields { text }) => super::rule_fields::list(text.as_deref().unwrap_or_default(), output),
        Rules::Patterns(RuleArgs { rules }) => super::patterns::run(&rules, settings, output),
    }
}

fn read(paths: &[PathBuf], settings: &Settings) -> Result<Files> {
    let files = rule_files::read(if paths.is_empty() { &settings.rules.paths } else { paths })?;
    if files.are_none() {
        return Err(Failure::Usage("there are no .yml files with rules there".to_owned()));
    }
    Ok(files)
}

fn list(files: &Files, args: &RuleList, settings: &Settings, output: &Output) -> Result<Outcome> {
    let Loaded { rules, problems, .. } = files.load();
    let names = || rule_files::names_in(&rules);
    let own = args.paths.paths.is_empty() && problems.is_empty();
    let (policy, mistakes) = match settings.policy(&if own { names() } else { names().lenient() }) {
        Ok(policy) => (policy, None),
        // The list is where the right names are: it comes all the same, and the mistakes after it.
        Err(mistakes) => (settings.policy(&names().lenient()).unwrap_or_default(), Some(mistakes)),
    };
    let chosen = || rules.rules().iter().filter(|rule| is_listed(rule, args));
    let correlated = || rules.correlations().iter().map(AsRef::as_ref).filter(|one| correlations::is_listed(one, args));
    if output.is_json() {
        for rule in chosen() {
            let mut line = as_json(rule, &policy);
            line["makes_findings"] = rules.correlations().makes_findings(&rule.id).into();
            output.json(&line)?;
        }
        for correlation in correlated() {
            let mut line = correlations::as_json(correlation);
            line["policy"] = state(&correlation.id, &policy).into();
            line["makes_findings"] = rules.correlations().makes_findings(&correlation.id).into();
            output.json(&line)?;
        }
    } else {
        let mut sorted: Vec<_> = chosen().collect();
        sorted.sort_by_key(|rule| (std::cmp::Reverse(rule.severity), rule.title.clone()));
        let rows = sorted.into_iter().map(|rule| {
            vec![
                severity_cell(rule.severity),
                Cell::new(plain(&rule.title)),
                Cell::new(rule.techniques.join(" ")),
                Cell::new(rule.service.as_deref().unwrap_or("any")),
                Cell::new(state(&rule.id, &policy).unwrap_or_default()),
                Cell::new(&rule.id),
            ]
        });
        // Without a policy there is nothing to say in its column.
        let silent = settings.policy == Written::default();
        let titles = ["severity", "rule", "techniques", "events", "policy", "id"];
        let without =
            |row: Vec<Cell>| row.into_iter().enumerate().filter(|(at, _)| *at != 4).map(|(_, cell)| cell).collect();
        match silent {
            true => output.table(&[&titles[..4], &titles[5..]].concat(), rows.map(without))?,
            false => output.table(&titles, rows)?,
        }
        correlations::table(correlated(), output)?;
    }
    for problem in &problems {
        note(&format!("error: {problem}"));
    }
    if let Some(mistakes) = mistakes {
        return Err(Failure::Usage(mistakes));
    }
    Ok(if problems.is_empty() { Outcome::Fine } else { Outcome::Found })
}

fn is_listed(rule: &Rule, args: &RuleList) -> bool {
    let traits = Traits {
        severity: rule.severity,
        tags: &rule.tags,
        techniques: &rule.techniques,
        service: rule.service.as_deref(),
        status: rule.status.as_deref(),
    };
    traits.fit(args)
}

/// What the options of `dial rules list` pick rules and correlations by.
pub(super) struct Traits<'r> {
    pub(super) severity: Severity,
    pub(super) tags: &'r [String],
    pub(super) techniques: &'r [String],
    pub(super) service: Option<&'r str>,
    pub(super) status: Option<&'r str>,
}

impl Traits<'_> {
    pub(super) fn fit(&self, args: &RuleList) -> bool {
        let wants = |wanted: &Option<String>, has: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(has);
        let is = |text: Option<&str>, wanted: &str| text.is_some_and(|text| text.eq_ignore_ascii_case(wanted));
        let tagged = |wanted: &str| {
            let same = |tag: &String| {
                let name = tag.split_once('.').map_or("", |(_, name)| name);
                tag.eq_ignore_ascii_case(wanted) || name.eq_ignore_ascii_case(wanted)
            };
            self.tags.iter().any(same)
        };
        let technique = |wanted: &str| {
            let wanted = wanted.to_ascii_uppercase();
            self.techniques.iter().any(|technique| {
                technique.strip_prefix(&wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        };
        self.severity >= args.level
            && wants(&args.tag, &tagged)
            && wants(&args.technique, &technique)
            && wants(&args.service, &|wanted| is(self.service, wanted))
            && wants(&args.status, &|wanted| is(self.status, wanted))
    }
}

/// What the policy says of the rule or correlation itself: `disabled`, `muted`, `staged until 2030-12-31`, `promoted since …`.
fn state(id: &str, policy: &Policy) -> Option<String> {
    if policy.disabled().contains(id) {
        return Some("disabled".to_owned());
    }
    if policy.is_muted(id) {
        return Some("muted".to_owned());
    }
    let trial = policy.trial(id)?;
    let word = if trial.until > clock::now() { "staged until" } else { "promoted since" };
    Some(format!("{word} {}", trial.until_text))
}

fn as_json(rule: &Rule, policy: &Policy) -> serde_json::Value {
    json!({
        "policy": state(&rule.id, policy),
        "id": rule.id, "title": rule.title, "severity": rule.severity, "service": rule.service,
        "status": rule.status, "tags": rule.tags,
        "techniques": rule.techniques, "tactics": rule.tactics, "description": rule.description,
        "remediation": rule.remediation, "false_positives": rule.false_positives, "references": rule.references,
        "file": rule.file, "line": rule.line,
    })
}
