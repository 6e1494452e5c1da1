//! A network between a client and a server, which fails the way networks do.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

const BUFFER: usize = 16 << 10;

/// A way to a server that listens on loopback. It runs on a thread of its own, so it never stands still because a test
/// does. Dropping it breaks what goes through it.
pub struct Link {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    thread: Option<JoinHandle<()>>,
}

/// How the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Weather {
    /// Nothing passes.
    silent: bool,
    /// Over connections of an earlier age nothing passes any more.
    age: u64,
    /// Those of an age before this one are broken.
    broken: u64,
    over: bool,
}

impl Link {
    /// A way to `server`. Nobody need listen there yet.
    pub fn to(server: SocketAddr) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (weather, seen) = watch::channel(Weather::default());
        let run = move || runtime.block_on(carry(listener, server, seen));
        let thread = std::thread::Builder::new().name("link".to_owned()).spawn(run)?;
        Ok(Self { address, weather, thread: Some(thread) })
    }

    /// A way to the server that a URL such as `postgres://user:password@127.0.0.1:5432/name` names, and the URL that
    /// takes this way.
    pub fn around(url: &str) -> anyhow::Result<(Self, String)> {
        let (before, rest) = url.rsplit_once('@').context("a URL without an account")?;
        let (authority, path) = rest.split_once('/').context("a URL without a path")?;
        let link = Self::to(authority.parse().with_context(|| format!("{authority} is no address"))?)?;
        let url = format!("{before}@{}/{path}", link.address);
        Ok((link, url))
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing passes, in neither direction, and nobody is told: connections stay as they are, and what is
    /// sent, to end one as well, waits.
    pub fn silence(&self) {
        self.weather.send_modify(|weather| weather.silent = true);
    }

    /// Everything passes again. What waited arrives late, as it does when TCP sends it once more.
    pub fn heal(&self) {
        self.weather.send_modify(|weather| weather.silent = false);
    }

    /// Breaks all connections at once, on both sides. What waited is lost.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| {
            weather.age += 1;
            weather.broken = weather.age;
        });
    }

    /// Forgets all connections, as a firewall does that starts anew: they stay open, and nothing passes over them ever
    /// again. Those that come later go through.
    pub fn forget(&self) {
        self.weather.send_modify(|weather| weather.age += 1);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.weather.send_modify(|weather| weather.over = true);
        if let Some(thread) = self.thread.take() {
            // A panic has been shown where it happened.
            let _ = thread.join();
        }
    }
}

async fn carry(listener: std::net::TcpListener, server: SocketAddr, weather: watch::Receiver<Weather>) {
    let mut over = weather.clone();
    tokio::select! {
        accepting = accept(listener, server, weather) => accepting.unwrap_or_else(|error| panic!("link: {error}")),
        // Its sender lives as long as the link.
        _ = over.wait_for(|weather| weather.over) => {}
    }
}

