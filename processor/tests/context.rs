//! Context by the real program: what is shown beside a finding, what is missing, and tables that cannot be used.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{Folder, attack, lines};

const KEY: &str = "0123456789abcdef-not-to-be-told";

/// The attack, by somebody with this address.
fn attack_from(address: &str) -> Vec<u8> {
    let mut events = attack().to_vec();
    for event in &mut events {
        event["detail"]["sourceIPAddress"] = json!(address);
    }
    lines(&events)
}

fn missing(finding: &Value) -> Vec<&str> {
    let missing = finding["context"]["missing"].as_array();
    missing.into_iter().flatten().filter_map(|missing| missing["part"].as_str()).collect()
}

#[test]
fn a_finding_shows_place_lists_and_account() {
    let folder = Folder::new();
    folder.write("offices", "# ours\n8.8.8.0/24\n");
    folder.write("exits", "8.8.8.8\n");
    folder.write(
        "dial.toml",
        "[addresses]\ntor_exits = 'exits'\n[[addresses.lists]]\nname = 'offices'\nreason = 'ours'\nfile = 'offices'\n\
         [accounts.111122223333]\nname = 'web shop'\nenvironment = 'production'\n",
    );
    folder.write("a.json", attack_from("8.8.8.8"));
    let shown = folder.run("scan --save a.json").expect(1, &["findings"]).findings();
    let (id, finding) = shown.iter().find(|(_, finding)| finding["account_id"] == "111122223333").unwrap();
    let address = &finding["context"]["address"];
    assert_eq!((&address["kind"], &address["tor_exit"]), (&json!("public"), &json!(true)), "{finding}");
    assert_eq!(address["lists"], json!(["offices"]));
    assert_eq!(address["country"], json!("US"));
    assert_eq!(missing(finding), [""; 0]);
    let text = folder.run_on_terminal(&format!("findings show {id}")).out;
    for words in ["web shop", "production", "US", "a Tor exit", "on your lists: offices"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // The person is known by what other events taught.
    let all = folder.run("findings list --limit 1000").out;
    assert!(all.contains(r#""chain":["arn:aws:sts::"#) && all.contains(r#""persons":["#));
    // A table that is broken since then costs the tables, and not the findings.
    folder.write("exits", "<html>");
    let ended = folder.run(&format!("findings show {id}")).expect(0, &["addresses.tor_exits"]);
    let finding: Value = serde_json::from_str(ended.out.trim()).unwrap();
    assert_eq!(missing(&finding), ["addresses"]);
    assert_eq!(finding["context"]["account"]["name"], "web shop");
}

#[test]
fn a_service_that_is_away_costs_its_part_and_no_finding() {
    let folder = Folder::new();
    let plain = folder.dial(["run"]).input(attack_from("8.8.8.8")).run().expect(0, &[]).findings();
    let folder = Folder::new();
    // Nobody listens there.
    folder.write("dial.toml", "[reputation]\nurl = 'http://127.0.0.1:9/check'\nkey = 'env:REPUTATION_KEY'\n");
    let ended = folder
        .dial(["run"])
        .env("REPUTATION_KEY", KEY)
        .input(attack_from("8.8.8.8"))
        .run()
        .expect(0, &["context is missing"]);
    assert!(!ended.out.contains(KEY) && !ended.err.contains(KEY));
    let found = ended.findings();
    assert_eq!(found.keys().collect::<Vec<_>>(), plain.keys().collect::<Vec<_>>());
    assert!(found.values().any(|finding| finding["source_ip"] == "8.8.8.8"));
    for finding in found.values() {
        // GuardDuty's findings have other addresses, or none: nobody is asked about those.
        let expected = if finding["source_ip"] == "8.8.8.8" { vec!["reputation"] } else { Vec::new() };
        assert_eq!(missing(finding), expected, "{finding}");
    }
    let checked = folder.dial(["config", "check"]).env("REPUTATION_KEY", KEY).run().expect(0, &["fine"]);
    assert!(checked.out.contains("env:REPUTATION_KEY") && !checked.out.contains(KEY));
    folder.run("config check").expect(2, &["reputation.key", "REPUTATION_KEY", "not set"]);
}

#[test]
fn an_explanation_knows_what_the_tables_say() {
    let folder = Folder::new();
    let list = "[[addresses.lists]]\nname = 'offices'\nreason = 'r'\nnetworks = ['8.8.8.0/24']\n";
    folder.write("dial.toml", format!("{list}[accounts.111122223333]\nenvironment = 'production'\n"));
    let rule = "title: t\nid: 7b7e6c39-6c6d-4d37-a2b1-0a5f4b8b3c03\nlogsource: {product: aws}\n\
                detection: {a: {dial.ip.lists: offices, dial.account.environment: production}, condition: a}\n";
    folder.write("rules/a.yml", rule);
    folder.write("a.json", attack_from("8.8.8.8"));
    let shown = folder.run("rules explain 7b7e6c39 --rules rules --event a.json").expect(0, &[]).json();
    assert!(shown.iter().any(|event| event["matched"] == true), "{shown:?}");
}

#[test]
fn a_damaged_store_of_actors_is_named_by_the_findings_whose_lineage_is_missing() {
    let folder = Folder::new();
    folder.write("a.json", attack_from("8.8.8.8"));
    folder.run("scan --save a.json").expect(1, &["findings"]);
    let incomplete = |findings: &support::Findings| {
        findings.values().filter(|finding| missing(finding).contains(&"lineage")).count()
    };
    assert_eq!(incomplete(&folder.run("findings list --limit 100000").expect(0, &[]).findings()), 0);
    let whole = std::fs::read(folder.path("dial-data/actors.db")).unwrap();
    folder.write("dial-data/actors.db", "this is no database, whatever its name says; ".repeat(100));
    assert!(incomplete(&folder.run("findings list --limit 100000").expect(0, &["actors.db"]).findings()) > 0);
    folder.write("dial-data/actors.db", whole);
    assert_eq!(incomplete(&folder.run("findings list --limit 100000").expect(0, &[]).findings()), 0);
}

#[test]
fn a_key_is_needed_only_where_the_service_is_asked() {
    let folder = Folder::new();
    folder.write("dial.toml", "[reputation]\nkey = 'env:REPUTATION_KEY_THAT_IS_NOT_SET'\n");
    folder.write("a.json", attack_from("8.8.8.8"));
    let found = folder.run("scan --save a.json").expect(1, &["findings"]).findings();
    folder.run("findings list").expect(0, &[]);
    folder.run("rules staged").expect(0, &[]);
    let id = found.keys().next().unwrap();
    for arguments in ["config check", "run", &format!("findings show {id}")] {
        folder.run(arguments).expect(2, &["dial.toml: line 2", "REPUTATION_KEY_THAT_IS_NOT_SET, which is not set"]);
    }
}

#[test]
fn what_facts_name_and_tables_do_not_have_is_told_with_its_line() {
    let folder = Folder::new();
    let lists = "[[addresses.lists]]\nname = 'offices'\nreason = 'r'\nnetworks = ['198.51.100.0/24']\n";
    let facts = "[facts]\nknown_networks = [64496]\nknown_lists = ['offcies']\n";
    folder.write("dial.toml", format!("{lists}{facts}"));
    let told = [
        "dial.toml: line 7: `facts.known_lists`",
        "did you mean \"offices\"",
        "dial.toml: line 6: `facts.known_networks`",
    ];
    folder.run("config check").expect(2, &told);
    let facts = "[facts]\ncritical_accounts = ['prodction']\n[accounts.111122223333]\nenvironment = 'production'\n";
    folder.write("dial.toml", facts);
    folder.run("config check").expect(0, &["remark: dial.toml: line 2: `facts.critical_accounts` has \"prodction\""]);
}

#[test]
fn tables_that_cannot_be_used_stop_the_start_and_name_their_key() {
    let folder = Folder::new();
    folder.write("cut.mmdb", b"\x00\x01\xab\xcd\xefMaxMind.com\xe9");
    folder.write("a.json", lines(attack()));
    for (settings, words) in [
        ("[addresses]\ncity = 'cut.mmdb'\n", ["line 2", "addresses.city", "cut.mmdb"]),
        ("[addresses]\nasn = 'gone.mmdb'\n", ["line 2", "addresses.asn", "gone.mmdb"]),
        ("[addresses]\naws_ranges = 'cut.mmdb'\n", ["line 2", "addresses.aws_ranges", "cut.mmdb"]),
        (
            "[[addresses.lists]]\nname = 'x'\nreason = 'y'\nfile = 'cut.mmdb'\n",
            ["line 4", "addresses.lists", "cut.mmdb"],
        ),
    ] {
        folder.write("dial.toml", settings);
        for command in ["config check", "scan a.json", "run"] {
            folder.run(command).expect(2, &words);
        }
    }
    folder.write("dial.toml", "[addresses]\ntor_exits = 'http://127.0.0.1:9/exits'\n");
    folder.run("run").expect(3, &["addresses.tor_exits", "cannot be fetched"]);
}

#[test]
fn an_expired_list_is_warned_of_and_holds_no_more() {
    let folder = Folder::new();
    folder.write(
        "dial.toml",
        "[[addresses.lists]]\nname = 'old offices'\nreason = 'ours'\nnetworks = ['8.8.8.0/24']\nexpires = 2020-01-01\n",
    );
    folder.run("config check").expect(0, &["old offices", "expired"]);
    let found =
        folder.dial(["run"]).input(attack_from("8.8.8.8")).run().expect(0, &["old offices", "expired"]).findings();
    assert!(!found.is_empty() && found.values().all(|finding| finding["context"]["address"]["lists"].is_null()));
}
