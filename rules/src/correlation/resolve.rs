//! Drafts → correlations: what their references mean, in which order they are evaluated, and which rules they silence.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::compile::{Asked, Draft};
use super::formula::condition;
use super::names::{fields, grouped, mapped};
use super::{Correlation, Correlations, Part};
use crate::facts::distance;
use crate::rule::{self, Rule};
use crate::ruleset::Problem;
use crate::severity::Severity;

/// What a reference may mean beside a correlation.
pub(crate) struct Known<'r> {
    /// The rules that are fine.
    pub(crate) rules: &'r [Arc<Rule>],
    /// Ids and names of rules for other products, which are left out: a correlation over them is left out, too.
    pub(crate) foreign: &'r BTreeSet<String>,
}

/// What became of the drafts.
#[derive(Default)]
pub(crate) struct Resolved {
    pub(crate) correlations: Correlations,
    pub(crate) problems: Vec<Problem>,
    /// Correlations over rules for other products, by file and title.
    pub(crate) foreign: Vec<(String, String)>,
}

/// What an id or a name refers to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Rule(usize),
    Correlation(usize),
}

/// Looks up all references.
pub(crate) fn resolve(drafts: &[Draft<'_>], known: &Known<'_>) -> Resolved {
    let mut resolved = Resolved::default();
    let names = names(drafts, known);
    let mut linked: BTreeMap<usize, Vec<Target>> = BTreeMap::new();
    let mut foreign = BTreeSet::new();
    for (at, draft) in drafts.iter().enumerate() {
        match link(draft, &names, known) {
            Ok(Some(targets)) => drop(linked.insert(at, targets)),
            Ok(None) => {
                foreign.insert(at);
            }
            Err((word, message)) => {
                let line = draft.document.line_of_reference(&word);
                resolved.problems.push(Problem { file: draft.file.clone(), line, message });
            }
        }
    }
    // What lists a correlation that is left out is left out with it.
    while let Some(at) = linked.iter().find(|(_, targets)| lists(targets, &foreign)).map(|(at, _)| *at) {
        linked.remove(&at);
        foreign.insert(at);
    }
    resolved.foreign = foreign.iter().map(|at| (drafts[*at].file.clone(), drafts[*at].parsed.title.clone())).collect();
    let (done, order) = finish_all(drafts, &mut linked, known, &mut resolved.problems);
    for at in linked.keys() {
        let message = match circle(*at, &linked, drafts) {
            Some(circle) => format!("it refers to itself: {circle}; take one of these references out"),
            None => "it lists a correlation that is not fine itself: mend that one first".to_owned(),
        };
        let message = format!("{:?}: {message}", drafts[*at].parsed.title);
        resolved.problems.push(problem(&drafts[*at], "rules:", message));
    }
    resolved.correlations = Correlations::new(&done, &order, known.rules);
    resolved
}

fn lists(targets: &[Target], these: &BTreeSet<usize>) -> bool {
    targets.iter().any(|target| matches!(target, Target::Correlation(at) if these.contains(at)))
}

/// Takes drafts whose inner correlations are finished, until none is left that could be: inner ones first. What never gets
/// its turn stands in a circle, or lists one that is not fine.
fn finish_all(
    drafts: &[Draft<'_>],
    linked: &mut BTreeMap<usize, Vec<Target>>,
    known: &Known<'_>,
    problems: &mut Vec<Problem>,
) -> (BTreeMap<usize, Arc<Correlation>>, Vec<usize>) {
    let mut done: BTreeMap<usize, Arc<Correlation>> = BTreeMap::new();
    let mut order = Vec::new();
    loop {
        let ready = |targets: &Vec<Target>| {
            targets.iter().all(|target| match target {
                Target::Rule(_) => true,
                Target::Correlation(inner) => done.contains_key(inner),
            })
        };
        let Some(at) = linked.iter().find(|(_, targets)| ready(targets)).map(|(at, _)| *at) else {
            return (done, order);
        };
        let targets = linked.remove(&at).unwrap_or_default();
        match finish(&drafts[at], &targets, known, &done) {
            Ok(correlation) => {
                done.insert(at, Arc::new(correlation));
                order.push(at);
            }
            Err((key, message)) => problems.push(problem(&drafts[at], key, message)),
        }
    }
}

fn problem(draft: &Draft<'_>, key: &str, message: String) -> Problem {
    Problem { file: draft.file.clone(), line: draft.document.line_with(key), message }
}

/// What each id and name refers to.
fn names(drafts: &[Draft<'_>], known: &Known<'_>) -> HashMap<String, Vec<Target>> {
    let mut names: HashMap<String, Vec<Target>> = HashMap::new();
    let mut add = |word: &Option<String>, target| {
        if let Some(word) = word {
            let targets = names.entry(word.clone()).or_default();
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    };
    for (at, rule) in known.rules.iter().enumerate() {
        add(&Some(rule.id.clone()), Target::Rule(at));
        add(&rule.name, Target::Rule(at));
    }
    for (at, draft) in drafts.iter().enumerate() {
        add(&draft.parsed.id, Target::Correlation(at));
        add(&draft.parsed.name, Target::Correlation(at));
    }
    names
}

/// What a draft's references mean; `None` if one means a rule for another product.
///
/// # Errors
/// The reference, and what is wrong with it.
fn link(
    draft: &Draft<'_>,
    names: &HashMap<String, Vec<Target>>,
    known: &Known<'_>,
) -> Result<Option<Vec<Target>>, (String, String)> {
    let mut targets = Vec::new();
    for word in &draft.parsed.rules {
        match names.get(word).map(Vec::as_slice) {
            Some([one]) => targets.push(*one),
            Some(several) => {
                let message = format!("{} rules are called `{word}`: refer to one by its id", several.len());
                return Err((word.clone(), message));
            }
            None if known.foreign.contains(word) => return Ok(None),
            None => {
                let nearest = names.keys().min_by_key(|name| (distance(name, word), (*name).clone()));
                let hint = nearest.map_or(String::new(), |nearest| format!(": did you mean `{nearest}`?"));
                return Err((word.clone(), format!("no rule has the id or name `{word}`{hint}")));
            }
        }
    }
    Ok(Some(targets))
}

/// The way from a draft back to itself, by titles.
fn circle(from: usize, linked: &BTreeMap<usize, Vec<Target>>, drafts: &[Draft<'_>]) -> Option<String> {
    let mut ways = vec![vec![from]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for target in way.last().and_then(|at| linked.get(at)).into_iter().flatten() {
            match target {
                Target::Correlation(at) if *at == from => {
                    let titles = way.iter().chain([at]).map(|at| format!("{:?}", drafts[*at].parsed.title));
                    return Some(titles.collect::<Vec<_>>().join(" → "));
                }
                Target::Correlation(at) if seen.insert(*at) => ways.push(way.iter().copied().chain([*at]).collect()),
                _ => {}
            }
        }
    }
    None
}

/// The parts of a correlation, and the techniques and tactics of all of them.
struct Parts {
    list: Vec<Part>,
    techniques: Vec<String>,
    tactics: Vec<String>,
}

fn parts(
    draft: &Draft<'_>,
    targets: &[Target],
    known: &Known<'_>,
    done: &BTreeMap<usize, Arc<Correlation>>,
) -> Result<Parts, (&'static str, String)> {
    let (techniques, tactics) = rule::attack(&draft.parsed.tags);
    let mut parts = Parts { list: Vec::new(), techniques, tactics };
    for (target, written) in targets.iter().zip(&draft.parsed.rules) {
        let (id, name, inner, techniques, tactics) = match target {
            Target::Rule(at) => {
                let rule = &known.rules[*at];
                (&rule.id, rule.name.as_ref(), None, &rule.techniques, &rule.tactics)
            }
            Target::Correlation(at) => {
                let inner = &done[at];
                (&inner.id, inner.name.as_ref(), Some(inner), &inner.techniques, &inner.tactics)
            }
        };
        parts.techniques.extend(techniques.iter().cloned());
        parts.tactics.extend(tactics.iter().cloned());
        if !matches!(draft.asked, Asked::Ordered) && parts.list.iter().any(|part| part.id == *id) {
            continue;
        }
        let fields = fields(&draft.parsed.aliases, &[Some(id), name], written, inner.is_some())?;
        let part = Part { id: id.clone(), written: written.clone(), is_correlation: inner.is_some(), fields };
        if let Some(inner) = inner {
            grouped(draft, &part, inner)?;
        }
        parts.list.push(part);
    }
    for list in [&mut parts.techniques, &mut parts.tactics] {
        list.sort();
        list.dedup();
    }
    mapped(&draft.parsed.aliases, &parts.list, known, done)?;
    Ok(parts)
}

/// A draft whose references are all known.
fn finish(
    draft: &Draft<'_>,
    targets: &[Target],
    known: &Known<'_>,
    done: &BTreeMap<usize, Arc<Correlation>>,
) -> Result<Correlation, (&'static str, String)> {
    let Parts { list: parts, techniques, tactics } = parts(draft, targets, known, done)?;
    let parsed = &draft.parsed;
    let condition = condition(&draft.asked, &parts).map_err(|message| ("condition:", message))?;
    Ok(Correlation {
        id: draft.id(),
        has_own_id: parsed.id.is_some(),
        name: parsed.name.clone(),
        title: parsed.title.clone(),
        description: parsed.description.clone().unwrap_or_default(),
        severity: parsed.level.map_or(Severity::Medium, rule::severity),
        has_own_level: parsed.level.is_some(),
        status: parsed.status.map(rule::status),
        tags: parsed.tags.clone(),
        techniques,
        tactics,
        false_positives: parsed.falsepositives.clone(),
        references: parsed.references.clone(),
        remediation: draft.remediation.clone(),
        file: draft.file.clone(),
        line: draft.document.line,
        parts,
        group_by: draft.group_by.clone(),
        timespan: draft.timespan,
        condition,
        generate: parsed.generate,
    })
}
