//! A service that is restarted under load, and stops as a server should: it takes no new connection, ends each of those
//! it has with the next answer (`Connection: close`), and closes the quiet ones only when nobody is likely to use them.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// Where it tells whether it takes requests.
pub(super) const HEALTH: &str = "/health";
/// How long a quiet connection is kept after the signal to stop. The gateway has to learn in this time that this
/// instance is gone, or it may send a request on a connection that is being closed.
const QUIET: Duration = Duration::from_millis(1500);
/// Largest body.
const MAX_BODY: usize = 1024;
/// Bytes of each line in the file of arrivals, line end included: one write, so that lines of several processes do
/// not mix.
pub(super) const LINE: usize = 21;

/// `trellis-bench service`: answers GET with the path and POST with the body; stops well on SIGTERM. Ends when standard
/// input does.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where it listens
    #[arg(long)]
    listen: SocketAddr,
    /// The file that the body of every POST is added to
    #[arg(long)]
    arrivals: PathBuf,
}

struct Service {
    arrivals: File,
    is_stopping: watch::Receiver<bool>,
}

/// Serves until SIGTERM or the end of standard input.
pub async fn run(args: Args) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let arrivals = File::options().create(true).append(true).open(&args.arrivals);
    let arrivals = arrivals.with_context(|| format!("cannot write {}", args.arrivals.display()))?;
    let (stop, is_stopping) = watch::channel(false);
    let service = Arc::new(Service { arrivals, is_stopping });
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
    let mut connections = JoinSet::new();
    let mut abandoned = abandoned();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.context("cannot accept")?;
                connections.spawn(connection(stream, service.clone()));
            }
            Some(_) = connections.join_next() => {}
            _ = terminate.recv() => break,
            _ = &mut abandoned => return Ok(()),
        }
    }
    // Whoever waits in the queue has a connection already, as far as they know.
    let listener = listener.into_std()?;
    while let Ok((stream, _)) = listener.accept() {
        stream.set_nonblocking(true)?;
        connections.spawn(connection(TcpStream::from_std(stream)?, service.clone()));
    }
    drop(listener);
    stop.send(true).ok();
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Says when standard input has ended. It is read by a thread that nobody waits for: a runtime would, when it ends.
fn abandoned() -> oneshot::Receiver<()> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        io::copy(&mut io::stdin(), &mut io::sink()).ok();
        tell.send(()).ok();
    });
    told
}

async fn connection(stream: TcpStream, service: Arc<Service>) {
    stream.set_nodelay(true).ok();
    let mut is_stopping = service.is_stopping.clone();
    let answer = service_fn(|request| answer(request, &service));
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    let quiet = async {
        // The sender is gone only when all is over.
        is_stopping.wait_for(|is_stopping| *is_stopping).await.ok();
        tokio::time::sleep(QUIET).await;
    };
    // A connection that breaks is the gateway's to notice, and the load's to count.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = quiet => connection.as_mut().graceful_shutdown(),
    }
    connection.await.ok();
}

async fn answer(request: Request<Incoming>, service: &Service) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let is_health = head.uri.path() == HEALTH;
    let mut status = StatusCode::OK;
    let mut said = Bytes::from(head.uri.path().to_owned());
    if head.method == Method::POST {
        match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => said = body.to_bytes(),
            Err(_) => status = StatusCode::BAD_REQUEST,
        }
        let line = format!("{:>20}\n", String::from_utf8_lossy(&said));
        if line.len() != LINE || (&service.arrivals).write_all(line.as_bytes()).is_err() {
            status = StatusCode::INTERNAL_SERVER_ERROR;
        }
    }
    let is_stopping = *service.is_stopping.borrow();
    if is_stopping && is_health {
        status = StatusCode::SERVICE_UNAVAILABLE;
    }
    let mut answer = Response::new(Full::new(said));
    *answer.status_mut() = status;
    if is_stopping {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer)
}
