//! What an event must have before a rule can match it: a rule's conditions, reduced to necessary ones on single fields.
//! The index picks candidate rules by it, and EventBridge patterns are made of it. It may ask for too little, never for
//! too much: whatever is not understood asks for nothing.

mod text;

use std::collections::{BTreeMap, HashMap};

use rsigma_parser::{ConditionExpr, Detection, DetectionItem, Modifier, Quantifier, SigmaRule, SigmaValue};
use text::{of_regex, of_text};

/// The field with the API call's name, a string in every CloudTrail event.
pub(crate) const NAME: &str = "eventName";
/// The field with the service's name, a string in every CloudTrail event.
pub(crate) const SOURCE: &str = "eventSource";

/// Alternatives beyond which conditions are joined to weaker ones.
const MOST_CLAUSES: usize = 256;
/// Longer texts and names of fields are not asked for as a whole, in bytes: each must fit into a pattern many times over.
const LONGEST: usize = 128;

/// Clauses, one of which an event must meet; without any, the rule cannot match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requirement {
    pub(crate) clauses: Vec<Clause>,
}

/// Fields, each of which must pass one of its tests. Without fields every event will do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Clause {
    pub(crate) tests: BTreeMap<String, Vec<Test>>,
}

/// A test of one value.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    pub(crate) op: Op,
    /// The text as the rule has it; of [`Op::Like`] with `*` for anything, and `\` before a `*` or `\` that is meant.
    pub(crate) text: String,
    /// Whether upper and lower case differ.
    pub(crate) cased: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    Is,
    Starts,
    Ends,
    Like,
    /// The text is a network.
    Cidr,
    /// There is a value, whatever it is.
    Exists,
}

impl Test {
    fn new(op: Op, text: String, cased: bool) -> Test {
        Test { op, text, cased }
    }

    fn exists() -> Test {
        Test::new(Op::Exists, String::new(), true)
    }

    /// What makes two tests the same, and their order.
    pub(crate) fn key(&self) -> (Op, String, bool) {
        let text = if self.cased { self.text.clone() } else { fold(&self.text) };
        (self.op, text, self.cased)
    }

    /// Whether a value may pass, upper and lower case being the same.
    pub(crate) fn may_accept(&self, value: &str) -> bool {
        let (text, value) = (fold(&self.text), fold(value));
        match self.op {
            Op::Is => value == text,
            Op::Starts => value.starts_with(&text),
            Op::Ends => value.ends_with(&text),
            Op::Like => crate::event_pattern::wildcard_matches(&text, &value),
            Op::Cidr | Op::Exists => true,
        }
    }
}

impl PartialEq for Test {
    fn eq(&self, other: &Test) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Test {}

/// Both sides of a comparison are folded as rsigma folds them: simple Unicode lower case.
pub(crate) fn fold(text: &str) -> String {
    text.to_lowercase()
}

impl Requirement {
    /// What all conditions of a rule, of which one must hold, need.
    pub(crate) fn of(rule: &SigmaRule) -> Requirement {
        let named = &rule.detection.named;
        any(rule.detection.conditions.iter().map(|condition| of_condition(condition, named)))
    }

    /// Nothing in particular.
    fn nothing() -> Requirement {
        Requirement { clauses: vec![Clause::default()] }
    }

    fn push(&mut self, clause: Clause) {
        if !self.clauses.contains(&clause) {
            self.clauses.push(clause);
        }
    }

    /// One clause that holds whenever one of these does.
    fn widened(self) -> Requirement {
        let joined = self.clauses.into_iter().reduce(Clause::or);
        Requirement { clauses: joined.into_iter().collect() }
    }
}

impl Clause {
    /// Both clauses; `None` when no event can meet both.
    fn and(&self, other: &Clause) -> Option<Clause> {
        let mut tests = self.tests.clone();
        for (field, theirs) in &other.tests {
            let both = match tests.get(field) {
                None => theirs.clone(),
                // Each may be met by another element of a list, so only fields that are no lists can be intersected.
                Some(ours) if field == NAME || field == SOURCE => intersect(ours, theirs),
                Some(ours) => stricter(ours, theirs).to_vec(),
            };
            if both.is_empty() {
                return None;
            }
            tests.insert(field.clone(), both);
        }
        Some(Clause { tests })
    }

