//! Ferrokinesis inside the test process.

use std::net::{Ipv4Addr, TcpListener};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::client::{credentials_env, sdk_config};
use crate::stream::{self, CallLimits};

/// Ferrokinesis' own settings: delays, limits, how long iterators live.
pub use ferrokinesis::store::StoreOptions as KinesisOptions;

/// A running Kinesis emulator with no streams at first. It ends when this is dropped.
///
/// It runs on a thread and runtime of its own, so it survives the runtime of the `#[tokio::test]` that started it.
#[derive(Debug)]
pub struct Kinesis {
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Kinesis {
    /// Starts one with short delays, no throttling, and room for any number of shards.
    ///
    /// # Panics
    ///
    /// When no port on loopback can be opened.
    pub fn start() -> Self {
        Self::start_with(KinesisOptions {
            create_stream_ms: 10,
            delete_stream_ms: 10,
            update_stream_ms: 10,
            shard_limit: 10_000,
            ..KinesisOptions::default()
        })
    }

    /// Starts one with settings of the caller's.
    ///
    /// # Panics
    ///
    /// When no port on loopback can be opened.
    pub fn start_with(options: KinesisOptions) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on loopback");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let port = listener.local_addr().expect("the listener's address").port();
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("kinesis-emulator")
                .enable_all()
                .build()
                .expect("a runtime for the Kinesis emulator");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener for the runtime");
                let (app, _store) = ferrokinesis::create_app(options);
                tokio::select! {
                    served = ferrokinesis::serve_plain_http(listener, app, std::future::pending()) => {
                        served.expect("the Kinesis emulator serves until it is stopped");
                    }
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("kinesis-emulator".to_owned()).spawn(serve);
        Self { port, stop: Some(stop), thread: Some(thread.expect("a thread for the Kinesis emulator")) }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A client for the current tokio runtime.
    pub fn client(&self) -> aws_sdk_kinesis::Client {
        aws_sdk_kinesis::Client::new(&sdk_config(&self.endpoint()))
    }

    /// The environment that points Kinesis of a child process here, credentials and region included.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let mut env = Vec::from(credentials_env());
        env.push(("AWS_ENDPOINT_URL_KINESIS", self.endpoint()));
        env
    }

    /// Creates a stream of `shards` shards and waits until it is ACTIVE.
    ///
    /// # Panics
    ///
    /// When the stream exists already or is not ACTIVE within 30 seconds.
    pub async fn create_stream(&self, name: &str, shards: u32) {
        stream::create(&self.client(), name, shards).await;
    }

    /// Puts records (partition key, data), in as few calls as Kinesis' limits allow; those that are refused for lack
    /// of throughput are put again. A shard receives its records in the order given unless some were refused.
    ///
    /// # Panics
    ///
    /// When a call fails, or a record is still refused after 20 attempts.
    pub async fn put(&self, stream: &str, records: Vec<(String, Vec<u8>)>) {
        stream::put(&self.client(), stream, records, CallLimits::KINESIS).await;
    }
}

impl Drop for Kinesis {
    fn drop(&mut self) {
        // A closed channel or a panicked thread means that it has ended already.
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
