//! A handler that panics.

use crate::support::{SECRET, Server, assert_code, config, within};
use tonic::Code;

#[tokio::test]
async fn a_panic_is_internal_without_detail_and_the_connection_survives() {
    let server = Server::start(config()).await;
    let client = server.client().await;
    let peer = client.call("Peer", "").await.unwrap();

    let status = assert_code(client.call("Panic", "").await, Code::Internal);
    assert!(!format!("{status:?}").contains(SECRET), "{status:?}");

    assert_eq!(
        client.call("Peer", "").await.unwrap(),
        peer,
        "the client had to connect again"
    );
}

#[tokio::test]
async fn a_panic_in_a_stream_is_no_different() {
    let server = Server::start(config()).await;
    let client = server.client().await;
    let peer = client.call("Peer", "").await.unwrap();

    let mut stream = client.stream("StreamPanic").await.unwrap();
    assert_eq!(within(stream.message()).await.unwrap().unwrap(), "first");
    let status = assert_code(within(stream.message()).await, Code::Internal);
    assert!(!format!("{status:?}").contains(SECRET), "{status:?}");

    assert_eq!(
        client.call("Peer", "").await.unwrap(),
        peer,
        "the client had to connect again"
    );
}
