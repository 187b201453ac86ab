//! [`RuleSet`]: rules loaded together, and the matches of an event.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use rsigma_parser::SigmaRule;

use crate::correlation::{self, Correlations, Draft, Known};
use crate::event::{Event, EventKind};
use crate::facts::Unanswered;
use crate::facts::sources::unanswered;
use crate::fields::Fields;
use crate::index::{Index, Need};
use crate::rule::Rule;
use crate::tables::Tables;

/// A file of rules: what it is called, and its text. It may hold several YAML documents.
#[derive(Debug, Clone)]
pub struct RuleFile {
    /// The name that messages use.
    pub name: String,
    /// Sigma YAML.
    pub text: String,
}

/// Something in a file of rules that keeps it from being loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The line, from 1; of a condition or a value the best guess.
    pub line: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// What loading came to.
#[derive(Debug)]
pub struct Loaded {
    /// The rules that are fine.
    pub rules: RuleSet,
    /// Why others are not. A rule set with problems must not be put to work.
    pub problems: Vec<Problem>,
    /// Rules that are fine but for other log sources than AWS, by file and title.
    pub foreign: Vec<(String, String)>,
}

/// A rule that an event satisfies.
#[derive(Debug, Clone)]
pub struct Match<'e> {
    /// The rule.
    pub rule: Arc<Rule>,
    /// The event.
    pub event: &'e Event,
}

/// Rules that are evaluated together.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    disabled: Vec<Arc<Rule>>,
    cloudtrail: Index,
    guardduty: Index,
    securityhub: Index,
    tables: Tables,
    correlations: Correlations,
}

impl RuleSet {
    /// Loads all rules of these files, with the default tables. Order is kept.
    pub fn load(files: &[RuleFile]) -> Loaded {
        RuleSet::load_with(files, Tables::default())
    }

    /// Loads all rules of these files; facts will know what the tables say.
    pub fn load_with(files: &[RuleFile], tables: Tables) -> Loaded {
        let rules = RuleSet { tables, ..RuleSet::default() };
        let loaded = Loaded { rules, problems: Vec::new(), foreign: Vec::new() };
        let mut loading = Loading { loaded, seen: HashMap::new(), drafts: Vec::new(), foreign: BTreeSet::new() };
        for file in files {
            for document in crate::sigma::documents(&file.text) {
                loading.add(file, document);
            }
        }
        loading.finish()
    }

    /// The same rules and correlations without those with these ids; [`RuleSet::disabled`] keeps the rules. A correlation
    /// over a rule that is not evaluated sees no matches of it.
    #[must_use]
    pub fn without(mut self, ids: &BTreeSet<String>) -> RuleSet {
        self.correlations = self.correlations.without(ids);
        if self.rules.iter().all(|rule| !ids.contains(&rule.id)) {
            return self;
        }
        let (tables, disabled, correlations) = (self.tables, self.disabled, self.correlations);
        let mut left = RuleSet { tables, disabled, correlations, ..RuleSet::default() };
        for rule in self.rules {
            match ids.contains(&rule.id) {
                true => left.disabled.push(rule),
                false => left.insert(rule),
            }
        }
        left
    }

    /// The rules that are evaluated, in the order of their files.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The rules that were loaded and are not evaluated.
    pub fn disabled(&self) -> &[Arc<Rule>] {
        &self.disabled
    }

    /// The correlations over these rules.
    pub fn correlations(&self) -> &Correlations {
        &self.correlations
    }

    /// The same rules with other tables of their own.
    #[must_use]
    pub fn with_tables(self, tables: Tables) -> RuleSet {
        RuleSet { tables, ..self }
    }

    /// The tables that facts use.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Rules that ask what no table in force can answer, each with the setting to write. A rule set with such rules must not
    /// be put to work: they would be silent where somebody relies on them. Rules that say so themselves
    /// ([`Rule::optional`]) are let pass: see [`RuleSet::wanting`].
    pub fn unanswerable(&self) -> Vec<Problem> {
        let of_rule = |rule: &Arc<Rule>| {
            let fatal = unanswered(rule, &self.tables).into_iter().filter(|one| !rule.optional.contains(&one.fact));
            let problem = |one: Unanswered| Problem {
                file: rule.file.clone(),
                line: rule.line,
                message: format!("{:?} asks for what nobody knows: {}", rule.title, one.message),
            };
            fatal.map(problem).collect::<Vec<_>>()
        };
        self.rules.iter().flat_map(of_rule).collect()
    }

    /// Rules that find less, or nothing, for want of tables, and say themselves that they may.
    pub fn wanting(&self) -> Vec<(Arc<Rule>, Vec<Unanswered>)> {
        let of_rule = |rule: &Arc<Rule>| {
            let mut wants = unanswered(rule, &self.tables);
            wants.retain(|one| rule.optional.contains(&one.fact));
            (!wants.is_empty()).then(|| (Arc::clone(rule), wants))
        };
        self.rules.iter().filter_map(of_rule).collect()
    }

