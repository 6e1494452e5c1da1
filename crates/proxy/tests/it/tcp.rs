//! Connections that are passed on as they come.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use trellis_proxy::{Doors, Gateway, Options};
use trellis_runtime::Shutdown;

use crate::support::{Registry, crude, model, nobody, soon, table};

#[tokio::test]
async fn bytes_reach_a_living_member_whatever_they_are() {
    let upstream = crude(async |mut stream: TcpStream| {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await?;
        heard.reverse();
        stream.write_all(&heard).await
    })
    .await;
    let manifest = format!(
        "[[cluster]]\nname = 'c'\nendpoints = ['{}', '{upstream}']\n[[tcp]]\nlisten = '127.0.0.1:1'\ncluster = 'c'",
        nobody().await
    );
    let (gateway, _handle) = Gateway::new(
        Options::from(&model(&manifest).gateway),
        table(&manifest),
        Arc::new(Registry::default()),
    )
    .expect("a gateway");
    let plain = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let raw = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = raw.local_addr().expect("an address");
    let shutdown = Shutdown::new();
    let serving = gateway.serve(Doors { plain, tls: None, tcp: vec![raw] }, shutdown.clone());
    let serving = tokio::spawn(serving);
    for _ in 0..8 {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(b"\0\x01abc").await.expect("a write");
        stream.shutdown().await.expect("the end of our half");
        let mut answer = Vec::new();
        soon(stream.read_to_end(&mut answer)).await.expect("an answer");
        assert_eq!(answer, b"cba\x01\0");
    }
    shutdown.trigger();
    soon(serving).await.expect("a task").expect("a good end");
}
