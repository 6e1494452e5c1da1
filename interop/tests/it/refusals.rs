//! What the gateway itself answers to a call of gRPC.

use anyhow::Result;
use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, TE};
use http_body_util::Full;
use tonic::Code;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::ServiceExt;
use trellis_testkit::Gateway;

use crate::calls::asked;
use crate::pairs::{World, connect, manifest};
use crate::statuses::call;
use crate::{python, server};

const KNOWN: &str = "/grpc.testing.TestService/EmptyCall";
/// An empty message.
const MESSAGE: &[u8] = &[0; 5];

/// Nobody listens at the only address.
async fn alone() -> Result<Gateway> {
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    Gateway::start(&manifest(&address.to_string())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_for_want_of_an_instance_is_unavailable() -> Result<()> {
    let gateway = alone().await?;
    let status = call(connect(&gateway).await?, KNOWN).await?;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("TRL1005"), "{status}");
    python::client(&gateway, "refused_for_want_of_an_instance", std::future::ready(Ok(()))).await
}

/// A client without words for HTTP statuses finds all it needs in the head.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_a_whole_answer_of_grpc() -> Result<()> {
    let gateway = alone().await?;
    for (path, status) in [(KNOWN, "14"), ("/no.such.Service/Call", "12")] {
        let answer = raw(connect(&gateway).await?, &format!("{}{path}", gateway.url())).await?;
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!((answer.status().as_u16(), header("grpc-status")), (200, Some(status)), "{answer:?}");
        assert_eq!(header("content-type"), Some("application/grpc"));
        assert!(header("grpc-message").is_some_and(|message| message.contains("[TRL")), "{answer:?}");
        assert!(http_body::Body::is_end_stream(answer.body()), "the head ends it");
    }
    Ok(())
}

async fn raw(channel: Channel, url: &str) -> Result<http::Response<Body>> {
    let request = Request::post(url).header(CONTENT_TYPE, "application/grpc").header(TE, "trailers");
    let body = Body::new(Full::new(Bytes::from_static(MESSAGE)));
    Ok(channel.oneshot(request.body(body)?).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_late_exceeds_the_deadline_of_the_route() -> Result<()> {
    let world = World::new(server::start().await?).await?;
    let late = world.tonic().await?.streaming_output_call(asked(&[(1, 60_000_000)])).await;
    let status = late.expect_err("it is late");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(status.message().contains("TRL1006"), "{status}");
    Ok(())
}
