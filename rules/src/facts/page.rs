//! docs/FACTS.md, written from the table.

use std::fmt::Write;

use super::escalation::WAYS;
use super::{all, paths};

/// The page that documents every fact, as Markdown.
pub fn markdown() -> String {
    let mut page = String::from(HEAD);
    for fact in all() {
        let cell = |text: &str| text.replace('|', "\\|");
        // Writing into a String cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | `{}` |",
            fact.name,
            fact.kind.as_str(),
            cell(fact.about),
            cell(fact.present),
            cell(fact.example)
        );
    }
    page.push_str("\n## Ways of `dial.escalation`\n\n| way | means |\n| --- | --- |\n");
    for (way, means) in WAYS {
        let _ = writeln!(page, "| `{way}` | {means} |");
    }
    page.push_str("\n## Paths of `dial.policy.escalation`\n\n");
    page.push_str("Each is named after the calls that it takes; the holder may make them on any resource.\n\n");
    for name in paths::names() {
        let _ = writeln!(page, "- `{name}`");
    }
    page
}

const HEAD: &str = "# Facts

Fields under `dial.` that rules may name like any other: what an event says between its lines. This page is generated from the
table in the code; `dial rules fields` prints the same.

- A flag is `true` or `false` where the event has something to judge, and absent where it has nothing. `dial.policy.public: false`
  so means \"judged, and not public\"; `not selection` with `dial.policy.public: true` covers both.
- A list matches if one of its elements does. A list without elements is absent, so `|exists: true` asks whether there is one.
- Facts cost something only when a rule asks for them. Items are looked at in the order in which they are written: put `eventSource`
  and `eventName` before facts.
- A refused call is judged like one that succeeded; ask `dial.outcome` or `errorCode`.
- \"Outside\" is every account but the event's own and those that the tables list as own or known. Without tables, that is every
  other account.
- `dial.ip.…`, `dial.account.…` and `dial.region.…` say what tables on this machine know. A rule that asks what no table in force
  can answer is refused at the start, unless it lists the fact under `dial: { optional: […] }`; then it is silent.
- A rule that names an unknown field under `dial.` is refused when it is loaded.

| field | type | says | there when | example |
| --- | --- | --- | --- | --- |
";
