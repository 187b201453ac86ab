//! A settings file's TOML. Text that is none is told and passed over, so that one slip does not hide the others.

use toml_edit::{ImDocument, Table};

/// After so many the file is something else than settings.
const MOST_TOLD: usize = 20;

/// What a text holds.
pub(super) struct Parsed {
    /// What could be read. Its places are those in the text.
    pub(super) table: Table,
    /// Where else it is no TOML, as an offset in bytes, and why.
    pub(super) faults: Vec<(usize, String)>,
}

/// Reads as much of a text as can be read.
pub(super) fn parse(text: &str) -> Parsed {
    let (mut text, mut faults) = (text.to_owned(), Vec::new());
    loop {
        let error = match ImDocument::parse(text.clone()) {
            Ok(document) => return Parsed { table: document.as_table().clone(), faults },
            Err(error) => error,
        };
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        faults.push((at, words(error.message())));
        match repaired(&text, at) {
            Some(better) if faults.len() < MOST_TOLD => text = better,
            _ => return Parsed { table: Table::new(), faults },
        }
    }
}

/// The parser's words in one line, with what to do about the commonest slips.
fn words(message: &str) -> String {
    if let Some(key) = message.split("duplicate key `").nth(1).and_then(|rest| rest.split('`').next()) {
        return format!("`{key}` is there twice: keep one of the two");
    }
    let said = message.lines().collect::<Vec<_>>().join("; ");
    match said.as_str() {
        said if said.contains("string") => {
            format!("this is no TOML: {said}; text stands in quotes, as in name = \"trail\"")
        }
        said => format!("this is no TOML: {said}"),
    }
}

/// The text with the statement blanked out that keeps it from being read at `at`: of the candidates the one after which
/// the parser gets furthest, of equals the smallest. `None` when nothing is left to blank out.
fn repaired(text: &str, at: usize) -> Option<String> {
    let blanked = candidates(text, at).into_iter().filter_map(|range| blank(text, range));
    let reach = |text: &String| match ImDocument::parse(text.clone()) {
        Ok(_) => usize::MAX,
        Err(error) => error.span().map_or(0, |span| span.start),
    };
    let mut best: Option<(usize, String)> = None;
    for text in blanked {
        let reach = reach(&text);
        if best.as_ref().is_none_or(|(furthest, _)| reach > *furthest) {
            best = Some((reach, text));
        }
    }
    best.map(|(_, text)| text)
}

/// What may be the broken statement: the line, with all that is below it if it begins a section; or what began on one of
/// the lines before it and was not ended.
fn candidates(text: &str, at: usize) -> Vec<std::ops::Range<usize>> {
    let starts: Vec<usize> = std::iter::once(0)
        .chain(text.match_indices('\n').map(|(at, _)| at + 1))
        .filter(|at| *at < text.len())
        .collect();
    let Some(line) = starts.iter().rposition(|start| *start <= at) else { return Vec::new() };
    let content = |line: usize| text[starts[line]..].lines().next().unwrap_or_default().trim();
    let start = |line: usize| starts.get(line).copied().unwrap_or(text.len());
    let is_header = |line: usize| content(line).starts_with('[');
    let section_end = |from: usize| (from + 1..starts.len()).find(|line| is_header(*line)).unwrap_or(starts.len());
    let end = if is_header(line) { section_end(line) } else { line + 1 };
    let own = start(line)..start(end);
    // An error at the very end of the file is about what was not ended before it.
    let before = (0..=line).rev().filter(|line| content(*line).contains('=')).take(3);
    std::iter::once(own)
        .chain(before.flat_map(|from| [start(from)..start(line), start(from)..start(line + 1)]))
        .filter(|range| !range.is_empty())
        .collect()
}

/// The text with spaces instead of that; `None` when there is nothing but spaces.
fn blank(text: &str, range: std::ops::Range<usize>) -> Option<String> {
    let part = text.get(range.clone())?;
    if part.trim().is_empty() {
        return None;
    }
    let spaces: String = part
        .chars()
        .flat_map(|c| std::iter::repeat_n(if c == '\n' || c == '\r' { c } else { ' ' }, c.len_utf8()))
        .collect();
    Some(format!("{}{spaces}{}", &text[..range.start], &text[range.end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines, from 1, on which faults are told.
    fn lines(text: &str) -> Vec<usize> {
        parse(text).faults.iter().map(|(at, _)| 1 + text[..*at].matches('\n').count()).collect()
    }

    #[test]
    fn one_slip_does_not_hide_the_others() {
        let text = "[stream]\nname = trail\nread = 'push'\n[worker]\nid = 'a\nid = 'b'\nid = 'c'\n[log\njson = true\n[x]\ny = 1\n";
        assert_eq!(lines(text), [2, 5, 7, 8]);
        let table = parse(text).table;
        assert_eq!(table["x"]["y"].as_integer(), Some(1));
        assert_eq!(table["stream"]["read"].as_str(), Some("push"));
        assert_eq!(table["worker"]["id"].as_str(), Some("b"));
        assert!(!table.contains_key("log") && !table["worker"].as_table().unwrap().contains_key("json"));
    }

    #[test]
    fn what_is_not_ended_is_told_once() {
        for text in [
            "a = [1,\n2,\n[x]\ny = 1\n",
            "a = [1,\nb = 2\nc = 3\n[x]\ny = 1\n",
            "[x]\ny = 1\n[z]\na = '''never\nended\n",
        ] {
            let parsed = parse(text);
            assert_eq!(parsed.faults.len(), 1, "{text}: {:?}", parsed.faults);
            assert_eq!(parsed.table["x"]["y"].as_integer(), Some(1), "{text}");
        }
    }

    #[test]
    fn what_is_no_settings_at_all_ends_soon() {
        let noise = "\u{0}%%% <html>{{{[[[ = \"\n".repeat(500);
        assert!(parse(&noise).faults.len() <= MOST_TOLD);
        assert_eq!(parse("").faults.len(), 0);
        assert_eq!(lines("\u{feff}a = 1\r\nb = \r\nc = 2\r\n"), [2]);
    }
}
