//! [`Telling`]: a message in the words and the order in which people read it. Pure; no text of it is escaped yet.

use dial_rules::addresses::{AddressContext, AddressKind};
use dial_rules::assessment::Assessment;
use dial_rules::context::{Context, Reputation};
use dial_rules::correlation::ACTOR;
use dial_rules::event::{Millis, rfc3339};
use dial_rules::finding::{Finding, FindingKind};
use dial_rules::lineage::{Resolved, Telling as HowTelling, member_name};

use crate::message::{Message, title_or_rule};
use crate::text::is_blank;

/// A message as people read it: the first lines say enough in five seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// `HIGH · Administrator rights granted to a user`, with a mark when it is a sample.
    pub headline: String,
    /// Who did what to what, where, from where, when: in this order.
    pub facts: Vec<Fact>,
    /// What happened when, one line each; empty where the facts say it all.
    pub timeline: Vec<String>,
    /// The other findings of the message, one line each.
    pub others: Vec<String>,
    /// How many findings the alert has, where it is more than one: `1,000 findings, 3 of them new`.
    pub count: Option<String>,
}

/// One thing that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is: `Who`.
    pub name: &'static str,
    /// What is known. Texts of events are in it.
    pub text: String,
    /// Something to be copied, such as an ARN.
    pub is_code: bool,
}

impl Telling {
    /// What is told of a message.
    pub fn of(message: &Message) -> Telling {
        let timeline = if message.lead.finding.kind == FindingKind::Correlated || message.moments.len() > 1 {
            message.moments.iter().map(moment_line).collect()
        } else {
            Vec::new()
        };
        Telling {
            headline: headline(message),
            facts: facts(message),
            timeline,
            others: message.others.iter().map(other_line).collect(),
            count: count(message),
        }
    }
}

fn headline(message: &Message) -> String {
    let mark = if message.is_sample { "SAMPLE · " } else { "" };
    format!("{mark}{} · {}", message.severity.as_str().to_uppercase(), message.titled())
}

