//! What every proxy stands in front of: one process that answers at once. 50 bytes over HTTP/1.1, and a unary gRPC echo
//! over HTTP/2 without TLS.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::workers;

/// The answer to every plain request.
pub(super) const ANSWER: &[u8; 50] = b"The quick brown fox jumps over the lazy dog. Yes!\n";
/// Largest message that is echoed.
const MAX_MESSAGE: usize = 1 << 20;
/// A stream of the h2 run is a request, and proxies put many on one connection.
const MAX_STREAMS: u32 = 1000;

/// `trellis-bench upstream`: answers at once. Ends when standard input does.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where 50 bytes are to be had over HTTP/1.1
    #[arg(long)]
    http1: SocketAddr,
    /// Where unary gRPC messages are echoed, over HTTP/2 without TLS
    #[arg(long)]
    http2: SocketAddr,
    /// Threads for each of the two, each with a runtime of its own
    #[arg(long, default_value_t = 1, value_parser = super::args::at_least_one)]
    workers: usize,
}

/// Serves until standard input ends.
pub async fn run(args: Args) -> Result<()> {
    workers::start(args.http1, args.workers, plain)?;
    workers::start(args.http2, args.workers, grpc)?;
    workers::until_abandoned().await
}

// A connection that breaks is the proxy's to notice, and the load's to count.
async fn plain(stream: TcpStream) {
    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(fifty_bytes)).await.ok();
}

async fn grpc(stream: TcpStream) {
    let mut server = http2::Builder::new(TokioExecutor::new());
    server.max_concurrent_streams(MAX_STREAMS);
    server.serve_connection(TokioIo::new(stream), service_fn(echo)).await.ok();
}

async fn fifty_bytes(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut answer = Response::new(Full::new(Bytes::from_static(ANSWER)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(answer)
}

/// The request's message is the answer's message: both are framed alike, so the body goes back as it came.
async fn echo(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    const STATUS: HeaderName = HeaderName::from_static("grpc-status");
    let Ok(message) = Limited::new(request.into_body(), MAX_MESSAGE).collect().await else {
        let mut answer = Response::new(Full::new(Bytes::new()).boxed());
        *answer.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(answer);
    };
    let trailers = HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]);
    let body = Full::new(message.to_bytes()).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut answer = Response::new(body.boxed());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::free_addresses;
    use crate::proxy::probe;

    #[tokio::test]
    async fn fifty_bytes_and_an_echo_are_to_be_had() {
        let [http1, http2] = free_addresses().unwrap();
        workers::start(http1, 2, plain).unwrap();
        workers::start(http2, 2, grpc).unwrap();
        probe::plain(http1, "/any/path").await.unwrap();
        probe::grpc(http2).await.unwrap();
        assert!(probe::grpc(http1).await.is_err());
    }
}
