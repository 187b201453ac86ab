//! `dial.toml` and the environment: what is wrong with them is said, with file and line or by the variable's name, and
//! what is in force can be seen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{Ended, Folder};

/// What `config check` prints.
fn settings(ended: Ended) -> Value {
    let lines = ended.expect(0, &["the settings are fine"]).json();
    assert_eq!(lines.len(), 1);
    lines[0].clone()
}

#[test]
fn nobody_needs_settings() {
    let folder = Folder::new();
    let settings = settings(folder.run("config check"));
    assert_eq!(settings["stream"]["name"], Value::Null);
    assert_eq!(settings["data"]["folder"], "./dial-data");
    assert!(std::fs::read_dir(folder.path("")).unwrap().next().is_none(), "checking settings makes nothing");
}

#[test]
fn the_file_in_the_working_directory_is_read_unless_another_is_named() {
    let folder = Folder::new();
    folder.write("dial.toml", "[stream]\nname = 'here'\n");
    folder.write("other/prod.toml", "[stream]\nname = 'there'\n[worker]\nfailover_seconds = 20\n");
    let name = |ended: Ended| settings(ended)["stream"]["name"].clone();
    assert_eq!(name(folder.run("config check")), "here");
    assert_eq!(name(folder.run("config check --config other/prod.toml")), "there");
    assert_eq!(name(folder.run("--config other/prod.toml config check")), "there");
    let by_variable = || folder.dial(["config", "check"]).env("DIAL_CONFIG", "other/prod.toml");
    assert_eq!(name(by_variable().run()), "there");
    assert_eq!(settings(by_variable().run())["worker"]["failover_seconds"], 20);
}

#[test]
fn a_mistake_in_the_file_is_reported_with_file_and_line() {
    for (text, line, words) in [
        ("[stream]\nnmae = 'x'\n", 2, &["nmae", "name"][..]),
        ("\n\n[straem]\nname = 'x'\n", 3, &["straem", "stream"]),
        ("[stream]\nname = 7\n", 2, &["name", "string"]),
        ("[stream]\nname = 'x\n", 2, &["string"]),
        ("[stream\n", 1, &["`]`"]),
        ("[worker]\n\nfailover_seconds = 'ten'\n", 3, &["failover_seconds"]),
        ("[worker]\nfailover_seconds = -1\n", 2, &["failover_seconds"]),
        ("[stream]\ninitial_position = 'newest'\n", 2, &["newest", "latest", "trim-horizon"]),
        ("[rules]\npaths = 'rules'\n", 2, &["paths"]),
        ("[log]\njson = true\njson = false\n", 3, &["json"]),
        ("stream = 'x'\n", 1, &["stream"]),
    ] {
        let folder = Folder::new();
        folder.write("dial.toml", text);
        for arguments in ["config check", "scan .", "rules list", "findings list"] {
            let ended = folder.run(arguments).expect(2, &["dial.toml", &format!("line {line}")]).expect(2, words);
            assert_eq!(ended.out, "", "{arguments}");
        }
    }
}

