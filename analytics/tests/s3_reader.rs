//! Objects are streamed from S3 whole, even when connections break.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use dial_analytics::s3::S3Store;
use dial_analytics::store::ObjectStore;

/// An S3 of one object, which hangs up after `at_once` bytes of each answer, and tells what it was asked.
fn start(object: Vec<u8>, at_once: usize) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Some(request) = answer(stream.unwrap(), &object, at_once) else { continue };
            if sender.send(request).is_err() {
                break;
            }
        }
    });
    (endpoint, asked)
}

fn answer(mut stream: TcpStream, object: &[u8], at_once: usize) -> Option<String> {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| {
        head.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let request = head.first()?.clone();
    let range = header("range");
    let from: usize =
        range.as_deref().map_or(0, |r| r.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap());
    let version = header("if-match");
    assert!(range.is_none() || version.as_deref() == Some("\"v1\""), "resumes another version: {version:?}");
    let rest = &object[from..];
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    let length = rest.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\netag: \"v1\"\r\nconnection: close\r\n\r\n");
    // The client may have hung up.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&rest[..at_once.min(rest.len())]);
    Some(format!("{request} from {from}"))
}

async fn read(endpoint: &str) -> std::io::Result<Vec<u8>> {
    let config =
        aws_sdk_s3::config::Builder::from(&dial_emulators::sdk_config(endpoint)).force_path_style(true).build();
    let store = S3Store::new(aws_sdk_s3::Client::from_conf(config), "bucket", "");
    let mut reader = store.open("object").await.unwrap();
    tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| bytes)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_broken_connection_is_taken_up_where_it_broke() {
    let object: Vec<u8> = (0..1_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (endpoint, asked) = start(object.clone(), 400_000);
    assert!(read(&endpoint).await.unwrap() == object);
    let asked: Vec<_> = asked.try_iter().map(|request| request.split(" from ").last().unwrap().to_owned()).collect();
    assert_eq!(asked, ["0", "400000", "800000"]);
}

#[tokio::test]
async fn a_connection_that_always_breaks_is_an_error_and_no_end() {
    let (endpoint, _asked) = start(vec![1; 1000], 0);
    let error = read(&endpoint).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Other);
}
