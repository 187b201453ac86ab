//! What may be a region of AWS.

use crate::nearest::nearest;

/// Regions of all partitions, as of 2025, to suggest from. A new one is taken without being listed.
const KNOWN: &[&str] = &[
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "ca-west-1",
    "mx-central-1",
    "sa-east-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "me-south-1",
    "me-central-1",
    "af-south-1",
    "il-central-1",
    "us-gov-east-1",
    "us-gov-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "us-iso-east-1",
    "us-iso-west-1",
    "us-isob-east-1",
    "eusc-de-east-1",
];

const DIRECTIONS: [&str; 9] =
    ["north", "south", "east", "west", "central", "northeast", "northwest", "southeast", "southwest"];

/// What is wrong with a word for a region, to follow its key's name. Words with wildcards are only held to the characters
/// that regions have.
pub(crate) fn fault(word: &str) -> Option<String> {
    let odd = word.chars().any(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || "-*?".contains(c)));
    let fine = if word.contains(['*', '?']) { !odd } else { is_plausible(word) };
    if fine {
        return None;
    }
    let near = nearest(word, KNOWN.iter().copied()).unwrap_or("us-east-1");
    Some(format!("has {word:?}, which is no region of AWS: did you mean `{near}`?"))
}

/// Whether it is built as names of regions are: `eu-west-1`, `us-gov-east-1`.
fn is_plausible(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    let [area @ .., direction, number] = parts.as_slice() else { return false };
    let letters = |part: &&str| (2..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_lowercase());
    (1..=2).contains(&area.len())
        && area.iter().all(letters)
        && DIRECTIONS.contains(direction)
        && matches!(number.as_bytes(), [b'1'..=b'9'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_told_from_slips() {
        for word in KNOWN.iter().copied().chain(["xx-southwest-9", "eu-*", "*", "us-east-?"]) {
            assert_eq!(fault(word), None, "{word}");
        }
        for (word, near) in [
            ("us-esat-1", "us-east-1"),
            ("eu-west1", "eu-west-1"),
            ("EU-WEST-1", "eu-west-1"),
            ("frankfurt", "us-east-1"),
            ("", "us-east-1"),
            ("eu_west_*", "`"),
            ("us-east-1a", "us-east-1"),
        ] {
            assert!(fault(word).unwrap().contains(near), "{word}: {:?}", fault(word));
        }
    }
}
