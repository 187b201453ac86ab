//! What commands print: tables for people, JSON lines for programs.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, presets};
use dial_rules::assessment::Assessment;
use dial_rules::event::{Millis, rfc3339};
use dial_rules::severity::Severity;
use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::story;

/// How long most lines of JSON are at most, in bytes.
const LINE: usize = 8 * 1024;

/// Where a command's results go.
pub(crate) struct Output {
    json: bool,
    color: bool,
    unread: Unread,
}

/// What happens once nobody reads standard output any longer.
enum Unread {
    /// The program ends: showing was all that it did.
    Ends,
    /// It goes on without showing, since it keeps what it does elsewhere too. Whether that has come to pass.
    GoesOn(AtomicBool),
}

impl Output {
    /// JSON lines when asked for, or when standard output is no terminal.
    pub(crate) fn new(json: bool) -> Output {
        let terminal = io::stdout().is_terminal();
        Output { json: json || !terminal, color: terminal && !json, unread: Unread::Ends }
    }

    /// The same for a command that does more than to show: its reader may go away, and it goes on.
    pub(crate) fn of_work(&self) -> Output {
        Output { json: self.json, color: self.color, unread: Unread::GoesOn(AtomicBool::new(false)) }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// One line of JSON.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<()> {
        // With room for most: growing by and by costs more than writing.
        let mut text = Vec::with_capacity(LINE);
        serde_json::to_writer(&mut text, value).map_err(|error| Failure::outside("JSON", error))?;
        let text = String::from_utf8(text).map_err(|error| Failure::outside("JSON", error))?;
        self.line(&harmless(text))
    }

    /// One line of text.
    pub(crate) fn line(&self, text: &str) -> Result<()> {
        self.write(&format!("{text}\n"))
    }

    /// Text as it is.
    pub(crate) fn write(&self, text: &str) -> Result<()> {
        if matches!(&self.unread, Unread::GoesOn(came) if came.load(Ordering::Relaxed)) {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // The reader, `head` perhaps, has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.unread(),
            other => other.map_err(|error| Failure::outside("standard output", error))?,
        }
        Ok(())
    }

    fn unread(&self) {
        match &self.unread {
            Unread::Ends => std::process::exit(0),
            Unread::GoesOn(came) => {
                came.store(true, Ordering::Relaxed);
                note("nobody reads standard output any longer: going on without it");
            }
        }
    }

