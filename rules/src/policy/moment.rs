//! Dates and times that settings name, of the policy and elsewhere.

use crate::event::{Millis, parse_rfc3339};

/// The moment that a text names: an RFC 3339 time, or a date, which begins at midnight in UTC.
pub fn parse(text: &str) -> Option<Millis> {
    let is_date = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if is_date { parse_rfc3339(&format!("{text}T00:00:00Z")) } else { parse_rfc3339(text) }
}

/// What is wrong with a text that names none, to follow its key's name.
pub fn fault(text: &str) -> Option<String> {
    if parse(text).is_some() {
        return None;
    }
    if parse_rfc3339(&format!("{text}Z")).is_some() {
        return Some(format!("is {text:?}, which has no time zone: add Z for UTC"));
    }
    Some(format!("is {text:?}: write a date such as 2030-12-31, or a time such as 2030-12-31T18:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read() {
        let midnight = parse("2030-12-31").unwrap();
        assert_eq!(parse("2030-12-31T01:00:00+01:00"), Some(midnight));
        assert_eq!(parse("2030-12-31T00:00:00.001Z"), Some(midnight + 1));
        for text in ["2030-02-30", "31.12.2030", "soon", "", "2030-13-01", "2030", "2030-12-31T00:00:00"] {
            assert!(parse(text).is_none() && fault(text).is_some(), "{text}");
        }
        assert!(fault("2030-12-31T00:00:00").unwrap().contains("add Z"));
    }
}
