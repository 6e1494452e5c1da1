//! Who asks the active checks.

use std::future::Future;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Limited};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpStream;
use trellis_core::Endpoint;
use trellis_core::error::chain;
use trellis_net::client::{Protocol, Reply};
use trellis_net::cluster::{Question, ask};
use trellis_net::tls::{ClientTls, ClientTlsOptions};
use trellis_net::{BoxError, Outgoing, Pool, PoolOptions};

use crate::model::check::{
    CheckAnswer, CheckDefinition, CheckKind, CheckStatus, CheckTls, CommandCheck, GrpcCheck, HttpCheck,
    MAX_OUTPUT,
};

/// An answer that comes later.
pub type Asked<'a> = Pin<Box<dyn Future<Output = CheckAnswer> + Send + 'a>>;

/// Asks what a check asks. Tests give the registry one of their own.
pub trait Prober: Send + Sync + 'static {
    /// Asks once. The registry keeps the time limit: the future is dropped when it is over.
    fn ask<'a>(&'a self, check: &'a CheckDefinition) -> Asked<'a>;
}

/// Asks over the network, and runs commands. Each question has a connection of its own, so that what is asked is also
/// whether a connection can be made.
#[derive(Debug, Default)]
pub struct NetProber {}

impl Prober for NetProber {
    fn ask<'a>(&'a self, check: &'a CheckDefinition) -> Asked<'a> {
        Box::pin(async move {
            let answer = match &check.kind {
                // Nobody asks these.
                CheckKind::Ttl(_) | CheckKind::Reported | CheckKind::Alias(_) => {
                    Err("is reported or worked out, not asked".into())
                }
                CheckKind::Http(http) => get(http, check.timeout).await,
                CheckKind::Tcp(address) => {
                    let connected = TcpStream::connect(&**address).await;
                    connected.map(|_| passing(format!("TCP connect {address}: success"))).map_err(Into::into)
                }
                CheckKind::Grpc(grpc) => serving(grpc, check.timeout).await,
                CheckKind::Command(command) => run(command).await,
            };
            answer
                .unwrap_or_else(|error| CheckAnswer { status: CheckStatus::Critical, output: chain(&*error) })
        })
    }
}

fn passing(output: String) -> CheckAnswer {
    CheckAnswer { status: CheckStatus::Passing, output }
}

fn tls(tls: &CheckTls, http2: bool) -> Result<ClientTls, BoxError> {
    let server_name = tls.server_name.as_deref().map(Into::into);
    let options = ClientTlsOptions { server_name, insecure: tls.skip_verify, http2, ..Default::default() };
    Ok(ClientTls::load(&options)?)
}

async fn get(check: &HttpCheck, limit: Duration) -> Result<CheckAnswer, BoxError> {
    let uri: Uri = check.url.parse()?;
    let is_https = uri.scheme_str() == Some("https");
    let authority = uri.authority().ok_or("the URL has no host")?;
    let port = authority.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let address: Arc<str> = format!("{}:{port}", authority.host()).into();
    let tls = if is_https { Some(tls(&check.tls, false)?) } else { None };
    let options = PoolOptions { tls, connect_timeout: limit, max_idle: 0, ..PoolOptions::default() };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let method: Method = if check.method.is_empty() { Method::GET } else { check.method.parse()? };
    let mut request = Request::builder().method(method).uri(path);
    let said = |name: &str| check.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    if !said("host") {
        request = request.header(http::header::HOST, authority.as_str());
    }
    if !said("user-agent") {
        request = request.header(http::header::USER_AGENT, "trellis-health");
    }
    for (name, value) in &check.headers {
        request = request.header(&**name, &**value);
    }
    let body = if check.body.is_empty() {
        Outgoing::empty()
    } else {
        Outgoing::full(bytes::Bytes::copy_from_slice(check.body.as_bytes()))
    };
    let mut request = request.body(body)?;
    let pool = Pool::new(address, Arc::new(options));
    let lease = pool.connect().await?;
    let Reply::Answer(response) = pool.send(lease, &mut request).await? else {
        return Err("changed the protocol without being asked".into());
    };
    let (head, body) = response.into_parts();
    // Only the beginning is shown; what is longer says as much as what is unreadable.
    let text = match Limited::new(body, MAX_OUTPUT).collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(_) => "(the body is too long to be shown)".into(),
    };
    let status = match head.status.as_u16() {
        200..=299 => CheckStatus::Passing,
        429 => CheckStatus::Warning,
        _ => CheckStatus::Critical,
    };
    let method = if check.method.is_empty() { "GET" } else { &check.method };
    Ok(CheckAnswer { status, output: format!("HTTP {method} {}: {} Output: {text}", check.url, head.status) })
}

async fn serving(check: &GrpcCheck, limit: Duration) -> Result<CheckAnswer, BoxError> {
    let tls = check.tls.as_ref().map(|known| tls(known, true)).transpose()?;
    let options =
        PoolOptions { protocol: Protocol::Http2, tls, connect_timeout: limit, ..PoolOptions::default() };
    let id = "check".parse()?;
    let endpoint = Endpoint { id, authority: check.address.clone(), weight: 1, zone: None };
    ask(&endpoint, &Question::Grpc(check.service.to_string()), &options).await?;
    Ok(passing(format!("gRPC check {}: success", check.address)))
}

async fn run(check: &CommandCheck) -> Result<CheckAnswer, BoxError> {
    let (program, args) = check.args.split_first().ok_or("there is no program")?;
    let mut child = tokio::process::Command::new(&**program)
        .args(args.iter().map(|arg| &**arg))
        .env_clear()
        .envs(check.env.iter())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (out, err) = tokio::join!(beginning(stdout), beginning(stderr));
    let ended = child.wait().await?;
    let status = match ended.code() {
        Some(0) => CheckStatus::Passing,
        Some(1) => CheckStatus::Warning,
        _ => CheckStatus::Critical,
    };
    Ok(CheckAnswer { status, output: format!("{out}{err}") })
}

/// The first bytes of a stream, which is read to its end so that nobody waits for a reader.
async fn beginning(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 1024];
    let Some(mut stream) = stream else { return String::new() };
    while let Ok(read) = stream.read(&mut buffer).await
        && read > 0
    {
        let room = MAX_OUTPUT.saturating_sub(kept.len());
        kept.extend(buffer.iter().take(read.min(room)));
    }
    String::from_utf8_lossy(&kept).into_owned()
}
