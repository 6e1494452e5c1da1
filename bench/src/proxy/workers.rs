//! How the floor and the upstream use the cores: each worker is a thread with a runtime of its own, and all of them
//! accept from one listener. Nothing moves between threads.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};

/// Wait after a connection could not be accepted, which is for want of descriptors.
const BREATH: Duration = Duration::from_millis(10);

/// Starts `workers` threads that hand every connection to `serve`. They end with the process.
pub(super) fn start<S, F>(address: SocketAddr, workers: usize, serve: S) -> Result<()>
where
    S: Fn(TcpStream) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = std::net::TcpListener::bind(address);
    let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
    listener.set_nonblocking(true)?;
    let serve = Arc::new(serve);
    for number in 0..workers {
        let (listener, serve) = (listener.try_clone()?, Arc::clone(&serve));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let worker = std::thread::Builder::new().name(format!("worker-{number}"));
        worker.spawn(move || runtime.block_on(accept(listener, &*serve)))?;
    }
    Ok(())
}

async fn accept<F>(listener: std::net::TcpListener, serve: &impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                stream.set_nodelay(true).ok();
                tokio::spawn(serve(stream));
            }
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}

/// Waits until standard input ends. Whoever started this program holds its other end, so the program goes when they
/// do, however they end.
pub(super) async fn until_abandoned() -> Result<()> {
    let read = || io::copy(&mut io::stdin(), &mut io::sink());
    tokio::task::spawn_blocking(read).await?.context("cannot read standard input")?;
    Ok(())
}
