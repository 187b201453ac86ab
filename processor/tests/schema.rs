//! What the commands print of findings is what docs/schema/finding.v1.json says, on the demo's day.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::Folder;

const SCHEMA: &str = include_str!("../../docs/schema/finding.v1.json");

/// Keys that the schema names, of the finding itself.
fn names(schema: &Value) -> Vec<&String> {
    schema["properties"].as_object().unwrap().keys().collect()
}

#[test]
fn findings_of_the_demos_day_are_what_the_schema_says() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let folder = Folder::new();
    let day = folder.run("demo --print");
    folder.write("day.jsonl", day.out);
    // Names and a policy, so that there is context and an adjusted severity.
    folder.write(
        "dial.toml",
        "[accounts.123456789012]\nname = \"payments\"\n\n[[policy.severity]]\nlower = 1\nactor = \"*\"\nreason = \"tried\"\n",
    );
    let scanned = folder.run("scan --save --json day.jsonl");
    let listed = folder.run("findings list --json --limit 1000 --all");
    let (mut checked, mut kinds) = (0, std::collections::BTreeSet::new());
    for line in scanned.out.lines().chain(listed.out.lines()) {
        let finding: Value = serde_json::from_str(line).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&finding).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:?}\n{finding:#}");
        let unknown = finding.as_object().unwrap().keys().find(|key| !names(&schema).contains(key));
        assert_eq!(unknown, None, "not in the schema: {finding:#}");
        kinds.insert(finding["kind"].to_string());
        checked += 1;
    }
    assert!(checked > 20, "{checked}: {} {}", scanned.err, listed.err);
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [json!("correlated").to_string(), json!("single").to_string()]);
}
