//! Files of rules → a rule set, or the problems that keep it from being one.

use std::fs;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use dial_rules::pack::{self, TEST_SUFFIX};
use dial_rules::policy::routing::Routing;
use dial_rules::policy::rule_names::RuleNames;
use dial_rules::policy::{Policy, Written};
use dial_rules::ruleset::{Loaded, Problem, RuleFile, RuleSet};
use dial_rules::tables::Tables;

use crate::failure::{Failure, Result};
use crate::settings::Settings;

/// Rules in force, what to think of what they find, and where that goes.
pub(crate) struct Governed {
    pub(crate) rules: RuleSet,
    pub(crate) policy: Policy,
    pub(crate) routing: Routing,
}

/// The files of rules at some paths.
pub(crate) struct Files {
    pub(crate) rules: Vec<RuleFile>,
    /// The tests that lie beside them.
    pub(crate) tests: Vec<RuleFile>,
    /// What keeps others of these files from being read as text.
    unreadable: Vec<Problem>,
}

impl Files {
    pub(crate) fn are_none(&self) -> bool {
        self.rules.is_empty() && self.unreadable.is_empty()
    }

    /// How many files of rules there are, readable or not.
    pub(crate) fn count(&self) -> usize {
        self.rules.len() + self.unreadable.iter().filter(|problem| !problem.file.ends_with(TEST_SUFFIX)).count()
    }

    /// The rules in them, and all problems in the order of the files.
    pub(crate) fn load(&self) -> Loaded {
        self.load_with(&Tables::default())
    }

    fn load_with(&self, tables: &Tables) -> Loaded {
        let mut loaded = RuleSet::load_with(&self.rules, tables.clone());
        loaded.problems.extend(self.unreadable.iter().cloned());
        loaded.problems.sort_by(|a, b| a.file.cmp(&b.file));
        loaded
    }
}

/// The files at these paths; the built-in packs' when there are no paths.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Files> {
    if paths.is_empty() {
        return Ok(Files { rules: pack::rules(), tests: pack::tests(), unreadable: Vec::new() });
    }
    let mut found = Vec::new();
    for path in paths {
        collect(path, true, &mut found)?;
    }
    found.sort();
    found.dedup();
    let (mut files, mut unreadable) = (Vec::new(), Vec::new());
    for path in found {
        let bytes = fs::read(&path).map_err(|error| Failure::outside(path.display(), error))?;
        let name = path.display().to_string();
        match String::from_utf8(bytes) {
            Ok(text) => files.push(RuleFile { name, text }),
            Err(error) => unreadable.push(not_text(name, &error)),
        }
    }
    let (rules, tests) = files.into_iter().partition(|file| !file.name.ends_with(TEST_SUFFIX));
    Ok(Files { rules, tests, unreadable })
}

fn not_text(file: String, error: &FromUtf8Error) -> Problem {
    let good = error.utf8_error().valid_up_to();
    let line = 1 + error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count();
    Problem { file, line, message: format!("byte {good} of the file is not UTF-8: save the file as UTF-8") }
}

/// What the rules at these paths are called; `None` when they cannot be read.
pub(crate) fn names(paths: &[PathBuf]) -> Option<RuleNames> {
    read(paths).ok().map(|files| names_in(&files.load().rules))
}

/// What rules and correlations are called.
pub(crate) fn names_in(rules: &RuleSet) -> RuleNames {
    RuleNames::of(rules.rules()).and(rules.correlations().iter())
}

/// The rules in force, with the policy and the routes over them: those of `named` if there are any, else those of the settings; without
/// the disabled ones.
///
/// # Errors
/// As [`load`]; and every name in policy and routes that is no rule's, unless other rules than the settings' were named.
pub(crate) fn in_force(named: &[PathBuf], settings: &Settings) -> Result<Governed> {
    governed(named, settings, |paths| load(paths, &settings.facts))
}

