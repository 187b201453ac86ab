//! A settings file as a tree that knows where everything stands.

use std::ops::Range;

use dial_rules::fault::segment;
use toml_edit::{Item, Table, TableLike, Value};

/// One step from the root of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// To a table's entry.
    Key(String),
    /// To a place in a list, from 0.
    At(usize),
}

/// A node of the tree.
#[derive(Clone, Copy)]
pub(super) enum Node<'t> {
    Table(&'t dyn TableLike),
    Tables(&'t toml_edit::ArrayOfTables),
    List(&'t toml_edit::Array),
    Leaf,
}

/// A node with the way to it, and where it and its key stand.
pub(super) struct Place<'t> {
    pub(super) path: Vec<Step>,
    pub(super) node: Node<'t>,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
}

impl Place<'_> {
    /// Where it begins, in bytes from the text's start: at its key, if it has one.
    pub(super) fn offset(&self) -> Option<usize> {
        self.key.as_ref().or(self.value.as_ref()).map(|range| range.start)
    }

    /// Whether it is a table, in whatever notation.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.node, Node::Table(_))
    }

    /// Whether nothing is below it.
    pub(super) fn is_empty(&self) -> bool {
        children(&self.path, self.node).is_empty()
    }
}

impl<'t> Node<'t> {
    fn of_item(item: &'t Item) -> Option<Node<'t>> {
        match item {
            Item::None => None,
            Item::Value(value) => Some(Node::of_value(value)),
            Item::Table(table) => Some(Node::Table(table)),
            Item::ArrayOfTables(tables) => Some(Node::Tables(tables)),
        }
    }

    fn of_value(value: &'t Value) -> Node<'t> {
        match value {
            Value::Array(list) => Node::List(list),
            Value::InlineTable(table) => Node::Table(table),
            _ => Node::Leaf,
        }
    }
}

/// All nodes below the root, parents before children.
pub(super) fn places(root: &Table) -> Vec<Place<'_>> {
    let mut found = Vec::new();
    below(&[], Node::Table(root), &mut found);
    found
}

/// The nodes below one, with theirs.
fn below<'t>(path: &[Step], node: Node<'t>, found: &mut Vec<Place<'t>>) {
    for place in children(path, node) {
        let (path, node) = (place.path.clone(), place.node);
        found.push(place);
        below(&path, node, found);
    }
}

/// The nodes directly below one.
fn children<'t>(path: &[Step], node: Node<'t>) -> Vec<Place<'t>> {
    let with = |step: Step| path.iter().cloned().chain([step]).collect();
    match node {
        Node::Leaf => Vec::new(),
        Node::Table(table) => {
            let entry = |(name, item): (&str, &'t Item)| {
                let (key, value) = (table.key(name).and_then(|key| key.span()), item.span());
                Some(Place { path: with(Step::Key(name.to_owned())), node: Node::of_item(item)?, key, value })
            };
            table.iter().filter_map(entry).collect()
        }
        Node::List(list) => {
            let element = |(at, value): (usize, &'t Value)| Place {
                path: with(Step::At(at)),
                node: Node::of_value(value),
                key: None,
                value: value.span(),
            };
            list.iter().enumerate().map(element).collect()
        }
        Node::Tables(tables) => {
            let element = |(at, table): (usize, &'t Table)| Place {
                path: with(Step::At(at)),
                node: Node::Table(table),
                key: None,
                value: table.span(),
            };
            tables.iter().enumerate().map(element).collect()
        }
    }
}

/// The node that stands at `span`, or the smallest around it; with `by_key` the one whose key does.
pub(super) fn at_span(root: &Table, span: &Range<usize>, by_key: bool) -> Option<Vec<Step>> {
    let mut best: Option<(u8, usize, Vec<Step>)> = None;
    for place in places(root) {
        let rank = |range: &Option<Range<usize>>, same: u8| match range {
            Some(range) if range == span => Some((same, 0)),
            Some(range) if range.start <= span.start && span.end <= range.end => Some((2, range.len())),
            _ => None,
        };
        let (of_key, of_value) = if by_key { (0, 1) } else { (1, 0) };
        let ranks = [rank(&place.key, of_key), rank(&place.value, of_value)];
        // Of equals the deepest, which comes last.
        if let Some((rank, width)) = ranks.into_iter().flatten().min()
            && best.as_ref().is_none_or(|(least, narrowest, _)| (rank, width) <= (*least, *narrowest))
        {
            best = Some((rank, width, place.path));
        }
    }
    best.map(|(_, _, path)| path)
}

