//! Sigma YAML → parsed rules, with the lines that messages need and rsigma does not give.

use rsigma_parser::{CorrelationRule, SigmaRule, parse_sigma_yaml};
use serde::Deserialize;
use yaml_serde::Value;

/// One YAML document of a file, or a whole file whose documents build on each other (`action: global`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Document<'t> {
    text: &'t str,
    /// The line of the file on which it begins, from 1.
    pub(crate) line: usize,
}

/// What a document holds.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) rules: Vec<SigmaRule>,
    pub(crate) correlations: Vec<CorrelationRule>,
}

/// Splits a file at its `---` lines. Documents without content are left out.
pub(crate) fn documents(text: &str) -> Vec<Document<'_>> {
    let whole = |text| vec![Document { text, line: 1 }];
    if text.lines().any(|line| line.starts_with("action:")) {
        return whole(text);
    }
    let mut documents = Vec::new();
    let (mut begin, mut begin_line, mut at) = (0, 1, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_end() == "---" {
            documents.push(Document { text: &text[begin..at], line: begin_line });
            (begin, begin_line) = (at + line.len(), number + 2);
        }
        at += line.len();
    }
    documents.push(Document { text: &text[begin..], line: begin_line });
    documents.retain(|document| document.text.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#')));
    documents
}

impl Document<'_> {
    /// The document's rules and correlations.
    ///
    /// # Errors
    /// Lines of the file, and what is wrong there. A filter is an error: ignoring it would leave something undetected, or
    /// found in vain, that its author relies on.
    pub(crate) fn parse(&self) -> Result<Parsed, Vec<(usize, String)>> {
        let collection = parse_sigma_yaml(self.text).map_err(|error| vec![self.fault(error.to_string())])?;
        let mut faults: Vec<_> = collection.errors.into_iter().map(|error| self.fault(error)).collect();
        if let Some(filter) = collection.filters.first() {
            let message = format!(
                "{:?} is a filter, which this version does not apply: put its condition into the rules",
                filter.title
            );
            faults.push((self.line_of("filter:"), message));
        }
        let parsed = Parsed { rules: collection.rules, correlations: collection.correlations };
        if faults.is_empty() { Ok(parsed) } else { Err(faults) }
    }

    /// The document as plain YAML; several where documents build on each other. Ends where it cannot be read.
    pub(crate) fn values(&self) -> Vec<Value> {
        let documents = yaml_serde::Deserializer::from_str(self.text);
        documents.map_while(|document| Value::deserialize(document).ok()).collect()
    }

    fn fault(&self, message: String) -> (usize, String) {
        (self.locate(&message), message)
    }

    /// The line that a message is about: the one it names, one that holds what it quotes, or the key it is about.
    pub(crate) fn locate(&self, message: &str) -> usize {
        if let Some(line) = number_after(message, " at line ") {
            return self.line + line.saturating_sub(1);
        }
        if message.starts_with("Missing required field") {
            return self.line;
        }
        let quoted = message.split(['\'', '`', '"']).skip(1).step_by(2);
        let shown = message.lines().skip(1).map(str::trim); // a regular expression stands on a line of its own
        for needle in quoted.chain(shown).filter(|needle| !needle.is_empty()) {
            // What a rule quotes is rather in its detection than in its description.
            let begin = self.line_of("detection:") - self.line;
            let found = |from| self.text.lines().skip(from).position(|line| line.contains(needle)).map(|at| from + at);
            if let Some(at) = found(begin).or_else(|| found(0)) {
                return self.line + at;
            }
        }
        let of_condition = message.contains("ondition") || message.contains("identifier");
        let key = if of_condition { "condition:" } else { "detection:" };
        self.line_of(key)
    }

    /// The first line at or below `correlation:` that has these words; that of `correlation:` itself without one.
    pub(crate) fn line_with(&self, words: &str) -> usize {
        let begin = self.line_of("correlation:");
        let below = self.text.lines().skip(begin - self.line).position(|line| line.contains(words));
        below.map_or(begin, |at| begin + at)
    }

    /// The first line at or below `rules:` of a correlation that has the reference.
    pub(crate) fn line_of_reference(&self, word: &str) -> usize {
        let begin = self.line_with("rules:");
        let below = self.text.lines().skip(begin - self.line).position(|line| line.contains(word));
        below.map_or(begin, |at| begin + at)
    }

    /// The first line that begins with `key`, whatever its indentation; the document's first without one.
    pub(crate) fn line_of(&self, key: &str) -> usize {
        self.line + self.text.lines().position(|line| line.trim_start().starts_with(key)).unwrap_or(0)
    }
}

fn number_after(message: &str, words: &str) -> Option<usize> {
    let rest = &message[message.find(words)? + words.len()..];
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}
