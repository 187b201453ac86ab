//! Principals by patterns that the name of a session fits, which is chosen by whoever assumes the role.

use super::condition::Asked;
use crate::fault::Fault;

/// A remark for each word that names principals so.
pub(super) fn remarks(asked: Asked<'_>) -> Vec<Fault> {
    let mut remarks = Vec::new();
    for (key, words) in asked.all().filter(|(key, _)| matches!(*key, "actor" | "principal")) {
        for (at, _) in words.0.iter().enumerate().filter(|(_, word)| fits_any_session(word)) {
            let word = &words.0[at];
            let message = format!(
                "has {word:?}, which fits sessions of any role too, and whoever assumes a role chooses its session's name: \
                 name the role or the user by its ARN, such as \"arn:aws:iam::*:role/deployer\""
            );
            remarks.push(Fault::new(format!("{key}[{at}]"), message));
        }
    }
    remarks
}

/// Whether some session of any role fits by its name alone. Names of sessions have letters, digits and `_+=,.@-` (STS API
/// reference, AssumeRole), so what has a colon is not made up by them; `*` alone is meant to be everybody.
fn fits_any_session(word: &str) -> bool {
    let has_name = !word.bytes().all(|byte| matches!(byte, b'*' | b'?'));
    let word = word.to_ascii_lowercase();
    let of_any_role = ["assumed-role/*", "role * as "].iter().any(|part| {
        word.split_once(part)
            .is_some_and(|(_, session)| session.bytes().any(|byte| !matches!(byte, b'*' | b'?' | b'/')))
    });
    has_name && (of_any_role || word.starts_with(['*', '?']) && !word.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_caller_may_choose_are_told_apart() {
        for (word, fits) in [
            ("*deploy*", true),
            ("*/alice", true),
            ("* as alice", true),
            ("?lice", true),
            ("*alice@example.com", true),
            ("role * as alice", true),
            ("arn:aws:sts::111122223333:assumed-role/*/alice", true),
            ("arn:aws:sts::*:assumed-role/*/*alice*", true),
            ("*:assumed-role/*/alice", true),
            ("*", false),
            ("**?", false),
            ("alice", false),
            ("*:role/Admin", false),
            ("*:user/alice", false),
            ("role Admin as *", false),
            ("role Admin as alice", false),
            ("arn:aws:iam::*:role/*deploy*", false),
            ("arn:aws:sts::111122223333:assumed-role/Admin/*", false),
            ("arn:aws:sts::111122223333:assumed-role/*", false),
            ("arn:aws:sts::111122223333:assumed-role/*/*", false),
        ] {
            assert_eq!(fits_any_session(word), fits, "{word}");
        }
    }

    #[test]
    fn each_such_word_is_remarked_at_its_place() {
        let words = |list: &[&str]| crate::policy::Words(list.iter().map(|word| (*word).to_owned()).collect());
        let (principal, actor) = (words(&["arn:aws:iam::*:role/a", "*deploy*"]), words(&["*alice"]));
        let asked = Asked { principal: Some(&principal), actor: Some(&actor), ..Asked::default() };
        let mut paths: Vec<String> = remarks(asked).into_iter().map(|remark| remark.path).collect();
        paths.sort();
        assert_eq!(paths, ["actor[0]", "principal[1]"]);
    }
}
