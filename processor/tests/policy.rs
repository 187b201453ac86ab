//! The policy by the real program on the simulated attack: severities, suppressions, allowances, muted, staged and disabled
//! rules; what is hidden can be listed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use support::{Findings, Folder, attack, attack_findings, lines};

/// Of these rules the attack has findings.
const MFA: &str = "MFA device removed";
const SECRET: &str = "Secret read by a person";

const ACCOUNTS: &str = "
[accounts.111122223333]
name = 'web'
environment = 'production'
ou = '/Workloads/Production'
[accounts.444455556666]
name = 'staging'
environment = 'test'
ou = '/Workloads/Test'
";

/// A folder with settings, in which a scan kept what it found; and what that scan printed.
fn scanned(settings: &str) -> (Folder, Findings) {
    let folder = Folder::new();
    folder.write("dial.toml", format!("{settings}{ACCOUNTS}"));
    folder.write("a.json", lines(attack()));
    let shown = folder.run("scan --save a.json").expect(1, &["findings"]).findings();
    (folder, shown)
}

fn list(folder: &Folder, arguments: &str) -> Findings {
    folder.run(&format!("findings list --limit 100000 {arguments}")).expect(0, &[]).findings()
}

/// Of the findings those that pass, by id.
fn those(findings: &Findings, passes: impl Fn(&Value) -> bool) -> Vec<&String> {
    findings.iter().filter(|(_, finding)| passes(finding)).map(|(id, _)| id).collect()
}

fn ids(findings: &Findings) -> Vec<&String> {
    findings.keys().collect()
}