    /// What both clauses ask for.
    fn or(self, mut other: Clause) -> Clause {
        let mut tests = BTreeMap::new();
        for (field, mut ours) in self.tests {
            if let Some(theirs) = other.tests.remove(&field) {
                theirs.into_iter().for_each(|test| insert(&mut ours, test));
                tests.insert(field, ours);
            }
        }
        Clause { tests }
    }
}

/// Adds a test that is not there yet.
pub(crate) fn insert(tests: &mut Vec<Test>, test: Test) {
    if !tests.contains(&test) {
        tests.push(test);
    }
}

fn intersect(a: &[Test], b: &[Test]) -> Vec<Test> {
    let is_list = |tests: &[Test]| tests.iter().all(|test| test.op == Op::Is);
    let within = |list: &[Test], other: &[Test]| {
        list.iter().filter(|test| other.iter().any(|other| other.may_accept(&test.text))).cloned().collect()
    };
    match (is_list(a), is_list(b)) {
        (true, _) => within(a, b),
        (_, true) => within(b, a),
        _ => stricter(a, b).to_vec(),
    }
}

fn stricter<'t>(a: &'t [Test], b: &'t [Test]) -> &'t [Test] {
    let vague = |tests: &[Test]| tests.iter().any(|test| test.op == Op::Exists);
    if (vague(a), a.len()) <= (vague(b), b.len()) { a } else { b }
}

fn all(parts: impl Iterator<Item = Requirement>) -> Requirement {
    parts.fold(Requirement::nothing(), |a, b| {
        let too_many = a.clauses.len() * b.clauses.len() > MOST_CLAUSES;
        let (a, b) = if too_many { (a, b.widened()) } else { (a, b) };
        let mut product = Requirement { clauses: Vec::new() };
        for (a, b) in a.clauses.iter().flat_map(|a| b.clauses.iter().map(move |b| (a, b))) {
            a.and(b).into_iter().for_each(|clause| product.push(clause));
        }
        product
    })
}

fn any(parts: impl Iterator<Item = Requirement>) -> Requirement {
    let mut union = Requirement { clauses: Vec::new() };
    parts.flat_map(|part| part.clauses).for_each(|clause| union.push(clause));
    if union.clauses.len() > MOST_CLAUSES { union.widened() } else { union }
}

fn of_condition(condition: &ConditionExpr, named: &HashMap<String, Detection>) -> Requirement {
    match condition {
        ConditionExpr::And(parts) => all(parts.iter().map(|part| of_condition(part, named))),
        ConditionExpr::Or(parts) => any(parts.iter().map(|part| of_condition(part, named))),
        ConditionExpr::Not(_) => Requirement::nothing(),
        ConditionExpr::Identifier(name) => named.get(name).map_or_else(Requirement::nothing, of_detection),
        ConditionExpr::Selector { quantifier, pattern } => {
            let mut chosen: Vec<_> = named.iter().filter(|(name, _)| pattern.matches_detection_name(name)).collect();
            chosen.sort_by_key(|(name, _)| *name); // so that the same rules give the same patterns
            let chosen = chosen.into_iter().map(|(_, detection)| of_detection(detection));
            match quantifier {
                _ if chosen.len() == 0 => Requirement::nothing(),
                Quantifier::All => all(chosen),
                Quantifier::Any => any(chosen),
                Quantifier::Count(0) => Requirement::nothing(),
                Quantifier::Count(_) => any(chosen),
            }
        }
    }
}

/// What a selection needs, by itself.
pub(crate) fn of_detection(detection: &Detection) -> Requirement {
    match detection {
        Detection::AllOf(items) => all(items.iter().map(of_item)),
        Detection::And(parts) => all(parts.iter().map(of_detection)),
        Detection::AnyOf(parts) => any(parts.iter().map(of_detection)),
        Detection::Keywords(_) | Detection::ArrayMatch { .. } | Detection::Conditional { .. } => Requirement::nothing(),
    }
}

fn of_item(item: &DetectionItem) -> Requirement {
    let tests = item.field.name.as_deref().filter(|field| is_path(field)).and_then(|field| {
        let tests = tests_of(field, item)?;
        Some(Clause { tests: BTreeMap::from([(field.to_owned(), tests)]) })
    });
    Requirement { clauses: vec![tests.unwrap_or_default()] }
}

/// Whether a field is a path of members of the record itself. Indexes cannot be asked for, facts are not in the record.
fn is_path(field: &str) -> bool {
    let unusual = |c: char| c.is_control() || matches!(c, '[' | '\\' | '"');
    let steps = || field.split('.').all(|step| !step.is_empty());
    !field.starts_with("dial.") && !field.contains(unusual) && field.len() <= LONGEST && steps()
}

fn tests_of(field: &str, item: &DetectionItem) -> Option<Vec<Test>> {
    let modifiers = &item.field.modifiers;
    if modifiers.contains(&Modifier::Exists) {
        // An object exists too, which a pattern cannot ask for; so only fields that are known to be none.
        let wanted = matches!(item.values.as_slice(), [SigmaValue::Bool(true)]);
        return (wanted && is_scalar(field)).then(|| vec![Test::exists()]);
    }
    let each: Option<Vec<Vec<Test>>> = item.values.iter().map(|value| of_value(field, modifiers, value)).collect();
    let each = each.filter(|each| !each.is_empty())?;
    if modifiers.contains(&Modifier::All) {
        return each.into_iter().reduce(|a, b| stricter(&a, &b).to_vec());
    }
    let mut tests = Vec::new();
    each.into_iter().flatten().for_each(|test| insert(&mut tests, test));
    let vague = tests.iter().any(|test| test.op == Op::Exists);
    Some(if vague { vec![Test::exists()] } else { tests })
}

/// The tests of which a value must pass one; `None` when anything may match.
fn of_value(field: &str, modifiers: &[Modifier], value: &SigmaValue) -> Option<Vec<Test>> {
    const TEXT: [Modifier; 5] =
        [Modifier::Contains, Modifier::StartsWith, Modifier::EndsWith, Modifier::Cased, Modifier::All];
    const SCALAR: [Modifier; 5] = [Modifier::Re, Modifier::Gt, Modifier::Gte, Modifier::Lt, Modifier::Lte];
    match value {
        SigmaValue::String(text) if modifiers == [Modifier::Re] => Some(vec![of_regex(field, &text.original)]),
        SigmaValue::String(text) if modifiers == [Modifier::Cidr] => {
            Some(vec![text.as_plain().map_or_else(Test::exists, |text| Test::new(Op::Cidr, text, true))])
        }
        _ if modifiers.iter().any(|modifier| SCALAR.contains(modifier)) => Some(vec![Test::exists()]),
        SigmaValue::String(text) if modifiers.iter().all(|modifier| TEXT.contains(modifier)) => {
            Some(vec![of_text(field, modifiers, text)])
        }
        SigmaValue::Bool(flag) if modifiers.is_empty() => {
            let words = if *flag { ["true", "1", "yes"] } else { ["false", "0", "no"] };
            Some(words.map(|word| Test::new(Op::Is, word.to_owned(), false)).to_vec())
        }
        // Numbers may be spelled in many ways.
        SigmaValue::Integer(_) | SigmaValue::Float(_) if modifiers.is_empty() => Some(vec![Test::exists()]),
        _ => None,
    }
}

/// Fields that are one value in every event that has them, neither an object nor a list. Several of them can be asked for
/// together; of others only one, since EventBridge wants conditions on a list met by one element.
pub(crate) fn is_scalar(field: &str) -> bool {
    const RECORD: [&str; 21] = [
        "apiVersion",
        "awsRegion",
        "errorCode",
        "errorMessage",
        "eventCategory",
        "eventID",
        NAME,
        SOURCE,
        "eventTime",
        "eventType",
        "eventVersion",
        "managementEvent",
        "readOnly",
        "recipientAccountId",
        "requestID",
        "sessionCredentialFromConsole",
        "sharedEventID",
        "sourceIPAddress",
        "userAgent",
        "vpcEndpointAccountId",
        "vpcEndpointId",
    ];
    const IDENTITY: [&str; 20] = [
        "accessKeyId",
        "accountId",
        "arn",
        "credentialId",
        "identityProvider",
        "inScopeOf.credentialsIssuedTo",
        "inScopeOf.issuerType",
        "inScopeOf.sourceAccount",
        "inScopeOf.sourceArn",
        "invokedBy",
        "principalId",
        "sessionContext.attributes.creationDate",
        "sessionContext.attributes.mfaAuthenticated",
        "sessionContext.sessionIssuer.accountId",
        "sessionContext.sessionIssuer.arn",
        "sessionContext.sessionIssuer.principalId",
        "sessionContext.sessionIssuer.type",
        "sessionContext.sessionIssuer.userName",
        "type",
        "userName",
    ];
    RECORD.contains(&field) || field.strip_prefix("userIdentity.").is_some_and(|rest| IDENTITY.contains(&rest))
}
