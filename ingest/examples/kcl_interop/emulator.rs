//! The two emulators of Kinesis behind one face.

use dial_emulators::{Kinesis, KinesisLocal};

/// Where the stream is.
pub enum Emulator {
    /// Fast, but silent about the children of a shard that ends, which the library insists on.
    Ferrokinesis(Kinesis),
    /// Slow, and right about them.
    KinesisLocal(KinesisLocal),
}

impl Emulator {
    pub fn ferrokinesis() -> Self {
        Self::Ferrokinesis(Kinesis::start())
    }

    pub fn kinesis_local() -> Self {
        Self::KinesisLocal(KinesisLocal::start())
    }

    pub fn client(&self) -> aws_sdk_kinesis::Client {
        match self {
            Self::Ferrokinesis(kinesis) => kinesis.client(),
            Self::KinesisLocal(kinesis) => kinesis.client(),
        }
    }

    pub fn endpoint(&self) -> String {
        match self {
            Self::Ferrokinesis(kinesis) => kinesis.endpoint(),
            Self::KinesisLocal(kinesis) => kinesis.endpoint(),
        }
    }

    pub async fn create_stream(&self, name: &str, shards: usize) {
        let shards = u32::try_from(shards).expect("a few shards");
        match self {
            Self::Ferrokinesis(kinesis) => kinesis.create_stream(name, shards).await,
            Self::KinesisLocal(kinesis) => kinesis.create_stream(name, shards).await,
        }
    }

    pub async fn put(&self, stream: &str, records: Vec<(String, Vec<u8>)>) {
        match self {
            Self::Ferrokinesis(kinesis) => kinesis.put(stream, records).await,
            Self::KinesisLocal(kinesis) => kinesis.put(stream, records).await,
        }
    }
}
