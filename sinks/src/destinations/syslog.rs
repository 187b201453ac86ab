//! Syslog over TLS or TCP: messages of RFC 5424 framed by their octets (RFC 5425, § 4.3; RFC 6587, § 3.4.1), or the alert's
//! JSON, one line each.
//!
//! A receiver of syslog says nothing. What was written, and was not answered by the end of the connection a moment later,
//! counts as sent. A receiver that is gone without closing its connection is found out when the connection is opened anew, a
//! minute later at most.

mod kept;
mod line;
mod wires;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

pub use self::line::{framed, rfc5424};

use self::kept::Kept;
use self::wires::{Dialer, Wire};
use super::body::{MOST, body};
use crate::message::Message;
use crate::sink::{Growth, Handle, SendError, Sink};

/// How long the end of the connection is waited for after a message was written.
const SETTLING: Duration = Duration::from_millis(150);

/// Where alerts are written, and how.
#[derive(Debug, Clone)]
pub struct SyslogOptions {
    /// `HOST:PORT`; 6514 is the port of syslog over TLS.
    pub address: String,
    /// How the connection is guarded.
    pub transport: SyslogTransport,
    /// What is written.
    pub format: SyslogFormat,
    /// What is not connected or written by then is given up.
    pub patience: Duration,
}

/// How a connection is guarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyslogTransport {
    /// TLS.
    Tls {
        /// A file of certificates (PEM) to trust beside the machine's.
        ca: Option<PathBuf>,
    },
    /// Nothing guards it: anybody on the way can read and change what is written.
    Tcp,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyslogFormat {
    /// RFC 5424 with structured data, framed by octets.
    Rfc5424,
    /// The JSON of [`wire`](crate::wire::wire), one line each.
    Json,
}

/// Writes alerts to one receiver of syslog.
#[derive(Debug)]
pub struct Syslog {
    dialer: Dialer,
    format: SyslogFormat,
    patience: Duration,
    kept: Kept,
}

impl Syslog {
    /// A sink for one receiver. Nobody is connected to yet.
    ///
    /// # Errors
    /// What is wrong with the address or the file of certificates, and when there are no certificates to trust.
    pub fn new(options: SyslogOptions) -> Result<Syslog, String> {
        let dialer = Dialer::new(&options.address, &options.transport)?;
        Ok(Syslog { dialer, format: options.format, patience: options.patience, kept: Kept::default() })
    }

    /// A connection that is open as far as anybody knows, and when it was opened.
    async fn wire(&self) -> Result<(Wire, Instant), SendError> {
        while let Some((mut wire, opened)) = self.kept.take(Instant::now()) {
            if is_open(&mut wire, Duration::ZERO).await {
                return Ok((wire, opened));
            }
        }
        let wire = timeout(self.patience, self.dialer.dial()).await.map_err(|_| SendError::Slow)??;
        Ok((wire, Instant::now()))
    }
}

#[async_trait]
impl Sink for Syslog {
    fn kind(&self) -> &'static str {
        "syslog"
    }

    fn growth(&self) -> Growth {
        Growth::Digests
    }

    async fn send(&self, message: &Message, _: Option<&Handle>) -> Result<Option<Handle>, SendError> {
        let bytes = match self.format {
            SyslogFormat::Rfc5424 => framed(&rfc5424(message)),
            SyslogFormat::Json => format!("{}\n", body(message, MOST)),
        };
        // Whoever drops this midway drops the connection with it: half a message is never followed by another.
        let (mut wire, opened) = self.wire().await?;
        let written = async {
            wire.write_all(bytes.as_bytes()).await?;
            wire.flush().await
        };
        match timeout(self.patience, written).await {
            Err(_) => return Err(SendError::Slow),
            Ok(Err(error)) => return Err(SendError::Unavailable(format!("the connection broke: {}", error.kind()))),
            Ok(Ok(())) => {}
        }
        if !is_open(&mut wire, SETTLING).await {
            return Err(SendError::Unavailable("it closed the connection on the message".to_owned()));
        }
        self.kept.put(wire, opened);
        Ok(None)
    }
}

/// Whether the other side has not hung up, nor does so within `patience`. What it says is not read: it has nothing to say.
async fn is_open(wire: &mut Wire, patience: Duration) -> bool {
    let mut said = [0; 256];
    match timeout(patience, wire.read(&mut said)).await {
        Err(_) => true,
        Ok(read) => read.is_ok_and(|bytes| bytes > 0),
    }
}