fn facts(message: &Message) -> Vec<Fact> {
    let Assessment { finding, context, .. } = &message.lead;
    let subject = &finding.subject;
    let said = |name, text: Option<String>, is_code| {
        text.filter(|text| !is_blank(text)).map(|text| Fact { name, text, is_code })
    };
    let techniques = Some(subject.techniques.join(" "));
    [
        said("Who", who(finding, context), false),
        said("Did what", what(message), false),
        said("To what", on_what(finding), true),
        said("Where", place(finding, context), false),
        said("From", from(finding, context), false),
        said("Behind it", behind(finding, context), false),
        said("When (UTC)", Some(when(finding)), false),
        said("Caller", subject.actor_arn.clone(), true),
        said("ATT&CK", techniques, false),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The person whom a correlated finding groups by, else who acted in its earliest event.
fn who(finding: &Finding, context: &Context) -> Option<String> {
    let actor = || finding.subject.actor.clone();
    match finding.group.get(ACTOR) {
        Some(member) if HowTelling::of(member) != HowTelling::Credential => Some(member_name(member)),
        Some(key) => context.lineage.person().filter(|_| context.lineage.credentials.contains(key)).or_else(actor),
        None => actor(),
    }
}

/// What was called, each call once, in the order in which it first was.
fn what(message: &Message) -> Option<String> {
    const MOST: usize = 6;
    // What the one call was about is a fact of its own.
    let target = single_target(&message.lead.finding);
    let mut calls: Vec<&str> = Vec::new();
    for moment in &message.moments {
        let bare = target.and_then(|target| moment.what.strip_suffix(target)?.strip_suffix(' '));
        let call = bare.unwrap_or(&moment.what);
        if !is_blank(call) && !calls.contains(&call) {
            calls.push(call);
        }
    }
    let beyond = calls.len().saturating_sub(MOST);
    calls.truncate(MOST);
    let more = if beyond > 0 { format!(" and {beyond} more") } else { String::new() };
    (!calls.is_empty()).then(|| format!("{}{more}", calls.join(" → ")))
}

/// What a correlated finding groups by beside who acted: `bucketName data`; of a finding of one event what its call is about.
fn on_what(finding: &Finding) -> Option<String> {
    let of_one = |(name, value): (&String, &String)| format!("{} {value}", name.rsplit('.').next().unwrap_or(name));
    let things: Vec<String> = finding.group.iter().filter(|(name, _)| *name != ACTOR).map(of_one).collect();
    if things.is_empty() { single_target(finding).map(str::to_owned) } else { Some(things.join(", ")) }
}

/// What the call of a finding of one event is about.
fn single_target(finding: &Finding) -> Option<&str> {
    let evidence = finding.evidence.first().filter(|_| finding.kind == FindingKind::Single)?;
    evidence.target.as_deref().filter(|target| !is_blank(target))
}

/// The account, by name where it has one, and the region.
fn place(finding: &Finding, context: &Context) -> Option<String> {
    let seen = |text: &Option<String>| text.clone().filter(|text| !is_blank(text));
    let id = seen(&finding.subject.account_id);
    let account = context.account.as_ref();
    let named = match (account.and_then(|account| seen(&account.name)), id) {
        (Some(name), Some(id)) => Some(format!("{name} ({id})")),
        (name, id) => name.or(id),
    };
    let environment = account.and_then(|account| seen(&account.environment));
    joined([named, environment, finding.subject.region.clone()].into_iter().flatten())
}

/// The address, and what is known of it.
fn from(finding: &Finding, context: &Context) -> Option<String> {
    let field = finding.subject.source_ip.clone();
    let address = context.address.iter().flat_map(address_parts);
    let reputation = context.reputation.as_ref().map(reputation_words);
    joined(field.into_iter().chain(address).chain(reputation))
}

/// Parts in which there is something to see.
fn joined(parts: impl IntoIterator<Item = String>) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().filter(|part| !is_blank(part)).collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

fn address_parts(address: &AddressContext) -> Vec<String> {
    let kind = match address.kind {
        AddressKind::Private => Some("a private address"),
        AddressKind::Documentation => Some("an address for examples only"),
        AddressKind::Reserved => Some("an address that nobody can call from"),
        AddressKind::Malformed => Some("neither an address nor a service"),
        AddressKind::Public | AddressKind::Service => None,
    };
    let place = [address.city.clone(), address.country.clone()].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let network = match (&address.network, address.asn) {
        (Some(network), Some(asn)) => Some(format!("{network} (AS{asn})")),
        (Some(network), None) => Some(network.clone()),
        (None, asn) => asn.map(|asn| format!("AS{asn}")),
    };
    let aws = address.aws_service.as_ref().map(|service| format!("AWS {service}"));
    let tor = address.tor_exit.filter(|is_exit| *is_exit).map(|_| "TOR EXIT".to_owned());
    let lists = (!address.lists.is_empty()).then(|| format!("on {}", address.lists.join(", ")));
    [kind.map(str::to_owned), Some(place), network, aws, tor, lists].into_iter().flatten().collect()
}

fn reputation_words(reputation: &Reputation) -> String {
    format!(
        "abuse confidence {} in 100 ({} reports)",
        reputation.abuse_confidence_score,
        thousands(reputation.total_reports)
    )
}

/// The person and the way from there to the caller, where that is more than the caller says.
fn behind(finding: &Finding, context: &Context) -> Option<String> {
    let told = Resolved { lineage: context.lineage.clone(), chain: context.chain.clone(), cut: false }.told();
    told.filter(|told| Some(told) != who(finding, context).as_ref())
}

fn when(finding: &Finding) -> String {
    if finding.first_seen == finding.last_seen {
        return clock(finding.first_seen);
    }
    format!("{} to {} ({} events)", clock(finding.first_seen), clock(finding.last_seen), finding.event_count_text())
}

fn moment_line(moment: &crate::message::Moment) -> String {
    let place = [moment.account.as_str(), moment.region.as_str()];
    let place = place.into_iter().filter(|part| !is_blank(part)).collect::<Vec<_>>().join(" ");
    let parts =
        [clock(moment.time), moment.what.clone(), moment.who.clone(), moment.from.clone(), place, moment.rule.clone()];
    joined(parts).unwrap_or_default()
}

fn other_line(assessment: &Assessment) -> String {
    let Assessment { finding, context, disposition } = assessment;
    let parts = [
        Some(disposition.severity.as_str().to_uppercase()),
        Some(title_or_rule(&finding.subject.rule_title, &finding.rule_id).to_owned()),
        who(finding, context),
        place(finding, context),
        Some(clock(finding.last_seen)),
    ];
    joined(parts.into_iter().flatten()).unwrap_or_default()
}

fn count(message: &Message) -> Option<String> {
    let named = message.finding_ids.len() as u64;
    if message.count <= 1 {
        return None;
    }
    let new = if named < message.count { format!(", {} of them new", thousands(named)) } else { String::new() };
    Some(format!("{} findings{new}", thousands(message.count)))
}

/// `2024-05-01 12:04:31`, in UTC.
pub fn clock(time: Millis) -> String {
    rfc3339(time).get(..19).map(|text| text.replace('T', " ")).unwrap_or_default()
}

/// `12,345`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use dial_rules::finding::Evidence;

    use super::*;
    use crate::samples::{SampleKind, sample};

    fn text<'t>(telling: &'t Telling, name: &str) -> Option<&'t str> {
        telling.facts.iter().find(|fact| fact.name == name).map(|fact| fact.text.as_str())
    }

    #[test]
    fn five_seconds_are_enough() {
        let single = Telling::of(&sample(SampleKind::Single));
        assert_eq!(single.headline, "SAMPLE · HIGH · Administrator rights granted to a user");
        assert_eq!(text(&single, "Who"), Some("role Admin as alice"));
        assert_eq!(text(&single, "Did what"), Some("iam AttachUserPolicy"));
        assert_eq!(text(&single, "To what"), Some("bob, AdministratorAccess"));
        assert_eq!(text(&single, "Where"), Some("payments (111122223333) · production · eu-west-1"));
        assert_eq!(
            text(&single, "From"),
            Some("198.51.100.7 · NL · Example Hosting (AS64496) · abuse confidence 87 in 100 (214 reports)")
        );
        assert_eq!((single.timeline.len(), single.count), (0, None));
    }

    #[test]
    fn a_correlated_one_has_a_timeline_and_a_storm_a_count() {
        let correlated = Telling::of(&sample(SampleKind::Correlated));
        assert_eq!(text(&correlated, "Who"), Some("alice (111122223333)"));
        assert_eq!((text(&correlated, "To what"), correlated.timeline.len()), (None, 3));
        assert!(
            correlated.timeline[0]
                .starts_with("2026-03-03 09:51:00 · iam DeactivateMFADevice alice · role Admin as alice")
        );
        let storm = Telling::of(&sample(SampleKind::Storm));
        assert_eq!(storm.count.as_deref(), Some("1,000 findings"));
        assert_eq!(storm.others.len(), 20);
        let mut grown = sample(SampleKind::Incident);
        grown.count = 12;
        assert_eq!(Telling::of(&grown).count.as_deref(), Some("12 findings, 3 of them new"));
    }

    #[test]
    fn what_nobody_sees_is_not_told() {
        for blank in ["", " ", "\t\n", "\u{fe0f}", " \u{2003}\u{fe0e}"] {
            let mut message = sample(SampleKind::Single);
            let subject = &mut message.lead.finding.subject;
            let own = || Some(blank.to_owned());
            (subject.actor, subject.actor_arn, subject.region) = (own(), own(), own());
            message.lead.context.account = None;
            let evidence = std::mem::take(&mut message.lead.finding.evidence).into_iter();
            message.lead.finding.evidence = evidence.map(|one| Evidence { target: own(), ..one }).collect();
            message.title = blank.to_owned();
            message.moments[0].what = blank.to_owned();
            let telling = Telling::of(&message);
            let names: Vec<&str> = telling.facts.iter().map(|fact| fact.name).collect();
            assert!(["Who", "Did what", "To what", "Caller"].iter().all(|name| !names.contains(name)), "{names:?}");
            assert_eq!(text(&telling, "Where"), Some("111122223333"));
            assert_eq!(telling.headline, format!("SAMPLE · HIGH · {}", message.lead.finding.rule_id));
            message.lead.finding.rule_id = blank.to_owned();
            assert_eq!(Telling::of(&message).headline, "SAMPLE · HIGH · an alert without a title");
        }
    }

    #[test]
    fn thousands_are_parted() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }
}
