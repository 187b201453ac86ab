//! [`Node`]: a JSON value inside an event, read leniently: CloudTrail spells one member in several cases, puts lists into
//! `items`, and writes numbers and flags as strings here and there.

use std::borrow::Cow;

use crate::json;

/// The most elements of one list that are looked at: a bound on hostile input, far above any real list.
pub(crate) const MOST_ELEMENTS: usize = 10_000;

/// A value that was scanned before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'a>(pub(crate) &'a [u8]);

impl<'a> Node<'a> {
    /// The member of this name, in whatever case; of several the last. `null` counts as absent.
    pub(crate) fn get(self, name: &str) -> Option<Node<'a>> {
        let mut found = None;
        for (key, value) in json::members(self.0) {
            let same = match key.contains(&b'\\') {
                false => key.eq_ignore_ascii_case(name.as_bytes()),
                true => json::unescape(key).eq_ignore_ascii_case(name),
            };
            if same {
                found = Some(value);
            }
        }
        found.filter(|value| *value != b"null").map(Node)
    }

    /// The value at a path of members, each in whatever case.
    pub(crate) fn at(self, path: &[&str]) -> Option<Node<'a>> {
        path.iter().try_fold(self, |node, name| node.get(name))
    }

    /// Its text, if it is a string.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        json::as_str(self.0)
    }

    /// Its text if it is a string, a number or a flag.
    pub(crate) fn scalar(self) -> Option<Cow<'a, str>> {
        match self.0.first() {
            Some(b'"') => self.text(),
            Some(b'{' | b'[' | b'n') | None => None,
            Some(_) => std::str::from_utf8(self.0).ok().map(Cow::Borrowed),
        }
    }

    /// The member's text if it is a string, a number or a flag.
    pub(crate) fn scalar_of(self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)?.scalar()
    }

    /// The member's number, written as one or as a string.
    pub(crate) fn int_of(self, name: &str) -> Option<i64> {
        self.scalar_of(name)?.trim().parse().ok()
    }

    /// The member's flag, written as one or as a string.
    pub(crate) fn flag_of(self, name: &str) -> Option<bool> {
        let text = self.scalar_of(name)?;
        match text.trim() {
            text if text.eq_ignore_ascii_case("true") => Some(true),
            text if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// Its elements: of an array, of an object that wraps one in `items`, `item` or `member`; anything else is a list of
    /// itself, and an empty object of nothing.
    pub(crate) fn list(self) -> Vec<Node<'a>> {
        let mut node = self;
        // `{"items": {"item": […]}}` is as deep as it goes.
        for _ in 0..2 {
            let inner = ["items", "item", "member"].iter().find_map(|name| node.get(name));
            match inner {
                Some(inner) => node = inner,
                None => break,
            }
        }
        match node.0.first() {
            Some(b'[') => json::elements(node.0).take(MOST_ELEMENTS).map(Node).collect(),
            Some(b'{') if json::members(node.0).next().is_none() => Vec::new(),
            Some(b'n') | None => Vec::new(),
            Some(_) => vec![node],
        }
    }

    /// The member's elements; none when it is absent.
    pub(crate) fn list_of(self, name: &str) -> Vec<Node<'a>> {
        self.get(name).map(Node::list).unwrap_or_default()
    }

    /// The texts among the member's elements.
    pub(crate) fn texts_of(self, name: &str) -> Vec<String> {
        self.list_of(name).into_iter().filter_map(Node::scalar).map(Cow::into_owned).collect()
    }

    /// Shows every member of this object and of those inside it, at most `depth` levels down, to `visit`.
    pub(crate) fn walk(self, depth: usize, visit: &mut impl FnMut(Cow<'a, str>, Node<'a>)) {
        if depth == 0 {
            return;
        }
        for (key, value) in json::members(self.0) {
            visit(json::unescape(key), Node(value));
            Node(value).walk(depth - 1, visit);
        }
        json::elements(self.0).take(MOST_ELEMENTS).for_each(|element| Node(element).walk(depth - 1, visit));
    }

    /// Whether it is an object.
    pub(crate) fn is_object(self) -> bool {
        self.0.first() == Some(&b'{')
    }
}
