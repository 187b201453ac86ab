//! [`Fault`]: a mistake in something that a person wrote, and where.

/// A mistake in settings: which key it is about, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The key, such as `policy.suppress[2].owner`: names joined with dots, places in lists from 0 in brackets. A name that
    /// is more than letters, digits, `_` and `-` stands in double quotes. It may be of a key that is missing.
    pub path: String,
    /// What is wrong with it and what to write instead, to follow the key's name: `is 0: write at least 1`.
    pub message: String,
}

impl Fault {
    /// A mistake of the key at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Fault {
        Fault { path: path.into(), message: message.into() }
    }

    /// The same, of a key below `parent`: a table's name, or a place in a list such as `suppress[2]`.
    #[must_use]
    pub fn within(self, parent: &str) -> Fault {
        let path = match self.path.as_str() {
            "" => parent.to_owned(),
            path if path.starts_with('[') => format!("{parent}{path}"),
            path => format!("{parent}.{path}"),
        };
        Fault { path, message: self.message }
    }
}

/// A name as it stands in a [`Fault::path`].
pub fn segment(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_owned() } else { format!("{name:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_grow_to_the_left() {
        let owner = Fault::new("owner", "is missing");
        assert_eq!(owner.clone().within("suppress[2]").within("policy").path, "policy.suppress[2].owner");
        assert_eq!(Fault::new("[1]", "").within("lists").path, "lists[1]");
        assert_eq!(Fault::new("", "").within("lists").path, "lists");
        assert_eq!((segment("a-b_1").as_str(), segment("a.b").as_str()), ("a-b_1", "\"a.b\""));
    }
}
