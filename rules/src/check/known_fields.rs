//! Fields that no event has. What an API's parameters and answers are called, nobody can list; the record around them is
//! documented.

use rsigma_parser::{Detection, DetectionItem, Modifier, SigmaValue};

use crate::event::EventKind;
use crate::facts::{self, distance};
use crate::rule::Rule;

/// What a CloudTrail record has: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>
/// and <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>. Below
/// a `*` there may be anything.
const CLOUDTRAIL: &[&str] = &[
    "additionalEventData.*",
    "addendum.originalEventID",
    "addendum.originalRequestID",
    "addendum.reason",
    "addendum.updatedFields",
    "annotation.*",
    "apiVersion",
    "awsRegion",
    "edgeDeviceDetails.*",
    "errorCode",
    "errorMessage",
    "eventCategory",
    "eventContext.requestContext.*",
    "eventContext.tagContext.*",
    "eventID",
    "eventName",
    "eventSource",
    "eventTime",
    "eventType",
    "eventVersion",
    "insightDetails.*",
    "managementEvent",
    "omitted",
    "readOnly",
    "recipientAccountId",
    "requestID",
    "requestParameters.*",
    "resources.ARN",
    "resources.ARNPrefix",
    "resources.accountId",
    "resources.type",
    "responseElements.*",
    "serviceEventDetails.*",
    "sessionCredentialFromConsole",
    "sharedEventID",
    "sourceIPAddress",
    "tlsDetails.cipherSuite",
    "tlsDetails.clientProvidedHostHeader",
    "tlsDetails.keyExchange",
    "tlsDetails.tlsVersion",
    "userAgent",
    "userIdentity.accessKeyId",
    "userIdentity.accountId",
    "userIdentity.arn",
    "userIdentity.credentialId",
    "userIdentity.identityProvider",
    "userIdentity.inScopeOf.credentialsIssuedTo",
    "userIdentity.inScopeOf.issuerType",
    "userIdentity.inScopeOf.sourceAccount",
    "userIdentity.inScopeOf.sourceArn",
    "userIdentity.invokedBy",
    "userIdentity.invokedByDelegate.*",
    "userIdentity.onBehalfOf.identityStoreArn",
    "userIdentity.onBehalfOf.userId",
    "userIdentity.principalId",
    "userIdentity.sessionContext.assumedRoot",
    "userIdentity.sessionContext.attributes.creationDate",
    "userIdentity.sessionContext.attributes.mfaAuthenticated",
    "userIdentity.sessionContext.ec2RoleDelivery",
    "userIdentity.sessionContext.sessionIssuer.accountId",
    "userIdentity.sessionContext.sessionIssuer.arn",
    "userIdentity.sessionContext.sessionIssuer.principalId",
    "userIdentity.sessionContext.sessionIssuer.type",
    "userIdentity.sessionContext.sessionIssuer.userName",
    "userIdentity.sessionContext.sourceIdentity",
    "userIdentity.sessionContext.webIdFederationData.attributes.*",
    "userIdentity.sessionContext.webIdFederationData.federatedProvider",
    "userIdentity.type",
    "userIdentity.userName",
    "vpcEndpointAccountId",
    "vpcEndpointId",
];

/// A GuardDuty finding as EventBridge has it:
/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings_eventbridge.html>.
const GUARDDUTY: &[&str] = &[
    "accountId",
    "arn",
    "associatedAttackSequenceArn",
    "confidence",
    "createdAt",
    "description",
    "id",
    "partition",
    "region",
    "resource.*",
    "schemaVersion",
    "service.*",
    "severity",
    "title",
    "type",
    "updatedAt",
];

/// The AWS Security Finding Format:
/// <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format.html>.
const SECURITYHUB: &[&str] = &[
    "Action.*",
    "AwsAccountId",
    "AwsAccountName",
    "CompanyName",
    "Compliance.*",
    "Confidence",
    "CreatedAt",
    "Criticality",
    "Description",
    "Detection.*",
    "FindingProviderFields.*",
    "FirstObservedAt",
    "GeneratorDetails.*",
    "GeneratorId",
    "Id",
    "LastObservedAt",
    "Malware.*",
    "Network.*",
    "NetworkPath.*",
    "Note.*",
    "PatchSummary.*",
    "Process.*",
    "ProcessedAt",
    "ProductArn",
    "ProductFields.*",
    "ProductName",
    "RecordState",
    "Region",
    "RelatedFindings.*",
    "Remediation.*",
    "Resources.*",
    "Sample",
    "SchemaVersion",
    "Severity.*",
    "SourceUrl",
    "ThreatIntelIndicators.*",
    "Threats.*",
    "Title",
    "Types",
    "UpdatedAt",
    "UserDefinedFields.*",
    "VerificationState",
    "Vulnerabilities.*",
    "Workflow.*",
    "WorkflowState",
];

