use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Region;
use aws_sdk_secretsmanager::primitives::Blob;
use dial_emulators::{Ministack, sdk_config, unique};
use dial_sinks::secret::{Secret, SecretPlace, open};
use std::sync::Arc;

fn client() -> Client {
    Client::new(&sdk_config(&Ministack::shared().endpoint()))
}

fn secret(place: &str, client: &Client) -> Arc<dyn Secret> {
    open(SecretPlace::parse(place, "token").unwrap(), client, |_| None)
}

#[tokio::test]
async fn a_secret_is_found_by_name_arn_and_key() {
    let client = client();
    let name = unique("dial/slack");
    let call = client.create_secret().name(&name).secret_string(r#"{"token":"xoxb-s3cr3t"}"#);
    let arn = call.send().await.unwrap().arn.unwrap();
    // The ARN says the region, whatever the client's own is.
    let elsewhere = Client::from_conf(client.config().to_builder().region(Region::new("ap-south-1")).build());
    for (place, client) in [
        (format!("secretsmanager:{name}#token"), &client),
        (format!("secretsmanager:{arn}#token"), &client),
        (format!("secretsmanager:{arn}#token"), &elsewhere),
    ] {
        let secret = secret(&place, client);
        assert_eq!(secret.get().await.as_deref(), Ok("xoxb-s3cr3t"), "{place}");
        assert!(format!("{secret:?}").contains(&name) && !format!("{secret:?}").contains("s3cr3t"), "{secret:?}");
    }
    let whole = secret(&format!("secretsmanager:{name}"), &client).get().await.unwrap();
    assert_eq!(whole, r#"{"token":"xoxb-s3cr3t"}"#);
    let wrong = secret(&format!("secretsmanager:{name}#key"), &client).get().await.unwrap_err();
    assert!(wrong.contains("no key \"key\"") && !wrong.contains("s3cr3t"), "{wrong}");
}

#[tokio::test]
async fn what_cannot_be_had_is_named() {
    let client = client();
    let wrong = secret("secretsmanager:no-such-secret", &client).get().await.unwrap_err();
    assert!(wrong.contains("secretsmanager:no-such-secret") && wrong.contains("ResourceNotFound"), "{wrong}");
    let name = unique("bytes");
    client.create_secret().name(&name).secret_binary(Blob::new("s3cr3t")).send().await.unwrap();
    let wrong = secret(&format!("secretsmanager:{name}"), &client).get().await.unwrap_err();
    assert!(wrong.contains("store it as text") && !wrong.contains("s3cr3t"), "{wrong}");
    let down = Client::new(&sdk_config("http://127.0.0.1:1"));
    let wrong = secret("secretsmanager:dial", &down).get().await.unwrap_err();
    assert!(wrong.contains("is not to be had"), "{wrong}");
}
