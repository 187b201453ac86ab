//! Drafts → correlations: what their references mean, in which order they are evaluated, and which rules they silence.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rsigma_parser::{ConditionExpr, FieldAlias, Quantifier};

use super::compile::{Asked, Draft};
use super::{Condition, Correlation, Correlations, Formula, Part};
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
    for (at, draft) in drafts.iter().enumerate() {
        match link(draft, &names, known) {
            Ok(Some(targets)) => drop(linked.insert(at, targets)),
            Ok(None) => resolved.foreign.push((draft.file.clone(), draft.parsed.title.clone())),
            Err((key, message)) => resolved.problems.push(problem(draft, &key, message)),
        }
    }
    let mut done: BTreeMap<usize, Arc<Correlation>> = BTreeMap::new();
    let mut order = Vec::new();
    // Inner ones first. What never gets its turn stands in a circle, or on one that does.
    loop {
        let ready = |targets: &Vec<Target>| {
            targets.iter().all(|target| match target {
                Target::Rule(_) => true,
                Target::Correlation(inner) => done.contains_key(inner),
            })
        };
        let Some(at) = linked.iter().find(|(_, targets)| ready(targets)).map(|(at, _)| *at) else {
            break;
        };
        let targets = linked.remove(&at).unwrap_or_default();
        match finish(&drafts[at], &targets, known, &done) {
            Ok(correlation) => {
                done.insert(at, Arc::new(correlation));
                order.push(at);
            }
            Err((key, message)) => resolved.problems.push(problem(&drafts[at], key, message)),
        }
    }
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