/// What events of the rule may have.
fn schema(rule: &Rule) -> Vec<&'static str> {
    let schemas =
        [(EventKind::CloudTrail, CLOUDTRAIL), (EventKind::GuardDuty, GUARDDUTY), (EventKind::SecurityHub, SECURITYHUB)];
    schemas.iter().filter(|(kind, _)| rule.looks_at(*kind)).flat_map(|(_, paths)| paths.iter().copied()).collect()
}

/// Of a field that none of the rule's events has, the known one that it looks like, if it does; `None` of a field that
/// there is.
pub(super) fn unknown_field(rule: &Rule, field: &str) -> Option<Option<&'static str>> {
    let known = schema(rule);
    let name = without_indexes(field);
    (!known.iter().any(|path| is_within(&name, path))).then(|| nearest(&name, &known))
}

/// Fields of the rule that none of its events has, each with the known one that it looks like, if it does.
pub(super) fn unknown(rule: &Rule) -> Vec<(String, Option<&'static str>)> {
    let known = schema(rule);
    let mut names: Vec<String> = named(rule).iter().map(|name| without_indexes(name)).collect();
    names.dedup();
    names.retain(|name| !name.starts_with(facts::PREFIX) && !known.iter().any(|path| is_within(name, path)));
    names.into_iter().map(|name| (nearest(&name, &known), name)).map(|(near, name)| (name, near)).collect()
}

/// Fields whose brackets are read as a part of the name: only rules of Sigma 3 pick elements with them.
pub(super) fn bracketed(rule: &Rule) -> Vec<String> {
    let escaped = |name: &String| rsigma_parser::fieldpath::unescape_brackets(name).into_owned();
    named(rule).iter().filter(|name| name.contains("\\[")).map(escaped).collect()
}

fn named(rule: &Rule) -> Vec<String> {
    let mut names = Vec::new();
    rule.written.values().for_each(|detection| collect(detection, "", &mut names));
    names.sort();
    names.dedup();
    names
}

/// Fields with the whole path, those inside of conditions on list elements too.
fn collect(detection: &Detection, parent: &str, names: &mut Vec<String>) {
    match detection {
        Detection::AllOf(items) => items.iter().for_each(|item| collect_item(item, parent, names)),
        Detection::AnyOf(parts) | Detection::And(parts) => parts.iter().for_each(|part| collect(part, parent, names)),
        Detection::Keywords(_) => {}
        Detection::ArrayMatch { field, body, .. } => collect(body, &below(parent, field), names),
        Detection::Conditional { named, .. } => named.values().for_each(|part| collect(part, parent, names)),
    }
}

fn collect_item(item: &DetectionItem, parent: &str, names: &mut Vec<String>) {
    let own = item.field.name.as_ref().map(|name| below(parent, name));
    names.extend(own.or_else(|| (!parent.is_empty()).then(|| parent.to_owned())));
    if item.field.has_modifier(Modifier::FieldRef) {
        let plain = item.values.iter().filter_map(|value| match value {
            SigmaValue::String(text) => text.as_plain(),
            _ => None,
        });
        names.extend(plain.map(|name| below("", &name)));
    }
}

fn below(parent: &str, field: &str) -> String {
    if parent.is_empty() { field.to_owned() } else { format!("{parent}.{field}") }
}

/// `a[0].b` → `a.b`; brackets that are a part of the name, in rsigma's spelling `\[`, too.
fn without_indexes(path: &str) -> String {
    let steps: Vec<&str> = path.split('.').map(|step| step.split(['[', '\\']).next().unwrap_or(step)).collect();
    steps.join(".")
}

/// Whether a field is this one, an object on the way to it, or below its `*`.
fn is_within(field: &str, path: &str) -> bool {
    let (stem, free) = path.strip_suffix(".*").map_or((path, false), |stem| (stem, true));
    let continues = |long: &str, short: &str| long.strip_prefix(short).is_some_and(|rest| rest.starts_with('.'));
    field == stem || continues(stem, field) || (free && continues(field, stem))
}

