//! A mail server that keeps what it is sent.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

const MAX_LINE: u64 = 64 * 1024;
const MAX_MAIL: usize = 4 * 1024 * 1024;
const MAX_MAILS: usize = 10_000;

/// A mail as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// Headers and body, lines ended by `\n`.
    pub data: String,
}

/// An SMTP server on a free port of 127.0.0.1, in the test's own runtime. It ends when dropped.
pub struct SmtpSink {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    mails: Mutex<Vec<Mail>>,
    count: watch::Sender<usize>,
    refusing: AtomicBool,
}

impl SmtpSink {
    /// Starts to listen.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            mails: Mutex::new(Vec::new()),
            count: watch::Sender::new(0),
            refusing: AtomicBool::new(false),
        });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { address, shared, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, `smtp://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// While refusing, every mail is answered with "try again later".
    pub fn set_refusing(&self, refusing: bool) {
        self.shared.refusing.store(refusing, Ordering::SeqCst);
    }

    /// The mails so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.mails().clone()
    }

    /// Waits until at least so many mails have come.
    pub async fn wait_for(&self, count: usize, limit: Duration) -> anyhow::Result<Vec<Mail>> {
        let mut seen = self.shared.count.subscribe();
        match tokio::time::timeout(limit, seen.wait_for(|now| *now >= count)).await {
            Ok(_) => Ok(self.mails()),
            Err(_) => anyhow::bail!("{} of {count} mails came within {limit:?}", self.mails().len()),
        }
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn mails(&self) -> std::sync::MutexGuard<'_, Vec<Mail>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, mail: Mail) -> bool {
        let mut mails = self.mails();
        if mails.len() >= MAX_MAILS {
            return false;
        }
        mails.push(mail);
        self.count.send_replace(mails.len());
        true
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        // A client that breaks off has ended its session.
        sessions.spawn(async move { drop(session(stream, &shared).await) });
        while sessions.try_join_next().is_some() {}
    }
}

async fn session(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut sender = None;
    let mut recipients = Vec::new();
    stream.write_all(b"220 sink ESMTP\r\n").await?;
    while let Some(line) = line(&mut stream).await? {
        let upper = line.to_ascii_uppercase();
        let answer = match upper.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => "250-sink\r\n250-8BITMIME\r\n250 SMTPUTF8",
            "MAIL" if shared.refusing.load(Ordering::SeqCst) => "451 try again later",
            "MAIL" => {
                sender = Some(address(&line));
                recipients.clear();
                "250 ok"
            }
            "RCPT" if sender.is_some() => {
                recipients.push(address(&line));
                "250 ok"
            }
            "DATA" if recipients.is_empty() => "503 no recipient",
            "DATA" => {
                stream.write_all(b"354 end with a dot\r\n").await?;
                let data = data(&mut stream).await?;
                let mail = Mail {
                    from: sender.take().unwrap_or_default(),
                    to: std::mem::take(&mut recipients),
                    data,
                };
                if shared.keep(mail) { "250 kept" } else { "452 full" }
            }
            "HELO" | "NOOP" => "250 ok",
            "RSET" => {
                sender = None;
                recipients.clear();
                "250 ok"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return stream.shutdown().await;
            }
            _ => "502 unknown command",
        };
        stream.write_all(answer.as_bytes()).await?;
        stream.write_all(b"\r\n").await?;
    }
    Ok(())
}

async fn data(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut data = String::new();
    while let Some(line) = line(stream).await? {
        if line == "." {
            return Ok(data);
        }
        if data.len() + line.len() > MAX_MAIL {
            return Err(io::Error::other("the mail is too large"));
        }
        // A line that begins with a dot was sent with one more.
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
        data.push('\n');
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

async fn line(stream: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let count = stream.take(MAX_LINE).read_until(b'\n', &mut bytes).await?;
    if count == 0 {
        return Ok(None);
    }
    if bytes.last() != Some(&b'\n') {
        return Err(io::Error::other("the line is too long, or cut short"));
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// `MAIL FROM:<ada@example.com> BODY=8BITMIME` holds `ada@example.com`.
fn address(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or_else(String::new, |(address, _)| address.to_owned())
}
