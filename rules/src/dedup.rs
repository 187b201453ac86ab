//! [`Dedup`]: what repeats of one rule have in common, so that they are one alert. `dial.dedup` in a rule.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::Finding;
use crate::nearest::nearest;

/// What findings of one rule have in common when they are repeats of each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dedup {
    /// The same values of these.
    Same(BTreeSet<Part>),
    /// Nothing: each finding is an alert of its own.
    Never,
}

/// A part of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The account.
    Account,
    /// Who acted, as a person would say it.
    Actor,
    /// The region.
    Region,
    /// Where the call came from.
    SourceIp,
}

impl Part {
    const ALL: [Part; 4] = [Part::Account, Part::Actor, Part::Region, Part::SourceIp];

    /// Its name, as in a finding's JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Part::Account => "account_id",
            Part::Actor => "actor",
            Part::Region => "region",
            Part::SourceIp => "source_ip",
        }
    }
}

impl Default for Dedup {
    /// The same actor in the same account.
    fn default() -> Self {
        Dedup::Same(BTreeSet::from([Part::Account, Part::Actor]))
    }
}

impl Dedup {
    /// What a rule says: names of [`Part`]s, `rule` alone for all of the rule's findings, or `finding` alone for none.
    ///
    /// # Errors
    /// Which word is none of them, and what to write instead.
    pub(crate) fn of(words: &[String]) -> Result<Dedup, String> {
        match words {
            [] => {
                return Err("under `dial`: `dedup` is empty: name what repeats have in common, such as [actor]".into());
            }
            [one] if one == "rule" => return Ok(Dedup::Same(BTreeSet::new())),
            [one] if one == "finding" => return Ok(Dedup::Never),
            _ => {}
        }
        let part = |word: &String| {
            Part::ALL.into_iter().find(|part| part.as_str() == word).ok_or_else(|| {
                if ["rule", "finding"].contains(&word.as_str()) {
                    return format!("under `dial`: `dedup` has `{word}`, which stands alone: leave the others out");
                }
                let names = Part::ALL.map(Part::as_str);
                let meant = nearest(word, names.into_iter().chain(["rule", "finding"]));
                let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
                format!("under `dial`: `dedup` has `{word}`: write {}, rule or finding{meant}", names.join(", "))
            })
        };
        Ok(Dedup::Same(words.iter().map(part).collect::<Result<_, _>>()?))
    }

    /// Name and value of what the finding has in common with its repeats; `None` when it has none.
    pub fn values(&self, finding: &Finding) -> Option<BTreeMap<String, String>> {
        let Dedup::Same(parts) = self else { return None };
        let subject = &finding.subject;
        let value = |part: &Part| {
            let value = match part {
                Part::Account => &subject.account_id,
                Part::Actor => &subject.actor,
                Part::Region => &subject.region,
                Part::SourceIp => &subject.source_ip,
            };
            (part.as_str().to_owned(), value.clone().unwrap_or_default())
        };
        Some(parts.iter().map(value).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Result<Dedup, String> {
        Dedup::of(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn words_are_parts_of_findings() {
        assert_eq!(of(&["actor", "account_id"]), Ok(Dedup::default()));
        assert_eq!(of(&["rule"]), Ok(Dedup::Same(BTreeSet::new())));
        assert_eq!(of(&["finding"]), Ok(Dedup::Never));
        assert_eq!(of(&["source_ip"]), Ok(Dedup::Same(BTreeSet::from([Part::SourceIp]))));
    }

    #[test]
    fn other_words_are_refused_with_what_is_meant() {
        assert!(of(&["acter"]).unwrap_err().ends_with("did you mean `actor`?"));
        assert!(of(&["rule", "actor"]).unwrap_err().contains("stands alone"));
        assert!(of(&["actor", "finding"]).unwrap_err().contains("stands alone"));
        assert!(of(&[]).unwrap_err().contains("is empty"));
    }
}
