//! What an identity's policy lets its holder do: asked with names that nobody would give to anything, so that only a
//! wildcard can answer yes.

use super::glob::Pattern;
use super::policy::{Arn, Named, Patterns, Policy, Statement};

/// A name that stands for every name.
const NAME: &str = "zq7-no-such-name-x41";

/// What an action works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    User,
    Group,
    Role,
    /// A customer's managed policy.
    ManagedPolicy,
    /// A resource of the action's own service, by what stands before its name in its ARN.
    Named(&'static str),
}

/// A resource with a name that nobody would give it.
struct Probe {
    service: Pattern,
    resource: Pattern,
    whole: Pattern,
}

impl Probe {
    fn new(on: On, action: &str) -> Probe {
        let own = action.split(':').next().unwrap_or_default();
        let (service, before) = match on {
            On::User => ("iam", "user/"),
            On::Group => ("iam", "group/"),
            On::Role => ("iam", "role/"),
            On::ManagedPolicy => ("iam", "policy/"),
            On::Named(before) => (own, before),
        };
        let resource = format!("{before}{NAME}");
        Probe {
            service: Pattern::literal(service),
            resource: Pattern::literal(&resource),
            whole: Pattern::literal(&format!("arn:aws:{service}::000000000000:{resource}")),
        }
    }

    /// Whether the pattern matches such a resource in some account and in some region, or, if `everywhere`, in all
    /// regions.
    fn is_in(&self, named: &Named, everywhere: bool) -> bool {
        let by_parts = |arn: &Arn| {
            (arn.everywhere || !everywhere) && arn.service.covers(&self.service) && arn.resource.covers(&self.resource)
        };
        named.arn.as_ref().is_some_and(by_parts) || named.pattern.covers(&self.whole)
    }

    /// Whether an allowing statement over these patterns reaches such a resource.
    fn is_touched(&self, patterns: &Patterns) -> bool {
        patterns.any(|named| self.is_in(named, false), |excepted| self.is_in(excepted, true))
    }

    /// Whether a denying statement over these patterns reaches all such resources.
    fn is_contained(&self, patterns: &Patterns) -> bool {
        patterns.any(|named| self.is_in(named, true), |excepted| self.is_in(excepted, false))
    }
}

impl Policy {
    /// Whether the document lets its holder do `action` (in lower case) to any resource of the kind, passing a role to
    /// `service` if the action is PassRole. A denial counts only when nothing but its own words limits it.
    pub(crate) fn allows(&self, action: &str, on: On, service: Option<&str>) -> bool {
        let (action, resource) = (Pattern::literal(action), Probe::new(on, action));
        let denied = |statement: &Statement| {
            !statement.allows
                && !statement.doubtful
                && statement.conditions.is_empty()
                && statement.actions.contain(&action)
                && resource.is_contained(&statement.resources)
        };
        let allowed = |statement: &Statement| {
            statement.allows
                && statement.actions.contain(&action)
                && resource.is_touched(&statement.resources)
                && !statement.is_limited(service)
        };
        let mut own = self.statements.iter().filter(|statement| statement.principals.is_none());
        own.clone().any(allowed) && !own.any(denied)
    }

    /// Whether the holder may do everything in IAM that gives rights, and so give itself all others.
    pub(crate) fn is_admin(&self) -> bool {
        let needed = [
            ("iam:attachuserpolicy", On::User),
            ("iam:attachrolepolicy", On::Role),
            ("iam:putuserpolicy", On::User),
            ("iam:putrolepolicy", On::Role),
            ("iam:createpolicyversion", On::ManagedPolicy),
            ("iam:createaccesskey", On::User),
            ("iam:updateassumerolepolicy", On::Role),
            ("iam:passrole", On::Role),
        ];
        needed.iter().all(|(action, on)| self.allows(action, *on, None))
    }

    /// Services of which everything is allowed on everything: `*` if it is so of one that nobody knows.
    pub(crate) fn full_access(&self) -> Vec<String> {
        let whole = |service: &str| self.allows(&format!("{service}:{NAME}"), On::Named(""), None);
        if whole("zq7svc") {
            return vec!["*".to_owned()];
        }
        let allowing = self.statements.iter().filter(|statement| statement.allows);
        let actions = allowing.flat_map(|statement| &statement.actions.named);
        let mut services: Vec<String> = actions
            .filter_map(|action| action.text.split_once(':'))
            .filter(|(service, rest)| {
                rest.starts_with('*') && service.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            })
            .map(|(service, _)| service.to_owned())
            .collect();
        services.sort();
        services.dedup();
        services.truncate(100);
        services.retain(|service| whole(service));
        services
    }
}

impl Statement {
    /// Whether conditions leave the holder less than the statement says.
    fn is_limited(&self, service: Option<&str>) -> bool {
        let mut limits = self.conditions.iter().map(|part| part.limits_holder(service));
        match self.doubtful {
            false => limits.any(|limits| limits),
            true => !self.conditions.is_empty() && limits.all(|limits| limits),
        }
    }
}