/// A draft whose references are all known.
fn finish(
    draft: &Draft<'_>,
    targets: &[Target],
    known: &Known<'_>,
    done: &BTreeMap<usize, Arc<Correlation>>,
) -> Result<Correlation, (&'static str, String)> {
    let parsed = &draft.parsed;
    let mut parts: Vec<Part> = Vec::new();
    let (mut techniques, mut tactics) = rule::attack(&parsed.tags);
    for (target, written) in targets.iter().zip(&parsed.rules) {
        let (id, names, inner) = match target {
            Target::Rule(at) => {
                let rule = &known.rules[*at];
                techniques.extend(rule.techniques.iter().cloned());
                tactics.extend(rule.tactics.iter().cloned());
                (&rule.id, [Some(&rule.id), rule.name.as_ref()], None)
            }
            Target::Correlation(at) => {
                let inner = &done[at];
                techniques.extend(inner.techniques.iter().cloned());
                tactics.extend(inner.tactics.iter().cloned());
                (&inner.id, [Some(&inner.id), inner.name.as_ref()], Some(inner))
            }
        };
        if !matches!(draft.asked, Asked::Ordered) && parts.iter().any(|part| part.id == *id) {
            continue;
        }
        let fields = fields(&parsed.aliases, &names, written, inner.is_some())?;
        let part = Part { id: id.clone(), written: written.clone(), is_correlation: inner.is_some(), fields };
        if let Some(inner) = inner {
            grouped(draft, &part, inner)?;
        }
        parts.push(part);
    }
    for list in [&mut techniques, &mut tactics] {
        list.sort();
        list.dedup();
    }
    mapped(&parsed.aliases, &parts, known, done)?;
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

/// The field of one part that each alias stands for.
fn fields(
    aliases: &[FieldAlias],
    names: &[Option<&String>; 2],
    written: &String,
    is_correlation: bool,
) -> Result<Vec<(String, String)>, (&'static str, String)> {
    let mut fields = Vec::new();
    for alias in aliases {
        let field = names.iter().flatten().copied().chain([written]).find_map(|name| alias.mapping.get(name));
        match field {
            Some(field) => fields.push((alias.alias.clone(), field.clone())),
            // A correlation's own names of groups need no alias to pass through.
            None if is_correlation => {}
            None => {
                let message = format!(
                    "the alias `{}` says no field for the rule `{written}`, whose matches would never take part: add one",
                    alias.alias
                );
                return Err(("aliases:", message));
            }
        }
    }
    fields.sort();
    Ok(fields)
}

/// Refuses aliases that speak of rules which the correlation does not list.
fn mapped(
    aliases: &[FieldAlias],
    parts: &[Part],
    known: &Known<'_>,
    done: &BTreeMap<usize, Arc<Correlation>>,
) -> Result<(), (&'static str, String)> {
    let named = |id: &str| {
        let rule = known.rules.iter().find(|rule| rule.id == id).and_then(|rule| rule.name.as_deref());
        rule.or_else(|| done.values().find(|inner| inner.id == id)?.name.as_deref())
    };
    let words: Vec<&str> = parts.iter().flat_map(|part| [Some(part.id.as_str()), named(&part.id)]).flatten().collect();
    let mut unknown: Vec<&String> =
        aliases.iter().flat_map(|alias| alias.mapping.keys()).filter(|word| !words.contains(&word.as_str())).collect();
    unknown.sort();
    let Some(word) = unknown.first() else {
        return Ok(());
    };
    let nearest =
        parts.iter().min_by_key(|part| distance(&part.written, word)).map_or("", |part| part.written.as_str());
    Err((
        "aliases:",
        format!("an alias names `{word}`, which the correlation does not list: did you mean `{nearest}`?"),
    ))
}

/// A completion knows the values of its own group and nothing else of its events.
fn grouped(draft: &Draft<'_>, part: &Part, inner: &Correlation) -> Result<(), (&'static str, String)> {
    let counted = match &draft.asked {
        Asked::Values(fields, _) => fields.as_slice(),
        _ => &[],
    };
    for (key, name) in
        draft.group_by.iter().map(|name| ("group-by:", name)).chain(counted.iter().map(|name| ("condition:", name)))
    {
        let field = part.field(name);
        if !inner.group_by.iter().any(|own| own == field) {
            let message = format!(
                "{:?} is not grouped by `{field}`, and of a correlation nothing but its group is known: add `{field}` to \
                 its group-by, or leave it out here",
                inner.title
            );
            return Err((key, message));
        }
    }
    Ok(())
}

fn condition(asked: &Asked, parts: &[Part]) -> Result<Condition, String> {
    Ok(match asked {
        Asked::Events(at_least) => Condition::EventCount { at_least: *at_least },
        Asked::Values(fields, at_least) => Condition::ValueCount { fields: fields.clone(), at_least: *at_least },
        Asked::All => Condition::Temporal(Formula::AtLeast(parts.len(), (0..parts.len()).map(Formula::Part).collect())),
        Asked::Expression(expression) => Condition::Temporal(formula(expression, parts)?),
        Asked::Ordered => Condition::TemporalOrdered,
    })
}

fn formula(expression: &ConditionExpr, parts: &[Part]) -> Result<Formula, String> {
    let each = |list: &[ConditionExpr]| list.iter().map(|part| formula(part, parts)).collect::<Result<Vec<_>, _>>();
    Ok(match expression {
        ConditionExpr::And(list) => Formula::AtLeast(list.len(), each(list)?),
        ConditionExpr::Or(list) => Formula::AtLeast(1, each(list)?),
        ConditionExpr::Not(_) => {
            return Err("`not` can become false again when another event arrives, and events arrive late and in any \
                        order: what was found would depend on luck. Use `and` and `or`"
                .to_owned());
        }
        ConditionExpr::Identifier(name) => {
            let at = parts.iter().position(|part| part.written == *name || part.id == *name);
            Formula::Part(at.ok_or_else(|| format!("the condition names {name}, which `rules` does not list"))?)
        }
        ConditionExpr::Selector { quantifier, pattern } => {
            let matching =
                |(at, part): (usize, &Part)| pattern.matches_detection_name(&part.written).then_some(Formula::Part(at));
            let list: Vec<Formula> = parts.iter().enumerate().filter_map(matching).collect();
            let most = match quantifier {
                Quantifier::Any => 1,
                Quantifier::All => list.len(),
                Quantifier::Count(count) => usize::try_from(*count).unwrap_or(usize::MAX),
            };
            if most == 0 || most > list.len() {
                return Err(format!("the condition asks for `{expression}`, and `rules` lists {} of them", list.len()));
            }
            Formula::AtLeast(most, list)
        }
    })
}
