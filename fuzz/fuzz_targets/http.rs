//! Any bytes on a client's connection, in any pieces: the server answers or closes, and never hangs or panics.
#![no_main]

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use trellis_net::{Body, ServeOptions, serve};
use trellis_runtime::Shutdown;

fuzz_target!(|pieces: Vec<&[u8]>| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let options = ServeOptions { drain: Duration::from_millis(200), linger: Duration::ZERO, ..ServeOptions::default() };
        let echo = tower::service_fn(async |request: Request<Body>| Ok::<_, Infallible>(Response::new(request.into_body())));
        let shutdown = Shutdown::new();
        let serving = tokio::spawn(serve(listener, echo, options, shutdown.clone()));
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        for piece in pieces.iter().take(16) {
            if stream.write_all(piece).await.is_err() {
                break;
            }
        }
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.expect("an end");
        shutdown.trigger();
        serving.await.expect("no panic").expect("a good end");
    });
});
