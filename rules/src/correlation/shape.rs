//! The shape of a `correlation:` section. rsigma passes over keys that it does not know and entries that are not text:
//! a misspelt `group-by` would correlate everybody with everybody.

use yaml_serde::{Mapping, Value};

use crate::facts::distance;

const KEYS: &[&str] =
    &["type", "rules", "group-by", "timespan", "timeframe", "condition", "aliases", "generate", "window", "gap"];
const CONDITION: &[&str] = &["gte", "gt", "lte", "lt", "eq", "neq", "field", "percentile"];

/// What is wrong with a `correlation:` section, if anything is.
pub(super) fn fault(section: &Value) -> Option<String> {
    let Some(section) = section.as_mapping() else {
        return Some("`correlation` is no mapping: write `type`, `rules`, `timespan` and `condition` under it".into());
    };
    unknown(section, KEYS, "`correlation`")
        .or_else(|| text_or_texts(section, "rules"))
        .or_else(|| text_or_texts(section, "group-by"))
        .or_else(|| condition(section.get("condition")?))
        .or_else(|| aliases(section.get("aliases")?))
        .or_else(|| {
            let both = section.contains_key("timespan") && section.contains_key("timeframe");
            both.then(|| "`timespan` and `timeframe` are the same: write `timespan` only".into())
        })
}

fn unknown(mapping: &Mapping, known: &[&str], of: &str) -> Option<String> {
    let key = mapping.keys().map(text).find(|key| !known.contains(&key.as_str()))?;
    let nearest = known.iter().min_by_key(|word| distance(word, &key)).copied().unwrap_or_default();
    Some(format!("{of} has no `{key}`: did you mean `{nearest}`?"))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| format!("{value:?}"), str::to_owned)
}

fn text_or_texts(section: &Mapping, key: &str) -> Option<String> {
    let fine = match section.get(key) {
        None | Some(Value::String(_)) => true,
        Some(Value::Sequence(list)) => list.iter().all(Value::is_string),
        Some(_) => false,
    };
    (!fine).then(|| format!("`{key}` is neither a text nor a list of texts: quote what looks like a number"))
}

fn condition(value: &Value) -> Option<String> {
    let condition = value.as_mapping()?;
    unknown(condition, CONDITION, "the `condition` of a correlation").or_else(|| text_or_texts(condition, "field"))
}

fn aliases(value: &Value) -> Option<String> {
    let wrong = "`aliases` maps each alias to a mapping of rules to fields: `aliases: {user: {rule_a: userName}}`";
    let fine = value.as_mapping().is_some_and(|aliases| {
        aliases.iter().all(|(alias, fields)| {
            let texts = |fields: &Mapping| fields.iter().all(|(rule, field)| rule.is_string() && field.is_string());
            alias.is_string() && fields.as_mapping().is_some_and(texts)
        })
    });
    (!fine).then(|| wrong.to_owned())
}