/// The same to evaluate with these tables, and those that follow them: the rule set keeps none but the settings' facts, so
/// that a table which is replaced leaves memory.
///
/// # Errors
/// As [`in_force`]; and rules that ask what no table can answer.
pub(crate) fn to_evaluate(named: &[PathBuf], settings: &Settings, tables: &Tables) -> Result<Governed> {
    governed(named, settings, |paths| {
        let rules = load(paths, tables)?;
        answerable(&rules, settings)?;
        Ok(rules.with_tables(settings.facts.clone()))
    })
}

fn governed(
    named: &[PathBuf],
    settings: &Settings,
    load: impl FnOnce(&[PathBuf]) -> Result<RuleSet>,
) -> Result<Governed> {
    let (paths, own) = if named.is_empty() { (&settings.rules.paths[..], true) } else { (named, false) };
    let rules = load(paths)?;
    let names = names_in(&rules);
    let names = if own { names } else { names.lenient() };
    let policy = settings.policy(&names).map_err(Failure::Usage)?;
    let routing = settings.routing(&names).map_err(Failure::Usage)?;
    Ok(Governed { rules: rules.without(policy.disabled()), policy, routing })
}

/// The policy over the settings' rules, which are read only if there is one.
///
/// # Errors
/// As [`in_force`].
pub(crate) fn policy(settings: &Settings) -> Result<Policy> {
    match settings.policy == Written::default() {
        true => Ok(Policy::default()),
        false => in_force(&[], settings).map(|governed| governed.policy),
    }
}

/// A rule set to work with, whose facts know what the tables say.
///
/// # Errors
/// Names every problem: a rule that cannot be loaded stops the start, because what it should find would go unnoticed.
pub(crate) fn load(paths: &[PathBuf], tables: &Tables) -> Result<RuleSet> {
    let files = read(paths)?;
    let Loaded { rules, problems, foreign } = files.load_with(tables);
    if !problems.is_empty() {
        let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
        return Err(Failure::Usage(format!("rules cannot be loaded:\n  {}", list.join("\n  "))));
    }
    if rules.rules().is_empty() {
        return Err(Failure::Usage(format!(
            "no rules for `product: aws` in {} files: name a folder of Sigma rules, or leave --rules out for the built-in packs",
            files.count()
        )));
    }
    if !foreign.is_empty() {
        tracing::warn!(count = foreign.len(), "rules for other products than AWS are left out");
    }
    Ok(rules)
}

/// That the rules' tables can tell what the rules ask.
///
/// # Errors
/// Every rule that asks for more, with the setting that is to be written.
pub(crate) fn answerable(rules: &RuleSet, settings: &Settings) -> Result<()> {
    let problems: Vec<String> = rules.unanswerable().iter().map(ToString::to_string).collect();
    if !problems.is_empty() {
        return Err(Failure::Usage(format!("rules cannot be evaluated:\n  {}", problems.join("\n  "))));
    }
    let tell = |(table, fault): (&str, String)| {
        let path = format!("facts.{table}");
        format!("{}: `{path}`: {fault}", settings.place(&path))
    };
    let faults: Vec<String> = rules.tables().unanswerable().into_iter().map(tell).collect();
    if faults.is_empty() { Ok(()) } else { Err(Failure::Usage(faults.join("\n  "))) }
}

fn collect(path: &Path, named: bool, found: &mut Vec<PathBuf>) -> Result<()> {
    let fail = |error: std::io::Error| match (named, error.kind()) {
        (true, std::io::ErrorKind::NotFound) => {
            Failure::Usage(format!("{}: there is no such file or folder", path.display()))
        }
        _ => Failure::outside(path.display(), error),
    };
    if !fs::metadata(path).map_err(fail)?.is_dir() {
        let is_yaml = path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
        if named || is_yaml {
            found.push(path.to_owned());
        }
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        // A link to a folder may lead round in a circle.
        let is_link = entry.file_type().map_err(fail)?.is_symlink();
        if !(is_link && entry.path().is_dir()) {
            collect(&entry.path(), false, found)?;
        }
    }
    Ok(())
}