#[test]
fn a_value_that_is_out_of_range_is_reported_with_file_and_line() {
    for (text, line, words) in [
        ("[stream]\nname = 'a b'\n", 2, &["stream.name", "letters"]),
        ("[worker]\n\nfailover_seconds = 0\n", 3, &["worker.failover_seconds", "at least 1"]),
        ("[tables]\nprefix = 'dial/'\n", 2, &["tables.prefix", "letters"]),
        ("[archive]\nflush_mib = 0\n", 2, &["archive.flush_mib", "at least 1"]),
        ("[archive]\nlocation = 's3://'\n", 2, &["archive.location", "s3://BUCKET/PREFIX"]),
        ("[archive]\nraw = true\nlocation = 's3:///p'\n", 3, &["archive.location", "s3://BUCKET/PREFIX"]),
        ("[archive]\nlocation = 's3://My_Trail/p'\n", 2, &["archive.location", "3 to 63"]),
        ("[archive]\nlocation = 's3://ab/p'\n", 2, &["archive.location", "3 to 63"]),
        ("[log]\nfilter = 'inf'\n", 2, &["log.filter", "did you mean `info`?"]),
        ("[log]\nfilter = 'dial=debug,loud'\n", 2, &["log.filter", "off, error, warn, info, debug, trace"]),
        ("[worker]\nshard_prefetch_mib = 65\n", 2, &["worker.shard_prefetch_mib", "at most 64"]),
        ("[worker]\nprefetch_mib = 8\n", 2, &["worker.prefetch_mib", "`worker.shard_prefetch_mib`, 16"]),
        ("[facts]\n\nown_accounts = ['1111']\n", 3, &["own_accounts", "12 digits"]),
        ("[facts]\ncritical_names = ['']\n", 2, &["critical_names", "leave it out"]),
    ] {
        let folder = Folder::new();
        folder.write("dial.toml", text);
        folder.run("config check").expect(2, words).expect(2, &["dial.toml", &format!("line {line}")]);
    }
}

#[test]
fn a_value_that_is_out_of_range_is_refused() {
    for (key, value, words) in [
        ("DIAL_STREAM__NAME", "a b", "`stream.name`"),
        ("DIAL_WORKER__FAILOVER_SECONDS", "0", "`worker.failover_seconds`"),
        ("DIAL_WORKER__SHARD_PREFETCH_MIB", "0", "`worker.shard_prefetch_mib`"),
        ("DIAL_METRICS__LISTEN", "0.0.0.0:9000", "`metrics.token`"),
        ("DIAL_ARCHIVE__FLUSH_SECONDS", "0", "`archive.flush_seconds`"),
        ("DIAL_TABLES__PREFIX", "a/b", "`tables.prefix`"),
    ] {
        Folder::new().dial(["config", "check"]).env(key, value).run().expect(2, &[words]);
    }
}

#[test]
fn what_may_be_read_ahead_of_one_shard_is_weighed_against_all_wherever_both_are_set() {
    let folder = Folder::new();
    folder.write("dial.toml", "[worker]\nprefetch_mib = 8\n");
    let with = |key: &str, value: &str| folder.dial(["config", "check"]).env(key, value).run();
    with("DIAL_WORKER__SHARD_PREFETCH_MIB", "8").expect(0, &["the settings are fine"]);
    with("DIAL_WORKER__SHARD_PREFETCH_MIB", "9").expect(2, &["variable DIAL_WORKER__SHARD_PREFETCH_MIB", "at most 8"]);
    with("DIAL_WORKER__PREFETCH_MIB", "16").expect(0, &[]);
}

#[test]
fn an_archive_of_a_stream_on_local_disk_is_remarked() {
    let folder = Folder::new();
    let stream = "[stream]\nname = 'trail'\n";
    let check = |text: String| {
        folder.write("dial.toml", text);
        folder.run("config check").expect(0, &["the settings are fine"]).err
    };
    for (archive, place) in [
        ("", "folder ./dial-data "),
        ("[data]\nfolder = 'kept'\n", "folder kept "),
        ("[archive]\nlocation = 'bucket/p'\n", "folder bucket/p "),
    ] {
        let said = check(format!("{stream}{archive}"));
        assert!(said.contains(place) && said.contains("s3://BUCKET/PREFIX"), "{archive}: {said}");
        assert!(!check(archive.to_owned()).contains("remark"), "{archive}: there is no stream");
    }
    assert!(!check(format!("{stream}[archive]\nlocation = 's3://bucket/p'\n")).contains("remark"));
}

