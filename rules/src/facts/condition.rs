//! Conditions of statements: which of them keep strangers out, and which limit what a holder may do.
//!
//! From the IAM User Guide, "Condition operators", "Single-valued vs. multivalued context keys" and "AWS global condition
//! context keys".

use crate::tables::is_account_id;

use super::cidr::{self, Share};
use super::glob;

/// What an operator compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    /// Text for text: wildcards are characters.
    Exact,
    /// With `*` and `?`.
    Like,
    Bool,
    Ip,
    Null,
    /// Numbers, dates, bytes.
    Order,
}

/// `ForAnyValue:` or `ForAllValues:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Any,
    All,
}

/// One operator with one key; the parts of a `Condition` must hold together.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    compare: Compare,
    negated: bool,
    set: Option<Set>,
    if_exists: bool,
    /// In lower case.
    key: String,
    values: Vec<String>,
}

/// What a key's value says about where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Account,
    Organisation,
    OrganisationPath,
    Arn,
    Address,
    /// Something that nobody else can have, such as an endpoint's id.
    Name,
    /// The resource's account or organisation, of use only when it must equal the caller's.
    Mirror,
}

fn origin(key: &str) -> Option<Origin> {
    Some(match key {
        "aws:principalaccount"
        | "aws:sourceaccount"
        | "aws:sourceowner"
        | "aws:vpceaccount"
        | "kms:calleraccount"
        | "s3:dataaccesspointaccount" => Origin::Account,
        "aws:principalorgid" | "aws:sourceorgid" | "aws:vpceorgid" => Origin::Organisation,
        "aws:principalorgpaths" | "aws:sourceorgpaths" | "aws:vpceorgpaths" => Origin::OrganisationPath,
        "aws:principalarn"
        | "aws:sourcearn"
        | "aws:sourcevpcarn"
        | "ec2:sourceinstancearn"
        | "lambda:sourcefunctionarn"
        | "s3:dataaccesspointarn" => Origin::Arn,
        "aws:sourceip" => Origin::Address,
        "aws:sourcevpc"
        | "aws:sourcevpce"
        | "aws:userid"
        | "aws:principalservicename"
        | "aws:principalservicenameslist" => Origin::Name,
        "aws:resourceaccount" | "aws:resourceorgid" | "aws:resourceorgpaths" => Origin::Mirror,
        _ => return None,
    })
}

impl Part {
    /// The part that `operator` (in lower case) applies to `key` (in lower case); `None` for an operator that IAM does
    /// not know.
    pub(crate) fn new(operator: &str, key: String, values: Vec<String>) -> Option<Part> {
        let (set, rest) = match operator.split_once(':') {
            Some(("foranyvalue", rest)) => (Some(Set::Any), rest),
            Some(("forallvalues", rest)) => (Some(Set::All), rest),
            Some(_) => return None,
            None => (None, operator),
        };
        let (rest, if_exists) = rest.strip_suffix("ifexists").map_or((rest, false), |rest| (rest, true));
        let (compare, negated) = match rest {
            "stringequals" | "stringequalsignorecase" => (Compare::Exact, false),
            "stringnotequals" | "stringnotequalsignorecase" => (Compare::Exact, true),
            "stringlike" | "arnlike" | "arnequals" => (Compare::Like, false),
            "stringnotlike" | "arnnotlike" | "arnnotequals" => (Compare::Like, true),
            "bool" => (Compare::Bool, false),
            "ipaddress" => (Compare::Ip, false),
            "notipaddress" => (Compare::Ip, true),
            "null" => (Compare::Null, false),
            "numericnotequals" | "datenotequals" => (Compare::Order, true),
            "binaryequals" => (Compare::Order, false),
            other if other.starts_with("numeric") || other.starts_with("date") => (Compare::Order, false),
            _ => return None,
        };
        Some(Part { compare, negated, set, if_exists, key, values })
    }

    /// The key, in lower case.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Whether no request satisfies it that lacks the key; `all` are the parts that must hold with it.
    fn needs_its_key(&self, all: &[Part]) -> bool {
        let given = |part: &Part| part.compare == Compare::Null && part.key == self.key && part.all_values("false");
        !(self.negated || self.if_exists || self.set == Some(Set::All)) || (!self.negated && all.iter().any(given))
    }

    fn all_values(&self, text: &str) -> bool {
        !self.values.is_empty() && self.values.iter().all(|value| value.eq_ignore_ascii_case(text))
    }

