//! The HTTP door: `POST /v1/events` takes events from whoever has a key, and answers 202 once they are durable: in the stream
//! when one is set, else in the inbox of the data folder.

mod answer;
pub(crate) mod inbox;
mod intake;
mod keep;
mod keys;
pub(crate) mod meter;
mod rate;
mod service;
mod socket;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{Instant, interval, sleep};
use tokio_util::sync::CancellationToken;

use self::keys::{Keys, REREAD};
use self::meter::{Meter, Reading};
use self::rate::Rate;
use self::service::{Limits, Service, router};
use self::socket::{Gate, Progress, Times};
use crate::failure::{Failure, Result};
use crate::settings;

pub(crate) use self::keep::{InStream, Keep};

/// How long requests that are being answered may take once the door closes.
const CLOSING: Duration = Duration::from_secs(5);
const TIMES: Times = Times { idle: Duration::from_secs(75), head: Duration::from_secs(10) };
const BODY_WITHIN: Duration = Duration::from_secs(10);
const UNWANTED_WITHIN: Duration = Duration::from_secs(2);

/// A port that is taken, and nobody is answered on it yet.
pub(crate) struct Door {
    socket: TcpListener,
    keys: Keys,
    settings: settings::Door,
    times: Times,
    limits: Limits,
}

/// What is known of an open door.
#[derive(Clone)]
pub(crate) struct Watch {
    meter: Arc<Meter>,
    keep: Arc<dyn Keep>,
}

impl Watch {
    /// The counts as they are.
    pub(crate) fn read(&self) -> Reading {
        self.meter.read(self.keep.as_ref())
    }
}

impl Door {
    /// Takes the port that the settings name; `None` where they name none.
    ///
    /// # Errors
    /// When the settings do not fit, a key is missing, or the port cannot be had.
    pub(crate) async fn open(settings: &settings::Door) -> Result<Option<Door>> {
        if let Some(fault) = settings.faults().into_iter().next() {
            return Err(Failure::Usage(format!("`door.{}` {}", fault.path, fault.message)));
        }
        let Some(address) = settings.address().map_err(Failure::Usage)? else { return Ok(None) };
        let keys = Keys::read(settings).map_err(Failure::Usage)?;
        let socket = TcpListener::bind(address).await.map_err(|error| {
            Failure::Outside(format!(
                "events cannot be accepted on {address}: {error}; name another address in `door.listen` or --listen"
            ))
        })?;
        if !address.ip().is_loopback() {
            tracing::warn!(
                %address,
                "events and keys come over plain HTTP: have a load balancer in front speak TLS, and let nobody else reach this port"
            );
        }
        let limits = Limits {
            body: settings.max_body_bytes,
            expanded: settings.max_expanded_bytes,
            within: BODY_WITHIN,
            unwanted_within: UNWANTED_WITHIN,
        };
        Ok(Some(Door { socket, keys, settings: settings.clone(), times: TIMES, limits }))
    }

    /// Answers until `shutdown`, and then whoever is being answered. After that `keep` is closed.
    ///
    /// The watch is for monitoring; the future has to be polled.
    pub(crate) fn serve(self, keep: Arc<dyn Keep>, shutdown: CancellationToken) -> (Watch, impl Future<Output = ()>) {
        let Door { socket, keys, settings, times, limits } = self;
        let meter = Arc::new(Meter::default());
        let watch = Watch { meter: meter.clone(), keep: keep.clone() };
        let rate = Mutex::new(Rate::new(settings.events_per_second, Instant::now()));
        let memory = Semaphore::new(limits.memory());
        let service = Arc::new(Service { keys, keep: keep.clone(), limits, rate, memory, meter });
        let address = socket.local_addr().map_or_else(|error| error.to_string(), url);
        let connections = usize::try_from(settings.max_connections).unwrap_or(usize::MAX);
        let gate = Gate::new(socket, connections, times);
        let serving = async move {
            tracing::info!(door = address, "accepting events");
            let app = router(service.clone()).into_make_service_with_connect_info::<Progress>();
            let served = axum::serve(gate, app).with_graceful_shutdown(shutdown.clone().cancelled_owned());
            let too_late = async {
                shutdown.cancelled().await;
                sleep(CLOSING).await;
            };
            tokio::select! {
                ended = served => if let Err(error) = ended {
                    tracing::error!(%error, "no more events are accepted");
                },
                () = too_late => tracing::warn!("some requests are left without an answer"),
                () = reread(&service.keys) => {}
            }
            keep.close();
        };
        (watch, serving)
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/v1/events")
}

/// Reads keys again that may have been rotated. Never ends.
async fn reread(keys: &Keys) {
    let mut ticks = interval(REREAD);
    loop {
        ticks.tick().await;
        if keys.can_change() {
            keys.read_again();
        }
    }
}

#[cfg(test)]
mod tests;
