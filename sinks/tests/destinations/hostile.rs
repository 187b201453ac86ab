//! Texts by which somebody who makes a call attacks whoever reads the alert, and messages that are full of them.

use dial_rules::assessment::Assessment;
use dial_rules::finding::Evidence;
use dial_sinks::message::Message;
use dial_sinks::samples::{SampleKind, sample};

/// The attacks. Most have `dialx` in them, so that a test finds what became of it.
pub(crate) const HOSTILE: [&str; 36] = [
    "<!channel> dialx",
    "<!here|dialx>",
    "<!subteam^S0123|dialx>",
    "<@U0123456> dialx",
    "<#C0123456|dialx>",
    "<https://evil.example/dialx|AWS console>",
    "<mailto:dialx@evil.example|mail>",
    "https://evil.example/dialx",
    "www.evil.example dialx",
    "evil.example dialx",
    "@channel @here @everyone dialx",
    "*dialx* _dialx_ ~dialx~",
    "`dialx` ```dialx```",
    ":skull: dialx :rotating_light:",
    "> dialx\n> quoted",
    "[dialx](https://evil.example)",
    "![dialx](https://evil.example/x.png)",
    "[dialx]: https://evil.example",
    "<https://evil.example/dialx>",
    "# dialx\n\n- [ ] list\n\n1. one",
    "| dialx | table |\n|---|---|",
    "---\ndialx\n===",
    "<script>alert('dialx')</script>",
    "<img src=x onerror=\"alert(1)\"> dialx",
    "\" onmouseover=\"dialx",
    "&lt;b&gt;dialx&#60;b&#62;",
    "\u{1b}[31mdialx\u{1b}[0m \u{9b}2J \u{7}",
    "dialx\r\n2026-01-01T00:00:00Z level=info message=\"all is well\"",
    "dialx\u{2028}next\u{85}line",
    "{{7*7}} dialx {% for x in y %} ${7*7} #{7*7} <%= 7*7 %>",
    "dialx\",\"severity\":\"low\",\"x\":\"",
    "dialx\\\",\\u0022}]}",
    "\u{202e}xlaid\u{202c} \u{2066}x\u{2069}",
    "di\u{200b}al\u{200d}x\u{feff}\u{e0041}\u{ad}",
    "dialx\u{0}end",
    "'; DROP TABLE findings; -- dialx",
];

/// Texts in which there is nothing to see. Of most of them nothing is left, and most destinations refuse an empty text.
pub(crate) const BLANK: [&str; 5] = [" ", "\t", "\u{fe0f}", " \r\n\u{fe0e}\u{2003}", "\u{200b}\u{202e}"];

/// Every attack, a very long one of each of some, and every blank.
pub(crate) fn texts() -> Vec<String> {
    let long = [2, 7, 11, 12, 24].into_iter().map(|at: usize| HOSTILE[at].repeat(200));
    HOSTILE.iter().chain(&BLANK).map(|text| (*text).to_owned()).chain(long).collect()
}

/// Messages of all kinds in which every text that an event, a table or a service gives is this one.
pub(crate) fn messages(text: &str) -> Vec<Message> {
    SampleKind::ALL.into_iter().map(|kind| poisoned(sample(kind), text)).collect()
}

fn poisoned(mut message: Message, text: &str) -> Message {
    let own = || text.to_owned();
    message.title = own();
    for assessment in std::iter::once(&mut message.lead).chain(&mut message.others) {
        poison(assessment, text);
    }
    for moment in &mut message.moments {
        moment.who = own();
        moment.from = own();
        moment.what = own();
        moment.account = own();
        moment.region = own();
        moment.rule = own();
    }
    message.advice.why = own();
    message.advice.first_step = Some(own());
    message.advice.tactics = vec![own()];
    message.links.show = own();
    message.links.list = message.links.list.map(|_| own());
    message
}

fn poison(assessment: &mut Assessment, text: &str) {
    let own = || text.to_owned();
    let some = || Some(text.to_owned());
    let finding = &mut assessment.finding;
    let subject = &mut finding.subject;
    subject.rule_title = own();
    (subject.account_id, subject.region, subject.actor) = (some(), some(), some());
    (subject.source_ip, subject.actor_arn) = (some(), some());
    subject.techniques = vec![own()];
    subject.origin.persons = [own()].into();
    finding.group = finding.group.keys().map(|key| (key.clone(), own())).collect();
    if !finding.group.is_empty() {
        finding.group.insert("requestParameters.bucketName".to_owned(), own());
    }
    let evidence = std::mem::take(&mut finding.evidence).into_iter();
    finding.evidence = evidence
        .map(|one| Evidence {
            event_name: own(),
            event_source: own(),
            source_ip: some(),
            actor: some(),
            target: some(),
            ..one
        })
        .collect();
    let context = &mut assessment.context;
    if let Some(account) = &mut context.account {
        (account.name, account.environment, account.ou) = (some(), some(), some());
    }
    if let Some(address) = &mut context.address {
        (address.city, address.country, address.network) = (some(), some(), some());
        address.lists = vec![own()];
    }
    if let Some(reputation) = &mut context.reputation {
        (reputation.usage_type, reputation.isp) = (some(), some());
    }
    context.lineage.persons = [own()].into();
    context.chain = vec![own()];
    assessment.disposition.adjusted = vec![own()];
}

