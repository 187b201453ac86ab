//! Outcomes of rule tests as JUnit XML, which CI systems show: one `testsuite` for each file of tests, one `testcase`
//! for each case. There is no standard; this is what the readers of Jenkins and GitLab share:
//! <https://github.com/testmoapp/junitxml>.

use std::fmt::Write;

use crate::rule_test::Outcome;

/// The outcomes of one file of tests.
#[derive(Debug, Clone)]
pub struct Suite {
    /// The file.
    pub file: String,
    /// How its cases ended.
    pub outcomes: Vec<Outcome>,
    /// How long it took to run them, in seconds.
    pub seconds: f64,
}

impl Suite {
    fn failed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.failure.is_some()).count()
    }
}

/// The whole document.
pub fn render(suites: &[Suite]) -> String {
    let (cases, failed) = suites.iter().fold((0, 0), |(a, b), suite| (a + suite.outcomes.len(), b + suite.failed()));
    let seconds: f64 = suites.iter().map(|suite| suite.seconds).sum();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing into a String cannot fail.
    let _ = writeln!(
        xml,
        "<testsuites name=\"dial rules test\" tests=\"{cases}\" failures=\"{failed}\" errors=\"0\" time=\"{seconds:.3}\">"
    );
    for suite in suites {
        render_suite(suite, &mut xml);
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn render_suite(suite: &Suite, xml: &mut String) {
    let file = escape(&suite.file);
    let _ = writeln!(
        xml,
        "  <testsuite name=\"{file}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"0\" time=\"{:.3}\">",
        suite.outcomes.len(),
        suite.failed(),
        suite.seconds
    );
    for outcome in &suite.outcomes {
        let (name, rule) = (escape(&outcome.case), escape(&outcome.rule));
        let _ = write!(xml, "    <testcase name=\"{name}\" classname=\"{rule}\" file=\"{file}\"");
        let _ = match &outcome.failure {
            None => writeln!(xml, "/>"),
            Some(failure) => {
                let first = escape(failure.lines().next().unwrap_or_default());
                let whole = escape(failure);
                writeln!(xml, ">\n      <failure message=\"{first}\">{whole}</failure>\n    </testcase>")
            }
        };
    }
    xml.push_str("  </testsuite>\n");
}

/// Text for an attribute or an element. What XML 1.0 has no way to write (<https://www.w3.org/TR/xml/#charsets>) becomes
/// U+FFFD; line breaks and tabs are written as references, since attributes would turn them into blanks.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(case: &str, failure: Option<&str>) -> Outcome {
        let (file, rule) = ("iam/a&b.test.yml".to_owned(), "r-1".to_owned());
        Outcome { file, rule, case: case.to_owned(), failure: failure.map(str::to_owned) }
    }

    #[test]
    fn a_document_reads_as_ci_systems_expect_it() {
        let hostile = "expected <[1]> & \"found\" ]]> \u{1b}[31m\nsecond line";
        let first = vec![outcome("it's fine", None), outcome("tab\there", Some(hostile))];
        let suites = [
            Suite { file: "iam/a&b.test.yml".into(), outcomes: first, seconds: 0.0125 },
            Suite { file: "c.test.yml".into(), outcomes: vec![outcome("é \u{0}", None)], seconds: 1.0 },
        ];
        insta::assert_snapshot!(render(&suites));
    }

    #[test]
    fn nothing_is_a_document_too() {
        assert!(render(&[]).contains("tests=\"0\" failures=\"0\""));
    }
}