#[test]
fn a_worker_warns_of_an_archive_on_its_own_disk() {
    let folder = Folder::new();
    folder.write("dial.toml", "[stream]\nname = 'trail'\n[archive]\nlocation = 'kept'\n[metrics]\nlisten = 'off'\n");
    let worker = |role: &str| {
        let command = folder.dial(["run", "--role", role, "--until-drained"]);
        // Nobody answers there, which ends it.
        let env = [
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_MAX_ATTEMPTS", "1"),
            ("AWS_ACCESS_KEY_ID", "none"),
            ("AWS_SECRET_ACCESS_KEY", "none"),
        ];
        env.into_iter().fold(command, |command, (name, value)| command.env(name, value)).run().err
    };
    // One writes events there, the other findings.
    for role in ["archive", "detect"] {
        let said = worker(role);
        let is_told = said.contains("WARN") && said.contains("folder kept ") && said.contains("s3://BUCKET/PREFIX");
        assert!(is_told, "{role}: {said}");
    }
}

#[test]
fn a_token_whose_variable_is_not_set_is_found_by_the_check() {
    let folder = Folder::new();
    folder.write("dial.toml", "[metrics]\ntoken = 'env:TOKEN_FOR_THIS_TEST'\n");
    folder.run("config check").expect(2, &["metrics.token", "TOKEN_FOR_THIS_TEST", "not set"]);
    let check = || folder.dial(["config", "check"]).env("TOKEN_FOR_THIS_TEST", "s3cr3t");
    let ended = check().run().expect(0, &["the settings are fine"]);
    assert!(!ended.out.contains("s3cr3t") && !ended.err.contains("s3cr3t"));
    check().env("DIAL_METRICS__LISTEN", "off").env("TOKEN_FOR_THIS_TEST", "").run().expect(0, &[]);
}

#[test]
fn a_sinks_secret_whose_variable_is_not_set_is_found_by_the_check() {
    let folder = Folder::new();
    folder.write("dial.toml", "[sinks.soc]\nkind = 'slack'\nchannel = 'C1'\ntoken = 'env:TOKEN_FOR_THIS_TEST'\n");
    let ended = folder.run("config check").expect(2, &["line 4", "sinks.soc.token", "TOKEN_FOR_THIS_TEST", "not set"]);
    assert_eq!(ended.out, "");
    let ended = folder.dial(["config", "check"]).env("TOKEN_FOR_THIS_TEST", "s3cr3t").run();
    let ended = ended.expect(0, &["the settings are fine"]);
    assert!(!ended.out.contains("s3cr3t") && !ended.err.contains("s3cr3t"));
    assert_eq!(settings(ended)["sinks"]["soc"]["token"], "env:TOKEN_FOR_THIS_TEST");
    // A file may be there only where workers run.
    folder.write("dial.toml", "[sinks.soc]\nkind = 'slack'\nchannel = 'C1'\ntoken = 'file:/run/secrets/none'\n");
    folder.run("config check").expect(0, &["the settings are fine"]);
}

#[test]
fn a_sink_that_no_route_names_is_remarked() {
    let folder = Folder::new();
    let sinks = "[sinks.siem]\nkind = 'stdout'\n[sinks.soc]\nkind = 'stdout'\n";
    let check = |text: String| {
        folder.write("dial.toml", text);
        folder.run("config check").expect(0, &["the settings are fine"]).err
    };
    assert!(!check(sinks.to_owned()).contains("no route names"), "without routes all goes everywhere");
    let one = check(format!("{sinks}[[alerts.route]]\nsinks = 'soc'\n"));
    assert!(one.contains("remark: no route names the sink siem") && !one.contains("the sink soc"), "{one}");
    assert!(!check(format!("{sinks}[[alerts.route]]\nsinks = 's*'\n")).contains("no route names"));
}

#[test]
fn a_mistake_in_the_environment_is_not_blamed_on_a_file() {
    let folder = Folder::new();
    let ended = folder.dial(["config", "check"]).env("DIAL_WORKER__FAILOVER_SECONDS", "0").run();
    let ended = ended.expect(2, &["DIAL_WORKER__FAILOVER_SECONDS"]);
    assert!(!ended.err.contains("dial.toml"), "there is none: {}", ended.err);
}