    /// The values, if the part asks for one of them and fails without.
    pub(crate) fn required(&self, all: &[Part]) -> Option<&[String]> {
        let compares = matches!(self.compare, Compare::Exact | Compare::Like);
        (compares && self.needs_its_key(all)).then_some(&self.values)
    }

    /// Whether its values may hold wildcards.
    pub(crate) fn has_wildcards(&self) -> bool {
        self.compare == Compare::Like
    }

    /// Whether it keeps out whoever has nothing to do with the policy's owner.
    pub(crate) fn keeps_strangers_out(&self, all: &[Part]) -> bool {
        if !self.needs_its_key(all) {
            return false;
        }
        match self.compare {
            Compare::Null | Compare::Order => false,
            Compare::Bool => {
                let key = self.key.as_str();
                matches!(key, "aws:principalisawsservice" | "elasticfilesystem:accessedviamounttarget")
                    && self.all_values("true")
            }
            Compare::Ip | Compare::Exact | Compare::Like => self.pins(),
        }
    }

    /// Whether every stranger satisfies it, so that a denial under it denies them all.
    pub(crate) fn holds_for_strangers(&self) -> bool {
        let for_direct_calls = matches!(self.key.as_str(), "aws:viaawsservice" | "aws:principalisawsservice");
        match self.compare {
            Compare::Bool => for_direct_calls && self.all_values("false"),
            Compare::Ip | Compare::Exact | Compare::Like => self.negated && self.set != Some(Set::Any) && self.pins(),
            Compare::Null | Compare::Order => false,
        }
    }

    /// Whether only the owner's own have one of the values. An empty list is nobody's.
    fn pins(&self) -> bool {
        let Some(origin) = origin(&self.key) else {
            return false;
        };
        if self.compare == Compare::Ip {
            let ranges = self.values.iter().filter_map(|value| cidr::parse(value));
            return origin == Origin::Address && !Share::of(ranges).is_world();
        }
        self.values.iter().all(|value| self.pins_value(origin, value))
    }

    fn pins_value(&self, origin: Origin, value: &str) -> bool {
        if let Some(mirrored) = mirrors(&self.key, value) {
            return mirrored;
        }
        if origin == Origin::Mirror {
            return false;
        }
        if self.compare == Compare::Exact {
            return true; // wildcards are plain characters, which no real value holds
        }
        // The part before the first wildcard.
        let fixed = value.find(['*', '?']).map_or(value, |at| &value[..at]);
        let plain = fixed.len() == value.len();
        match origin {
            Origin::Account => plain,
            Origin::Organisation => plain || fixed.len() >= 12,
            Origin::OrganisationPath => fixed.contains('/') || plain,
            Origin::Arn => pins_arn(value),
            Origin::Address => plain || fixed.matches('.').count() >= 2,
            Origin::Name => plain || fixed.len() >= 12,
            Origin::Mirror => false,
        }
    }

    /// Accounts that it lets in, where it names some.
    pub(crate) fn accounts(&self) -> Vec<String> {
        let positive = !self.negated && matches!(self.compare, Compare::Exact | Compare::Like);
        let account = |value: &String| match origin(&self.key) {
            Some(Origin::Account) => Some(value.clone()),
            Some(Origin::Arn) => value.split(':').nth(4).map(str::to_owned),
            _ => None,
        };
        let found = self.values.iter().filter(|_| positive).filter_map(account);
        found.filter(|account| is_account_id(account)).collect()
    }

    /// Whether it leaves the holder of an identity's policy less than the statement says. `service` is the one that a
    /// role would be passed to.
    pub(crate) fn limits_holder(&self, service: Option<&str>) -> bool {
        if is_about_caller(&self.key) {
            return false; // the holder fulfils it, now or in a moment
        }
        let matching = |text: &str| {
            let text = text.to_ascii_lowercase();
            self.values.iter().any(|value| match self.compare {
                Compare::Like => glob::matches(&value.to_ascii_lowercase(), &text),
                _ => value.eq_ignore_ascii_case(&text),
            })
        };
        match (self.key.as_str(), service) {
            ("iam:passedtoservice", Some(service)) => return matching(service) == self.negated,
            ("iam:policyarn", _) => {
                return matching("arn:aws:iam::aws:policy/AdministratorAccess") == self.negated;
            }
            _ => {}
        }
        match self.compare {
            Compare::Null => !self.all_values("true"),
            _ if self.negated || self.if_exists || self.set == Some(Set::All) => false,
            Compare::Like => !self.values.iter().any(|value| glob::is_anything(value)),
            _ => true,
        }
    }
}

