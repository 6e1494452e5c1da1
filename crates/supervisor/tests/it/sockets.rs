//! Both ways to a socket, for a module in another language that uses its standard library only.

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use trellis_core::HumanDuration;
use trellis_core::model::SocketMode;
use trellis_supervisor::ProcessSpec;

use crate::fleet::{Fleet, module};
use crate::system::{DEADLINE, get, kill, python};

/// Answers every request with its process id.
const SERVER: &str = r#"
import http.server, os, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
"#;

const BIND: &str = r#"
assert "LISTEN_FDS" not in os.environ
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

const INHERIT: &str = r#"
assert os.environ["LISTEN_FDS"] == "1"
assert os.environ["LISTEN_PID"] == str(os.getpid())
server = http.server.HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
assert server.socket.getsockname()[1] == int(os.environ["PORT"])
assert os.fstat(0).st_rdev == os.stat("/dev/null").st_rdev
server.serve_forever()
"#;

fn python_module(socket: SocketMode, serve: &str) -> ProcessSpec {
    let mut spec = module("reports", "");
    spec.command = vec![python().into(), "-c".into(), format!("{SERVER}{serve}").into()];
    spec.socket = socket;
    spec
}

#[tokio::test]
async fn a_module_binds_the_port_it_is_told() {
    let fleet = Fleet::start(vec![python_module(SocketMode::Port, BIND)]);
    assert_eq!(fleet.handle.settled().await, []);
    let (pid, port) = fleet.started("reports-1", 0).await;
    assert_eq!(get(port).await, pid.to_string());
    fleet.stop().await;
}

const INHERIT_TWO: &str = r#"
assert os.environ["LISTEN_FDS"] == "2"
other = socket.socket(fileno=4)
assert other.getsockname()[1] == int(os.environ["OTHER_PORT"])
server = http.server.HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
server.serve_forever()
"#;

#[tokio::test]
async fn more_sockets_come_behind_its_own() {
    let mut spec = python_module(SocketMode::Inherit, INHERIT_TWO);
    let (listener, port) = trellis_supervisor::listen().unwrap();
    spec.more_sockets = vec![std::sync::Arc::new(listener)];
    spec.env.insert("OTHER_PORT".into(), port.to_string());
    let fleet = Fleet::start(vec![spec]);
    assert_eq!(fleet.handle.settled().await, []);
    let (pid, port) = fleet.started("reports-1", 0).await;
    assert_eq!(get(port).await, pid.to_string());
    fleet.stop().await;
}

#[tokio::test]
async fn an_inherited_socket_takes_connections_while_its_module_is_down() {
    let mut spec = python_module(SocketMode::Inherit, INHERIT);
    spec.restart.backoff = HumanDuration::from_secs(2);
    spec.restart.max_backoff = HumanDuration::from_secs(2);
    let fleet = Fleet::start(vec![spec]);
    assert_eq!(fleet.handle.settled().await, []);
    let (pid, port) = fleet.started("reports-1", 0).await;
    assert_eq!(get(port).await, pid.to_string());

    kill(pid, Signal::KILL);
    fleet.exited("reports-1", 0).await;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the socket is still there");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").await.unwrap();
    assert_eq!(fleet.status("reports-1").pid, None, "it is down when the request is sent");
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (next, same_port) = fleet.started("reports-1", 1).await;
    assert_ne!(next, pid);
    assert_eq!(same_port, port);
    assert!(answer.ends_with(&format!("\r\n\r\n{next}")), "{answer}");
    fleet.stop().await;
}
