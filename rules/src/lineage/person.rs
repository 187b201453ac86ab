//! A lineage as people say it.

use super::{Lineage, Resolved, arn};

impl Lineage {
    /// The person to show: `alice (111122223333)`, `alice@example.com`, `root (111122223333)`. Of several the one with the best
    /// name: that of an ARN, then the names that identity providers give, then source identities, then unique ids.
    pub fn person(&self) -> Option<String> {
        let rank = |person: &&String| Form::of(person);
        let best = self.persons.iter().min_by_key(rank)?;
        let others = self.persons.iter().filter(|person| *person != best && Form::of(person) == Form::of(best)).count();
        let name = name(best);
        Some(match others {
            0 => name,
            1 => format!("{name} and 1 other"),
            _ => format!("{name} and {others} others"),
        })
    }
}

/// How much a member of a lineage says of who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Telling {
    /// An access key id.
    Credential,
    /// The unique id of a user.
    Id,
    /// A person's name, in one of its forms.
    Name,
}

impl Telling {
    /// Of the value that a group by `dial.actor` has.
    pub fn of(member: &str) -> Telling {
        match Form::of(member) {
            _ if arn::is_access_key_id(member) => Telling::Credential,
            Form::UniqueId => Telling::Id,
            _ => Telling::Name,
        }
    }
}

/// A member of a lineage as people say it: `alice (111122223333)`, `access key ASIAIOSFODNN7EXAMPLE`.
pub fn member_name(member: &str) -> String {
    match Telling::of(member) {
        Telling::Credential => format!("access key {member}"),
        Telling::Id | Telling::Name => name(member),
    }
}

impl Resolved {
    /// The person and the way from there to the event, as far as it is known:
    /// `alice (111122223333) → role Deploy (444455556666) as build → role Admin (777788889999) as fix`.
    pub fn told(&self) -> Option<String> {
        let links = self.lineage.person().into_iter().chain(self.chain.iter().map(|session| session_name(session)));
        let told = links.collect::<Vec<_>>().join(" → ");
        (!told.is_empty()).then_some(told)
    }
}

/// The forms of [`Lineage::persons`], the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Arn,
    Provider,
    IdentityCenter,
    SourceIdentity,
    UniqueId,
}

impl Form {
    fn of(person: &str) -> Form {
        match person.split_once(':') {
            Some(("arn", _)) => Form::Arn,
            Some(("saml" | "web", _)) => Form::Provider,
            Some(("identity-center", _)) => Form::IdentityCenter,
            Some(("source-identity", _)) => Form::SourceIdentity,
            _ => Form::UniqueId,
        }
    }
}

fn name(person: &str) -> String {
    let rest = person.split_once(':').map_or(person, |(_, rest)| rest);
    match Form::of(person) {
        Form::Arn => match arn::split(person, "iam") {
            Some((account, resource)) => format!("{} ({account})", last(resource)),
            None => person.to_owned(),
        },
        Form::Provider => rest.split_once(':').map_or(rest, |(_, name)| name).to_owned(),
        Form::IdentityCenter => match rest.split_once('/') {
            Some((store, user)) => format!("Identity Center user {user} ({store})"),
            None => rest.to_owned(),
        },
        Form::SourceIdentity => format!("{rest} (source identity)"),
        Form::UniqueId => format!("user {person}"),
    }
}

/// `arn:aws:sts::111122223333:assumed-role/Admin/alice` → `role Admin (111122223333) as alice`.
fn session_name(session: &str) -> String {
    let told = arn::split(session, "sts").or_else(|| arn::split(session, "iam")).map(|(account, resource)| {
        let parts: Vec<&str> = resource.splitn(3, '/').collect();
        match parts[..] {
            ["assumed-role", role, name] => format!("role {role} ({account}) as {name}"),
            ["federated-user", name] => format!("federated user {name} ({account})"),
            _ => format!("{} ({account})", last(resource)),
        }
    });
    told.unwrap_or_else(|| session.to_owned())
}

fn last(resource: &str) -> &str {
    resource.rsplit('/').next().unwrap_or(resource)
}
