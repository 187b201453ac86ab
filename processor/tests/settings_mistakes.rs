//! A settings file with every kind of mistake: each is told with its line and what to write instead, alone and all at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::Folder;

/// After `#!` stands what must be said of that line, parts divided by `&`.
const FILE: &str = r#"stream_name = 'trail' #! `stream_name` is no section: did you mean `stream`?
[stream]
nmae = 'x' #! `stream.nmae` is no key: did you mean `name`? & `initial_position`
name = 7 #! `stream.name` is the integer 7: write a string
initial_position = 'newest' #! "newest": write `trim-horizon` or `latest`
read = 'fanout' #! did you mean `fan-out`?
consumer = 'a b' #! `stream.consumer` & letters, digits
[straem] #! `straem` is no section: did you mean `stream`?
[worker]
id = trail #! this is no TOML & quotes
failover_seconds = 'ten' #! the string "ten": write a whole number
prefetch_mib = -1 #! the integer -1: write a whole number, 0 or more
shard_prefetch_mib = 0 #! is 0: write at least 1
[tables]
prefix = 'dial/' #! `tables.prefix` & letters, digits
prefix = 'dial-' #! `prefix` is there twice
[archive]
location = 's3://' #! `archive.location` & s3://BUCKET/PREFIX
raw = 'yes' #! write `true` or `false`
flush_mib = 1.5 #! the number 1.5: write a whole number
flush_seconds = 99999999999999999999 #! this is no TOML & too large
[data]
folder = ['x'] #! `data.folder` is a list: write a string
[rules]
paths = 'rules' #! `rules.paths` is the string "rules": write a list
[facts]
own_accounts = ['1111'] #! `facts.own_accounts` & 12 digits
known_accounts = [111122223333] #! the integer 111122223333: write a string
critical_names = [''] #! an empty name, which matches nothing
[metrics]
listen = 'everywhere' #! `metrics.listen` & `auto`, `off`
token = 'abc' #! `env:NAME` or `file:PATH`
[log]
filter = 'inf' #! did you mean `info`?
json = 2024-05-01 #! the string "2024-05-01": write `true` or `false`
[accounts.payments] #! `accounts.payments` & 12 digits
[accounts.111122223333]
ou = 'Workloads/Production' #! write "/Workloads/Production"
environmnet = 'test' #! did you mean `environment`?
name = '' #! `accounts.111122223333.name` is empty
tags = ['a'] #! a list: write a table
[policy]
disabled = ['iam/*', 'iam/administrator_rights_grantd'] #! did you mean "iam/administrator_rights_granted"?
muted = 7 #! the integer 7: write a string in quotes, or a list
[[policy.staged]]
rule = 'no such rule at all' #! is no rule & dial rules list
until = 2100-01-01
[[policy.staged]]
rule = 'iam/*'
until = 'soon' #! "soon": write a date such as 2030-12-31
[[policy.staged]] #! `policy.staged.until` is missing
rule = 'iam/*'
[[policy.severity]]
environment = 'production'
set = 'hihg' #! did you mean `high`?
[[policy.severity]]
environment = 'production'
raise = 9 #! write 1 to 4
[[policy.severity]] #! no condition
lower = 1
[[policy.severity]] #! more than one of `set`, `raise` and `lower`
rule = 'iam/*'
raise = 1
set = 'high'
[[policy.severity]] #! says no severity
rule = 'iam/*'
[[policy.suppress]] #! `policy.suppress.owner` is missing
rule = 'iam/*'
reason = 'r'
expires = 2100-01-01
[[policy.suppress]]
onwer = 'o' #! did you mean `owner`?
rule = 'iam/*'
reason = 'r'
expires = 2100-01-01
[[policy.suppress]]
environment = 'production'
account = '12345' #! an id has 12 digits
region = 'us-esat-1' #! did you mean `us-east-1`?
ou = 'Workloads' #! write "/Workloads"
actor = 'iam::111122223333:user/bob' #! part of an ARN & arn:aws:
address = '198.51.100.0/33' #! is no address
rule = 'MFA device remvoed' #! did you mean "MFA device removed"?
owner = 'o'
reason = 'r'
from = 2100-01-01 #! is not before `expires`
expires = 2099-01-01
[[policy.suppress]]
rule = 'iam/*'
owner = 'o'
reason = 'r'
expires = 2099-02-30 #! this is no TOML
expires = '31.12.2099' #! "31.12.2099": write a date
[[policy.suppress]]
rule = 'iam/*'
owner = 'o'
reason = 'r'
expires = 2099-01-01T00:00:00 #! no time zone: add Z
[[policy.allow]] #! `policy.allow` allows nobody
owner = 'o'
reason = 'r'
[[policy.allow]] #! `policy.allow.reason` is missing
principal = '*'
owner = 'o'
[[policy.alow]] #! `policy.alow` is no key: did you mean `allow`?
[sinks.soc]
kind = 'slack'
token = 'env:SLACK_TOKEN'
channel = 'C0123456789'
[sinks.a] #! `sinks.a.kind` is missing: write what it is
topic = 'x'
[sinks.b]
kind = 'slak' #! "slak": did you mean `slack`?
[sinks.c] #! `sinks.c.topic` is missing: write the topic's ARN
kind = 'sns'
[sinks.d]
kind = 'sqs'
queue = ' ' #! `sinks.d.queue` is empty: write something
[sinks.e]
kind = 'stdout'
topic = 'x' #! `sinks.e.topic` is no key of kind "stdout" & `format`
formt = 'json' #! `sinks.e.formt` is no key: did you mean `format`?
[sinks.f]
kind = 'thehive'
url = 'https://thehive.example.com'
key = 'env:THEHIVE_KEY'
cases = 'yes' #! `sinks.f.cases` & write `true` or `false`
version = 'five' #! `sinks.f.version` & write a whole number
[sinks."g g"] #! is no name of a sink: write letters, digits
kind = 'stdout'
[alerts]
dedup_seconds = 0 #! `alerts.dedup_seconds` is 0: write at least 1
digest_seconds = 'soon' #! `alerts.digest_seconds` & write a whole number
storm_per_minut = 3 #! did you mean `storm_per_minute`?
[[alerts.route]] #! `alerts.route.sinks` is missing: name sinks of [sinks.NAME]
min_severity = 'high'
[[alerts.route]]
sinks = 'sco' #! names "sco", which is no sink: did you mean "soc"?
[[alerts.route]]
sinks = ['soc']
min_severity = 'hihg' #! did you mean `high`?
kind = 'double' #! "double": write `single` or `correlated`
account = '12345' #! an id has 12 digits
region = 'us-esat-1' #! did you mean `us-east-1`?
ou = 'Workloads' #! write "/Workloads"
tag = '' #! is empty: write something
technique = 'TA0001' #! write a technique such as T1098
rule = 'MFA device remvoed' #! did you mean "MFA device removed"?
severity = 'high' #! did you mean `min_severity`?
[archive #! this is no TOML
[rules] #! `rules` is there twice
paths = ['somewhere']
"#;

/// Lines from 1, with what must be said of them.
fn marked(text: &str) -> Vec<(usize, Vec<&str>)> {
    text.lines()
        .enumerate()
        .filter_map(|(at, line)| Some((at + 1, line.split_once(" #! ")?.1.split(" & ").collect())))
        .collect()
}

/// The file with nothing but the section of this line, in it no other line with a mistake, and sections without any.
fn alone(at: usize) -> String {
    let lines: Vec<&str> = FILE.lines().collect();
    let is_header = |line: &str| line.starts_with('[');
    let begins = lines[..at].iter().rposition(|line| is_header(line)).unwrap_or(0);
    let ends = (at..lines.len()).find(|line| is_header(lines[*line])).unwrap_or(lines.len());
    let is_fine = |number: usize| {
        let begins = lines[..=number].iter().rposition(|line| is_header(line)).unwrap_or(0);
        let section = lines[begins..].iter().enumerate().take_while(|(n, line)| *n == 0 || !is_header(line));
        section.into_iter().all(|(_, line)| !line.contains(" #! "))
    };
    let kept = |(number, line): (usize, &&str)| {
        let within =
            (begins..ends).contains(&number) && (number + 1 == at || !line.contains(" #! ") || is_header(line));
        if within || is_fine(number) { format!("{line}\n") } else { "\n".to_owned() }
    };
    lines.iter().enumerate().map(kept).collect()
}

#[test]
fn every_mistake_is_told_with_its_line_and_what_to_write() {
    let mistakes = marked(FILE);
    assert!(mistakes.len() >= 50);
    for (line, words) in mistakes {
        if words[0].contains("twice") {
            continue; // which shows only where both are
        }
        let text = alone(line);
        let folder = Folder::new();
        folder.write("dial.toml", &text);
        let told = folder.run("config check").expect(2, &[&format!("dial.toml: line {line}: ")]).expect(2, &words).err;
        assert_eq!(told.trim_end().lines().count(), 1, "line {line} alone: {told}");
    }
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let folder = Folder::new();
    for text in [FILE.to_owned(), FILE.replace('\n', "\r\n"), format!("\u{feff}{FILE}")] {
        folder.write("dial.toml", &text);
        let mistakes = marked(FILE);
        let told = folder.run("config check").expect(2, &[&format!("{} mistakes in the settings", mistakes.len())]).err;
        for (line, words) in mistakes {
            let begins = format!("  dial.toml: line {line}: ");
            let said = told
                .lines()
                .find(|said| said.starts_with(&begins))
                .unwrap_or_else(|| panic!("nothing of line {line}: {told}"));
            assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
        }
    }
}

/// Sinks that only making them shows to be wrong.
const SINKS: &str = r#"[sinks.topic]
kind = 'sns'
topic = 'alerts' #! `sinks.topic.topic` & arn:aws:sns:
[sinks.queue]
kind = 'sqs'
queue = 'alerts' #! `sinks.queue.queue` & https://sqs.
[sinks.both]
kind = 'slack'
token = 'env:TOKEN_THAT_IS_SET'
webhook = 'env:TOKEN_THAT_IS_SET' #! `sinks.both.webhook` stands beside `token`: keep one
[sinks.hook]
kind = 'slack'
webhook = 'env:TOKEN_THAT_IS_SET'
growth = 'thread' #! `sinks.hook.growth` is of bots: what a webhook said cannot be changed
[sinks.bot]
kind = 'slack'
token = 'env:TOKEN_THAT_IS_SET'
channel = 'C0123456789'
growth = 'edit' #! `sinks.bot.growth` is "edit": write "thread" or "update"
[sinks.red]
kind = 'thehive'
url = 'https://thehive.example.com'
key = 'env:TOKEN_THAT_IS_SET'
version = 4
tlp = 4 #! `sinks.red.tlp` is 4: write a level from 0 to 3
[sinks.permissible]
kind = 'thehive'
url = 'https://thehive.example.com'
key = 'env:TOKEN_THAT_IS_SET'
pap = 4 #! `sinks.permissible.pap` is 4: write a level from 0 to 3
[sinks.neither] #! `sinks.neither.token` is missing
kind = 'slack'
[sinks.channel] #! `sinks.channel.channel` is missing
kind = 'slack'
token = 'env:TOKEN_THAT_IS_SET'
[sinks.here]
kind = 'webhook'
url = 'https://alerts.example.com'
signing_key = 'hush-hush' #! `sinks.here.signing_key` is no place of a signing_key: write `env:NAME`
[sinks.plain]
kind = 'webhook'
url = 'http://alerts.example.com' #! `sinks.plain.url` & https
[sinks.method]
kind = 'webhook'
url = 'https://alerts.example.com'
method = 'GET' #! `sinks.method.method` is "GET": write "POST" or "PUT"
[sinks.template]
kind = 'webhook'
url = 'https://alerts.example.com'
template = 'no.template' #! `sinks.template.template` names no.template, which cannot be read
[sinks.version]
kind = 'thehive'
url = 'https://thehive.example.com'
key = 'env:TOKEN_THAT_IS_SET'
version = 6 #! `sinks.version.version` is 6: write 5 or 4
[sinks.format]
kind = 'stdout'
format = 'xml' #! `sinks.format.format` is "xml": write "text" or "json"
[sinks.unset]
kind = 'webhook'
webhook = 'env:ADDRESS_THAT_IS_NOT_SET' #! the environment variable ADDRESS_THAT_IS_NOT_SET, which is not set
token = 'env:TOKEN_THAT_IS_NOT_SET' #! the environment variable TOKEN_THAT_IS_NOT_SET, which is not set
signing_key = 'env:TOKEN_THAT_IS_EMPTY' #! names env:TOKEN_THAT_IS_EMPTY, where there is nothing
[sinks.setting]
kind = 'thehive'
url = 'https://thehive.example.com'
key = 'env:DIAL_KEY' #! those that begin with DIAL_ are settings
[sinks.file]
kind = 'thehive'
url = 'https://thehive.example.com'
key = 'file:/run/secrets/that/workers/have'
"#;

#[test]
fn all_sinks_that_cannot_be_made_are_told_at_once() {
    let folder = Folder::new();
    folder.write("dial.toml", SINKS);
    let check =
        folder.dial(["config", "check"]).env("AWS_REGION", "eu-west-1").env("AWS_EC2_METADATA_DISABLED", "true");
    let check = check.env("TOKEN_THAT_IS_SET", "hush-hush").env("TOKEN_THAT_IS_EMPTY", " ");
    let mistakes = marked(SINKS);
    let ended = check.run().expect(2, &[&format!("{} mistakes in the settings", mistakes.len())]);
    assert!(ended.out.is_empty() && !ended.err.contains("hush-hush"), "{}", ended.err);
    for (line, words) in mistakes {
        let begins = format!("  dial.toml: line {line}: ");
        let said = ended.err.lines().find(|said| said.starts_with(&begins));
        let said = said.unwrap_or_else(|| panic!("nothing of line {line}: {}", ended.err));
        assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
    }
}

#[test]
fn mistakes_of_the_file_and_of_the_environment_are_told_together() {
    let folder = Folder::new();
    folder.write("dial.toml", "[stream]\nname = 'a b'\nread = 'push'\n");
    let check = || folder.dial(["config", "check"]).env("DIAL_WORKER__ID", "w").env("DIAL_LOG__JSON", "perhaps");
    let told = check().env("DIAL_METRICS__LISTEN", "nowhere").run();
    told.expect(2, &["4 mistakes", "line 2: `stream.name`", "line 3: `stream.read`"])
        .expect(2, &["variable DIAL_LOG__JSON: `log.json`", "variable DIAL_METRICS__LISTEN: `metrics.listen`"]);
    // What a variable puts right is right.
    let told = check().env("DIAL_STREAM__NAME", "trail").run().expect(2, &["2 mistakes"]);
    assert!(!told.err.contains("stream.name"), "{}", told.err);
}

#[test]
fn what_is_no_settings_file_is_named_by_what_it_is() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("folder")).unwrap();
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain("[log]".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    for (name, bytes, words) in [
        ("utf16.toml", utf16, "it is UTF-16: save it as UTF-8"),
        ("latin.toml", b"[stream]\nname = 'caf\xe9'\n".to_vec(), "line 2: the byte 0xe9 is not UTF-8"),
        ("gzip.toml", support::gzip(b"[log]\n"), "is not UTF-8"),
        ("json.toml", b"{\"stream\": {\"name\": \"x\"}}\n".to_vec(), "line 1: this is no TOML"),
        ("yaml.toml", b"stream:\n  name: x\n".to_vec(), "line 1: this is no TOML"),
        ("noise.toml", b"\0\0%%%\n[[[=\n".repeat(2_000), "this is no TOML"),
        ("deep.toml", format!("a = {}1{}\n", "[".repeat(5_000), "]".repeat(5_000)).into_bytes(), "line 1"),
    ] {
        folder.write(name, bytes);
        let told = folder.run(&format!("config check --config {name}")).expect(2, &[name, words]);
        assert!(told.err.len() < 20_000, "{name}: {} bytes", told.err.len());
    }
    folder.run("config check --config folder").expect(2, &["folder cannot be read: it is a folder"]);
}