/// The same but for upper and lower case, then one that ends alike, then the one with the fewest letters changed, at most
/// half of them.
fn nearest(field: &str, known: &[&'static str]) -> Option<&'static str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_lowercase();
    let stem = |path: &'static str| path.strip_suffix(".*").unwrap_or(path);
    let rank = |path: &'static str| {
        let likeness = distance(&path.to_lowercase(), &field.to_lowercase());
        match likeness {
            0 => Some((0, 0)),
            _ if last(path) == last(field) => Some((1, likeness)),
            _ => (likeness * 2 <= field.chars().count()).then_some((2, likeness)),
        }
    };
    let ranked = known.iter().map(|path| stem(path)).filter_map(|path| Some((rank(path)?, path)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::tests::rules;

    fn of(service: &str, detection: &str) -> Vec<String> {
        let text = format!(
            "title: t\nid: r\nlogsource: {{product: aws{service}}}\ndetection: {{s: {detection}, condition: s}}"
        );
        let found = unknown(&rules(&text).rules()[0]).into_iter();
        found.map(|(name, near)| format!("{name} {}", near.unwrap_or("-"))).collect()
    }

    #[test]
    fn fields_that_no_record_has_are_named_with_the_nearest() {
        let cloudtrail = ", service: cloudtrail";
        for (detection, expected) in [
            ("{eventname: x}", "eventname eventName"),
            ("{userName: x}", "userName userIdentity.userName"),
            ("{mfaAuthenticated: x}", "mfaAuthenticated userIdentity.sessionContext.attributes.mfaAuthenticated"),
            ("{sourceIpAdress: x}", "sourceIpAdress sourceIPAddress"),
            (
                "{userIdentity.sessionContext.issuer.arn: x}",
                "userIdentity.sessionContext.issuer.arn userIdentity.sessionContext.sessionIssuer.arn",
            ),
            ("{requestParameter.name: x}", "requestParameter.name requestParameters"),
            ("{'resources[0].Arn': x}", "resources.Arn resources.ARN"),
            ("{eventName|fieldref: userAgnt}", "userAgnt userAgent"),
            ("{detail.eventName: x}", "detail.eventName eventName"),
            ("{severity: 5}", "severity -"),
            ("{status: x}", "status -"),
        ] {
            assert_eq!(of(cloudtrail, detection), [expected], "{detection}");
        }
        for detection in [
            "{eventName: x, requestParameters.any.thing: y, responseElements: null, userIdentity|contains: z}",
            "{'resources[0].ARN': x, userIdentity.sessionContext: y, dial.policy.public: true}",
            "{'requestParameters.items[-1].a': x}",
            "[word, other]",
        ] {
            assert_eq!(of(cloudtrail, detection), [""; 0], "{detection}");
        }
    }

    #[test]
    fn brackets_that_pick_nothing_are_told() {
        let of = |head: &str| {
            let detection = "{s: {'resources[0].ARN': x, 'requestParameters.a[-1]': y}, condition: s}";
            let text = format!(
                "{head}title: t\nid: r\nlogsource: {{product: aws, service: cloudtrail}}\ndetection: {detection}"
            );
            let rules = rules(&text);
            (bracketed(&rules.rules()[0]), unknown(&rules.rules()[0]).len())
        };
        assert_eq!(of(""), (vec!["requestParameters.a[-1]".to_owned(), "resources[0].ARN".to_owned()], 0));
        assert_eq!(of("sigma-version: 3\n"), (Vec::new(), 0));
    }

    #[test]
    fn findings_have_their_own_fields() {
        assert_eq!(of(", service: guardduty", "{severity|gte: 7, service.count: 1, resource.a: b}"), [""; 0]);
        assert_eq!(of(", service: guardduty", "{Severity: 7}"), ["Severity severity"]);
        assert_eq!(of(", service: securityhub", "{Severity.Label: HIGH, Types: x}"), [""; 0]);
        assert_eq!(of(", service: securityhub", "{severity.Label: HIGH}"), ["severity.Label Severity"]);
        assert_eq!(of("", "{eventName: x, Types: y, type: z}"), [""; 0]);
    }

    #[test]
    fn every_list_is_in_order_and_has_no_field_twice() {
        for list in [CLOUDTRAIL, GUARDDUTY, SECURITYHUB] {
            assert!(list.iter().all(|path| list.iter().filter(|other| *other == path).count() == 1));
        }
    }
}
