//! Sinks that collect: syslog and AWS Security Hub.

use dial_rules::fault::Fault;
use dial_sinks::destinations::security_hub::{SecurityHub, SecurityHubOptions};
use dial_sinks::destinations::syslog::{Syslog, SyslogFormat, SyslogOptions, SyslogTransport};

use super::http::{PATIENCE, made, url};
use super::{Made, Maker, required};
use crate::settings;

impl Maker {
    pub(super) fn syslog(&self, of: &settings::Sink) -> Made {
        let transport = match (of.tls, &of.ca) {
            (Some(false), Some(_)) => {
                return Err(Fault::new(
                    "ca",
                    "stands beside `tls = false`, without which nothing is trusted: keep one of them",
                ));
            }
            (Some(false), None) => SyslogTransport::Tcp,
            (_, ca) => SyslogTransport::Tls { ca: ca.as_ref().map(Into::into) },
        };
        let format = match of.format.as_deref() {
            None | Some("rfc5424") => SyslogFormat::Rfc5424,
            Some("json") => SyslogFormat::Json,
            Some(other) => return Err(Fault::new("format", format!("is {other:?}: write \"rfc5424\" or \"json\""))),
        };
        let key = if of.ca.is_some() { "ca" } else { "address" };
        let address = required(&of.address, "address")?.to_owned();
        // Its address is looked at first, so that what is wrong otherwise is the file's fault.
        let tcp = SyslogOptions { address, transport: SyslogTransport::Tcp, format, patience: PATIENCE };
        Syslog::new(tcp.clone()).map_err(|wrong| Fault::new("address", wrong))?;
        made(Syslog::new(SyslogOptions { transport, ..tcp }), key)
    }

    pub(super) fn security_hub(&self, of: &settings::Sink) -> Made {
        let region = of.region.as_deref().or(self.config.region().map(AsRef::as_ref));
        let region = region.ok_or_else(|| Fault::new("region", "is missing: write one such as \"eu-west-1\""))?;
        let Some(credentials) = self.config.credentials_provider() else {
            return Err(Fault::new("kind", "needs credentials of AWS, and there is nothing that gives any"));
        };
        let options = SecurityHubOptions {
            account: required(&of.account, "account")?.to_owned(),
            region: region.to_owned(),
            url: of.url.as_deref().map(url).transpose()?,
            credentials,
            patience: PATIENCE,
        };
        made(SecurityHub::new(options), "account")
    }
}
