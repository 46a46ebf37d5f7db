//! Clients that make a server work for nothing. Frame by frame (RFC 9113), since no library would send these.

use crate::support::{Server, assert_works, config, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_HEADERS: u8 = 4;
const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 11];

/// `:method: POST`, `:scheme: http`, `:path: /`, as HPACK has them in its static table.
const REQUEST: [u8; 3] = [0x83, 0x86, 0x84];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Sends the frames for each of so many streams at once, and tells whether the server then ends the connection for it.
async fn is_told_to_calm_down(server: &Server, streams: u32, frames: impl Fn(u32) -> Vec<u8>) -> bool {
    let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[])].concat();
    let flood = (0..streams).flat_map(|index| frames(2 * index + 1));
    let bytes: Vec<u8> = hello.into_iter().chain(flood).collect();
    within(async {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // The server may be gone before all of it was sent.
        let _ = stream.write_all(&bytes).await;
        let mut header = [0; 9];
        while stream.read_exact(&mut header).await.is_ok() {
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            if stream.read_exact(&mut payload).await.is_err() {
                return false;
            }
            if header[3] == GOAWAY {
                return payload[4..8] == ENHANCE_YOUR_CALM;
            }
        }
        false
    })
    .await
}

#[tokio::test]
async fn calls_that_are_reset_as_soon_as_they_are_made_end_the_connection() {
    let server = Server::start(config()).await;
    let rapid_reset = |stream| {
        let cancel = frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
        [frame(HEADERS, END_HEADERS, stream, &REQUEST), cancel].concat()
    };
    assert!(is_told_to_calm_down(&server, 500, rapid_reset).await);
    assert_works(&server.client().await).await;
}

#[tokio::test]
async fn calls_that_the_server_has_to_reset_end_the_connection() {
    let server = Server::start(config()).await;
    // A literal header that HTTP/2 does not have: `connection: x`.
    let malformed = [REQUEST.as_slice(), &[0x00, 10], b"connection", &[1, b'x']].concat();
    let reset_by_server = |stream| frame(HEADERS, END_HEADERS, stream, &malformed);
    assert!(is_told_to_calm_down(&server, 1500, reset_by_server).await);
    assert_works(&server.client().await).await;
}
