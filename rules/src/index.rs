//! Which rules can match an event at all. Of what a rule requires, its `eventName` and `eventSource` are looked at, and for
//! rules that need neither, other texts; only rules whose need an event meets are evaluated on it. The index may pass too
//! much, never too little.

use std::collections::{BTreeSet, HashMap};

use rsigma_eval::Event;
use rsigma_eval::matcher::ascii_lowercase_cow;

use crate::requirement::{Clause, NAME, Op, Requirement, SOURCE, fold};
use crate::texts::{TextIndex, Texts};

/// Lower-cased values, one of which a member must have; `None` when any will do.
type OneOf = Option<BTreeSet<String>>;

/// What a rule needs of an event before it can match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Need {
    pub(crate) names: OneOf,
    pub(crate) sources: OneOf,
    pub(crate) texts: Texts,
}

impl Need {
    /// What all clauses, of which one must hold, need in common.
    pub(crate) fn of(requirement: &Requirement) -> Need {
        Need { names: values(requirement, NAME), sources: values(requirement, SOURCE), texts: Texts::of(requirement) }
    }
}

fn values(requirement: &Requirement, field: &str) -> OneOf {
    let of_clause = |clause: &Clause| {
        let tests = clause.tests.get(field)?;
        tests.iter().map(|test| (test.op == Op::Is).then(|| fold(&test.text))).collect::<Option<Vec<String>>>()
    };
    let each: Option<Vec<Vec<String>>> = requirement.clauses.iter().map(of_clause).collect();
    each.map(|each| each.into_iter().flatten().collect())
}

/// Rules by what they need: indexes into the rule set's list.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_name: HashMap<String, Vec<usize>>,
    by_source: HashMap<String, Vec<usize>>,
    by_text: TextIndex,
    always: Vec<usize>,
}

impl Index {
    /// Files the rule `rule` under what it needs. One that needs what no event has is filed nowhere.
    pub(crate) fn insert(&mut self, rule: usize, need: Need) {
        match need {
            Need { names: Some(names), .. } => file(&mut self.by_name, names, rule),
            Need { sources: Some(sources), .. } => file(&mut self.by_source, sources, rule),
            Need { texts, .. } => {
                if !self.by_text.insert(rule, texts) {
                    self.always.push(rule);
                }
            }
        }
    }

    /// The rules that an event with this name and source may match.
    pub(crate) fn candidates(&self, name: &str, source: &str, event: &impl Event) -> Vec<usize> {
        let mut found = Vec::with_capacity(8);
        found.extend_from_slice(find(&self.by_name, name));
        found.extend_from_slice(find(&self.by_source, source));
        self.by_text.candidates(event, &mut found);
        found.extend_from_slice(&self.always);
        found
    }
}

fn find<'i>(map: &'i HashMap<String, Vec<usize>>, text: &str) -> &'i [usize] {
    map.get(ascii_lowercase_cow(text).as_ref()).map(Vec::as_slice).unwrap_or_default()
}

fn file(map: &mut HashMap<String, Vec<usize>>, keys: BTreeSet<String>, rule: usize) {
    for key in keys {
        map.entry(key).or_default().push(rule);
    }
}
