//! `trellis gateway`: alone, changed while it runs, replaced while it runs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::http::get;
use crate::support::{DEADLINE, eventually, runs, trellis};

/// A service that answers every request with its name.
fn upstream(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                while head(&mut stream).is_some() {
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
                    if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// The head of a message, without its last line.
fn head(stream: &mut impl std::io::BufRead) -> Option<String> {
    let mut text = String::new();
    loop {
        let before = text.len();
        if stream.read_line(&mut text).ok()? == 0 {
            return None;
        }
        if &text[before..] == "\r\n" {
            return Some(text);
        }
    }
}

fn manifest(upstream: SocketAddr) -> String {
    format!("[[cluster]]\nname = 'be'\nendpoints = ['{upstream}']\n[[route]]\npath = '/**'\ncluster = 'be'\n")
}

struct Gateway {
    child: Child,
    /// Shared by those who come after.
    lines: BufReader<ChildStdout>,
    ready: Value,
}

impl Gateway {
    fn start(folder: &Path) -> Self {
        let mut child = trellis()
            .current_dir(folder)
            .args(["gateway", "-c", "gateway.toml", "--json"])
            .args(["--gateway-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("trellis can be run");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let ready = summary(&mut lines);
        Self { child, lines, ready }
    }

    fn address(&self) -> String {
        self.ready["gateway"].as_str().expect("an address").trim_start_matches("http://").to_owned()
    }

    fn admin(&self, path: &str) -> String {
        format!("{}{path}", self.ready["admin"].as_str().expect("an address"))
    }

    fn put(&self, text: &str) -> (u16, String) {
        let url = self.admin("/v1/gateway/config");
        let authority = url.trim_start_matches("http://").split('/').next().expect("an address").to_owned();
        let mut stream = TcpStream::connect(&authority).expect("a connection");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let request = format!(
            "PUT /v1/gateway/config HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncontent-type: application/toml\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        (answer[9..12].parse().expect("a status"), answer)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        for pid in [Some(u64::from(self.child.id())), self.ready["pid"].as_u64()].into_iter().flatten() {
            signal(pid, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn summary(lines: &mut BufReader<ChildStdout>) -> Value {
    let mut text = String::new();
    let mut depth = 0_usize;
    loop {
        let before = text.len();
        assert!(lines.read_line(&mut text).expect("a line") > 0, "no summary but {text:?}");
        let line = &text[before..];
        depth = depth + line.matches('{').count() - line.matches('}').count();
        if depth == 0 {
            return serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        }
    }
}

fn signal(pid: u64, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid as i32) {
        let _ = kill_process(pid, signal);
    }
}

/// Clients that ask again and again over kept connections.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn on(address: &str, clients: usize) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |_| {
            let (address, stop, answered) = (address.to_owned(), stop.clone(), answered.clone());
            std::thread::spawn(move || {
                let mut failures = Vec::new();
                let mut kept: Option<BufReader<TcpStream>> = None;
                while !stop.load(Ordering::Relaxed) {
                    match ask(&address, kept.take()) {
                        Ok(connection) => {
                            answered.fetch_add(1, Ordering::Relaxed);
                            kept = connection;
                        }
                        Err(failure) => failures.push(failure),
                    }
                }
                failures
            })
        };
        let clients = (0..clients).map(client).collect();
        Self { stop, answered, clients }
    }

    /// Waits until so many more have been answered.
    fn goes_on(&self) {
        let from = self.answered.load(Ordering::Relaxed);
        eventually("more answers", || (self.answered.load(Ordering::Relaxed) > from + 200).then_some(()));
    }

    fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    }
}

/// One request; the connection again if it stays open.
fn ask(address: &str, kept: Option<BufReader<TcpStream>>) -> Result<Option<BufReader<TcpStream>>, String> {
    let mut stream = if let Some(stream) = kept {
        stream
    } else {
        let stream = TcpStream::connect(address).map_err(|error| format!("connect: {error}"))?;
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        BufReader::new(stream)
    };
    let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    stream.get_mut().write_all(request).map_err(|error| format!("write: {error}"))?;
    let head = head(&mut stream).ok_or("closed without an answer")?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.and_then(|length| length.parse().ok()).ok_or("an answer without a length")?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).map_err(|error| format!("read: {error}"))?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(format!("{head}{}", String::from_utf8_lossy(&body)));
    }
    Ok((!head.contains("connection: close")).then_some(stream))
}

fn folder(upstream: SocketAddr) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("gateway.toml"), manifest(upstream)).expect("a file");
    folder
}

#[test]
fn it_is_changed_while_it_runs_as_a_whole_or_not_at_all() {
    let (one, two) = (upstream("one"), upstream("two"));
    let folder = folder(one);
    let gateway = Gateway::start(folder.path());
    let url = format!("http://{}/", gateway.address());
    assert_eq!(get(&url).body, "one");
    assert_eq!(get(&gateway.admin("/readyz")).status, 200);
    assert!(get(&gateway.admin("/metrics")).body.contains("# TYPE"));

    let load = Load::on(&gateway.address(), 4);
    load.goes_on();
    for flip in 0..100 {
        let (status, answer) = gateway.put(&manifest(if flip % 2 == 0 { two } else { one }));
        assert_eq!(status, 200, "{answer}");
        assert!(answer.contains(&format!("\"revision\":{}", flip + 2)), "{answer}");
        assert_eq!(get(&url).body, if flip % 2 == 0 { "two" } else { "one" }, "flip {flip}");
    }
    let (status, answer) =
        gateway.put("[[route]]\npath = '/x'\ncluster = 'nowhere'\n[[route]]\npath = 'y'\n");
    assert_eq!(status, 422, "{answer}");
    assert!(answer.contains("TRL3001") && answer.contains("\"mistakes\""), "{answer}");
    assert_eq!(get(&url).body, "one");
    load.goes_on();
    assert_eq!(load.end(), Vec::<String>::new());
}

#[test]
fn another_process_takes_over_and_no_request_is_lost() {
    let folder = folder(upstream("one"));
    let mut gateway = Gateway::start(folder.path());
    let load = Load::on(&gateway.address(), 6);
    let first = u64::from(gateway.child.id());
    for _ in 0..3 {
        load.goes_on();
        let old = gateway.ready["pid"].as_u64().expect("a process id");
        signal(old, Signal::USR2);
        let next = summary(&mut gateway.lines);
        assert_eq!(next["gateway"], gateway.ready["gateway"], "it listens where the old one did");
        assert_ne!(next["pid"], gateway.ready["pid"]);
        gateway.ready = next;
        load.goes_on();
        if old == first {
            let ended =
                eventually("the end of the old process", || gateway.child.try_wait().expect("a child"));
            assert!(ended.success(), "{ended}");
        } else {
            eventually("the end of the old process", || (!runs(old)).then_some(()));
        }
    }
    assert_eq!(load.end(), Vec::<String>::new());
}

#[test]
fn whoever_cannot_take_over_changes_nothing() {
    let folder = folder(upstream("one"));
    let gateway = Gateway::start(folder.path());
    std::fs::write(folder.path().join("gateway.toml"), "[[route]]\n").expect("a file");
    let load = Load::on(&gateway.address(), 2);
    signal(u64::from(gateway.child.id()), Signal::USR2);
    for _ in 0..5 {
        load.goes_on();
    }
    assert_eq!(load.end(), Vec::<String>::new());
    assert!(runs(gateway.child.id().into()));
}
