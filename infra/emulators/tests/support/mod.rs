//! What the tests of several emulators share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::ShardIteratorType;

/// Every record of every shard, as (partition key, data), sorted.
pub async fn read_all(client: &Client, stream: &str) -> Vec<(String, Vec<u8>)> {
    let shards = client.list_shards().stream_name(stream).send().await.unwrap();
    let mut records = Vec::new();
    for shard in shards.shards() {
        let from = client.get_shard_iterator().stream_name(stream).shard_id(shard.shard_id());
        let from = from.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
        let mut iterator = from.shard_iterator;
        while let Some(current) = iterator.take() {
            let page = client.get_records().shard_iterator(current).limit(1_000).send().await.unwrap();
            if page.records().is_empty() {
                break;
            }
            records.extend(
                page.records()
                    .iter()
                    .map(|r| (r.partition_key().unwrap_or_default().to_owned(), r.data().as_ref().to_vec())),
            );
            iterator = page.next_shard_iterator;
        }
    }
    records.sort();
    records
}

pub fn some_records(count: usize) -> Vec<(String, Vec<u8>)> {
    (0..count).map(|i| (format!("key-{i:05}"), format!("data of {i}").into_bytes())).collect()
}

/// Plays both parts: called by the test `name`, it starts that test once more as the parent of an emulator, kills
/// that parent with SIGKILL, and sees the emulator go. `start` returns the emulator, its process and its endpoint.
pub fn stays_with_its_parent<T>(name: &str, start: impl FnOnce() -> (T, u32, String)) {
    const PARENT: &str = "DIAL_EMULATORS_TEST_PARENT";
    if std::env::var_os(PARENT).is_some() {
        let (_emulator, pid, endpoint) = start();
        let mut stdout = std::io::stdout();
        writeln!(stdout, "\nstarted {pid} {endpoint}").unwrap();
        stdout.flush().unwrap();
        std::thread::sleep(Duration::from_secs(600));
        panic!("nobody killed the parent");
    }

    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(PARENT, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.into_iter().find(|line| line.starts_with("started ")).expect("the parent says where it is");
    let mut words = line.split(' ').skip(1);
    let (pid, address) = (words.next().unwrap(), words.next().unwrap().replace("http://", ""));
    assert!(TcpStream::connect(&address).is_ok(), "it runs before its parent is killed");

    parent.kill().unwrap();
    parent.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(&address).is_ok() || is_running(pid) {
        assert!(Instant::now() < deadline, "process {pid} outlived its parent");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the process is there and not merely waiting to be reaped by whoever adopted it.
fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
}

/// The addresses that a process listens on, from the sockets that it has open.
pub fn listening_addresses(pid: u32) -> Vec<SocketAddr> {
    const LISTEN: &str = "0A";
    let process = Path::new("/proc").join(pid.to_string());
    let links = std::fs::read_dir(process.join("fd")).unwrap().flatten();
    let open: Vec<String> =
        links.filter_map(|link| Some(std::fs::read_link(link.path()).ok()?.to_str()?.to_owned())).collect();
    let mut found = Vec::new();
    for table in ["net/tcp", "net/tcp6"] {
        for line in std::fs::read_to_string(process.join(table)).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields[3] == LISTEN && open.contains(&format!("socket:[{}]", fields[9])) {
                found.push(socket_address(fields[1]));
            }
        }
    }
    found
}

/// An address as the kernel prints it: 32-bit words in the machine's byte order, a colon, the port.
fn socket_address(text: &str) -> SocketAddr {
    let (words, port) = text.split_once(':').unwrap();
    let bytes: Vec<u8> = (0..words.len() / 8)
        .flat_map(|n| u32::from_str_radix(&words[n * 8..n * 8 + 8], 16).unwrap().to_ne_bytes())
        .collect();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(v4) => IpAddr::V4(Ipv4Addr::from(v4)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).unwrap())),
    };
    SocketAddr::new(ip, u16::from_str_radix(port, 16).unwrap())
}
