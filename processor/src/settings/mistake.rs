//! What is wrong with a value, in words that say what to write instead.

use dial_rules::nearest::nearest;

/// What the deserialiser says of a key, retold: what is wrong, and the valid word that was probably meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) message: String,
    /// The key that was meant by an unknown one, or that is missing.
    pub(super) meant: Option<String>,
}

/// Whether the error is about a key that is not known, rather than about a value.
pub(super) fn is_about_a_key(message: &str) -> bool {
    message.starts_with("unknown field")
}

/// Whether the error is about a key that is missing.
pub(super) fn is_about_a_missing_key(message: &str) -> bool {
    message.starts_with("missing field")
}

/// Retells serde's words for the key at `path`; of an unknown key the path ends with it.
pub(super) fn retell(message: &str, path: &str) -> Mistake {
    let message = message.lines().next().unwrap_or_default();
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let in_ticks = |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let subject = in_ticks(what).into_iter().next().unwrap_or_default();
    if is_about_a_key(message) {
        return unknown_key(path, &subject, &in_ticks(expected));
    }
    if is_about_a_missing_key(message) {
        let message = format!("`{path}` has no `{subject}`: write one");
        return Mistake { message, meant: Some(subject) };
    }
    let message = if what.starts_with("unknown variant") {
        let known = in_ticks(expected);
        let near = hint(nearest(&subject, known.iter().map(String::as_str)));
        format!("`{path}` is {subject:?}: {near}write {}", alternatives(&known))
    } else if let Some(got) = what.strip_prefix("invalid type: ").or_else(|| what.strip_prefix("invalid value: ")) {
        format!("`{path}` is {}: write {}", given(got), wanted(expected, path))
    } else {
        format!("`{path}` {message}")
    };
    Mistake { message, meant: None }
}

fn unknown_key(path: &str, name: &str, known: &[String]) -> Mistake {
    let near = nearest(name, known.iter().map(String::as_str));
    let parent = path.strip_suffix(name).map_or("", |parent| parent.trim_end_matches('.'));
    let kind = if parent.is_empty() { "section" } else { "key" };
    let list = known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let place = match (parent, near) {
        ("", None) => "there are".to_owned(),
        ("", Some(_)) => "There are".to_owned(),
        (parent, _) => format!("`{parent}` has"),
    };
    let message = format!("`{path}` is no {kind}: {}{place} {list}", hint(near));
    Mistake { message, meant: near.map(str::to_owned) }
}

fn hint(near: Option<&str>) -> String {
    near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default()
}

/// `a`, `b` or `c`, in ticks.
fn alternatives(words: &[String]) -> String {
    let ticked: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match ticked.as_slice() {
        [] => "something else".to_owned(),
        [only] => only.clone(),
        [all @ .., last] => format!("{} or {last}", all.join(", ")),
    }
}

/// What was given, without serde's ticks around numbers.
fn given(got: &str) -> String {
    match got {
        "sequence" => "a list".to_owned(),
        "map" => "a table".to_owned(),
        got => {
            let got = got.replace('`', "");
            let article = if got.starts_with('i') { "the" } else { "a" };
            match got.split_once(' ') {
                Some(("string", text)) => format!("the string {text}"),
                Some(("boolean", text)) => text.to_owned(),
                Some(("floating", rest)) => format!("the number {}", rest.trim_start_matches("point ")),
                _ => format!("{article} {got}"),
            }
        }
    }
}

/// What to write, of serde's words for what it expected.
fn wanted(expected: &str, path: &str) -> String {
    match expected {
        "a string" | "str" | "path string" | "a borrowed string" => "a string, in quotes".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a sequence" => "a list, such as [\"a\", \"b\"]".to_owned(),
        "a map" => table(path),
        other if other.starts_with("struct ") => table(path),
        other => other.to_owned(),
    }
}

fn table(path: &str) -> String {
    format!("a table: [{path}] on a line, and its keys below it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serdes_words_are_retold() {
        for (message, path, retold) in [
            (
                "unknown field `nmae`, expected one of `name`, `read`",
                "stream.nmae",
                "`stream.nmae` is no key: did you mean `name`? `stream` has `name`, `read`",
            ),
            ("unknown field `x`, expected `stream` or `log`", "x", "`x` is no section: there are `stream`, `log`"),
            (
                "unknown variant `push`, expected `polling` or `fan-out`",
                "stream.read",
                "`stream.read` is \"push\": write `polling` or `fan-out`",
            ),
            (
                "invalid type: integer `7`, expected a string",
                "a.b",
                "`a.b` is the integer 7: write a string, in quotes",
            ),
            (
                "invalid type: string \"7\", expected u64",
                "a",
                "`a` is the string \"7\": write a whole number, 0 or more",
            ),
            (
                "invalid value: integer `-1`, expected u64",
                "a",
                "`a` is the integer -1: write a whole number, 0 or more",
            ),
            (
                "invalid type: boolean `true`, expected a sequence",
                "a",
                "`a` is true: write a list, such as [\"a\", \"b\"]",
            ),
            (
                "invalid type: floating point `1.5`, expected u64",
                "a",
                "`a` is the number 1.5: write a whole number, 0 or more",
            ),
            ("invalid type: map, expected a string", "a", "`a` is a table: write a string, in quotes"),
            ("missing field `owner`", "policy.suppress", "`policy.suppress` has no `owner`: write one"),
            ("is too odd", "a", "`a` is too odd"),
        ] {
            assert_eq!(retell(message, path).message, retold, "{message}");
        }
    }
}
