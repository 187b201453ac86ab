//! What a call is about, by name, and the roles that it hands to services.

use std::sync::LazyLock;

use crate::event::Event;
use crate::tables::Tables;

use super::Facts;
use super::node::Node;

/// What a call is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) names: Vec<String>,
    pub(crate) critical: Option<bool>,
}

/// Members of requests that name what the call is about, in lower case.
const NAMES: &[&str] = &[
    "bucketname",
    "clusteridentifier",
    "clustername",
    "dbclusteridentifier",
    "dbclustersnapshotidentifier",
    "dbinstanceidentifier",
    "dbsnapshotidentifier",
    "detectorid",
    "documentname",
    "domainname",
    "functionname",
    "groupid",
    "groupname",
    "hostedzoneid",
    "instanceid",
    "instanceids",
    "instanceprofilename",
    "keyid",
    "loggroupname",
    "name",
    "names",
    "path",
    "policyarn",
    "policyname",
    "queueurl",
    "repositoryname",
    "resourcearn",
    "rolearn",
    "rolename",
    "secretid",
    "secretidlist",
    "tablename",
    "target",
    "topicarn",
    "trailname",
    "username",
];

/// How many names are kept.
const MOST_NAMES: usize = 200;

/// How many names evidence tells.
const MOST_TOLD: usize = 3;
/// Longest text of evidence about what a call is about, in bytes.
const LONGEST_TOLD: usize = 160;

/// What a call is about, as evidence tells it: `alice, AdministratorAccess`; more than three names are counted.
pub(crate) fn told(event: &Event) -> Option<String> {
    /// Names ask nothing of tables.
    static NO_TABLES: LazyLock<Tables> = LazyLock::new(Tables::default);
    let Target { mut names, .. } = Target::of(&Facts::new(event, &NO_TABLES));
    let more = names.len().saturating_sub(MOST_TOLD);
    names.truncate(MOST_TOLD);
    names.extend((more > 0).then(|| format!("{more} more")));
    let mut text = names.join(", ");
    if text.len() > LONGEST_TOLD {
        let end = (0..=LONGEST_TOLD - '…'.len_utf8()).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    Some(text).filter(|text| !text.is_empty())
}

impl Target {
    pub(crate) fn of(facts: &Facts<'_>) -> Target {
        let Some(request) = facts.request() else {
            return Target::default();
        };
        let service = facts.service();
        let mut names: Vec<String> = Vec::new();
        request.walk(1, &mut |key, value| {
            let named = NAMES.contains(&key.to_ascii_lowercase().as_str());
            // IAM's `path` is a folder of names, not a parameter's.
            if named && !(service == "iam" && key == "path") {
                let texts = value.list().into_iter().take(MOST_NAMES).filter_map(Node::text);
                names.extend(texts.map(|text| bare(&text).to_owned()).filter(|name| !name.is_empty()));
            }
        });
        names.sort();
        names.dedup();
        names.truncate(MOST_NAMES);
        let critical = |name: &String| Tables::lists(&facts.tables.critical_names, name);
        Target { critical: (!names.is_empty()).then(|| names.iter().any(critical)), names }
    }
}

/// A name without what its ARN or address puts before it, and without the six characters that Secrets Manager adds.
fn bare(text: &str) -> &str {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", _, service, _, _, resource] = parts[..] else {
        return if text.starts_with("https://sqs.") { text.rsplit('/').next().unwrap_or(text) } else { text };
    };
    match service {
        "secretsmanager" => {
            let name = resource.strip_prefix("secret:").unwrap_or(resource);
            match name.rsplit_once('-') {
                Some((name, suffix)) if suffix.len() == 6 => name,
                _ => name,
            }
        }
        // A parameter's name begins with the slash.
        "ssm" if resource.starts_with("parameter/") => &resource["parameter".len()..],
        "iam" => resource.rsplit('/').next().unwrap_or(resource),
        _ => resource.split_once([':', '/']).map_or(resource, |(_, name)| name),
    }
}

/// The roles and instance profiles that a call hands to a service, by name. IAM and STS hand over nothing.
pub(crate) fn passed_roles(facts: &Facts<'_>) -> Vec<String> {
    if matches!(facts.service().as_str(), "iam" | "sts" | "") {
        return Vec::new();
    }
    let mut roles: Vec<String> = Vec::new();
    let mut visit = |key: std::borrow::Cow<'_, str>, value: Node<'_>| {
        let key = key.to_ascii_lowercase();
        if roles.len() >= MOST_NAMES || !(key.contains("role") || key.contains("instanceprofile")) {
            return;
        }
        if key == "iaminstanceprofile" {
            roles.extend(value.scalar_of("name").map(|name| name.into_owned()));
        }
        let direct = value.list().into_iter().take(MOST_NAMES);
        let arns = direct.flat_map(|value| [value.text(), value.scalar_of("arn")]).flatten();
        let is_role = |arn: &str| arn.contains(":role/") || arn.contains(":instance-profile/");
        roles.extend(arns.filter(|arn| is_role(arn)).map(|arn| arn.rsplit('/').next().unwrap_or_default().to_owned()));
    };
    if let Some(request) = facts.request() {
        request.walk(6, &mut visit);
    }
    roles.sort();
    roles.dedup();
    roles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_tells_a_few_names() {
        let told = |request: serde_json::Value| {
            let event =
                serde_json::json!({"eventSource": "ec2.amazonaws.com", "eventID": "e", "requestParameters": request});
            told(&crate::event::tests::event(event))
        };
        assert_eq!(
            told(serde_json::json!({"userName": "alice", "policyArn": "arn:aws:iam::aws:policy/Admin"})).unwrap(),
            "Admin, alice"
        );
        assert_eq!(
            told(serde_json::json!({"instanceIds": ["i-1", "i-2", "i-3", "i-4", "i-5"]})).unwrap(),
            "i-1, i-2, i-3, 2 more"
        );
        assert_eq!(told(serde_json::json!({"userName": "é".repeat(400)})).unwrap().len(), LONGEST_TOLD - 1);
        assert_eq!(told(serde_json::Value::Null), None);
        assert_eq!(told(serde_json::json!({"dryRun": true})), None);
    }

    #[test]
    fn names_are_bared() {
        for (text, name) in [
            ("arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-0HEVow", "prod/db"),
            ("arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db", "prod/db"),
            ("arn:aws:secretsmanager:us-east-1:111122223333:secret:prod-db", "prod-db"),
            ("arn:aws:ssm:us-east-1:111122223333:parameter/prod/db", "/prod/db"),
            ("arn:aws:iam::111122223333:role/path/Admin", "Admin"),
            ("arn:aws:s3:::bucket", "bucket"),
            ("arn:aws:lambda:us-east-1:111122223333:function:f", "f"),
            ("https://sqs.us-east-1.amazonaws.com/111122223333/q", "q"),
            ("/prod/db", "/prod/db"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(bare(text), name, "{text}");
        }
    }
}
