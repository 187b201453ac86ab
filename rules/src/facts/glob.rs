//! IAM's wildcards: `*` for any characters, `?` for one. What one pattern matches, covers, or shares with another.
//!
//! Every function takes time bounded by the product of the two lengths; callers bound the lengths.

/// One step of a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Byte(u8),
    One,
    Many,
}

/// A pattern, ready to be compared. Bytes are compared with bytes: fold texts first where case does not count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pattern {
    steps: Vec<Step>,
    plain: bool,
}

impl Pattern {
    /// Reads a pattern; `${*}`, `${?}` and `${$}` stand for the characters themselves, as in IAM's policy variables.
    pub(crate) fn new(text: &str) -> Pattern {
        let bytes = text.as_bytes();
        let mut steps = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let step = match &bytes[at..] {
                [b'$', b'{', literal @ (b'*' | b'?' | b'$'), b'}', ..] => {
                    at += 3;
                    Step::Byte(*literal)
                }
                [b'*', ..] => Step::Many,
                [b'?', ..] => Step::One,
                [byte, ..] => Step::Byte(*byte),
                [] => break,
            };
            if !(step == Step::Many && steps.last() == Some(&Step::Many)) {
                steps.push(step);
            }
            at += 1;
        }
        Pattern { plain: steps.iter().all(|step| matches!(step, Step::Byte(_))), steps }
    }

    /// A text without wildcards, whatever characters it holds.
    pub(crate) fn literal(text: &str) -> Pattern {
        Pattern { steps: text.bytes().map(Step::Byte).collect(), plain: true }
    }

    /// Whether every text that `inner` matches is matched by this one too. May say no where it is so (`*?` and `?*`),
    /// never yes where it is not; of an `inner` without wildcards it is exact.
    pub(crate) fn covers(&self, inner: &Pattern) -> bool {
        let (outer, inner) = (&self.steps, &inner.steps);
        let fits = |outer: Step, inner: Step| match (outer, inner) {
            (Step::One, inner) => inner != Step::Many,
            (outer, inner) => outer == inner,
        };
        let (mut o, mut i) = (0, 0);
        let mut retry = None;
        while i < inner.len() {
            match outer.get(o) {
                Some(Step::Many) => {
                    retry = Some((o, i));
                    o += 1;
                }
                Some(&step) if fits(step, inner[i]) => {
                    o += 1;
                    i += 1;
                }
                // Let the last `*` take one more.
                _ => match &mut retry {
                    Some((star, from)) => {
                        *from += 1;
                        (o, i) = (*star + 1, *from);
                    }
                    None => return false,
                },
            }
        }
        outer[o..].iter().all(|step| *step == Step::Many)
    }

    /// Whether some text is matched by both.
    pub(crate) fn overlaps(&self, other: &Pattern) -> bool {
        if other.plain {
            return self.covers(other);
        }
        if self.plain {
            return other.covers(self);
        }
        let (a, b) = (&self.steps, &other.steps);
        // reachable[j]: a text exists that takes the first i steps of `a` and the first j of `b`.
        let mut reachable = vec![false; b.len() + 1];
        reachable[0] = true;
        spread(&mut reachable, b);
        for &step in a {
            let mut next = vec![false; b.len() + 1];
            for j in 0..=b.len() {
                if !reachable[j] {
                    continue;
                }
                if step == Step::Many {
                    next[j..].fill(true);
                    break;
                }
                match b.get(j) {
                    Some(Step::Many) => next[j] = true,
                    Some(Step::One) => next[j + 1] = true,
                    Some(&other) if step == Step::One || step == other => next[j + 1] = true,
                    _ => {}
                }
            }
            spread(&mut next, b);
            reachable = next;
        }
        reachable[b.len()]
    }
}

/// A `*` of `b` may match nothing.
fn spread(reachable: &mut [bool], b: &[Step]) {
    for (j, step) in b.iter().enumerate() {
        if reachable[j] && *step == Step::Many {
            reachable[j + 1] = true;
        }
    }
}

/// Whether the pattern that `pattern` writes matches `text`.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    Pattern::new(pattern).covers(&Pattern::literal(text))
}

/// Whether the text holds a wildcard at all.
pub(crate) fn is_pattern(text: &str) -> bool {
    !Pattern::new(text).plain
}

/// Whether the pattern is nothing but wildcards.
pub(crate) fn is_anything(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'*' | b'?'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn covers(outer: &str, inner: &str) -> bool {
        Pattern::new(outer).covers(&Pattern::new(inner))
    }

    fn overlap(a: &str, b: &str) -> bool {
        Pattern::new(a).overlaps(&Pattern::new(b))
    }

    /// The definition itself.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some(b'*'), _) => naive(&pattern[1..], text) || (!text.is_empty() && naive(pattern, &text[1..])),
            (Some(b'?'), Some(_)) => naive(&pattern[1..], &text[1..]),
            (Some(p), Some(t)) if p == t => naive(&pattern[1..], &text[1..]),
            _ => false,
        }
    }

    /// All texts over `a` and `b` of up to five characters.
    fn texts() -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..5 {
            last = last.iter().flat_map(|text| ["a", "b"].map(|c| format!("{text}{c}"))).collect();
            all.extend(last.clone());
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn matches_as_defined(pattern in "[ab*?]{0,7}", text in "[ab]{0,7}") {
            prop_assert_eq!(matches(&pattern, &text), naive(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn covers_and_overlaps_as_texts_show(a in "[ab*?]{0,4}", b in "[ab*?]{0,4}") {
            let both = |text: &String| (matches(&a, text), matches(&b, text));
            let texts = texts();
            if covers(&a, &b) {
                prop_assert!(texts.iter().map(both).all(|(outer, inner)| outer || !inner));
            }
            // Patterns of four steps that share a text share one of at most eight characters.
            let shared = texts.iter().map(both).any(|(a, b)| a && b);
            if shared {
                prop_assert!(overlap(&a, &b));
            }
            if !overlap(&a, &b) {
                prop_assert!(!shared);
            }
        }

        #[test]
        fn what_a_plain_text_covers_it_matches(pattern in "[ab*?]{0,6}", text in "[ab]{0,6}") {
            prop_assert_eq!(covers(&pattern, &text), matches(&pattern, &text));
            prop_assert_eq!(overlap(&pattern, &text), matches(&pattern, &text));
        }
    }

    #[test]
    fn single_character_wildcards_do_not_cover_a_star() {
        assert!(covers("s3:*", "s3:Get*") && covers("*", "?") && covers("*", "*"));
        assert!(!covers("s3:Get?", "s3:Get*") && !covers("s3:Get*", "s3:*"));
        assert!(overlap("s3:*Object", "s3:Get*") && !overlap("s3:Get*", "s3:Put*"));
    }

    #[test]
    fn escaped_wildcards_are_themselves() {
        assert!(matches("a${*}b", "a*b") && !matches("a${*}b", "axb"));
        assert!(!is_pattern("a${*}b") && is_pattern("a*") && is_anything("*?*") && !is_anything(""));
    }
}
