//! A blocking reader of an S3 object of any size. A task fetches ahead by a few chunks; a connection that breaks is
//! taken up again where it broke, from the very same version of the object.

use std::io::{Error, Read};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

use crate::s3::words;

/// How many chunks (some 10 to 100 KiB each) wait to be read.
const AHEAD: usize = 16;

/// How often in a row a connection may break without a byte in between.
const ATTEMPTS: u32 = 4;

/// See the module's description. Dropping it ends the task.
pub(crate) struct S3Reader {
    chunks: mpsc::Receiver<Result<Bytes, Error>>,
    current: Bytes,
}

impl S3Reader {
    /// Reads the body of `object`, the answer to a get of `key` in `bucket`.
    pub(crate) fn start(client: Client, bucket: String, key: String, object: GetObjectOutput) -> Self {
        let (sender, chunks) = mpsc::channel(AHEAD);
        let fetch = Fetch {
            client,
            bucket,
            key,
            version: object.e_tag,
            length: object.content_length.and_then(|n| u64::try_from(n).ok()),
            offset: 0,
        };
        tokio::spawn(async move {
            if let Err(error) = fetch.run(object.body, &sender).await {
                // Nobody reads any more if this fails.
                let _ = sender.send(Err(error)).await;
            }
        });
        Self { chunks, current: Bytes::new() }
    }
}

impl Read for S3Reader {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                None => return Ok(0),
                Some(chunk) => self.current = chunk?,
            }
        }
        let n = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}

struct Fetch {
    client: Client,
    bucket: String,
    key: String,
    version: Option<String>,
    length: Option<u64>,
    offset: u64,
}

impl Fetch {
    async fn run(mut self, mut body: ByteStream, sender: &mpsc::Sender<Result<Bytes, Error>>) -> Result<(), Error> {
        let mut failures = 0;
        loop {
            let before = self.offset;
            let Some(broken) = self.pass_on(&mut body, sender).await else {
                return Ok(());
            };
            failures = if self.offset > before { 1 } else { failures + 1 };
            if failures >= ATTEMPTS {
                return Err(Error::other(broken));
            }
            tokio::time::sleep(Duration::from_millis(100 << failures)).await;
            body = self.resume().await?;
        }
    }

    /// Passes chunks on until the end (`None`) or until the connection breaks (why).
    async fn pass_on(&mut self, body: &mut ByteStream, sender: &mpsc::Sender<Result<Bytes, Error>>) -> Option<String> {
        loop {
            match body.try_next().await {
                Ok(Some(chunk)) => {
                    self.offset += chunk.len() as u64;
                    if sender.send(Ok(chunk)).await.is_err() {
                        return None;
                    }
                }
                Ok(None) if self.length.is_some_and(|length| self.offset < length) => {
                    return Some(format!("it ended after {} bytes", self.offset));
                }
                Ok(None) => return None,
                Err(error) => return Some(words(&error)),
            }
        }
    }

    async fn resume(&self) -> Result<ByteStream, Error> {
        let get = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .range(format!("bytes={}-", self.offset))
            .set_if_match(self.version.clone());
        match get.send().await {
            Ok(object) => Ok(object.body),
            Err(error) => Err(Error::other(words(&error))),
        }
    }
}
