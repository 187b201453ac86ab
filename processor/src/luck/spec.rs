//! Random rules and correlations, and their Sigma text.

use std::collections::BTreeSet;

use dial_rules::ruleset::{RuleFile, RuleSet};

use super::dice::Dice;

pub(super) const USER: &str = "requestParameters.user";
pub(super) const VALUE: &str = "requestParameters.value";
pub(super) const ACCOUNT: &str = "recipientAccountId";
/// An alias, of `sourceIPAddress`.
pub(super) const ADDRESS: &str = "who";
pub(super) const ACTOR: &str = "dial.actor";
/// An alias, of [`ACTOR`] in some rules and of [`USER`] in the others.
pub(super) const WHOM: &str = "whom";

/// How many rules there are: `r0` …, each matching the events that name it.
pub(super) const RULES: usize = 4;

/// What kind of correlation, with its number.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    EventCount(usize),
    ValueCount(usize, Vec<&'static str>),
    All,
    /// The first part, and one of the others.
    FirstAndAny,
    Ordered,
}

/// A correlation.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) id: String,
    pub(super) kind: Kind,
    /// Ids of rules or of earlier correlations.
    pub(super) parts: Vec<String>,
    pub(super) group_by: Vec<&'static str>,
    /// In seconds.
    pub(super) timespan: i64,
    pub(super) generate: bool,
    /// Whose file its document lies in: that of the rule or correlation with this id, if not one of its own.
    pub(super) beside: Option<String>,
}

impl Spec {
    /// Some correlations; later ones may list earlier ones.
    pub(super) fn several(dice: &mut Dice) -> Vec<Spec> {
        let mut specs: Vec<Spec> = Vec::new();
        for at in 0..dice.between(1, 4) {
            let mut spec = Spec::over_rules(at, dice);
            if at > 0 && dice.chance(50) {
                let inner = specs[dice.below(at)].clone();
                spec.list(&inner, dice);
            }
            if dice.chance(30) {
                spec.beside = Some(dice.pick(&spec.parts));
            }
            specs.push(spec);
        }
        specs
    }

    fn over_rules(at: usize, dice: &mut Dice) -> Spec {
        let groups: [&[&'static str]; 10] = [
            &[],
            &[USER],
            &[ADDRESS],
            &[ACCOUNT, USER],
            &[ACTOR],
            &[ACTOR],
            &[ACTOR, USER],
            &[ACTOR, ADDRESS],
            &[WHOM],
            &[ACTOR, WHOM],
        ];
        let values: [&[&'static str]; 6] = [&[VALUE], &[VALUE], &[VALUE, USER], &[ACTOR], &[ACTOR, VALUE], &[WHOM]];
        let kind = match dice.below(6) {
            0 => Kind::EventCount(dice.between(1, 4)),
            1 => Kind::ValueCount(dice.between(1, 3), dice.pick(&values).to_vec()),
            2 => Kind::All,
            3 => Kind::FirstAndAny,
            _ => Kind::Ordered,
        };
        let parts = (0..dice.between(1, 3)).map(|_| format!("r{}", dice.below(RULES))).collect();
        Spec {
            id: format!("c{at}"),
            kind,
            parts,
            group_by: dice.pick(&groups).to_vec(),
            timespan: dice.pick(&[3, 5, 8, 3600]),
            generate: dice.chance(30),
            beside: None,
        }
    }

    /// Makes it one over `inner`, of whose completions nothing but their group is known.
    fn list(&mut self, inner: &Spec, dice: &mut Dice) {
        self.group_by.retain(|name| inner.group_by.contains(name));
        if matches!(self.kind, Kind::ValueCount(..)) {
            self.kind = Kind::EventCount(2);
        }
        if dice.chance(50) {
            self.parts.clear();
        }
        let at = dice.below(self.parts.len() + 1);
        self.parts.insert(at, inner.id.clone());
    }

    fn yaml(&self) -> String {
        let rules: BTreeSet<&String> = self.parts.iter().filter(|part| part.starts_with('r')).collect();
        let kind = match self.kind {
            Kind::EventCount(_) => "event_count",
            Kind::ValueCount(..) => "value_count",
            Kind::All | Kind::FirstAndAny => "temporal",
            Kind::Ordered => "temporal_ordered",
        };
        let mut text = format!(
            "title: C {id}\nid: {id}\nname: {id}\nlevel: high\ncorrelation:\n    type: {kind}\n    rules: [{rules}]\n    \
             group-by: [{groups}]\n    timespan: {span}s\n    generate: {generate}\n",
            id = self.id,
            rules = self.parts.join(", "),
            groups = self.group_by.join(", "),
            span = self.timespan,
            generate = self.generate,
        );
        if !rules.is_empty() {
            text += &format!("    aliases:\n        {ADDRESS}:\n");
            rules.iter().for_each(|rule| text += &format!("            {rule}: sourceIPAddress\n"));
            text += &format!("        {WHOM}:\n");
            rules.iter().for_each(|rule| text += &format!("            {rule}: {}\n", whom(rule)));
        }
        match &self.kind {
            Kind::EventCount(least) => text += &format!("    condition: {{gte: {least}}}\n"),
            Kind::ValueCount(least, fields) => {
                let (more, fields) = (least - 1, fields.join(", "));
                text += &format!("    condition: {{gt: {more}, field: [{fields}]}}\n");
            }
            Kind::FirstAndAny => text += &format!("    condition: {}\n", self.formula()),
            Kind::All | Kind::Ordered => {}
        }
        text
    }

    fn formula(&self) -> String {
        match self.parts.split_first() {
            Some((first, rest)) if !rest.is_empty() => format!("{first} and ({})", rest.join(" or ")),
            _ => "1 of them".to_owned(),
        }
    }
}

/// What [`WHOM`] stands for in a rule.
pub(super) fn whom(rule: &str) -> &'static str {
    if ["r0", "r1"].contains(&rule) { ACTOR } else { USER }
}

fn rule_yaml(at: usize) -> String {
    format!(
        "title: R{at}\nid: r{at}\nname: r{at}\nlevel: medium\ntags: [attack.t100{at}]\n\
         logsource: {{product: aws, service: cloudtrail}}\n\
         detection: {{s: {{requestParameters.rules: r{at}}}, condition: s}}\n"
    )
}

/// The file in which the document of a rule or a correlation lies, by the id of its first document.
pub(super) fn file_of<'s>(specs: &'s [Spec], id: &'s str) -> &'s str {
    let beside = specs.iter().find(|spec| spec.id == id).and_then(|spec| spec.beside.as_deref());
    beside.map_or(id, |other| file_of(specs, other))
}

/// The rules and correlations as files.
pub(super) fn files(specs: &[Spec]) -> Vec<RuleFile> {
    let mut files: Vec<RuleFile> = Vec::new();
    let rules = (0..RULES).map(|at| (format!("r{at}"), rule_yaml(at)));
    for (id, text) in rules.chain(specs.iter().map(|spec| (spec.id.clone(), spec.yaml()))) {
        let name = format!("{}.yml", file_of(specs, &id));
        match files.iter_mut().find(|file| file.name == name) {
            Some(file) => file.text += &format!("---\n{text}"),
            None => files.push(RuleFile { name, text }),
        }
    }
    files
}

/// The same, loaded.
pub(super) fn load(specs: &[Spec]) -> RuleSet {
    let files = files(specs);
    let loaded = RuleSet::load(&files);
    assert_eq!(loaded.problems, [], "{files:#?}");
    loaded.rules
}