    /// The rule with this id.
    pub fn rule(&self, id: &str) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// The rules that the event satisfies. Only rules whose conditions on `eventName`, `eventSource` or other texts the
    /// event can meet are evaluated.
    pub fn evaluate<'e>(&self, event: &'e Event) -> Vec<Match<'e>> {
        self.evaluate_with(event, &self.tables)
    }

    /// [`RuleSet::evaluate`] with other tables than the rule set's own.
    pub fn evaluate_with<'e>(&self, event: &'e Event, tables: &Tables) -> Vec<Match<'e>> {
        let fields = Fields::new(event, tables);
        self.index(event.kind())
            .candidates(&event.name(), &event.source(), &fields)
            .into_iter()
            .filter(|&rule| self.rules[rule].matches(&fields))
            .map(|rule| Match { rule: Arc::clone(&self.rules[rule]), event })
            .collect()
    }

    /// The same matches by evaluating every rule: what [`RuleSet::evaluate`] is held against.
    pub fn evaluate_all<'e>(&self, event: &'e Event) -> Vec<Match<'e>> {
        let fields = Fields::new(event, &self.tables);
        self.rules
            .iter()
            .filter(|rule| rule.looks_at(event.kind()) && rule.matches(&fields))
            .map(|rule| Match { rule: Arc::clone(rule), event })
            .collect()
    }

    fn index(&self, kind: EventKind) -> &Index {
        match kind {
            EventKind::CloudTrail => &self.cloudtrail,
            EventKind::GuardDuty => &self.guardduty,
            EventKind::SecurityHub => &self.securityhub,
        }
    }

    fn insert(&mut self, rule: Arc<Rule>) {
        let at = self.rules.len();
        let need = Need::of(&rule.requirement);
        let of_finding = Need { texts: need.texts.clone(), ..Need::default() };
        if rule.looks_at(EventKind::CloudTrail) {
            self.cloudtrail.insert(at, need);
        }
        // Findings have neither `eventName` nor `eventSource` to file a rule under.
        if rule.looks_at(EventKind::GuardDuty) {
            self.guardduty.insert(at, of_finding.clone());
        }
        if rule.looks_at(EventKind::SecurityHub) {
            self.securityhub.insert(at, of_finding);
        }
        self.rules.push(rule);
    }
}

/// A rule set in the making.
struct Loading<'t> {
    loaded: Loaded,
    /// Ids, and the files that they are in.
    seen: HashMap<String, String>,
    /// Correlations, whose references are looked up when all rules are known.
    drafts: Vec<Draft<'t>>,
    /// Ids and names of rules for other products.
    foreign: BTreeSet<String>,
}

impl<'t> Loading<'t> {
    fn add(&mut self, file: &RuleFile, document: crate::sigma::Document<'t>) {
        let parsed = match document.parse() {
            Ok(parsed) => parsed,
            Err(faults) => {
                faults.into_iter().for_each(|(line, message)| self.problem(file, line, message));
                return;
            }
        };
        for rule in &parsed.rules {
            self.add_rule(file, &document, rule);
        }
        for correlation in &parsed.correlations {
            match Draft::of(correlation, document, &file.name) {
                Err((key, message)) => self.problem(file, document.line_with(key), message),
                Ok(draft) => {
                    if self.is_new(file, &document, &draft.id()) {
                        self.drafts.push(draft);
                    }
                }
            }
        }
    }

    fn add_rule(&mut self, file: &RuleFile, document: &crate::sigma::Document<'_>, rule: &SigmaRule) {
        let source = &rule.logsource;
        if source.product.is_none() && source.category.is_none() && source.service.is_none() {
            let message = "no `logsource.product`: write `logsource: { product: aws, service: cloudtrail }`";
            return self.problem(file, document.line, message.to_owned());
        }
        if !source.product.as_deref().unwrap_or("").eq_ignore_ascii_case("aws") {
            self.foreign.extend(rule.id.iter().chain(&rule.name).cloned());
            return self.loaded.foreign.push((file.name.clone(), rule.title.clone()));
        }
        let compiled = match crate::named_fields::fault(rule) {
            Some(message) => Err(message),
            None => Rule::compile(rule, &file.name, document.line),
        };
        match compiled {
            Err(message) => self.problem(file, document.locate(&message), message),
            Ok(compiled) => {
                if self.is_new(file, document, &compiled.id) {
                    self.loaded.rules.insert(Arc::new(compiled));
                }
            }
        }
    }

    /// Whether no other rule or correlation has this id, which is a problem.
    fn is_new(&mut self, file: &RuleFile, document: &crate::sigma::Document<'_>, id: &str) -> bool {
        let Some(other) = self.seen.insert(id.to_owned(), file.name.clone()) else {
            return true;
        };
        let message = format!("the rule id {id} is already used in {other}: give this rule one of its own");
        self.problem(file, document.line_of("id:"), message);
        false
    }

    fn problem(&mut self, file: &RuleFile, line: usize, message: String) {
        self.loaded.problems.push(Problem { file: file.name.clone(), line, message });
    }

    fn finish(self) -> Loaded {
        let Loading { mut loaded, drafts, foreign, .. } = self;
        let resolved = correlation::resolve(&drafts, &Known { rules: &loaded.rules.rules, foreign: &foreign });
        loaded.rules.correlations = resolved.correlations;
        loaded.problems.extend(resolved.problems);
        loaded.foreign.extend(resolved.foreign);
        loaded
    }
}

#[cfg(test)]
#[path = "ruleset_tests.rs"]
pub(crate) mod tests;