async fn accept(
    listener: std::net::TcpListener,
    server: SocketAddr,
    mut weather: watch::Receiver<Weather>,
) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        // The kernel greets who connects meanwhile, and that is all they hear.
        if weather.wait_for(|weather| !weather.silent).await.is_err() {
            return Ok(());
        }
        tokio::select! {
            accepted = listener.accept() => {
                connections.spawn(connect(accepted?.0, server, weather.clone()));
            }
            _ = weather.changed() => {}
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries both ways until both have ended, or the network breaks the connection.
async fn connect(client: TcpStream, server: SocketAddr, mut weather: watch::Receiver<Weather>) {
    let age = weather.borrow_and_update().age;
    let both = async {
        // Who does not listen refuses; the client sees it as a connection that ends.
        let server = TcpStream::connect(server).await.ok()?;
        server.set_nodelay(true).ok()?;
        client.set_nodelay(true).ok()?;
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        tokio::join!(
            pump(from_client, to_server, age, weather.clone()),
            pump(from_server, to_client, age, weather.clone())
        );
        Some(())
    };
    let mut end = weather.clone();
    tokio::select! {
        _ = both => {}
        _ = end.wait_for(|weather| weather.broken > age) => {}
    }
}

/// Carries one way. Who sends nothing more is told of in the same way, and late if the network is silent.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    age: u64,
    mut weather: watch::Receiver<Weather>,
) {
    let mut buffer = vec![0; BUFFER];
    loop {
        is_clear(age, &mut weather).await;
        let read = tokio::select! {
            biased;
            _ = weather.changed() => continue,
            read = from.read(&mut buffer) => read,
        };
        // Silence may have come with it.
        is_clear(age, &mut weather).await;
        match read {
            Ok(count) if count > 0 => {
                if to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
            _ => {
                // It may have gone already.
                let _ = to.shutdown().await;
                return;
            }
        }
    }
}

/// Waits until something passes over a connection of this age.
async fn is_clear(age: u64, weather: &mut watch::Receiver<Weather>) {
    if weather.wait_for(|weather| !weather.silent && weather.age == age).await.is_err() {
        // The link is being dropped, and this with it.
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpStream as Blocking;
    use std::time::Duration;

    use super::*;

    /// Longer than anything takes here.
    const LIMIT: Duration = Duration::from_secs(20);
    /// Long enough to see that nothing comes; a late answer would only hide a fault.
    const A_MOMENT: Duration = Duration::from_millis(100);

    /// A server that answers each byte with the next one, and its link.
    fn counting() -> Link {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let link = Link::to(listener.local_addr().unwrap()).unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || {
                    let mut byte = [0];
                    while stream.read_exact(&mut byte).is_ok() && stream.write_all(&[byte[0] + 1]).is_ok() {}
                });
            }
        });
        link
    }

    fn open(link: &Link) -> Blocking {
        Blocking::connect(link.address()).unwrap()
    }

    fn send(stream: &mut Blocking, byte: u8) {
        stream.write_all(&[byte]).unwrap();
    }

    fn hear(stream: &mut Blocking, limit: Duration) -> std::io::Result<u8> {
        stream.set_read_timeout(Some(limit)).unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).map(|()| byte[0])
    }

    fn hears_nothing(stream: &mut Blocking) {
        assert_eq!(hear(stream, A_MOMENT).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn what_is_sent_into_silence_arrives_when_it_is_over() {
        let link = counting();
        let mut old = open(&link);
        send(&mut old, 1);
        assert_eq!(hear(&mut old, LIMIT).unwrap(), 2);
        link.silence();
        send(&mut old, 10);
        hears_nothing(&mut old);
        // Nobody is refused either.
        let mut new = open(&link);
        send(&mut new, 20);
        hears_nothing(&mut new);
        link.heal();
        assert_eq!((hear(&mut old, LIMIT).unwrap(), hear(&mut new, LIMIT).unwrap()), (11, 21));
    }

    #[test]
    fn what_is_cut_ends_and_what_comes_later_goes_through() {
        let link = counting();
        let mut old = open(&link);
        send(&mut old, 1);
        assert_eq!(hear(&mut old, LIMIT).unwrap(), 2);
        link.silence();
        send(&mut old, 10);
        link.cut();
        assert!(
            matches!(
                hear(&mut old, LIMIT).unwrap_err().kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
            ),
            "silence does not keep a cut from being seen"
        );
        link.heal();
        let mut new = open(&link);
        send(&mut new, 3);
        assert_eq!(hear(&mut new, LIMIT).unwrap(), 4);
    }

    #[test]
    fn what_is_forgotten_is_silent_for_good_and_what_comes_later_goes_through() {
        let link = counting();
        let mut old = open(&link);
        send(&mut old, 1);
        assert_eq!(hear(&mut old, LIMIT).unwrap(), 2);
        link.forget();
        send(&mut old, 10);
        let mut new = open(&link);
        send(&mut new, 3);
        assert_eq!(hear(&mut new, LIMIT).unwrap(), 4);
        link.heal();
        hears_nothing(&mut old);
        link.cut();
        assert_ne!(hear(&mut old, LIMIT).unwrap_err().kind(), ErrorKind::WouldBlock, "it can be broken");
    }

    #[test]
    fn a_url_takes_the_way_of_the_link() {
        let (link, url) = Link::around("postgres://ada:p@secret@127.0.0.1:5432/shop").unwrap();
        assert_eq!(url, format!("postgres://ada:p@secret@{}/shop", link.address()));
        assert!(Link::around("postgres://127.0.0.1/shop").is_err());
    }
}