#[test]
fn severities_are_those_of_the_place() {
    let (folder, shown) = scanned(
        "[[policy.severity]]
         environment = 'production'
         region = 'eu-*'
         raise = 1
         reason = 'customers are served from here'
         [[policy.severity]]
         ou = '/Workloads/Test'
         set = 'low'
         [[policy.severity]]
         actor = 'arn:aws:iam::*:role/infrastructure'
         lower = 4\n",
    );
    let levels = ["informational", "low", "medium", "high", "critical"];
    let level = |finding: &Value, key: &str| levels.iter().position(|level| finding[key] == *level).unwrap();
    let expected = |finding: &Value| {
        let text = |key: &str| finding[key].as_str().unwrap_or_default();
        let mut at = level(finding, "severity");
        if text("account_id") == "111122223333" && text("region").starts_with("eu-") {
            at = (at + 1).min(4);
        }
        if text("account_id") == "444455556666" {
            at = 1;
        }
        if text("actor_arn").contains(":assumed-role/infrastructure/") { 0 } else { at }
    };
    let plain = attack_findings();
    assert_eq!(ids(&shown), ids(plain), "a severity hides nothing");
    for (id, finding) in plain {
        assert_eq!(level(&shown[id], "severity"), expected(finding), "{finding}");
        let same = shown[id]["severity"] == finding["severity"];
        assert_eq!(shown[id]["rule_severity"].is_null(), same, "{}", shown[id]);
    }
    assert_eq!(list(&folder, ""), shown);
    let changed = those(&shown, |finding| finding["rule_severity"] != Value::Null);
    assert!(changed.len() > 10 && changed.len() < shown.len());
    // What was raised is not missed by a filter, and what was lowered does not pass it.
    let severe = |least: usize| those(plain, |finding| expected(finding) >= least);
    assert!(severe(4).len() > those(plain, |finding| finding["severity"] == "critical").len());
    for (least, name) in levels.iter().enumerate() {
        assert_eq!(ids(&list(&folder, &format!("--severity {name}"))), severe(least), "{name}");
    }
    let scan = folder.run("scan --severity critical a.json").expect(1, &["critical)"]).findings();
    assert_eq!(ids(&scan), severe(4));

    let raised = |id: &&&String| plain[**id]["severity"] == "high" && plain[**id]["kind"] == "single";
    let id = *severe(4).iter().find(raised).unwrap();
    let told = folder.run_on_terminal(&format!("findings show {id}")).expect(0, &[]).out;
    for words in
        ["CRITICAL", "from high to critical: customers are served from here", "web  production  /Workloads/Production"]
    {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(told.contains("What to do") && told.contains("Harmless if"), "{told}");
}

#[test]
fn what_is_suppressed_allowed_muted_or_on_trial_is_recorded_and_not_shown() {
    let (folder, shown) = scanned(
        "[policy]
         muted = ['Console login failed']
         [[policy.staged]]
         rule = 'cloudtrail/*'
         until = 2100-01-01
         [[policy.suppress]]
         rule = 'MFA device removed'
         account = 'web'
         owner = 'platform@example.com'
         reason = 'keys are being replaced'
         expires = 2100-01-01T00:00:00Z
         [[policy.allow]]
         principal = 'arn:aws:iam::*:role/infrastructure'
         address = '192.0.2.0/24'
         owner = 'platform@example.com'
         reason = 'infrastructure is deployed by it'\n",
    );
    let rules = folder.run("rules list --json").expect(0, &[]).json();
    let staged: Vec<&Value> = rules
        .iter()
        .filter(|rule| rule["policy"].as_str().is_some_and(|text| text.starts_with("staged until")))
        .collect();
    let in_pack: Vec<&Value> =
        rules.iter().filter(|rule| rule["file"].as_str().unwrap().contains("/cloudtrail/")).collect();
    assert_eq!(staged, in_pack);
    assert_eq!(rules.iter().filter(|rule| rule["policy"] == "muted").count(), 1);
    let status = |finding: &Value| {
        let is = |key: &str, text: &str| finding[key].as_str().is_some_and(|value| value.contains(text));
        if finding["rule_title"] == MFA && is("account_id", "111122223333") {
            "suppressed"
        } else if is("actor_arn", ":assumed-role/infrastructure/") && is("source_ip", "192.0.2.") {
            "allowed"
        } else if is("rule_title", "Console login failed") {
            "muted"
        } else if staged.iter().any(|rule| rule["id"] == finding["rule_id"]) {
            "staged"
        } else {
            "open"
        }
    };
    let plain = attack_findings();
    assert_eq!(ids(&shown), those(plain, |finding| status(finding) == "open"));
    assert_eq!(list(&folder, ""), shown);
    let all = list(&folder, "--all");
    assert_eq!(ids(&all), ids(plain), "all are recorded");
    for (id, finding) in plain {
        assert_eq!(all[id]["status"], status(finding), "{finding}");
    }
    let hidden = list(&folder, "--suppressed");
    assert_eq!(ids(&hidden), those(plain, |finding| status(finding) != "open"));
    for name in ["suppressed", "allowed", "muted", "staged"] {
        let count = hidden.values().filter(|finding| finding["status"] == name).count();
        assert!(count > 0, "the attack has none that is {name}");
        let told = format!("{count} {name}");
        folder.run("scan a.json").expect(1, &["hidden by the policy", &told]);
    }
    folder.run("findings list").expect(0, &[&format!("{} hidden by the policy", hidden.len()), "--suppressed"]);

    let mfa = hidden.values().find(|finding| finding["rule_title"] == MFA).unwrap();
    let by = serde_json::json!({
        "entry": "policy.suppress", "about": "account web, rule MFA device removed", "owner": "platform@example.com",
        "reason": "keys are being replaced", "expires": "2100-01-01T00:00:00Z",
    });
    assert_eq!(mfa["status_by"], by);
    let listed = folder.run_on_terminal("findings list --suppressed --limit 1000").expect(0, &[]).out;
    let flat = listed.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["suppressed", "allowed", "muted", "staged", "platform@example.com"] {
        assert!(flat.contains(words), "{words}: {listed}");
    }
    let told = folder.run_on_terminal(&format!("findings show {}", mfa["finding_id"].as_str().unwrap())).out;
    assert!(told.contains("suppressed: keys are being replaced (platform@example.com, until 2100"), "{told}");
}

#[test]
fn a_policy_that_changes_changes_what_was_recorded_before() {
    let (folder, shown) = scanned("");
    assert_eq!(ids(&shown), ids(attack_findings()));
    folder.write("dial.toml", "[policy]\nmuted = ['*']\n");
    assert_eq!(list(&folder, "").len(), 0);
    assert_eq!(ids(&list(&folder, "--suppressed")), ids(&shown));
    folder.run("scan a.json").expect(0, &["0 findings", &format!("{} muted", shown.len())]);
    folder.write("dial.toml", "");
    assert_eq!(ids(&list(&folder, "")), ids(&shown));
    assert_eq!(list(&folder, "--suppressed").len(), 0);
}

#[test]
fn a_suppression_that_has_expired_hides_nothing_and_warns() {
    let entry = |expires: &str| {
        format!("[[policy.suppress]]\nrule = '{MFA}'\nowner = 'ops'\nreason = 'tests'\nexpires = {expires}\n")
    };
    // The attack is of 3 March 2026.
    for (expires, hides, warns) in [("2026-03-01", false, true), ("2100-01-01", true, false)] {
        let (folder, shown) = scanned(&entry(expires));
        assert_eq!(shown.values().any(|finding| finding["rule_title"] == MFA), !hides, "{expires}");
        for (arguments, code) in [("config check", 0), ("scan a.json", 1), ("run --until-drained", 0)] {
            let told = folder.run(arguments).expect(code, &[]).err;
            assert_eq!(
                told.contains("dial.toml: line 5: `policy.suppress.expires` was 2026-03-01"),
                warns,
                "{arguments}: {told}"
            );
        }
    }
}

#[test]
fn a_trial_that_is_over_is_reported_with_what_to_delete() {
    let settings = |until: &str| format!("[[policy.staged]]\nrule = '{SECRET}'\nuntil = {until}\n");
    let (folder, shown) = scanned(&settings("2100-01-01"));
    let of_rule = |findings: &Findings| findings.values().filter(|finding| finding["rule_title"] == SECRET).count();
    let expected = of_rule(attack_findings());
    assert!(expected > 0 && of_rule(&shown) == 0);
    let report = &folder.run("rules staged").expect(0, &[]).json()[0];
    assert_eq!((&report["title"], &report["promoted"]), (&Value::from(SECRET), &Value::from(false)));
    assert_eq!(
        (&report["findings"], &report["severities"]["medium"]),
        (&Value::from(expected), &Value::from(expected))
    );
    assert!(report["actors"].as_u64() > Some(0) && report["days_left"].as_f64().unwrap() > 1000.0, "{report}");
    let shown = folder.run_on_terminal("rules staged").expect(0, &[]).out;
    assert!(shown.contains(SECRET) && shown.contains("days left"), "{shown}");

    // A correlation may be on trial as well.
    let correlated = attack_findings().values().find(|finding| finding["kind"] == "correlated").unwrap();
    let trial =
        format!("[[policy.staged]]\nrule = '{}'\nuntil = 2100-01-01\n", correlated["rule_id"].as_str().unwrap());
    folder.write("dial.toml", trial);
    let report = &folder.run("rules staged").expect(0, &[]).json()[0];
    let of_correlation =
        attack_findings().values().filter(|finding| finding["rule_id"] == correlated["rule_id"]).count();
    assert_eq!((&report["title"], &report["findings"]), (&correlated["rule_title"], &Value::from(of_correlation)));

    folder.write("dial.toml", settings("2026-03-01"));
    let ended = folder.run("rules staged").expect(0, &["dial.toml: line 1: this trial is over", "delete"]);
    assert_eq!(ended.json()[0]["promoted"], true);
    assert_eq!(of_rule(&list(&folder, "")), expected, "promoted, its findings are open");
    folder.run("config check").expect(0, &["dial.toml: line 3: `policy.staged.until` has passed"]);
    folder.write("dial.toml", "");
    assert!(folder.run_on_terminal("rules staged").expect(0, &[]).out.contains("No rule is on trial"));
}

#[test]
fn disabled_rules_find_nothing_and_are_listed_as_disabled() {
    let (folder, shown) = scanned("[policy]\ndisabled = ['6b70f895', 'secretsmanager/*']\n");
    let rules = folder.run("rules list --json").expect(0, &[]).json();
    let disabled: Vec<&Value> =
        rules.iter().filter(|rule| rule["policy"] == "disabled").map(|rule| &rule["id"]).collect();
    assert!(disabled.len() > 1);
    // What is made of the matches of disabled rules is gone, too.
    let rests_on = |finding: &Value| {
        finding["evidence"].as_array().unwrap().iter().any(|seen| disabled.contains(&&seen["rule_id"]))
    };
    let enabled = |finding: &Value| !disabled.contains(&&finding["rule_id"]) && !rests_on(finding);
    assert_eq!(ids(&shown), those(attack_findings(), enabled));
    assert!(shown.len() < attack_findings().len());
    assert_eq!(list(&folder, "--all").len(), shown.len(), "what is not evaluated is not recorded");
    // Correlations are listed too, and counted by themselves.
    let single = rules.iter().filter(|rule| rule.get("correlation").is_none()).count();
    let left = format!("{} rules, {} disabled", single - disabled.len(), disabled.len());
    folder.run("config check").expect(0, &[&left]);
    assert!(folder.run_on_terminal("rules list").out.contains("disabled"));
}

#[test]
fn a_worker_shows_what_is_open_and_counts_the_rest() {
    let folder = Folder::new();
    folder.write("dial.toml", format!("[policy]\nmuted = ['{MFA}']\n"));
    let ended = folder.dial(["run"]).input(lines(attack())).run().expect(0, &[]);
    let is_open = |finding: &Value| finding["rule_title"] != MFA;
    let hidden = attack_findings().len() - those(attack_findings(), is_open).len();
    assert_eq!(ids(&ended.findings()), those(attack_findings(), is_open));
    assert!(hidden > 0 && ended.err.contains(&format!("hidden={hidden}")), "{}", ended.err);
    assert_eq!(list(&folder, "--all").len(), attack_findings().len());
}

#[test]
fn unknown_rules_are_told_where_the_policy_is_about_the_rules_in_force() {
    let folder = Folder::new();
    folder.write("a.json", lines(&attack()[..10]));
    folder.write("dial.toml", "[policy]\nmuted = [\n  'iam/*',\n  'MFA device remvoed',\n]\n");
    for arguments in ["config check", "scan a.json", "rules list", "findings list", "rules staged", "run"] {
        folder.run(arguments).expect(2, &["dial.toml: line 4: ", "did you mean \"MFA device removed\"?"]);
    }
    // The list is where the right names are: it is shown in spite of the mistake.
    let listed = folder.run("rules list").expect(2, &["did you mean"]).json();
    assert!(listed.iter().any(|rule| rule["title"] == MFA));
    // Other rules may be tried under the same policy.
    let rule = "title: t\nid: 7b7e6c39-6c6d-4d37-a2b1-0a5f4b8b3c03\nlogsource: {product: aws}\ndetection: {a: {eventName: x}, condition: a}\n";
    folder.write("rules/a.yml", rule);
    folder.run("scan --rules rules a.json").expect(0, &["0 findings"]);
}

#[test]
fn the_guides_examples_are_settings() {
    for (page, least) in [("POLICY.md", 5), ("OPERATING.md", 1)] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
        let text = std::fs::read_to_string(path).unwrap();
        let examples: Vec<&str> =
            text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert!(examples.len() >= least, "{page}");
        let folder = Folder::new();
        for example in examples.iter().map(|example| (*example).to_owned()).chain([examples.concat()]) {
            folder.write("dial.toml", &example);
            folder.run("config check").expect(0, &["the settings are fine"]);
        }
    }
}