#[test]
fn a_log_filter_that_cannot_be_used_is_reported_by_the_check() {
    let folder = Folder::new();
    folder.write("dial.toml", "[log]\nfilter = 'warn,dial=loud'\n");
    folder.run("config check").expect(2, &["log.filter"]);
}

#[test]
fn the_environment_overrides_the_file() {
    let folder = Folder::new();
    folder.write("dial.toml", "[stream]\nname = 'from-file'\n[worker]\nid = 'w'\nfailover_seconds = 20\n");
    let ended = folder
        .dial(["config", "check"])
        .env("DIAL_STREAM__NAME", "from-environment")
        .env("DIAL_STREAM__INITIAL_POSITION", "latest")
        .env("DIAL_STREAM__READ", "fan-out")
        .env("DIAL_STREAM__CONSUMER", "watch")
        .env("DIAL_WORKER__FAILOVER_SECONDS", "30")
        .env("DIAL_WORKER__PREFETCH_MIB", "32")
        .env("DIAL_METRICS__LISTEN", "0.0.0.0:9000")
        .env("DIAL_METRICS__TOKEN", "file:/run/secrets/metrics")
        .env("DIAL_ARCHIVE__RAW", "false")
        .env("DIAL_ARCHIVE__LOCATION", "s3://bucket/a")
        .env("DIAL_TABLES__PREFIX", "team-")
        .env("DIAL_DATA__FOLDER", "/var/lib/dial")
        .env("DIAL_LOG__JSON", "true")
        .run();
    let words = ["follows the stream from-environment"];
    let settings = settings(ended.expect(0, &words));
    let stream =
        json!({"name": "from-environment", "initial_position": "latest", "read": "fan-out", "consumer": "watch"});
    assert_eq!(settings["stream"], stream);
    let worker = json!({"id": "w", "failover_seconds": 30, "prefetch_mib": 32, "shard_prefetch_mib": 16});
    assert_eq!(settings["worker"], worker);
    assert_eq!(settings["metrics"], json!({"listen": "0.0.0.0:9000", "token": "file:/run/secrets/metrics"}));
    assert_eq!(
        (&settings["archive"]["raw"], &settings["archive"]["location"]),
        (&json!(false), &json!("s3://bucket/a"))
    );
    assert_eq!(
        (&settings["tables"]["prefix"], &settings["data"]["folder"]),
        (&json!("team-"), &json!("/var/lib/dial"))
    );
    assert_eq!(settings["log"]["json"], true);
}

#[test]
fn rules_are_named_by_the_environment_too() {
    let folder = Folder::new();
    folder.write("rules/a.yml", "title: t\nlogsource: {product: aws}\ndetection: {a: {eventName: x}, condition: a}\n");
    let ended = folder.dial(["config", "check"]).env("DIAL_RULES__PATHS", "[\"rules\"]").run();
    assert_eq!(settings(ended.expect(0, &["; 1 rules;"]))["rules"]["paths"], json!(["rules"]));
}

#[test]
fn variables_that_are_no_settings_are_reported() {
    for (key, words) in [
        ("DIAL_STREAM__NMAE", ["nmae", "name"]),
        ("DIAL_STRAEM__NAME", ["straem", "stream"]),
        ("DIAL_STREAM_NAME", ["stream_name", "stream"]),
        ("DIAL_NAME", ["name", "stream"]),
    ] {
        let ended = Folder::new().dial(["config", "check"]).env(key, "x").run().expect(2, &["DIAL_"]);
        let said = ended.err.to_lowercase();
        assert!(words.iter().all(|word| said.contains(word)), "{key}: {said}");
    }
    // Others' variables are none of our business, whatever they hold.
    use std::os::unix::ffi::OsStrExt;
    let odd = std::ffi::OsStr::from_bytes(b"\xff");
    settings(Folder::new().dial(["config", "check"]).env("DIALECT", "x").env("ODD", odd).run());
}

