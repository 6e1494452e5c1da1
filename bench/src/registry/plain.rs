//! The clients of one thread that speak HTTP/1.1: their sockets, and the kernel's word on which has an answer. A runtime
//! with a task for each would take a third of what a request costs its client, and that would be measured along.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::time::Timespec;

use super::act::Act;
use super::caller::ANSWER_LIMIT;
use super::doors::Door;
use super::load::{BREATH, Load, Run};
use crate::connection::{Answer, MAX_ANSWER, parse};

/// How often it is looked for answers that do not come.
const LOOK: Duration = Duration::from_secs(1);

/// A connection, and what was asked on it.
struct Client {
    stream: TcpStream,
    asked: Option<(Act, Instant)>,
    read: Vec<u8>,
}

/// Those of one thread.
pub(super) struct Clients<'l, N> {
    load: &'l Load<N>,
    door: &'static dyn Door,
    address: SocketAddr,
    poll: OwnedFd,
    all: Vec<Client>,
    /// Those that go on after a failure, and when.
    resting: VecDeque<(Instant, usize)>,
    /// Those that wait for an answer.
    waiting: usize,
    run: Run,
}

impl<'l, N: Fn(u64) -> Act> Clients<'l, N> {
    /// Connects so many.
    pub(super) fn connect(
        load: &'l Load<N>,
        door: &'static dyn Door,
        address: SocketAddr,
        connections: usize,
    ) -> Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).context("no epoll")?;
        let mut clients = Self {
            load,
            door,
            address,
            poll,
            all: Vec::with_capacity(connections),
            resting: VecDeque::new(),
            waiting: 0,
            run: Run::new()?,
        };
        for place in 0..connections {
            let client = clients.open(place)?;
            clients.all.push(client);
        }
        Ok(clients)
    }

    fn open(&self, place: usize) -> Result<Client> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&self.poll, &stream, EventData::new_u64(place as u64), EventFlags::IN)?;
        Ok(Client { stream, asked: None, read: Vec::with_capacity(4096) })
    }

    /// Asks until the load is over and all have been answered.
    pub(super) fn run(mut self) -> Result<Run> {
        for place in 0..self.all.len() {
            self.ask(place);
        }
        let mut events: Vec<Event> = Vec::with_capacity(self.all.len().max(1));
        let mut looked = Instant::now();
        while self.waiting > 0 || !self.resting.is_empty() {
            let pause = if self.resting.is_empty() { LOOK } else { BREATH };
            let pause = Timespec::try_from(pause).context("a pause")?;
            events.clear();
            match epoll::wait(&self.poll, spare_capacity(&mut events), Some(&pause)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("epoll"),
            }
            for event in &events {
                self.hear(event.data.u64() as usize);
            }
            self.wake();
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                self.give_up();
            }
        }
        Ok(self.run)
    }

    /// Asks for the next thing, if there is one.
    fn ask(&mut self, place: usize) {
        let now = Instant::now();
        let Some(act) = self.load.next(now) else { return };
        let client = &mut self.all[place];
        client.read.clear();
        client.asked = Some((act, now));
        self.waiting += 1;
        // A request is small, and nothing else is under way on its connection.
        if let Err(error) = client.stream.write_all(self.door.request(act).as_bytes()) {
            self.failed(place, format!("{act:?}: write: {error}"));
        }
    }

    /// Reads what has come for one.
    fn hear(&mut self, place: usize) {
        let client = &mut self.all[place];
        let Some((act, sent)) = client.asked else {
            // It says something unasked, or goes away; which of them is told with the next request.
            let _gone = epoll::delete(&self.poll, &client.stream);
            return;
        };
        match client.answer() {
            Ok(None) => {}
            Ok(Some(answer)) => match self.door.judge(act, &answer) {
                Ok(()) => {
                    client.asked = None;
                    self.waiting -= 1;
                    self.run.answered(sent.elapsed());
                    if answer.is_last {
                        self.rest(place);
                    } else {
                        self.ask(place);
                    }
                }
                Err(reason) => self.failed(place, format!("{act:?}: {reason}")),
            },
            Err(reason) => self.failed(place, format!("{act:?}: {reason}")),
        }
    }

    fn failed(&mut self, place: usize, reason: String) {
        self.all[place].asked = None;
        self.waiting -= 1;
        self.run.failed(reason);
        self.rest(place);
    }

    /// Goes on a little later, on a connection of its own.
    fn rest(&mut self, place: usize) {
        self.resting.push_back((Instant::now() + BREATH, place));
    }

    fn wake(&mut self) {
        while let Some((_, place)) = self.resting.pop_front_if(|(due, _)| *due <= Instant::now()) {
            match self.open(place) {
                Ok(client) => {
                    self.all[place] = client;
                    self.ask(place);
                }
                Err(error) => {
                    // What would have been asked has failed.
                    if let Some(act) = self.load.next(Instant::now()) {
                        self.run.failed(format!("{act:?}: connect: {error:#}"));
                        self.rest(place);
                    }
                }
            }
        }
    }

    /// Those whose answer does not come have failed.
    fn give_up(&mut self) {
        for place in 0..self.all.len() {
            if let Some((act, sent)) = self.all[place].asked
                && sent.elapsed() > ANSWER_LIMIT
            {
                self.failed(place, format!("{act:?}: no answer in {ANSWER_LIMIT:?}"));
            }
        }
    }
}

