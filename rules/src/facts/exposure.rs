//! Whom a resource's policy or a role's trust lets in.

use super::condition::Part;
use super::glob::Pattern;
use super::policy::{Named, Policy, Statement};
use super::principal::Principal;

/// How many of a statement's actions and resources are held against how many denials: a bound on hostile documents.
const MOST_COMPARED: usize = 50;

/// Identity providers that anybody can have an account with, by host, and what of their tokens says whose it is.
///
/// From the IAM User Guide, "Create a role for OpenID Connect federation", and the providers' own pages on AWS.
const SHARED_PROVIDERS: &[(&str, &[&str])] = &[
    (
        "token.actions.githubusercontent.com",
        &[
            "sub",
            "repository",
            "repository_id",
            "repository_owner",
            "repository_owner_id",
            "enterprise",
            "job_workflow_ref",
        ],
    ),
    ("gitlab.com", &["sub", "project_path", "namespace_path", "project_id", "namespace_id"]),
    ("app.terraform.io", &["sub", "terraform_organization_id"]),
    ("agent.buildkite.com", &["sub", "organization_id"]),
    ("accounts.google.com", &["sub", "aud", "oaud"]),
    ("cognito-identity.amazonaws.com", &["sub", "aud"]),
    ("graph.facebook.com", &["id", "app_id"]),
    ("www.amazon.com", &["user_id", "app_id"]),
];

/// What a document with principals comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Exposure {
    pub(crate) public: bool,
    pub(crate) public_actions: Vec<String>,
    pub(crate) principals: Vec<String>,
    pub(crate) accounts: Vec<String>,
    pub(crate) open_federation: bool,
}

impl Exposure {
    /// `None` for a document that has no principals.
    pub(crate) fn of(policy: &Policy) -> Option<Exposure> {
        let with_principals = policy.statements.iter().filter(|statement| statement.principals.is_some());
        let mut found = Exposure::default();
        let mut any = false;
        for statement in with_principals {
            any = true;
            if statement.allows {
                found.add(statement, policy);
            }
        }
        for list in [&mut found.public_actions, &mut found.principals, &mut found.accounts] {
            list.sort();
            list.dedup();
        }
        any.then_some(found)
    }

    fn add(&mut self, statement: &Statement, policy: &Policy) {
        let Some(principals) = &statement.principals else {
            return;
        };
        self.principals.extend(principals.named.iter().map(Principal::shown));
        self.accounts.extend(principals.named.iter().filter_map(Principal::account).map(str::to_owned));
        self.open_federation |= principals.named.iter().any(|principal| is_open_federation(principal, statement));
        if !principals.include_everyone() {
            return;
        }
        if principals.except.is_some() {
            self.principals.push("*".to_owned());
        }
        if statement.keeps_strangers_out() {
            // "Everybody from account X" is a way to write account X.
            self.accounts.extend(statement.conditions.iter().flat_map(Part::accounts));
            return;
        }
        let open = statement.open_actions(policy);
        self.public |= !open.is_empty();
        self.public_actions.extend(open);
    }
}

impl Statement {
    /// Whether its conditions keep out whoever has nothing to do with the policy's owner.
    fn keeps_strangers_out(&self) -> bool {
        let mut parts = self.conditions.iter().map(|part| part.keeps_strangers_out(&self.conditions));
        match self.doubtful {
            false => parts.any(|keeps| keeps),
            true => !self.conditions.is_empty() && parts.all(|keeps| keeps),
        }
    }

    /// The statement's actions that no other statement denies to strangers.
    fn open_actions(&self, policy: &Policy) -> Vec<String> {
        let denials = policy.statements.iter().filter(|other| other.denies_strangers());
        let denials: Vec<&Statement> = denials.take(MOST_COMPARED).collect();
        let named = self.resources.named.iter().take(MOST_COMPARED);
        let mut resources: Vec<Pattern> = named.map(|named| named.pattern.clone()).collect();
        if resources.is_empty() || !self.resources.except.is_empty() {
            resources.push(Pattern::new("*"));
        }
        let denied = |action: &Pattern| {
            resources.iter().all(|resource| {
                denials.iter().any(|denial| {
                    denial.actions.contain(action)
                        && (denial.resources.are_absent() || denial.resources.contain(resource))
                })
            })
        };
        let shown = |(at, action): (usize, &Named)| {
            (at >= MOST_COMPARED || !denied(&action.pattern)).then(|| action.text.clone())
        };
        let mut open: Vec<String> = self.actions.named.iter().enumerate().filter_map(shown).collect();
        for except in self.actions.except.iter().filter(|_| !denied(&Pattern::new("*"))) {
            open.extend(except.iter().map(|action| format!("!{}", action.text)));
            open.extend(except.is_empty().then(|| "*".to_owned()));
        }
        open
    }

    /// Whether it denies something to everybody who has nothing to do with the policy's owner.
    fn denies_strangers(&self) -> bool {
        let of_strangers = self.principals.as_ref().is_some_and(|principals| principals.include_everyone());
        !self.allows && !self.doubtful && of_strangers && self.conditions.iter().all(Part::holds_for_strangers)
    }
}

/// Whether a trust in a provider that is everybody's does not say whose tokens it means.
fn is_open_federation(principal: &Principal, statement: &Statement) -> bool {
    let Principal::Federated(provider) = principal else {
        return false;
    };
    let provider = provider.rsplit_once("oidc-provider/").map_or(provider.as_str(), |(_, host)| host);
    let provider = provider.to_ascii_lowercase();
    let host = provider.split('/').next().unwrap_or_default();
    let Some((_, claims)) = SHARED_PROVIDERS.iter().find(|(shared, _)| *shared == host) else {
        return false;
    };
    let says_whose = |part: &Part| {
        let claim = part.key().rsplit_once(':').filter(|(of, _)| *of == provider).map(|(_, claim)| claim);
        claim.is_some_and(|claim| claims.contains(&claim))
            && part
                .required(&statement.conditions)
                .is_some_and(|values| values.iter().all(|value| !part.has_wildcards() || names_owner(value)))
    };
    let mut parts = statement.conditions.iter().map(says_whose);
    match statement.doubtful {
        false => !parts.any(|says| says),
        true => statement.conditions.is_empty() || !parts.all(|says| says),
    }
}

/// Whether a claim's pattern fixes the owner: `repo:my-org/*` does, `repo:my-org*` and `repo:*` do not.
fn names_owner(pattern: &str) -> bool {
    let Some(at) = pattern.find(['*', '?']) else {
        return true;
    };
    let fixed = &pattern[..at];
    // Behind the word for the kind of claim, a whole name and what ends it.
    let name = fixed.split_once(':').map_or(fixed, |(_, name)| name);
    name.find(['/', ':']).is_some_and(|end| end > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_named_by_whole_segments() {
        for (pattern, named) in [
            ("repo:my-org/*", true),
            ("repo:my-org/app:ref:refs/heads/*", true),
            ("repo:my-org/app:*", true),
            ("repo:my-org*", false),
            ("repo:*", false),
            ("repo:/*", false),
            ("repo:*/app:ref:refs/heads/main", false),
            ("*", false),
            ("organization:acme:project:*", true),
            ("organization:*:project:*", false),
            ("project_path:group/*", true),
            ("exactly this", true),
        ] {
            assert_eq!(names_owner(pattern), named, "{pattern}");
        }
    }
}
