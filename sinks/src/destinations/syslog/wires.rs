//! [`Dialer`]: connections to one receiver.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::SyslogTransport;
use crate::sink::SendError;

/// A connection, with TLS or without.
pub(super) type Wire = Box<dyn Stream>;

/// What is read from and written to.
pub(super) trait Stream: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin> Stream for S {}

/// Connects to one receiver.
pub(super) struct Dialer {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Dialer {
    pub(super) fn new(address: &str, transport: &SyslogTransport) -> Result<Dialer, String> {
        let wrong = || format!("is {address:?}: write HOST:PORT, such as siem.example.com:6514");
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        // Without brackets the last part of an IPv6 address would be a port.
        if host.is_empty() || (bare.is_none() && host.contains(':')) {
            return Err(wrong());
        }
        let host = bare.unwrap_or(host).to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| wrong())?;
        let port = port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        let tls = match transport {
            SyslogTransport::Tcp => None,
            SyslogTransport::Tls { ca } => Some((connector(ca.as_deref())?, name)),
        };
        Ok(Dialer { host, port, tls })
    }

    pub(super) async fn dial(&self) -> Result<Wire, SendError> {
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await;
        let socket = socket.map_err(|error| SendError::Unavailable(error.to_string()))?;
        // A message is written whole; it need not wait for more.
        let _ = socket.set_nodelay(true);
        let Some((connector, name)) = &self.tls else { return Ok(Box::new(socket)) };
        match connector.connect(name.clone(), socket).await {
            Ok(wire) => Ok(Box::new(wire)),
            // What TLS itself does not like: the certificate, above all.
            Err(error) if error.kind() == ErrorKind::InvalidData => Err(SendError::Refused(format!(
                "no TLS with it: {error}; its certificate must be of a CA that is trusted"
            ))),
            Err(error) => Err(SendError::Unavailable(format!("TLS: {error}"))),
        }
    }
}

/// What trusts the machine's certificates, and those of a file.
fn connector(ca: Option<&Path>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = ca {
        let wrong = |why: String| format!("names {}, {why}", file.display());
        let certificates = CertificateDer::pem_file_iter(file)
            .map_err(|error| wrong(format!("which cannot be read: {error}")))?
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| wrong(format!("which is no PEM: {error}")))?;
        if certificates.is_empty() {
            return Err(wrong("which holds no certificate".to_owned()));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|error| wrong(format!("which holds an odd certificate: {error}")))?;
        }
    }
    if roots.is_empty() {
        return Err("is missing: the machine trusts no certificates, so name a file of those to trust".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| format!("cannot be used: {error}"))?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "tls" } else { "tcp" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (address, fine) in [
            ("siem.example.com:6514", true),
            ("192.0.2.7:514", true),
            ("[2001:db8::7]:6514", true),
            ("2001:db8::7", false),
            ("siem.example.com", false),
            ("siem.example.com:0", false),
            ("siem.example.com:70000", false),
            (":6514", false),
            ("a b:6514", false),
            ("tls://siem.example.com:6514", false),
        ] {
            let made = Dialer::new(address, &SyslogTransport::Tcp);
            assert_eq!(made.is_ok(), fine, "{address}: {made:?}");
        }
    }

    #[test]
    fn a_file_of_certificates_must_be_one() {
        let folder = tempfile::tempdir().unwrap();
        for (text, why) in [("", "no certificate"), ("-----BEGIN CERTIFICATE-----\nx\n", "no PEM")] {
            let file = folder.path().join("ca.pem");
            std::fs::write(&file, text).unwrap();
            let error = Dialer::new("localhost:6514", &SyslogTransport::Tls { ca: Some(file) }).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let missing = SyslogTransport::Tls { ca: Some(folder.path().join("none.pem")) };
        assert!(Dialer::new("localhost:6514", &missing).unwrap_err().contains("cannot be read"));
    }
}
