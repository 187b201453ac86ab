//! Settings from environment variables: `DIAL_STREAM__NAME` sets `stream.name`.

use std::ffi::OsString;

use serde::de::DeserializeOwned;
use toml_edit::{Array, DocumentMut, Table, Value};

use super::document::{dates_as_texts, insert};
use super::mistake::retell;

/// What the names of the variables begin with.
const PREFIX: &str = "DIAL_";
/// Not a setting: which file to read.
const CONFIG: &str = "DIAL_CONFIG";

/// A setting that a variable gives.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) name: String,
    /// The keys from the root of the settings.
    pub(super) path: Vec<String>,
    pub(super) value: Value,
}

/// The settings among variables, in order of their names; and what is wrong with others, by name.
pub(super) fn read<T: DeserializeOwned>(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> (Vec<Variable>, Vec<(String, String)>) {
    let named = variables.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let mut ours: Vec<_> = named.filter(|(name, _)| name.starts_with(PREFIX) && name != CONFIG).collect();
    ours.sort();
    let (mut read, mut wrong) = (Vec::new(), Vec::new());
    for (name, value) in ours {
        let path: Vec<String> = name[PREFIX.len()..].to_lowercase().split("__").map(str::to_owned).collect();
        let value = match value.into_string() {
            Ok(value) => fitting::<T>(&path, &value),
            Err(_) => Err(format!("`{}` is not UTF-8", path.join("."))),
        };
        match value {
            Ok(value) => read.push(Variable { name, path, value }),
            Err(message) => wrong.push((name, message)),
        }
    }
    (read, wrong)
}

/// The text as the value that its key takes: TOML, else a list if it has commas, else a string, else a list of one.
fn fitting<T: DeserializeOwned>(path: &[String], text: &str) -> Result<Value, String> {
    let as_toml = text.trim().parse::<Value>().ok();
    let may_be_list = !text.trim_start().starts_with(['[', '{']);
    let as_list = may_be_list.then(|| {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        Value::Array(parts.collect::<Array>())
    });
    let mut first = None;
    // A key that takes one word or a list takes several words with commas between them.
    let (listed, alone) = if text.contains(',') { (as_list, None) } else { (None, as_list) };
    // A section is no list, although serde would take one.
    let candidates = as_toml.into_iter().chain(listed).chain([Value::from(text)]).chain(alone);
    for candidate in candidates.filter(|candidate| path.len() > 1 || !candidate.is_array()) {
        let mut alone = Table::new();
        insert(&mut alone, path, candidate.clone());
        dates_as_texts(&mut alone);
        match toml_edit::de::from_document::<T>(DocumentMut::from(alone)) {
            Ok(_) => return Ok(candidate),
            // That it is no list is no news of what was perhaps not meant as one.
            Err(_) if may_be_list && candidate.is_array() => {}
            Err(error) => drop(first.get_or_insert_with(|| error.message().to_owned())),
        }
    }
    Err(told(path, &first.unwrap_or_default()))
}

/// What is wrong with a variable.
fn told(path: &[String], message: &str) -> String {
    let text = path.join(".");
    let message = retell(message, &text).message;
    match path {
        // `DIAL_STREAM_NAME`
        [only] if only.contains('_') => {
            format!("{message}; a section and its key have two `_` between them: {PREFIX}STREAM__NAME")
        }
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    #[allow(dead_code)]
    struct Any {
        a: Inner,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    #[allow(dead_code)]
    struct Inner {
        text: Option<String>,
        list: Vec<String>,
        number: u64,
        flag: bool,
        words: dial_rules::policy::Words,
    }

    fn one(name: &str, value: &str) -> Result<String, String> {
        let (read, wrong) = read::<Any>([(name.into(), value.into())]);
        match (read.as_slice(), wrong.as_slice()) {
            ([variable], []) => Ok(format!("{} {}", variable.path.join("."), variable.value)),
            ([], [(_, wrong)]) => Err(wrong.clone()),
            _ => Ok(String::new()),
        }
    }

    #[test]
    fn a_variable_is_what_its_key_takes() {
        for (name, value, read) in [
            ("DIAL_A__TEXT", "2024", "a.text \"2024\""),
            ("DIAL_A__TEXT", "2024-05-01", "a.text 2024-05-01"),
            ("DIAL_A__TEXT", "a b", "a.text \"a b\""),
            ("DIAL_A__TEXT", "'quoted'", "a.text 'quoted'"),
            ("DIAL_A__TEXT", "", "a.text \"\""),
            ("DIAL_A__TEXT", "a,b", "a.text \"a,b\""),
            ("DIAL_A__LIST", "a, b,", "a.list [\"a\", \"b\"]"),
            ("DIAL_A__LIST", "111122223333", "a.list [\"111122223333\"]"),
            ("DIAL_A__LIST", "['a', 'b']", "a.list ['a', 'b']"),
            ("DIAL_A__LIST", "", "a.list []"),
            ("DIAL_A__WORDS", "iam/*, s3/*", "a.words [\"iam/*\", \"s3/*\"]"),
            ("DIAL_A__WORDS", "Key made", "a.words \"Key made\""),
            ("DIAL_A__WORDS", "'Made, or used'", "a.words 'Made, or used'"),
            ("DIAL_A__NUMBER", " 7 ", "a.number 7"),
            ("DIAL_A__FLAG", "true", "a.flag true"),
            ("DIAL_CONFIG", "x", ""),
            ("DIALECT", "x", ""),
        ] {
            assert_eq!(one(name, value).as_deref(), Ok(read), "{name}={value}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told() {
        for (name, value, words) in [
            ("DIAL_A__NUMBER", "soon", "`a.number` is the string \"soon\": write a whole number"),
            ("DIAL_A__NUMBER", "1,5", "`a.number` is the string \"1,5\": write a whole number"),
            ("DIAL_A__FLAG", "1", "`a.flag` is the integer 1: write `true` or `false`"),
            ("DIAL_A__NUMBR", "1", "`a.numbr` is no key: did you mean `number`?"),
            ("DIAL_A_NUMBER", "1", "two `_` between them"),
            ("DIAL_A__LIST", "[a, b]", "`a.list` is the string"),
            ("DIAL_A", "1", "`a` is the integer 1: write a table"),
        ] {
            let wrong = one(name, value).unwrap_err();
            assert!(wrong.contains(words), "{name}={value}: {wrong}");
        }
    }
}
