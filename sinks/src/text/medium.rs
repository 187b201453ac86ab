//! [`Medium`]: who shows a text, and what steers there.

use std::borrow::Cow;

/// Who shows a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// Shown as it is: a header, a title, a terminal.
    Plain,
    /// Shown as it is, by something that makes links of addresses and mentions of names by itself.
    Linking,
    /// Slack's mrkdwn: prose.
    Slack,
    /// Slack's mrkdwn: something to be copied, as inline code, in which only `&`, `<`, `>` and the backtick steer.
    SlackCode,
    /// Markdown, as CommonMark and GitHub have it: prose.
    Markdown,
    /// Markdown: something to be copied, as a code span.
    MarkdownCode,
    /// HTML: text, or the value of an attribute in quotes.
    Html,
    /// HTML of which links are made as of [`Medium::Linking`].
    LinkingHtml,
    /// One line of a log, from which the text can be had back, apart from what is hidden: a backslash is doubled.
    Line,
}

impl Medium {
    /// The same medium for something to be copied, where there is one.
    pub fn code(self) -> Medium {
        match self {
            Medium::Slack => Medium::SlackCode,
            Medium::Markdown => Medium::MarkdownCode,
            Medium::Linking => Medium::Plain,
            Medium::LinkingHtml => Medium::Html,
            other => other,
        }
    }

    /// What stands around a text.
    pub(super) fn fence(self) -> (&'static str, &'static str) {
        match self {
            Medium::SlackCode | Medium::MarkdownCode => ("`", "`"),
            _ => ("", ""),
        }
    }

    /// What ends a line so that the next begins below it.
    pub(super) fn line_break(self) -> &'static str {
        match self {
            Medium::Plain | Medium::Linking | Medium::Slack | Medium::SlackCode => "\n",
            Medium::Markdown | Medium::MarkdownCode => "\n\n",
            Medium::Html | Medium::LinkingHtml => "<br>",
            Medium::Line => " ",
        }
    }

    /// Whether this was written as it is for what came next, and may not be the last.
    pub(super) fn needs_next(self, c: char) -> bool {
        self == Medium::Slack && matches!(c, '*' | '_' | '~')
    }

    /// What is written for one character among its neighbours.
    pub(super) fn piece(self, chars: &[char], at: usize) -> Cow<'static, str> {
        let c = chars[at];
        match self {
            Medium::Plain => own(c),
            Medium::Linking => linking(chars, at).unwrap_or_else(|| own(c)),
            Medium::Slack => linking(chars, at).unwrap_or_else(|| slack(chars, at)),
            Medium::SlackCode => match c {
                '`' => "‵".into(),
                c => entity(c).unwrap_or_else(|| own(c)),
            },
            Medium::Markdown => linking(chars, at).unwrap_or_else(|| markdown(chars, at)),
            Medium::MarkdownCode if c == '`' => "‵".into(),
            Medium::MarkdownCode => own(c),
            Medium::Html => html(c),
            Medium::LinkingHtml => linking(chars, at).unwrap_or_else(|| html(c)),
            Medium::Line if c == '\\' => r"\\".into(),
            Medium::Line => own(c),
        }
    }
}

fn own(c: char) -> Cow<'static, str> {
    c.to_string().into()
}

/// The three that Slack and HTML share (<https://docs.slack.dev/messaging/formatting-message-text>).
fn entity(c: char) -> Option<Cow<'static, str>> {
    Some(match c {
        '&' => "&amp;".into(),
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        _ => return None,
    })
}

fn html(c: char) -> Cow<'static, str> {
    match c {
        '"' => "&quot;".into(),
        '\'' => "&#39;".into(),
        '`' => "&#96;".into(),
        c => entity(c).unwrap_or_else(|| own(c)),
    }
}

/// What keeps an address from becoming a link, as analysts write it: `https[:]//evil[.]example`. A dot counts between a
/// letter or digit and a letter, as in every domain's name; so do the ones that IDNA takes for dots (RFC 3490, § 3.1). And
/// what keeps `@here` and `mailto:` from being more than text.
fn linking(chars: &[char], at: usize) -> Option<Cow<'static, str>> {
    let before = at.checked_sub(1).and_then(|before| chars.get(before));
    let after = chars.get(at + 1);
    match chars[at] {
        ':' if before.is_some_and(|c| c.is_ascii_alphanumeric()) && after == Some(&'/') => Some("[:]".into()),
        '.' | '。' | '．' | '｡'
            if before.is_some_and(|c| c.is_alphanumeric()) && after.is_some_and(|c| c.is_alphabetic()) =>
        {
            Some("[.]".into())
        }
        '@' => Some("＠".into()),
        _ => None,
    }
}

fn slack(chars: &[char], at: usize) -> Cow<'static, str> {
    let c = chars[at];
    match c {
        '`' => "‵".into(),
        // Slack has no escape for these. Within a word they do nothing; elsewhere a look-alike stands for them.
        '*' | '_' | '~' if !is_within_word(chars, at) => match c {
            '*' => "∗".into(),
            '_' => "＿".into(),
            _ => "∼".into(),
        },
        // An entity at the start of a line is a quotation all the same.
        '>' if at == 0 => "›".into(),
        ':' if opens_emoji(chars, at) => "∶".into(),
        c => entity(c).unwrap_or_else(|| own(c)),
    }
}

fn is_within_word(chars: &[char], at: usize) -> bool {
    let is_word = |c: Option<&char>| c.is_some_and(char::is_ascii_alphanumeric);
    is_word(at.checked_sub(1).and_then(|before| chars.get(before))) && is_word(chars.get(at + 1))
}

/// Whether a colon stands after the hours of a time: `09:51:00`.
fn is_time(chars: &[char], at: usize) -> bool {
    let digits =
        |range: std::ops::Range<usize>| chars.get(range).is_some_and(|part| part.iter().all(char::is_ascii_digit));
    at >= 2 && digits(at - 2..at) && digits(at + 1..at + 3) && chars.get(at + 3) == Some(&':') && digits(at + 4..at + 6)
}

/// Whether a colon begins the name of an emoji: `:skull:`.
fn opens_emoji(chars: &[char], at: usize) -> bool {
    let is_name = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '\'');
    // Names of emoji have at most 100 characters.
    let name = chars[at + 1..].iter().take(101).take_while(|c| is_name(c)).count();
    name > 0 && chars.get(at + 1 + name) == Some(&':') && !is_time(chars, at)
}

/// CommonMark, § 2.4: a backslash before any ASCII punctuation makes it literal. What could be HTML is an entity, for
/// renderers that pass HTML on. What steers only at the start of a line is escaped there.
fn markdown(chars: &[char], at: usize) -> Cow<'static, str> {
    let c = chars[at];
    let escaped = || Cow::from(format!("\\{c}"));
    match c {
        '-' | '+' | '=' | ':' if at == 0 => escaped(),
        '.' | ')' if at > 0 && chars[..at].iter().all(char::is_ascii_digit) => escaped(),
        ':' if opens_emoji(chars, at) => escaped(),
        '\\' | '`' | '*' | '_' | '~' | '#' | '!' | '[' | ']' | '{' | '}' | '|' | '$' | '^' => escaped(),
        c => entity(c).unwrap_or_else(|| own(c)),
    }
}
