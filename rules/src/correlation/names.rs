//! The names that a correlation groups by and counts values of: where each of its parts has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use rsigma_parser::FieldAlias;

use super::compile::{Asked, Draft};
use super::resolve::Known;
use super::{Correlation, Part};
use crate::facts::distance;

/// The field of one part that each alias stands for.
pub(super) fn fields(
    aliases: &[FieldAlias],
    names: &[Option<&String>; 2],
    written: &String,
    is_correlation: bool,
) -> Result<Vec<(String, String)>, (&'static str, String)> {
    let mut fields = Vec::new();
    for alias in aliases {
        let field = names.iter().flatten().copied().chain([written]).find_map(|name| alias.mapping.get(name));
        match field {
            Some(field) => fields.push((alias.alias.clone(), field.clone())),
            // A correlation's own names of groups need no alias to pass through.
            None if is_correlation => {}
            None => {
                let message = format!(
                    "the alias `{}` says no field for the rule `{written}`, whose matches would never take part: add one",
                    alias.alias
                );
                return Err(("aliases:", message));
            }
        }
    }
    fields.sort();
    Ok(fields)
}

/// Refuses aliases that speak of rules which the correlation does not list.
pub(super) fn mapped(
    aliases: &[FieldAlias],
    parts: &[Part],
    known: &Known<'_>,
    done: &BTreeMap<usize, Arc<Correlation>>,
) -> Result<(), (&'static str, String)> {
    let named = |id: &str| {
        let rule = known.rules.iter().find(|rule| rule.id == id).and_then(|rule| rule.name.as_deref());
        rule.or_else(|| done.values().find(|inner| inner.id == id)?.name.as_deref())
    };
    let words: Vec<&str> = parts.iter().flat_map(|part| [Some(part.id.as_str()), named(&part.id)]).flatten().collect();
    let mut unknown: Vec<&String> =
        aliases.iter().flat_map(|alias| alias.mapping.keys()).filter(|word| !words.contains(&word.as_str())).collect();
    unknown.sort();
    let Some(word) = unknown.first() else {
        return Ok(());
    };
    let nearest =
        parts.iter().min_by_key(|part| distance(&part.written, word)).map_or("", |part| part.written.as_str());
    Err((
        "aliases:",
        format!("an alias names `{word}`, which the correlation does not list: did you mean `{nearest}`?"),
    ))
}

/// A completion knows the values of its own group and nothing else of its events.
pub(super) fn grouped(draft: &Draft<'_>, part: &Part, inner: &Correlation) -> Result<(), (&'static str, String)> {
    let counted = match &draft.asked {
        Asked::Values(fields, _) => fields.as_slice(),
        _ => &[],
    };
    for (key, name) in
        draft.group_by.iter().map(|name| ("group-by:", name)).chain(counted.iter().map(|name| ("condition:", name)))
    {
        let field = part.field(name);
        if !inner.group_by.iter().any(|own| own == field) {
            let message = format!(
                "{:?} is not grouped by `{field}`, and of a correlation nothing but its group is known: add `{field}` to \
                 its group-by, or leave it out here",
                inner.title
            );
            return Err((key, message));
        }
    }
    Ok(())
}
