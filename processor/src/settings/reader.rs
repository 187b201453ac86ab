//! A file and the environment → settings, and where each of them was set.

use std::ffi::OsString;

use dial_rules::fault::{Fault, segment};
use serde::de::DeserializeOwned;
use toml_edit::{DocumentMut, Item, Table};

use super::document::{self, Step};
use super::environment::{self, Variable};
use super::mistake::{self, retell};
use super::syntax;

/// No more mistakes than this are told at once.
const MOST_TOLD: usize = 200;

/// Settings as they were written, with what is wrong in them so far.
#[derive(Debug)]
pub(super) struct Reader {
    /// The file, as messages name it.
    file: String,
    text: String,
    /// What the file says, without what was told to be wrong.
    table: Table,
    /// Keys below a table that begins at this offset which were told to be wrong, or which wrong ones were meant to be. The
    /// key is empty of a list that has lost all it had.
    told: Vec<(Option<usize>, String)>,
    variables: Vec<Variable>,
    mistakes: Vec<Mistake>,
}

/// A mistake and its place. Sorts as it is told: the file's from top to bottom, then variables.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Mistake {
    place: Place,
    message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Line(usize),
    File,
    Variable(String),
}

impl Reader {
    /// Reads the text of a file, and then variables, which win.
    pub(super) fn read<T: DeserializeOwned>(
        file: String,
        text: String,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Reader {
        let syntax::Parsed { mut table, faults } = syntax::parse(&text);
        document::dates_as_texts(&mut table);
        let mut reader = Reader { file, text, table, told: Vec::new(), variables: Vec::new(), mistakes: Vec::new() };
        for (at, message) in faults {
            let place = Place::Line(reader.line(at));
            reader.mistakes.push(Mistake { place, message });
            reader.told.extend(reader.broken_key(at));
        }
        reader.prune_lists();
        reader.prune::<T>();
        let (variables, wrong) = environment::read::<T>(variables);
        reader.variables = variables;
        let wrong = wrong.into_iter().map(|(name, message)| Mistake { place: Place::Variable(name), message });
        reader.mistakes.extend(wrong);
        reader
    }

    /// The key on the line at `at`, whose value could not be read, and the section it is in: it is not missing.
    fn broken_key(&self, at: usize) -> Option<(Option<usize>, String)> {
        let line_of = |at: usize| self.text.get(..at).map(|before| before.rfind('\n').map_or(0, |end| end + 1));
        let line = |at: usize| Some(self.text.get(line_of(at)?..)?.lines().next()?.trim());
        let (key, _) = line(at)?.split_once('=')?;
        let places = document::places(&self.table);
        let before = places.iter().filter(|place| place.is_table()).filter_map(|place| Some((place.offset()?, place)));
        let headers =
            before.filter(|(offset, _)| *offset < at && line(*offset).is_some_and(|line| line.starts_with('[')));
        // The last line with a header, and of the tables that begin there the innermost.
        let section = headers.max_by_key(|(offset, place)| (line_of(*offset), place.path.len()));
        let section = section.map(|(offset, _)| offset);
        Some((section, key.trim().trim_matches(['"', '\'']).to_owned()))
    }

    /// Takes out lists that stand for sections: serde would take their elements for the section's values.
    fn prune_lists(&mut self) {
        let is_list = |item: &Item| item.is_array() || item.is_array_of_tables();
        let lists = self.table.iter().filter(|(_, item)| is_list(item)).map(|(name, _)| name.to_owned());
        for name in lists.collect::<Vec<_>>() {
            let path = [Step::Key(name.clone())];
            let at = document::follow(&self.table, &path).0.and_then(|place| place.offset());
            let place = at.map_or(Place::File, |at| Place::Line(self.line(at)));
            let message = retell("invalid type: sequence, expected a map", &segment(&name)).message;
            self.mistakes.push(Mistake { place, message });
            document::remove(&mut self.table, &path);
            self.remember(&path, None);
        }
    }

    /// Takes out of the table what does not fit, and tells each.
    fn prune<T: DeserializeOwned>(&mut self) {
        while let Err(error) = toml_edit::de::from_document::<T>(DocumentMut::from(self.table.clone())) {
            let message = error.message();
            let by_key = mistake::is_about_a_key(message);
            let found = error.span().and_then(|span| document::at_span(&self.table, &span, by_key));
            let Some(path) = found.filter(|_| self.mistakes.len() < MOST_TOLD) else {
                self.mistakes.push(Mistake { place: Place::File, message: retell(message, "").message });
                self.table = Table::new();
                return;
            };
            let mistake = retell(message, &document::words(&path));
            let (place, _) = document::follow(&self.table, &path);
            let line = place.and_then(|place| place.offset()).map_or(1, |at| self.line(at));
            self.mistakes.push(Mistake { place: Place::Line(line), message: mistake.message });
            document::remove(&mut self.table, &path);
            self.remember(&path, mistake.meant);
        }
    }

    /// Notes which keys were told, so that nothing else is told of them.
    fn remember(&mut self, path: &[Step], meant: Option<String>) {
        let Some((last, parent)) = path.split_last() else { return };
        let place = document::follow(&self.table, parent).0;
        let offset = place.as_ref().and_then(|place| place.offset());
        match last {
            Step::Key(name) => self.told.push((offset, name.clone())),
            // That a list is empty is no news when what was in it is told.
            Step::At(_) if place.is_some_and(|place| place.is_empty()) => self.told.push((offset, String::new())),
            Step::At(_) => {}
        }
        self.told.extend(meant.map(|meant| (offset, meant)));
    }

    /// The settings: what of the file fits, under what of the variables does.
    pub(super) fn value<T: DeserializeOwned + Default>(&mut self) -> T {
        let mut table = self.table.clone();
        for variable in &self.variables {
            document::insert(&mut table, &variable.path, variable.value.clone());
        }
        document::dates_as_texts(&mut table);
        toml_edit::de::from_document(DocumentMut::from(table)).unwrap_or_else(|error| {
            let message = retell(error.message(), "").message;
            self.mistakes.push(Mistake { place: Place::File, message });
            T::default()
        })
    }

    /// Adds mistakes that only the values show.
    pub(super) fn add(&mut self, faults: Vec<Fault>) {
        let mistakes: Vec<Mistake> = faults.into_iter().filter_map(|fault| self.located(fault)).collect();
        self.mistakes.extend(mistakes);
    }

    /// The mistake with its place; `None` when another was told of the same key.
    fn located(&self, fault: Fault) -> Option<Mistake> {
        let steps = document::steps(&fault.path);
        let message = format!("`{}` {}", document::words(&steps), fault.message);
        let variable = self.variables.iter().find(|variable| {
            let begins = |path: &[String]| {
                path.iter().zip(&steps).all(|(name, step)| matches!(step, Step::Key(key) if key == name))
            };
            variable.path.len() <= steps.len() && begins(&variable.path)
        });
        if let Some(variable) = variable {
            return Some(Mistake { place: Place::Variable(variable.name.clone()), message });
        }
        let (place, taken) = document::follow(&self.table, &steps);
        let offset = place.and_then(|place| place.offset());
        // Of a table that has lost a key, or a list that has lost all, what the whole lacks is no news.
        let is_told = |(at, name): &(Option<usize>, String)| {
            *at == offset
                && match steps.get(taken) {
                    Some(Step::Key(missing)) => name == missing,
                    Some(Step::At(_)) | None => true,
                }
        };
        if self.told.iter().any(is_told) {
            return None;
        }
        let place = offset.map_or(Place::File, |at| Place::Line(self.line(at)));
        Some(Mistake { place, message })
    }

    /// The line, from 1, of an offset in bytes.
    fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    /// All mistakes, a line each; `None` when there are none.
    pub(super) fn told(&self) -> Option<String> {
        self.lines(self.mistakes.clone())
    }

    /// These mistakes, a line each.
    pub(super) fn tell(&self, faults: Vec<Fault>) -> String {
        let mistakes = faults.into_iter().filter_map(|fault| self.located(fault)).collect();
        self.lines(mistakes).unwrap_or_default()
    }

    fn lines(&self, mut mistakes: Vec<Mistake>) -> Option<String> {
        mistakes.sort();
        mistakes.dedup();
        let lines: Vec<String> = mistakes
            .iter()
            .map(|Mistake { place, message }| match place {
                Place::Line(line) => format!("{}: line {line}: {message}", self.file),
                Place::File => format!("{}: {message}", self.file),
                Place::Variable(name) => format!("the environment variable {name}: {message}"),
            })
            .collect();
        match lines.as_slice() {
            [] => None,
            [only] => Some(only.clone()),
            all => Some(format!("{} mistakes in the settings:\n  {}", all.len(), all.join("\n  "))),
        }
    }

    /// Where a key was set, or would be: `dial.toml: line 7`.
    pub(super) fn place(&self, path: &str) -> String {
        match self.located(Fault::new(path, "")).map(|mistake| mistake.place) {
            Some(Place::Line(line)) => format!("{}: line {line}", self.file),
            Some(Place::Variable(name)) => format!("the environment variable {name}"),
            Some(Place::File) | None => self.file.clone(),
        }
    }
}

/// The faults of sections, each under the section's name.
pub(super) fn gather<const N: usize>(sections: [(&str, Vec<Fault>); N]) -> Vec<Fault> {
    let under = |(name, faults): (&str, Vec<Fault>)| {
        let name = segment(name);
        faults.into_iter().map(move |fault| fault.within(&name)).collect::<Vec<_>>()
    };
    sections.into_iter().flat_map(under).collect()
}
