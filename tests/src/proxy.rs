//! A TCP proxy between a service and its Redis: it does what a bad network does, at the word of the test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// What the connection of a validator that is told of changes sends once.
const TRACKING: &[u8] = b"TRACKING";

/// What becomes of the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// They are passed on.
    #[default]
    Pass,
    /// They are passed on so much later, in their order.
    Delay(Duration),
    /// They are kept until something else is said; no end is told to anybody.
    Hold,
}

/// What is done to connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// From the service to Redis.
    pub to_server: Flow,
    /// From Redis to the service.
    pub to_client: Flow,
    /// Only to connections on which Redis tells changes; the others are left alone.
    pub only_tracking: bool,
    /// Every connection is closed, and no new one is taken.
    pub cut: bool,
}

impl Weather {
    /// Both directions alike.
    pub fn both(flow: Flow) -> Self {
        Self {
            to_server: flow,
            to_client: flow,
            ..Self::default()
        }
    }

    /// Nothing gets from the service to Redis.
    pub fn deaf() -> Self {
        Self {
            to_server: Flow::Hold,
            ..Self::default()
        }
    }

    /// Nothing gets from Redis to the service.
    pub fn mute() -> Self {
        Self {
            to_client: Flow::Hold,
            ..Self::default()
        }
    }

    /// Every connection is closed.
    pub fn cut() -> Self {
        Self {
            cut: true,
            ..Self::default()
        }
    }

    /// The same for connections on which Redis tells changes alone.
    #[must_use]
    pub fn of_tracking(self) -> Self {
        Self {
            only_tracking: true,
            ..self
        }
    }
}

/// A proxy in front of a server at 127.0.0.1, in a thread of its own. Gone when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    server_port: Arc<AtomicU16>,
    weather: watch::Sender<Weather>,
}

impl Proxy {
    /// Starts it; everything passes.
    pub fn start(server_port: u16) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port for a proxy");
        let address = listener.local_addr().expect("its address");
        listener.set_nonblocking(true).expect("a listener for tokio");
        let (weather, seen) = watch::channel(Weather::default());
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let server_port = Arc::new(AtomicU16::new(server_port));
        let target = Arc::clone(&server_port);
        std::thread::spawn(move || runtime.block_on(accept(listener, target, seen)));
        Self {
            address,
            server_port,
            weather,
        }
    }

    /// Where it listens, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on new connections go to another server, as when an address is moved; those that there are stay. To end them,
    /// [`Weather::cut`] first.
    pub fn retarget(&self, server_port: u16) {
        self.server_port.store(server_port, Ordering::SeqCst);
    }

    /// `redis://…` of the proxy.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// From now on this holds, for the connections that there are and for new ones.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Everything passes, and what was held is passed on.
    pub fn calm(&self) {
        self.set(Weather::default());
    }
}

async fn accept(listener: std::net::TcpListener, server_port: Arc<AtomicU16>, mut weather: watch::Receiver<Weather>) {
    let listener = TcpListener::from_std(listener).expect("a listener of this runtime");
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.expect("a connection");
                if !weather.borrow().cut {
                    connections.spawn(connect(client, server_port.load(Ordering::SeqCst), weather.clone()));
                }
            }
            // The proxy is gone when nobody can change it any more.
            changed = weather.changed() => if changed.is_err() { return },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(client: TcpStream, server_port: u16, mut weather: watch::Receiver<Weather>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)).await else {
        return;
    };
    for stream in [&client, &server] {
        // Without it the proxy would add waits of its own. The worst of a failure is just that.
        let _ = stream.set_nodelay(true);
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let link = |flow| Link {
        weather: weather.clone(),
        tracking: Arc::default(),
        flow,
    };
    let there = link(|weather| weather.to_server);
    let back = Link {
        tracking: Arc::clone(&there.tracking),
        ..link(|weather| weather.to_client)
    };
    tokio::select! {
        _ = async { tokio::join!(pump(from_client, to_server, there), pump(from_server, to_client, back)) } => {}
        _ = weather.wait_for(|weather| weather.cut) => {}
    }
}

/// One direction of a connection.
struct Link {
    weather: watch::Receiver<Weather>,
    /// Redis tells changes on the connection.
    tracking: Arc<AtomicBool>,
    flow: fn(&Weather) -> Flow,
}

impl Link {
    fn flow(&mut self) -> Flow {
        let weather = *self.weather.borrow_and_update();
        if weather.only_tracking && !self.tracking.load(Ordering::SeqCst) {
            return Flow::Pass;
        }
        (self.flow)(&weather)
    }

    /// Waits for as long as the weather says. An error: the proxy is gone.
    async fn admit(&mut self, read_at: Instant) -> Result<(), watch::error::RecvError> {
        loop {
            match self.flow() {
                Flow::Pass => return Ok(()),
                Flow::Hold => self.weather.changed().await?,
                Flow::Delay(delay) => {
                    tokio::select! {
                        () = sleep_until(read_at + delay) => return Ok(()),
                        changed = self.weather.changed() => changed?,
                    }
                }
            }
        }
    }
}

/// Passes bytes on until one side ends, and then its end.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut link: Link) {
    let (sender, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(1_024);
    let tracking = Arc::clone(&link.tracking);
    let reading = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let chunk = buffer[..length].to_vec();
            if chunk.windows(TRACKING.len()).any(|window| window == TRACKING) {
                tracking.store(true, Ordering::SeqCst);
            }
            if sender.send((Instant::now(), chunk)).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((read_at, chunk)) = chunks.recv().await {
            if link.admit(read_at).await.is_err() || to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        // The end is held as the bytes are.
        if link.admit(Instant::now()).await.is_ok() {
            let _ = to.shutdown().await;
        }
    };
    tokio::join!(reading, writing);
}
