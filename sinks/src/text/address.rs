//! Addresses that may become links.

use reqwest::Url;

/// Longest address that becomes a link.
const LONGEST: usize = 500;

/// An address that may stand in a link of any medium: https, of a host with a name, without a user, and with everything
/// percent-encoded (RFC 3986, § 2.1) that could end a link. `None` when it is none. An `&` is in it as it is.
pub fn https_address(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_fine =
        url.scheme() == "https" && url.username().is_empty() && url.password().is_none() && url.domain().is_some();
    let mut address = String::new();
    for c in url.as_str().chars().filter(|_| is_fine) {
        match c {
            '<' | '>' | '|' | '"' | '\'' | '`' | '\\' | '(' | ')' | '[' | ']' | '{' | '}' | '*' | '~' => {
                address.push_str(&format!("%{:02X}", u32::from(c)));
            }
            c if c.is_ascii_graphic() => address.push(c),
            _ => return None,
        }
    }
    (1..=LONGEST).contains(&address.len()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_that_stays_within_its_link_is_one() {
        for (text, address) in [
            ("https://example.com/a?b=1&c=2#d", Some("https://example.com/a?b=1&c=2#d")),
            ("https://example.com/|<!channel>", Some("https://example.com/%7C%3C!channel%3E")),
            ("https://example.com/a(b)*", Some("https://example.com/a%28b%29%2A")),
            ("https://example.com/\u{202e}\n x", Some("https://example.com/%E2%80%AE%20x")),
            ("http://example.com/", None),
            ("javascript:alert(1)", None),
            ("https://aws.amazon.com@evil.example/", None),
            ("https://203.0.113.7/", None),
            ("", None),
        ] {
            assert_eq!(https_address(text).as_deref(), address, "{text}");
        }
        assert_eq!(https_address(&format!("https://example.com/{}", "x".repeat(LONGEST))), None);
    }
}