/// What each medium's renderer would make of a text: a reason where it is more than text. For whoever writes a sink.
pub(crate) mod render {
    use dial_sinks::text::is_hidden;

    /// Our own bold words in prose.
    const LABELS: [&str; 13] = [
        "Who",
        "Did what",
        "To what",
        "Where",
        "From",
        "Behind it",
        "When (UTC)",
        "Caller",
        "ATT&amp;CK",
        "What happened (UTC)",
        "Also",
        "Why it matters",
        "What to do first",
    ];

    /// Where our own links lead.
    pub(crate) const HOSTS: [&str; 2] = ["https://eu-west-1.console.aws.amazon.com/", "https://attack.mitre.org/"];

    /// Nothing that nobody sees; lines only where a line break is ours.
    pub(crate) fn visible(text: &str) -> Result<(), String> {
        match text.chars().find(|c| is_hidden(*c) && *c != '\n') {
            Some(c) => Err(format!("{c:?} is hidden in {text:?}")),
            None => Ok(()),
        }
    }

    /// Slack's mrkdwn: only our links and our bold labels.
    pub(crate) fn slack(text: &str) -> Result<(), String> {
        visible(text)?;
        let mut rest = without_code(text)?;
        while let Some(at) = rest.find('<') {
            let end = rest[at..].find('>').map(|end| at + end).ok_or("an open <")?;
            let link = &rest[at + 1..end];
            if !HOSTS.iter().any(|host| link.starts_with(host)) || link.matches('|').count() != 1 {
                return Err(format!("the token <{link}>"));
            }
            rest.replace_range(at..=end, "");
        }
        if rest.contains('>') {
            return Err(format!("a > in {rest:?}"));
        }
        for line in rest.lines() {
            slack_line(line)?;
        }
        Ok(())
    }

