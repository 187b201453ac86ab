use proptest::prelude::*;

use super::*;

const ALL: [Medium; 9] = [
    Medium::Plain,
    Medium::Linking,
    Medium::LinkingHtml,
    Medium::Slack,
    Medium::SlackCode,
    Medium::Markdown,
    Medium::MarkdownCode,
    Medium::Html,
    Medium::Line,
];

fn whole(text: &str, medium: Medium) -> String {
    inert(text, medium, usize::MAX)
}

#[test]
fn what_steers_is_gone_or_escaped() {
    for (text, medium, shown) in [
        ("<!channel> & <@U123>", Medium::Slack, "&lt;!channel&gt; &amp; &lt;＠U123&gt;"),
        ("*bold* snake_case a*b _x_", Medium::Slack, "∗bold∗ snake_case a*b ＿x＿"),
        ("~gone~ `code`", Medium::Slack, "∼gone∼ ‵code‵"),
        ("at 09:51:00", Medium::Slack, "at 09:51:00"),
        ("> quoted", Medium::Slack, "› quoted"),
        ("a :skull: 10:30 arn:aws:iam", Medium::Slack, "a ∶skull: 10:30 arn∶aws:iam"),
        ("https://evil.example/x", Medium::Slack, "https[:]//evil[.]example/x"),
        ("see evil.example, 203.0.113.7", Medium::Slack, "see evil[.]example, 203.0.113.7"),
        ("пример.рф", Medium::Slack, "пример[.]рф"),
        ("arn:aws:iam::1:user/a_b", Medium::SlackCode, "`arn:aws:iam::1:user/a_b`"),
        ("a`*b*<@U1>", Medium::SlackCode, "`a‵*b*&lt;@U1&gt;`"),
        ("[x](https://evil.example)", Medium::Markdown, r"\[x\](https[:]//evil[.]example)"),
        ("# h <b> *x* {{7*7}}", Medium::Markdown, r"\# h &lt;b&gt; \*x\* \{\{7\*7\}\}"),
        ("- a-b 1.2", Medium::Markdown, r"\- a-b 1.2"),
        ("12. a", Medium::Markdown, r"12\. a"),
        ("=== :tada: 09:51:00", Medium::Markdown, r"\=== \:tada: 09:51:00"),
        ("`x` <b>", Medium::MarkdownCode, "`‵x‵ <b>`"),
        ("<b a='x' b=\"y\">&", Medium::Html, "&lt;b a=&#39;x&#39; b=&quot;y&quot;&gt;&amp;"),
        ("<b> @here https://evil.example", Medium::Linking, "<b> ＠here https[:]//evil[.]example"),
        ("<b> @here evil.example", Medium::LinkingHtml, "&lt;b&gt; ＠here evil[.]example"),
        ("a\nlevel=error \u{1b}[31mred\\n", Medium::Line, r"a level=error �[31mred\\n"),
        ("a\u{202e}b\u{200b}\u{200b}c", Medium::Plain, "a�b�c"),
        ("  a \r\n\t b  ", Medium::Plain, "a b"),
        ("", Medium::SlackCode, ""),
    ] {
        assert_eq!(whole(text, medium), shown, "{medium:?} of {text:?}");
    }
}

#[test]
fn a_text_is_blank_where_it_is_nothing_in_any_medium() {
    for (text, blank) in
        [("", true), (" \t\r\n\u{2003}", true), ("\u{fe0f} \u{fe0e}", true), ("\u{200b}", false), (".", false)]
    {
        assert_eq!(is_blank(text), blank, "{text:?}");
        assert!(ALL.into_iter().all(|medium| whole(text, medium).is_empty() == blank), "{text:?}");
    }
    assert_eq!(paragraphs("a\n\u{fe0f}\n \nb", Medium::Plain, 100), "a\nb");
}

#[test]
fn a_text_is_cut_between_escapes() {
    for (text, medium, most, shown) in [
        ("abcdef", Medium::Plain, 6, "abcdef"),
        ("abcdef", Medium::Plain, 5, "abcd…"),
        ("a&b", Medium::Slack, 6, "a…"),
        ("a&b", Medium::Slack, 7, "a&amp;b"),
        ("a&&", Medium::Slack, 7, "a&amp;…"),
        ("7*7", Medium::Slack, 3, "7*7"),
        ("7*777", Medium::Slack, 3, "7…"),
        ("a**", Medium::Markdown, 4, r"a\*…"),
        ("abcdef", Medium::SlackCode, 5, "`ab…`"),
        ("ab", Medium::SlackCode, 2, ""),
        ("😀😀", Medium::Plain, 3, "😀…"),
        ("ab", Medium::Plain, 1, "…"),
        ("ab", Medium::Plain, 0, ""),
    ] {
        assert_eq!(inert(text, medium, most), shown, "{medium:?} of {text:?} in {most}");
    }
}

#[test]
fn paragraphs_stay_and_empty_lines_go() {
    assert_eq!(paragraphs("one\n\n  two*\n", Medium::Slack, 100), "one\ntwo∗");
    assert_eq!(paragraphs("one\ntwo", Medium::Markdown, 100), "one\n\ntwo");
    assert_eq!(paragraphs("one\ntwo", Medium::Plain, 5), "one\n…");
    assert_eq!(paragraphs("one\ntwo", Medium::Plain, 4), "one");
    assert_eq!(paragraphs("a\n> b", Medium::Slack, 100), "a\n› b");
}