impl Client {
    /// The answer, if all of it is there.
    fn answer(&mut self) -> Result<Option<Answer>, String> {
        let Self { stream, read, .. } = self;
        let before = read.len();
        // As much as most answers have; `Read::read` wants bytes that are something.
        read.resize(before + 4096, 0);
        let count = match stream.read(&mut read[before..]) {
            Ok(0) => return Err("closed before the end of an answer".into()),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
            Err(error) => return Err(format!("read: {error}")),
        };
        read.truncate(before + count);
        if read.len() > MAX_ANSWER {
            return Err("an answer that is too large".into());
        }
        parse(read).map_err(|broken| broken.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;

    use super::super::act::Key;
    use super::super::doors::Trellis;
    use super::super::load::Limit;
    use super::*;

    /// Answers each connection's requests with these, in turn, and closes it when there is none left.
    fn server(answers: Vec<Vec<&'static str>>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for answers in answers {
                let stream = listener.accept().unwrap().0;
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                for answer in answers {
                    while !lines.next().unwrap().unwrap().is_empty() {}
                    for part in answer.split('|') {
                        (&stream).write_all(part.as_bytes()).unwrap();
                    }
                }
            }
        });
        address
    }

    fn run(address: SocketAddr, most: u64) -> Run {
        let load = Load::new(Limit::Count(most), |_| Act::Read(Key(0)));
        Clients::connect(&load, &Trellis, address, 1).unwrap().run().unwrap()
    }

    const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-|Length: 13\r\n\r\n{\"vers|ion\":1}";

    #[test]
    fn answers_that_come_in_pieces_are_whole() {
        let run = run(server(vec![vec![GOOD, GOOD, GOOD]]), 3);
        assert_eq!((run.answered, run.failed), (3, 0), "{:?}", run.reason);
    }

    #[test]
    fn bad_answers_and_broken_connections_have_failed_and_others_follow() {
        let bad = "HTTP/1.1 503 Sorry\r\nContent-Length: 0\r\n\r\n";
        let run = run(server(vec![vec![GOOD, bad], vec![GOOD, "HTTP/1.1 200 OK\r\n"], vec![GOOD]]), 5);
        assert_eq!((run.answered, run.failed), (3, 2));
        assert!(run.reason.unwrap().contains("503"));
    }

    #[test]
    fn the_last_answer_of_a_connection_is_no_failure() {
        let last = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 13\r\n\r\n{\"version\":1}";
        let run = run(server(vec![vec![last], vec![last]]), 2);
        assert_eq!((run.answered, run.failed), (2, 0), "{:?}", run.reason);
    }
}
