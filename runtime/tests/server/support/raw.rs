//! A client without tonic's own deadline and limits.

use super::{SERVICE, within};
use bytes::Bytes;
use h2::{RecvStream, client::SendRequest};
use http::{HeaderMap, Request, Response};
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// One HTTP/2 connection.
pub(crate) struct RawConnection(SendRequest<Bytes>);

impl RawConnection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    pub(crate) async fn over(stream: TcpStream) -> Self {
        let (send, connection) = within(h2::client::handshake(stream)).await.unwrap();
        tokio::spawn(async move {
            // It fails when the server goes away, which is what some tests are about.
            let _ = connection.await;
        });
        Self(send)
    }

    /// Calls a method of [`Callee`](super::Callee) with an empty message and these headers.
    pub(crate) async fn call(&self, method: &str, headers: &[(&str, &str)]) -> Result<Response<RecvStream>, h2::Error> {
        let request = headers.iter().fold(
            Request::post(format!("http://callee/{SERVICE}/{method}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers"),
            |request, (name, value)| request.header(*name, *value),
        );
        within(async {
            let mut send = self.0.clone().ready().await?;
            let (response, mut body) = send.send_request(request.body(()).unwrap(), false)?;
            body.send_data(Bytes::from_static(&[0, 0, 0, 0, 0]), true)?;
            response.await
        })
        .await
    }
}

/// The `grpc-status` of a complete answer, wherever it is.
pub(crate) async fn status(answer: Response<RecvStream>) -> Option<String> {
    if let Some(status) = grpc_status(answer.headers()) {
        return Some(status);
    }
    let mut body = answer.into_body();
    within(async {
        while let Some(data) = body.data().await {
            body.flow_control().release_capacity(data.ok()?.len()).unwrap();
        }
        body.trailers().await.ok()?.as_ref().and_then(grpc_status)
    })
    .await
}

fn grpc_status(headers: &HeaderMap) -> Option<String> {
    headers
        .get("grpc-status")
        .map(|status| status.to_str().unwrap().to_owned())
}