/// How far a way leads: the last node on it that is there, if any, and the number of steps to it.
pub(super) fn follow<'t>(root: &'t Table, path: &[Step]) -> (Option<Place<'t>>, usize) {
    let (mut last, mut node) = (None::<Place<'t>>, Node::Table(root));
    for (taken, step) in path.iter().enumerate() {
        let next = children(&path[..taken], node).into_iter().find(|place| place.path.last() == Some(step));
        match next {
            Some(place) => {
                node = place.node;
                last = Some(place);
            }
            None => return (last, taken),
        }
    }
    (last, path.len())
}

/// Takes a node out.
pub(super) fn remove(root: &mut dyn TableLike, path: &[Step]) {
    match path {
        [Step::Key(name)] => drop(root.remove(name)),
        [Step::Key(name), rest @ ..] => match root.get_mut(name) {
            Some(Item::Table(table)) => remove(table, rest),
            Some(Item::Value(value)) => remove_in(value, rest),
            Some(Item::ArrayOfTables(tables)) => match rest {
                [Step::At(at)] if *at < tables.len() => tables.remove(*at),
                [Step::At(at), rest @ ..] => tables.get_mut(*at).into_iter().for_each(|table| remove(table, rest)),
                _ => {}
            },
            _ => {}
        },
        _ => {}
    }
}

fn remove_in(value: &mut Value, path: &[Step]) {
    match (value, path) {
        (Value::InlineTable(table), path) => remove(table, path),
        (Value::Array(list), [Step::At(at)]) if *at < list.len() => drop(list.remove(*at)),
        (Value::Array(list), [Step::At(at), rest @ ..]) => {
            list.get_mut(*at).into_iter().for_each(|value| remove_in(value, rest));
        }
        _ => {}
    }
}

/// Puts a value in, making the tables that it lies in; whatever else stands in its way is replaced.
pub(super) fn insert(root: &mut dyn TableLike, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => drop(root.insert(name, Item::Value(value))),
        [name, rest @ ..] => {
            if !root.get(name).is_some_and(Item::is_table_like) {
                root.insert(name, Item::Table(Table::new()));
            }
            if let Some(table) = root.get_mut(name).and_then(Item::as_table_like_mut) {
                insert(table, rest, value);
            }
        }
    }
}

/// Dates and times as texts, so that `2024-05-01` may stand with quotes or without.
pub(super) fn dates_as_texts(root: &mut dyn TableLike) {
    for (_, item) in root.iter_mut() {
        match item {
            Item::Table(table) => dates_as_texts(table),
            Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|table| dates_as_texts(table)),
            Item::Value(value) => date_as_text(value),
            Item::None => {}
        }
    }
}

fn date_as_text(value: &mut Value) {
    match value {
        Value::Datetime(time) => *value = Value::from(time.value().to_string()),
        Value::InlineTable(table) => dates_as_texts(table),
        Value::Array(list) => list.iter_mut().for_each(date_as_text),
        _ => {}
    }
}

/// A path as people read it, without the places in lists, which its line says better: `policy.suppress.owner`.
pub(super) fn words(path: &[Step]) -> String {
    let names = path.iter().filter_map(|step| match step {
        Step::Key(name) => Some(segment(name)),
        Step::At(_) => None,
    });
    names.collect::<Vec<_>>().join(".")
}

/// The steps of a path as in [`dial_rules::fault::Fault::path`].
pub(super) fn steps(path: &str) -> Vec<Step> {
    let (mut steps, mut rest) = (Vec::new(), path);
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some(inner) = rest.strip_prefix('[') {
            let (at, after) = inner.split_once(']').unwrap_or((inner, ""));
            steps.push(Step::At(at.parse().unwrap_or(usize::MAX)));
            rest = after;
        } else if let Some((name, after)) = quoted(rest) {
            steps.push(Step::Key(name));
            rest = after;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            steps.push(Step::Key(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    steps
}

/// A name in double quotes at the beginning of a text, and what comes after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = inner.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    let name = inner[..end].replace("\\\"", "\"").replace("\\\\", "\\");
    Some((name, &inner[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml_edit::ImDocument;

    const TEXT: &str = "[a]\nb = [1, {c = 2}]\n[[d]]\ne = 1\n[[d]]\n\"f.g\" = 2024-05-01\n";

    fn table() -> Table {
        ImDocument::parse(TEXT).unwrap().as_table().clone()
    }

    #[test]
    fn every_node_is_found_by_its_path_and_by_its_place() {
        let table = table();
        for (path, text) in
            [("a", "a]"), ("a.b", "b = ["), ("a.b[1]", "{c"), ("a.b[1].c", "c = 2"), ("d[1].\"f.g\"", "\"f.g\" = ")]
        {
            let steps = steps(path);
            let (place, taken) = follow(&table, &steps);
            let offset = place.unwrap().offset().unwrap();
            assert!(taken == steps.len() && TEXT[offset..].starts_with(text), "{path}: {}", &TEXT[offset..]);
        }
        let two = TEXT.find("2}").unwrap();
        assert_eq!(at_span(&table, &(two..two + 1), false), Some(steps("a.b[1].c")));
        let key = TEXT.find("\"f.g\"").unwrap();
        assert_eq!(at_span(&table, &(key..key + 5), true), Some(steps("d[1].\"f.g\"")));
        assert_eq!(words(&steps("d[1].\"f.g\"")), "d.\"f.g\"");
        assert_eq!(follow(&table, &steps("a.x.y")).1, 1);
        assert_eq!(follow(&table, &steps("d[7]")).1, 1);
    }

    #[test]
    fn what_is_removed_leaves_the_rest_where_it_was() {
        for path in ["a.b[0]", "a.b[1].c", "d[0]", "d[1].\"f.g\"", "a"] {
            let (mut table, steps) = (table(), steps(path));
            let before = places(&table).len();
            remove(&mut table, &steps);
            let gone = before - places(&table).len();
            assert!(gone >= 1, "{path}");
            for place in places(&table) {
                assert!(place.offset().is_some(), "{path}");
            }
        }
    }

    #[test]
    fn dates_become_texts() {
        let mut table = table();
        dates_as_texts(&mut table);
        assert_eq!(table["d"][1]["f.g"].as_str(), Some("2024-05-01"));
    }
}