/// Undoes the escapes of Slack and HTML.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#96;", "`")
        .replace("&amp;", "&")
}

proptest! {
    #[test]
    fn nothing_is_longer_than_asked_or_hidden_or_of_two_lines(text in any_text(), most in 0_usize..60) {
        for medium in ALL {
            let shown = inert(&text, medium, most);
            prop_assert!(units(&shown) <= most, "{medium:?}: {shown:?}");
            prop_assert!(!shown.chars().any(is_hidden), "{medium:?}: {shown:?}");
            prop_assert!(units(&paragraphs(&text, medium, most)) <= most);
        }
    }

    #[test]
    fn a_cut_text_begins_as_the_whole_one_does(text in any_text(), most in 0_usize..60) {
        for medium in ALL {
            let (cut, whole) = (inert(&text, medium, most), whole(&text, medium));
            if units(&whole) <= most {
                prop_assert_eq!(&cut, &whole);
            } else {
                let (_, after) = medium.fence();
                let kept = cut.strip_suffix(after).unwrap_or(&cut).trim_end_matches('…');
                prop_assert!(whole.starts_with(kept), "{medium:?}: {cut:?} of {whole:?}");
                // No half of an entity, no lonely backslash.
                prop_assert!(medium != Medium::Html || unescaped(kept).len() <= kept.len());
                let ends_within = kept.rfind('&').is_some_and(|at| !kept[at..].contains(';'));
                prop_assert!(!(matches!(medium, Medium::Slack | Medium::SlackCode | Medium::Html) && ends_within), "{kept:?}");
                let slashes = kept.chars().rev().take_while(|c| *c == '\\').count();
                prop_assert!(!matches!(medium, Medium::Markdown | Medium::Line) || slashes % 2 == 0, "{kept:?}");
            }
        }
    }

    #[test]
    fn html_and_code_say_what_the_text_says(text in any_text()) {
        let plain = whole(&text, Medium::Plain);
        let html = whole(&text, Medium::Html);
        prop_assert!(!html.contains(['<', '>', '"', '\'', '`']));
        prop_assert_eq!(unescaped(&html), plain.clone());
        let code = whole(&text, Medium::SlackCode);
        let inside = code.strip_prefix('`').and_then(|code| code.strip_suffix('`')).unwrap_or(&code);
        prop_assert!(!inside.contains(['<', '>', '`']));
        prop_assert_eq!(unescaped(inside), plain.replace('`', "‵"));
        let line = whole(&text, Medium::Line);
        prop_assert_eq!(line.replace("\\\\", "\\"), plain);
    }

    #[test]
    fn slack_sees_no_token(text in any_text(), most in 0_usize..80) {
        let shown = inert(&text, Medium::Slack, most);
        let chars: Vec<char> = shown.chars().collect();
        prop_assert!(!shown.contains(['<', '>', '`', '@']) && !shown.contains("://"), "{shown:?}");
        for (at, c) in chars.iter().enumerate().filter(|(_, c)| matches!(c, '*' | '_' | '~')) {
            let is_word = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(char::is_ascii_alphanumeric);
            prop_assert!(is_word(at.checked_sub(1)) && is_word(Some(at + 1)), "{c} in {shown:?}");
        }
        prop_assert!(!has_domain(&shown), "{shown:?}");
    }

    #[test]
    fn markdown_sees_no_token(text in any_text(), most in 0_usize..80) {
        let shown = inert(&text, Medium::Markdown, most);
        let mut rest = shown.replace("[.]", "").replace("[:]", "").replace("&lt;", "").replace("&gt;", "").replace("&amp;", "");
        // What is escaped is literal.
        while let Some(at) = rest.find('\\') {
            prop_assert!(rest[at + 1..].starts_with(|c: char| c.is_ascii_punctuation()), "{shown:?}");
            rest.replace_range(at..at + 2, "");
        }
        prop_assert!(!rest.contains(|c: char| "!#$&*<>@[]^_`{|}~".contains(c)), "{rest:?} of {shown:?}");
        prop_assert!(!shown.starts_with(['-', '+', '=']), "{shown:?}");
        let after_number = shown.trim_start_matches(|c: char| c.is_ascii_digit());
        prop_assert!(after_number.len() == shown.len() || !after_number.starts_with(['.', ')']), "{shown:?}");
        prop_assert!(!shown.contains("://"), "{shown:?}");
        prop_assert!(!has_domain(&shown), "{shown:?}");
    }
}

/// Whether a dot stands where it does in a domain.
fn has_domain(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    chars.windows(3).any(|three| three[0].is_alphanumeric() && three[1] == '.' && three[2].is_alphabetic())
}

/// Texts full of what steers.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z0-9 ._*~`<>&@:/|!#\\\\\\[\\](){}\"'-]{0,12}",
        any::<String>(),
        proptest::sample::select(vec![
            "<!channel>",
            "<@U1>",
            "https://evil.example",
            ":skull:",
            "\u{202e}",
            "\u{200b}",
            "\r\n",
            "\u{1b}[31m",
            "&lt;",
            "&amp;",
            "*b*",
            "_i_",
            "~s~",
            "```",
            "]( ",
            "😀",
            "ё.рф",
            "www.x.y",
            "mailto:a@b.c",
            "\\",
        ])
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}
