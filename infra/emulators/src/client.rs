//! The AWS SDK's settings for an endpoint on loopback.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

/// The region of every emulator.
pub const REGION: &str = "us-east-1";

/// The access key that clients use. It must not be 12 digits: ministack takes those for an account id.
pub const ACCESS_KEY_ID: &str = "test";

/// The secret key that goes with [`ACCESS_KEY_ID`]; no emulator checks it.
pub const SECRET_ACCESS_KEY: &str = "test";

/// Settings for any AWS SDK client, pointed at `endpoint` (`http://127.0.0.1:PORT`), with fixed credentials.
///
/// Each call makes its own HTTP client, because connections belong to the tokio runtime that opened them and every
/// `#[tokio::test]` has its own. No certificate is trusted: a client that leaves plain HTTP fails.
pub fn sdk_config(endpoint: &str) -> SdkConfig {
    let tls = TlsContext::builder().with_trust_store(TrustStore::empty()).build().expect("an empty trust store");
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls)
        .build_https();
    let credentials = Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "emulators");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .http_client(http)
        .build()
}

/// The environment in which an AWS SDK in a child process finds credentials and a region, and asks no instance
/// metadata service for them.
pub(crate) fn credentials_env() -> [(&'static str, String); 5] {
    [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]
}
