//! What the services send to Redis, and what they count.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Every command that reaches a Redis, from the start on.
pub(crate) struct Monitor {
    stream: TcpStream,
    reader: JoinHandle<Vec<u8>>,
}

impl Monitor {
    pub(crate) fn start(port: u16) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(b"MONITOR\r\n").unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+OK\r\n");
        let mut reading = stream.try_clone().unwrap();
        let reader = std::thread::spawn(move || {
            let mut seen = Vec::new();
            // It ends when the test closes the connection.
            let _ = reading.read_to_end(&mut seen);
            seen
        });
        Self { stream, reader }
    }

    pub(crate) fn stop(self) -> Vec<u8> {
        self.stream.shutdown(Shutdown::Both).unwrap();
        self.reader.join().unwrap()
    }
}

/// `GET /metrics`
pub(crate) async fn metrics(address: &str) -> Vec<u8> {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    answer
}
