//! [`QueuePlace`]: what the URL of a queue says of where it is. Pure.

use reqwest::Url;

/// A queue, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueuePlace {
    /// As it was given.
    pub(super) url: String,
    /// The region, where the URL is AWS's own.
    pub(super) region: Option<String>,
    /// Where to ask, where that is not the region's common endpoint.
    pub(super) endpoint: Option<String>,
}

const HINT: &str = "write a queue's URL such as https://sqs.eu-west-1.amazonaws.com/111122223333/alerts";

impl QueuePlace {
    /// # Errors
    /// What to write instead, to follow the key's name.
    pub(super) fn parse(text: &str) -> Result<QueuePlace, String> {
        let wrong = |why: &str| Err(format!("{why}: {HINT}"));
        let Ok(url) = Url::parse(text) else { return wrong("is no URL") };
        // It would be in every error message.
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("holds a user or a password, which a queue's URL has not");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("has something after the queue's name");
        }
        let host = url.host_str().unwrap_or_default();
        let is_loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
            return wrong("is neither https nor on this machine");
        }
        let names: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
        if names.len() < 2 || names.iter().any(|name| name.is_empty()) {
            return wrong("does not end in an account and a queue's name");
        }
        let (region, is_common) = of_host(host);
        let endpoint = (!is_common).then(|| url.origin().ascii_serialization());
        Ok(QueuePlace { url: text.to_owned(), region, endpoint })
    }
}

/// The region that a host names, and whether it is that region's common endpoint.
fn of_host(host: &str) -> (Option<String>, bool) {
    let labels = ["amazonaws.com", "amazonaws.com.cn", "api.aws"]
        .iter()
        .find_map(|end| host.strip_suffix(end)?.strip_suffix('.'))
        .map(|before| before.split('.').collect::<Vec<_>>())
        .unwrap_or_default();
    match labels.as_slice() {
        ["sqs", region] | [region, "queue"] => (Some((*region).to_owned()), true),
        ["queue"] => (Some("us-east-1".to_owned()), true),
        ["sqs-fips", region] | [_, "sqs", region, "vpce"] => (Some((*region).to_owned()), false),
        _ => (None, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_ask() {
        for (url, region, endpoint) in [
            ("https://sqs.eu-west-1.amazonaws.com/111122223333/alerts", Some("eu-west-1"), None),
            ("https://eu-west-1.queue.amazonaws.com/111122223333/alerts", Some("eu-west-1"), None),
            ("https://queue.amazonaws.com/111122223333/alerts", Some("us-east-1"), None),
            ("https://sqs.cn-north-1.amazonaws.com.cn/111122223333/a.fifo", Some("cn-north-1"), None),
            (
                "https://vpce-1a.sqs.eu-west-1.vpce.amazonaws.com/111122223333/alerts",
                Some("eu-west-1"),
                Some("https://vpce-1a.sqs.eu-west-1.vpce.amazonaws.com"),
            ),
            ("http://127.0.0.1:4566/000000000000/alerts", None, Some("http://127.0.0.1:4566")),
            ("https://queues.example.com/1/alerts", None, Some("https://queues.example.com")),
        ] {
            let place = QueuePlace::parse(url).unwrap();
            assert_eq!((place.region.as_deref(), place.endpoint.as_deref()), (region, endpoint), "{url}");
            assert_eq!(place.url, url);
        }
    }

    #[test]
    fn what_is_no_queue_is_refused_and_not_repeated() {
        for url in [
            "alerts",
            "",
            "arn:aws:sqs:eu-west-1:111122223333:alerts",
            "http://queues.example.com/1/s3cr3t",
            "https://u:s3cr3t@sqs.eu-west-1.amazonaws.com/111122223333/alerts",
            "https://sqs.eu-west-1.amazonaws.com/111122223333/alerts?s3cr3t",
            "https://sqs.eu-west-1.amazonaws.com/",
            "https://sqs.eu-west-1.amazonaws.com/alerts",
            "https://sqs.eu-west-1.amazonaws.com/111122223333/",
        ] {
            let wrong = QueuePlace::parse(url).unwrap_err();
            assert!(wrong.contains("https://sqs.eu-west-1") && !wrong.contains("s3cr3t"), "{url}: {wrong}");
        }
    }
}