    fn slack_line(line: &str) -> Result<(), String> {
        // A label at the start of a line, or a count.
        let mut line = line.to_owned();
        if let Some((label, after)) = line.strip_prefix('*').and_then(|line| line.split_once('*')) {
            if !LABELS.contains(&label) && !label.contains("findings") {
                return Err(format!("the bold {label:?}"));
            }
            line = after.to_owned();
        }
        if line.starts_with("&gt;") || line.starts_with("• &gt;") {
            return Err(format!("a quotation: {line:?}"));
        }
        let entities = line.matches("&amp;").count() + line.matches("&lt;").count() + line.matches("&gt;").count();
        if line.matches('&').count() != entities {
            return Err(format!("a bare & in {line:?}"));
        }
        let chars: Vec<char> = line.chars().collect();
        let is_word = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(char::is_ascii_alphanumeric);
        for (at, c) in chars.iter().enumerate() {
            let before = at.checked_sub(1);
            let steers = match c {
                '*' | '_' | '~' => !(is_word(before) && is_word(Some(at + 1))),
                '`' | '@' => true,
                ':' => {
                    let name: String =
                        chars[at + 1..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').collect();
                    // `09:51:00` is a time.
                    let is_time = is_word(before) && name.len() == 2 && name.bytes().all(|b| b.is_ascii_digit());
                    !is_time && !name.is_empty() && chars.get(at + 1 + name.chars().count()) == Some(&':')
                }
                _ => false,
            };
            if steers {
                return Err(format!("{c} in {line:?}"));
            }
        }
        no_links(&line)
    }

    /// What stands between backticks is taken out; in it nothing but an entity steers.
    fn without_code(text: &str) -> Result<String, String> {
        let parts: Vec<&str> = text.split('`').collect();
        if parts.len().is_multiple_of(2) {
            return Err(format!("an odd backtick in {text:?}"));
        }
        let inside = parts.iter().skip(1).step_by(2);
        for code in inside.clone() {
            if code.is_empty() || code.contains(['<', '>', '\n']) {
                return Err(format!("the code {code:?}"));
            }
        }
        Ok(parts.iter().step_by(2).copied().collect::<Vec<_>>().join("C"))
    }

    /// No address that a renderer would find by itself.
    pub(crate) fn no_links(text: &str) -> Result<(), String> {
        let chars: Vec<char> = text.chars().collect();
        let domain =
            chars.windows(3).find(|three| three[0].is_alphanumeric() && three[1] == '.' && three[2].is_alphabetic());
        match domain {
            Some(domain) => Err(format!("the domain …{}… in {text:?}", domain.iter().collect::<String>())),
            None if text.contains("://") => Err(format!("an address in {text:?}")),
            None => Ok(()),
        }
    }

    /// HTML: no tag but our line breaks, and no `&` that begins nothing.
    pub(crate) fn html(text: &str) -> Result<(), String> {
        visible(text)?;
        let text = text.replace("<br>", " ");
        let entities = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&#96;"];
        let known: usize = entities.iter().map(|entity| text.matches(entity).count()).sum();
        if text.contains(['<', '>', '"', '\'', '`', '\n']) || text.matches('&').count() != known {
            return Err(format!("more than text: {text:?}"));
        }
        Ok(())
    }

    /// Markdown: what is neither escaped nor code is only ours.
    pub(crate) fn markdown(text: &str) -> Result<(), String> {
        visible(text)?;
        for line in text.lines().filter(|line| !line.is_empty() && *line != "---") {
            markdown_line(line)?;
        }
        Ok(())
    }

    fn markdown_line(line: &str) -> Result<(), String> {
        let mut rest = line.strip_prefix("- ").or_else(|| line.strip_prefix("### ")).unwrap_or(line);
        if rest.starts_with(['-', '+', '=', '\t', ' ']) {
            return Err(format!("a line that begins with more than text: {line:?}"));
        }
        let mut literal = String::new();
        while let Some(c) = rest.chars().next() {
            let skipped = ours(rest);
            if skipped > 0 {
                literal.push(' ');
                rest = &rest[skipped..];
                continue;
            }
            if "!#$&*<>@[]^_`{|}~\\".contains(c) {
                return Err(format!("{c} in {line:?}"));
            }
            literal.push(c);
            rest = &rest[c.len_utf8()..];
        }
        no_links(&literal)
    }

    /// How much of the start is an escape, code, an entity, a mark or a link of ours.
    fn ours(rest: &str) -> usize {
        if let Some(after) = rest.strip_prefix('\\') {
            return if after.starts_with(|c: char| c.is_ascii_punctuation()) { 2 } else { 0 };
        }
        if let Some(after) = rest.strip_prefix('`') {
            return after.find('`').map_or(0, |end| if end > 0 { end + 2 } else { 0 });
        }
        if let Some(after) = rest.strip_prefix("[Event in CloudTrail](<") {
            let is_ours = HOSTS.iter().any(|host| after.starts_with(host));
            return after.find(">)").filter(|_| is_ours).map_or(0, |end| rest.len() - after.len() + end + 2);
        }
        if rest.starts_with('<') && HOSTS.iter().any(|host| rest[1..].starts_with(host)) {
            return rest.find('>').map_or(0, |end| end + 1);
        }
        let fixed = ["**", "&lt;", "&gt;", "&amp;", "[.]", "[:]"];
        fixed.iter().find(|mark| rest.starts_with(**mark)).map_or(0, |mark| mark.len())
    }

    /// The checks themselves find what they are for.
    #[test]
    fn a_renderer_sees_tokens() {
        for text in [
            "<!channel>",
            "<https://evil.example|x>",
            "a & b",
            "*x*",
            "a _b_",
            "`a",
            ":skull:",
            "@here",
            "evil.example",
            "https://evil",
            "> a",
            "&gt; quoted",
            "a\u{202e}b",
            "``",
        ] {
            assert!(slack(text).is_err(), "{text:?}");
        }
        for text in ["<b>x", "a & b", "a\"b", "&copy;", "\u{202e}"] {
            assert!(html(text).is_err(), "{text:?}");
        }
        assert_eq!(html("a&lt;b<br>c"), Ok(()));
        for text in ["*Who*\na&amp;b snake_case `x*y*`", "• evil[.]example", "*1,000 findings*"] {
            assert_eq!(slack(text), Ok(()), "{text:?}");
        }
        for text in [
            "[a](b)",
            "*a*",
            "a_b",
            "<b>",
            "# a",
            "evil.example",
            "a & b",
            "`a",
            "https://x",
            "{{a}}",
            "\u{200b}",
            "a@b",
        ] {
            assert!(markdown(text).is_err(), "{text:?}");
        }
        for text in [r"- **Who:** a\_b &lt;b&gt;", "`a*b`", "### Read on", r"\# a evil[.]example"] {
            assert_eq!(markdown(text), Ok(()), "{text:?}");
        }
    }
}
