//! [`Arn`]: the name of a resource of AWS, as far as destinations need it.

use std::fmt;
use std::str::FromStr;

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`, each part there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: String,
    /// Such as `sns`.
    pub service: String,
    /// Such as `eu-west-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// What the service makes of the rest.
    pub resource: String,
}

impl Arn {
    /// The ARN of a resource of this service.
    ///
    /// # Errors
    /// What to write instead, to follow the key's name.
    pub fn of_service(text: &str, service: &str, example: &str) -> Result<Arn, String> {
        match text.parse::<Arn>() {
            Ok(arn) if arn.service == service => Ok(arn),
            _ => Err(format!("is {text:?}: write an ARN such as {example}")),
        }
    }
}

impl FromStr for Arn {
    type Err = String;

    fn from_str(text: &str) -> Result<Arn, String> {
        let wrong = || format!("{text:?} is no ARN such as arn:aws:sns:eu-west-1:111122223333:alerts");
        let is_word = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, service, region, account, resource] = parts.as_slice() else { return Err(wrong()) };
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let is_place = partition.starts_with("aws") && is_word(partition, "-") && is_word(region, "-");
        if !is_account || !is_place || !is_word(service, "-") || !is_word(resource, "-_./:") || text.len() > 1_024 {
            return Err(wrong());
        }
        let [partition, service, region, account, resource] =
            [partition, service, region, account, resource].map(|part| (*part).to_owned());
        Ok(Arn { partition, service, region, account, resource })
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arn { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_read_and_written_alike() {
        for text in [
            "arn:aws:sns:eu-west-1:111122223333:alerts.fifo",
            "arn:aws-cn:sqs:cn-north-1:111122223333:a_b-c",
            "arn:aws:events:us-east-1:111122223333:event-bus/central",
        ] {
            assert_eq!(text.parse::<Arn>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "alerts",
            "arn:aws:sns:eu-west-1:alerts",
            "arn:aws:sns:eu-west-1:11112222333:alerts",
            "arn:aws:sns::111122223333:alerts",
            "arn:aws:sns:eu-west-1:111122223333:",
            "arn:aws:sns:eu-west-1:111122223333:a b",
            "arn:aws:sns:eu-west-1.evil.example#:111122223333:alerts",
        ] {
            assert!(text.parse::<Arn>().is_err(), "{text}");
        }
    }

    #[test]
    fn another_services_arn_is_refused_with_an_example() {
        let wrong = Arn::of_service("arn:aws:sqs:eu-west-1:111122223333:q", "sns", "arn:aws:sns:…").unwrap_err();
        assert!(wrong.contains("such as arn:aws:sns:…"), "{wrong}");
    }
}
