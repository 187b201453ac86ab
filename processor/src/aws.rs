//! Clients of AWS, made in one place: one HTTP client over rustls with ring, and what the environment, the profile or
//! the instance says about region, credentials and endpoints.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// What all clients share. Credentials are looked for when a client is first used.
pub(crate) async fn config() -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await
}

/// A client of S3. Another endpoint than AWS's own is addressed by path, as emulators and most other stores want it.
pub(crate) fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    let other = config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
    let builder = aws_sdk_s3::config::Builder::from(config).force_path_style(other);
    aws_sdk_s3::Client::from_conf(builder.build())
}
