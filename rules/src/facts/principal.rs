//! Principals of resource and trust policies in all their spellings.
//!
//! From the IAM User Guide, "AWS JSON policy elements: Principal" and "NotPrincipal".

use crate::tables::is_account_id;

use super::glob;

/// Somebody whom a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// `*`, in whatever place, anonymous callers included.
    Everyone,
    /// A whole account: its id, or the ARN of its root.
    Account(String),
    /// One identity of an account.
    Identity { account: String, arn: String },
    /// An AWS service.
    Service(String),
    /// An identity provider.
    Federated(String),
    /// A canonical user id, which names an account without saying which.
    Canonical(String),
    /// Anything else: the unique id of a deleted identity, CloudFront's origin access identities.
    Other(String),
}

/// The principals of a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Principals {
    /// `Principal`.
    pub(crate) named: Vec<Principal>,
    /// `NotPrincipal`, if there is one: everybody else.
    pub(crate) except: Option<Vec<Principal>>,
}

impl Principals {
    /// Whether strangers are among them.
    pub(crate) fn include_everyone(&self) -> bool {
        self.named.contains(&Principal::Everyone)
            || self.except.as_ref().is_some_and(|except| !except.contains(&Principal::Everyone))
    }
}

impl Principal {
    /// The principal that `text` names under the key `kind` of a `Principal` object.
    pub(crate) fn parse(kind: &str, text: &str) -> Principal {
        let text = text.trim();
        if glob::is_anything(text) || kind == "*" {
            return Principal::Everyone;
        }
        let owned = || text.to_owned();
        match kind.to_ascii_lowercase().as_str() {
            "service" => Principal::Service(owned()),
            "federated" => Principal::Federated(owned()),
            "canonicaluser" => Principal::Canonical(owned()),
            _ => Principal::parse_aws(text),
        }
    }

    fn parse_aws(text: &str) -> Principal {
        if is_account_id(text) {
            return Principal::Account(text.to_owned());
        }
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        match parts[..] {
            ["arn", _, "iam" | "sts", _, account, resource] if is_account_id(account) => match resource {
                "root" => Principal::Account(account.to_owned()),
                _ => Principal::Identity { account: account.to_owned(), arn: text.to_owned() },
            },
            // AWS refuses wildcards in the account; were it to take one, anybody's account would fit.
            ["arn", _, "iam" | "sts", _, account, _] if glob::is_pattern(account) => Principal::Everyone,
            _ if text.ends_with(".amazonaws.com") || text.ends_with(".amazonaws.com.cn") => {
                Principal::Service(text.to_owned())
            }
            _ => Principal::Other(text.to_owned()),
        }
    }

    /// The account it belongs to, where it says one.
    pub(crate) fn account(&self) -> Option<&str> {
        match self {
            Principal::Account(account) | Principal::Identity { account, .. } => Some(account),
            _ => None,
        }
    }

    /// As a fact shows it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Principal::Everyone => "*".to_owned(),
            Principal::Account(text) | Principal::Other(text) => text.clone(),
            Principal::Identity { arn, .. } => arn.clone(),
            Principal::Service(text) => format!("service:{text}"),
            Principal::Federated(text) => format!("federated:{text}"),
            Principal::Canonical(text) => format!("canonical:{text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read() {
        for (kind, text, expected) in [
            ("AWS", "*", "*"),
            ("aws", " * ", "*"),
            ("*", "x", "*"),
            ("Service", "*", "*"),
            ("AWS", "arn:aws:iam::*:root", "*"),
            ("AWS", "arn:aws:iam::????????????:user/a", "*"),
            ("AWS", "111122223333", "111122223333"),
            ("AWS", "arn:aws:iam::111122223333:root", "111122223333"),
            ("AWS", "arn:aws-cn:iam::111122223333:root", "111122223333"),
            ("AWS", "arn:aws:iam::111122223333:role/x", "arn:aws:iam::111122223333:role/x"),
            ("AWS", "AIDAEXAMPLE", "AIDAEXAMPLE"),
            ("AWS", "ec2.amazonaws.com", "service:ec2.amazonaws.com"),
            ("Service", "ec2.amazonaws.com", "service:ec2.amazonaws.com"),
            ("Federated", "cognito-identity.amazonaws.com", "federated:cognito-identity.amazonaws.com"),
            ("CanonicalUser", "79a59d", "canonical:79a59d"),
        ] {
            assert_eq!(Principal::parse(kind, text).shown(), expected, "{kind} {text}");
        }
        let arn = "arn:aws:sts::111122223333:assumed-role/Admin/alice";
        assert_eq!(Principal::parse("AWS", arn).account(), Some("111122223333"));
    }
}