    /// A table with these column titles.
    pub(crate) fn table(&self, titles: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> Result<()> {
        let mut table = Table::new();
        let style = presets::NOTHING.header_separator(LineStyle::none().fill('─'));
        table.load_style(style).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(titles.iter().map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
        table.add_rows(rows);
        if !self.color {
            table.force_no_tty();
        }
        if let Some(width) = told_width(&table) {
            table.set_width(width);
        }
        self.line(&table.to_string())
    }

    /// How wide the terminal is; `None` where there is none.
    pub(crate) fn width(&self) -> Option<u16> {
        let table = Table::new();
        table.width().filter(|_| io::stdout().is_terminal()).map(|width| told_width(&table).unwrap_or(width))
    }

    /// A finding as one line for people: `12:04:31  HIGH  …`; of a correlated one also how many events it rests on.
    pub(crate) fn finding_line(&self, assessment: &Assessment) -> Result<()> {
        self.line(&self.finding_words(assessment))
    }

    /// The same of a finding that was told before and has changed since.
    pub(crate) fn grown_line(&self, assessment: &Assessment) -> Result<()> {
        self.line(&format!("{}  (changed)", self.finding_words(assessment)))
    }

    fn finding_words(&self, assessment: &Assessment) -> String {
        let Assessment { finding, context, .. } = assessment;
        let (subject, severity) = (&finding.subject, assessment.severity());
        let word = format!("{:<8}", severity.as_str().to_uppercase());
        let name = context.account.as_ref().and_then(|account| account.name.as_deref());
        let place = [name, subject.account_id.as_deref(), subject.region.as_deref()];
        let place: Vec<&str> = place.into_iter().flatten().collect();
        let who = story::who(assessment);
        // The account stands behind it anyhow.
        let own = subject.account_id.as_ref().map(|account| format!(" ({account})"));
        let who = who.as_deref().map(|who| own.and_then(|own| who.strip_suffix(&own)).unwrap_or(who));
        let events = story::is_correlated(finding).then(|| format!(", {} events", finding.event_count_text()));
        format!(
            "{}  {}  {}  {} ({}){}",
            clock(finding.first_seen),
            self.paint(&word, severity),
            plain(&subject.rule_title),
            plain(who.unwrap_or("somebody")),
            plain(&place.join(" ")),
            events.unwrap_or_default(),
        )
    }

    /// A word in green for what holds, in red for what does not.
    pub(crate) fn verdict(&self, word: &str, holds: bool) -> String {
        match (self.color, holds) {
            (false, _) => word.to_owned(),
            (true, true) => format!("\x1b[32m{word}\x1b[0m"),
            (true, false) => format!("\x1b[31m{word}\x1b[0m"),
        }
    }

    fn paint(&self, text: &str, severity: Severity) -> String {
        if !self.color {
            return text.to_owned();
        }
        let code = match severity {
            Severity::Critical => "1;35",
            Severity::High => "1;31",
            Severity::Medium => "33",
            Severity::Low => "36",
            Severity::Informational => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// The width of a terminal that says it has none, those of containers and serial lines among them.
fn told_width(table: &Table) -> Option<u16> {
    (table.width() == Some(0)).then(|| width_told(std::env::var("COLUMNS").ok().as_deref()))
}

/// The width of a terminal that does not know its own: what the shell says in `COLUMNS`, else what all once had.
fn width_told(columns: Option<&str>) -> u16 {
    columns.and_then(|text| text.trim().parse().ok()).filter(|width| *width > 0).unwrap_or(80)
}

/// A line for people beside the results: on standard error.
pub(crate) fn note(text: &str) {
    // When nobody can be told, going on is still right.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A cell with a severity in its colour.
pub(crate) fn severity_cell(severity: Severity) -> Cell {
    let cell = Cell::new(severity.as_str());
    match severity {
        Severity::Critical => cell.fg(Color::Magenta).add_attribute(Attribute::Bold),
        Severity::High => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        Severity::Medium => cell.fg(Color::Yellow),
        Severity::Low => cell.fg(Color::Cyan),
        Severity::Informational => cell.add_attribute(Attribute::Dim),
    }
}

/// A number, to the right, with thousands apart.
pub(crate) fn number_cell(number: u64) -> Cell {
    Cell::new(thousands(number)).set_alignment(CellAlignment::Right)
}

/// `1234567` → `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `1,234 files`: a number of what makes its plural with an s.
pub(crate) fn counted(number: u64, one: &str) -> String {
    format!("{} {one}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// Text from an event without what could steer a terminal: control characters become spaces.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if steers(c) { ' ' } else { c }).collect()
}

/// Whether it steers a terminal, or the direction in which text is shown (Unicode Standard Annex 9).
fn steers(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// The same JSON with what steers terminals escaped: of that, JSON itself escapes only what comes before the blank.
pub(crate) fn harmless(json: String) -> String {
    // JSON escapes what of ASCII would do so, but for the last.
    if !json.bytes().any(|byte| byte >= 0x7f) || !json.contains(steers) {
        return json;
    }
    // None of it is beyond the first plane, so four digits do.
    json.chars().map(|c| if steers(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }).collect()
}

/// `2024-05-01 12:04:31` in UTC.
pub(crate) fn clock(time: Millis) -> String {
    rfc3339(time).get(..19).map(|text| text.replace('T', " ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [0, 999, 1000, 1_234_567].map(thousands).each_ref().map(String::as_str)
        );
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(
            ["0 files", "1 file", "2,000 files"],
            [0, 1, 2_000].map(|n| counted(n, "file")).each_ref().map(String::as_str)
        );
    }

    #[test]
    fn nothing_from_an_event_steers_the_terminal() {
        assert_eq!(plain("a\x1b[31m\u{202e}b\nc"), "a [31m b c");
        assert_eq!(plain("a\u{9b}31m\u{2066}b\u{2028}c – “d”"), "a 31m b c – “d”");
        let odd = "a\x1b\u{7f}\u{9b}31m\u{202e}\u{2066}b – “d”";
        let json = harmless(serde_json::to_string(odd).unwrap());
        assert!(!json.contains(steers) && json.contains("– “d”"), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), odd);
    }
}
