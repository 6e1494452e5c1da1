use std::io::{Read, Write};
use std::net::TcpStream;

use trellis_testkit::Redis;

fn ping(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn a_server_goes_and_comes_back_on_the_same_port() {
    let server = Redis::start().unwrap();
    let port = server.port();
    assert_eq!(ping(port).unwrap(), "+PONG\r\n");
    drop(server);
    assert!(ping(port).is_err());
    let again = Redis::start_on(port).unwrap();
    assert_eq!(again.url(), format!("redis://127.0.0.1:{port}"));
    assert_eq!(ping(port).unwrap(), "+PONG\r\n");
}
