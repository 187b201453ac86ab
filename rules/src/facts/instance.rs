//! Instances: how many, and of what types.

use crate::tables::Tables;

use super::Facts;
use super::node::Node;

/// What a call says about instances.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) count: Option<i64>,
    pub(crate) types: Vec<String>,
    pub(crate) unusual: Option<bool>,
}

/// How many types are looked at.
const MOST_TYPES: usize = 500;

impl Instance {
    pub(crate) fn of(facts: &Facts<'_>) -> Instance {
        let service = facts.service();
        let known = matches!(
            service.as_str(),
            "ec2"
                | "autoscaling"
                | "sagemaker"
                | "eks"
                | "elasticmapreduce"
                | "batch"
                | "lightsail"
                | "gamelift"
                | "ecs"
        );
        if !known {
            return Instance::default();
        }
        let mut types = facts.request().map(types).unwrap_or_default();
        if types.is_empty() && service == "ec2" && facts.call() == "RunInstances" {
            // A launch template chose; the answer tells.
            types = facts.response().map(self::types).unwrap_or_default();
        }
        types.sort();
        types.dedup();
        let tables = facts.tables;
        let unusual = |name: &String| {
            Tables::lists(&tables.unusual_instance_types, name) && !Tables::lists(&tables.allowed_instance_types, name)
        };
        let found = (!types.is_empty()).then(|| types.iter().any(unusual));
        Instance { count: count(facts, &service), unusual: found, types }
    }
}

/// Values of members called `instanceType` or `instanceTypes`, wherever they are.
fn types(node: Node<'_>) -> Vec<String> {
    let mut types: Vec<String> = Vec::new();
    node.walk(8, &mut |key, value| {
        let key = key.to_ascii_lowercase();
        if !matches!(key.as_str(), "instancetype" | "instancetypes") || types.len() >= MOST_TYPES {
            return;
        }
        // ModifyInstanceAttribute wraps the type in `value`.
        let inner = value.get("value").unwrap_or(value);
        let texts = inner.list().into_iter().filter_map(Node::text);
        // SageMaker writes `ml.` before EC2's types.
        types.extend(
            texts.map(|text| text.strip_prefix("ml.").unwrap_or(&text).to_owned()).filter(|text| text.contains('.')),
        );
    });
    types
}

fn count(facts: &Facts<'_>, service: &str) -> Option<i64> {
    if service != "ec2" {
        return None;
    }
    let entries = facts.request()?.list_of("instancesSet");
    match facts.call().as_str() {
        "RunInstances" => {
            let most = |entry: &Node<'_>| entry.int_of("maxCount").or_else(|| entry.int_of("minCount")).unwrap_or(1);
            Some(entries.iter().map(most).fold(0, i64::saturating_add))
        }
        "StartInstances" | "StopInstances" | "RebootInstances" | "TerminateInstances" => {
            i64::try_from(entries.len()).ok()
        }
        _ => None,
    }
}
