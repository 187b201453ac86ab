//! Connections with an end to their patience: only so many at a time, and none that is slow to say what it wants.
//!
//! While a request is being answered its handler has the time limits; in between, a connection may be silent for a while,
//! and the head of a request, once begun, has to be there soon.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// The most bytes that are read for the head of a request, but for the last read.
const LONGEST_HEAD: usize = 64 << 10;

/// How long a connection may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Without a byte of the next request. Load balancers keep connections for sixty seconds.
    pub(super) idle: Duration,
    /// From a request's first byte to the end of its head.
    pub(super) head: Duration,
}

/// Accepts connections, as many as may be open at a time.
pub(super) struct Gate {
    socket: TcpListener,
    places: Arc<Semaphore>,
    times: Times,
}

impl Gate {
    pub(super) fn new(socket: TcpListener, connections: usize, times: Times) -> Gate {
        Gate { socket, places: Arc::new(Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS))), times }
    }
}

impl Listener for Gate {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed.
        let place = self.places.clone().acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.socket).await;
        let _ = stream.set_nodelay(true); // answers are short
        (Connection::new(stream, place, self.times), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// What a handler tells its connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<Requests>);

#[derive(Debug, Default)]
struct Requests {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A request that is being answered, until this is dropped.
pub(super) struct Answering(Progress);

impl Progress {
    /// Notes that a request's head was read.
    pub(super) fn begin(&self) -> Answering {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        Answering(self.clone())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        (self.0.0).ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl Connected<IncomingStream<'_, Gate>> for Progress {
    fn connect_info(stream: IncomingStream<'_, Gate>) -> Progress {
        stream.io().progress.clone()
    }
}

/// A connection that breaks off when its time is over.
pub(super) struct Connection {
    stream: TcpStream,
    progress: Progress,
    times: Times,
    deadline: Pin<Box<Sleep>>,
    /// Whether the head of a request has begun.
    in_head: bool,
    /// How much has been read since.
    head_bytes: usize,
    /// How many requests had been answered when the deadline was set.
    answered: u64,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn new(stream: TcpStream, place: Option<OwnedSemaphorePermit>, times: Times) -> Connection {
        // Who connects has something to say.
        let deadline = Box::pin(sleep(times.head));
        let progress = Progress::default();
        Connection { stream, progress, times, deadline, in_head: true, head_bytes: 0, answered: 0, _place: place }
    }

    fn set(&mut self, within: Duration) {
        self.deadline.as_mut().reset(Instant::now() + within);
    }

    /// Breaks off when the time is over.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let (begun, ended) =
            (self.progress.0.begun.load(Ordering::SeqCst), self.progress.0.ended.load(Ordering::SeqCst));
        if begun != ended {
            return Ok(());
        }
        if ended != self.answered {
            self.answered = ended;
            self.in_head = false;
            self.head_bytes = 0;
            self.set(self.times.idle);
        }
        if self.head_bytes > LONGEST_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// Counts what was read; what belongs to a body is set back by its answer.
    fn count(&mut self, bytes: usize) {
        self.head_bytes += bytes;
        if !self.in_head {
            self.in_head = true;
            self.set(self.times.head);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(context)?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        let more = buffer.filled().len() - before;
        if more > 0 {
            this.count(more);
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        if written.is_pending() {
            this.check(context)?;
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, bytes);
        if written.is_pending() {
            this.check(context)?;
        }
        written
    }
}