#[test]
fn variables_with_wrong_values_are_reported_by_name() {
    for (key, value, name) in [
        ("DIAL_WORKER__FAILOVER_SECONDS", "soon", "worker.failover_seconds"),
        ("DIAL_WORKER__FAILOVER_SECONDS", "-1", "worker.failover_seconds"),
        ("DIAL_ARCHIVE__RAW", "perhaps", "archive.raw"),
        ("DIAL_STREAM__INITIAL_POSITION", "newest", "newest"),
        ("DIAL_RULES__PATHS", "{a = 1}", "rules.paths"),
    ] {
        let ended = Folder::new().dial(["config", "check"]).env(key, value).run().expect(2, &["environment"]);
        assert!(ended.err.to_lowercase().replace("__", ".").contains(name), "{key}={value}: {}", ended.err);
    }
    use std::os::unix::ffi::OsStrExt;
    let odd = std::ffi::OsStr::from_bytes(b"\xff");
    Folder::new().dial(["config", "check"]).env("DIAL_STREAM__NAME", odd).run().expect(2, &["stream.name"]);
}

#[test]
fn a_file_that_is_named_must_be_there_and_be_readable() {
    let folder = Folder::new();
    folder.write("latin.toml", b"[stream]\nname = 'caf\xe9'\n");
    std::fs::create_dir(folder.path("folder.toml")).unwrap();
    for file in ["missing.toml", "folder.toml", "latin.toml"] {
        for arguments in ["config check", "scan .", "demo --print"] {
            let ended = folder.run(&format!("{arguments} --config {file}")).expect(2, &[file, "cannot be read"]);
            assert_eq!(ended.out, "", "{arguments}");
        }
        folder.dial(["config", "check"]).env("DIAL_CONFIG", file).run().expect(2, &[file, "cannot be read"]);
    }
}

#[test]
fn rules_in_the_settings_are_used_and_checked() {
    let folder = Folder::new();
    let id = "7b7e6c39-6c6d-4d37-a2b1-0a5f4b8b3c03";
    let rule =
        format!("title: t\nid: {id}\nlogsource: {{product: aws}}\ndetection:\n  a: {{eventName: x}}\n  condition: a\n");
    folder.write("rules/a.yml", &rule);
    folder.write("dial.toml", "[rules]\npaths = ['rules']\n");
    folder.run("config check").expect(0, &["; 1 rules;"]);
    assert_eq!(folder.run("rules list").expect(0, &[]).json()[0]["id"], id);
    let event = json!({
        "eventVersion": "1.08", "eventID": "e", "eventTime": "2024-05-01T00:00:00Z", "eventSource": "s", "eventName": "x",
    });
    let found = folder.dial(["scan", "-"]).input(event.to_string()).run().expect(1, &[]).findings();
    assert!(found.len() == 1 && found.values().all(|finding| finding["rule_id"] == id));
    folder.write("rules/a.yml", rule.replace("condition: a", "condition: b"));
    folder.run("config check").expect(2, &["rules/a.yml:"]);
    folder.write("dial.toml", "[rules]\npaths = ['rules', 'nowhere']\n");
    folder.run("config check").expect(2, &["nowhere"]);
}

#[test]
fn what_a_terminal_is_shown_can_be_used_as_a_file() {
    let folder = Folder::new();
    folder.write(
        "dial.toml",
        "[stream]\nname = 'trail'\n[worker]\nid = \"a\\\"b\"\n[archive]\nlocation = 's3://bucket/p'\n",
    );
    let shown = folder.run_on_terminal("config check").expect(0, &[]).out.replace('\r', "");
    let toml: String = shown
        .lines()
        .take_while(|line| !line.starts_with("the settings are fine"))
        .map(|line| format!("{line}\n"))
        .collect();
    folder.write("again.toml", &toml);
    assert_eq!(
        settings(folder.run("config check")),
        settings(folder.run("config check --config again.toml")),
        "{toml}"
    );
}