/// Whether the value is a variable of the other side: whether caller and resource must then be of one kind, or `None`
/// if it is no variable.
fn mirrors(key: &str, value: &str) -> Option<bool> {
    let variable =
        ["${*}", "${?}", "${$}"].iter().fold(value.to_ascii_lowercase(), |text, part| text.replace(part, ""));
    if !variable.contains("${") {
        return None;
    }
    let pairs = [
        ("aws:principalaccount", "${aws:resourceaccount}"),
        ("aws:sourceaccount", "${aws:resourceaccount}"),
        ("aws:vpceaccount", "${aws:resourceaccount}"),
        ("kms:calleraccount", "${aws:resourceaccount}"),
        ("aws:principalorgid", "${aws:resourceorgid}"),
        ("aws:sourceorgid", "${aws:resourceorgid}"),
        ("aws:vpceorgid", "${aws:resourceorgid}"),
        ("aws:resourceaccount", "${aws:principalaccount}"),
        ("aws:resourceorgid", "${aws:principalorgid}"),
    ];
    Some(pairs.contains(&(key, variable.as_str())))
}

/// Whether an ARN with wildcards can only be of one owner: its account is fixed, or it is a bucket's, whose name is
/// unique in the world.
fn pins_arn(pattern: &str) -> bool {
    let parts: Vec<&str> = pattern.splitn(6, ':').collect();
    let [arn, _, service, _, account, resource] = parts[..] else {
        return !glob::is_pattern(pattern);
    };
    let bucket = resource.split('/').next().unwrap_or_default();
    let is_bucket = service == "s3" && !bucket.is_empty() && !glob::is_pattern(bucket);
    let has_account = !account.is_empty() && !glob::is_pattern(account);
    arn == "arn" && (has_account || is_bucket)
}

/// Keys that say something about caller, session or network, not about what is done to what.
fn is_about_caller(key: &str) -> bool {
    let exact = [
        "aws:calledvia",
        "aws:calledviafirst",
        "aws:calledvialast",
        "aws:currenttime",
        "aws:epochtime",
        "aws:federatedprovider",
        "aws:referer",
        "aws:requestedregion",
        "aws:securetransport",
        "aws:sourceidentity",
        "aws:sourceip",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:tokenissuetime",
        "aws:useragent",
        "aws:userid",
        "aws:username",
        "aws:viaawsservice",
        "aws:vpcsourceip",
    ];
    exact.contains(&key) || key.starts_with("aws:principal") || key.starts_with("aws:multifactorauth")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn part(operator: &str, key: &str, values: &[&str]) -> Part {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Part::new(&operator.to_ascii_lowercase(), key.to_ascii_lowercase(), values).unwrap()
    }

    #[test]
    fn unknown_operators_are_none() {
        for operator in ["stringsame", "foronevalue:stringlike", "", "ifexists"] {
            assert!(Part::new(operator, String::new(), Vec::new()).is_none(), "{operator}");
        }
    }

    #[test]
    fn arns_are_pinned_by_account_or_bucket() {
        for (arn, pinned) in [
            ("arn:aws:sns:*:111122223333:*", true),
            ("arn:*:*:*:111122223333:*", true),
            ("arn:aws:s3:::my-bucket", true),
            ("arn:aws:s3:*:*:my-bucket/*", true),
            ("arn:aws:s3:::my-*", false),
            ("arn:aws:s3:::*", false),
            ("arn:aws:iam::*:role/Admin", false),
            ("arn:aws:iam::11112222333?:role/Admin", false),
            ("*111122223333*", false),
            ("*", false),
        ] {
            assert_eq!(pins_arn(arn), pinned, "{arn}");
        }
    }

    #[test]
    fn passed_services_are_compared() {
        let equals = part("StringEquals", "iam:PassedToService", &["ec2.amazonaws.com"]);
        assert!(!equals.limits_holder(Some("ec2.amazonaws.com")));
        assert!(equals.limits_holder(Some("lambda.amazonaws.com")) && equals.limits_holder(None));
        let like = part("StringLikeIfExists", "iam:PassedToService", &["*.amazonaws.com"]);
        assert!(!like.limits_holder(Some("lambda.amazonaws.com")));
        let not = part("StringNotEquals", "iam:PassedToService", &["ec2.amazonaws.com"]);
        assert!(not.limits_holder(Some("ec2.amazonaws.com")) && !not.limits_holder(Some("glue.amazonaws.com")));
    }
}
