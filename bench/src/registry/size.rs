//! How much memory ours needs for many instances, and how soon it answers when it is started again with them.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;

use super::act::{Act, COPIES, Service};
use super::caller::Caller;
use super::load::{self, Limit};
use super::servers::{Peer, Room, Server};
use super::{Options, progress};
use crate::proxy::{Target, mb, median};

/// Quiet time before memory is read.
const REST: Duration = Duration::from_secs(2);
/// How often it is asked whether it answers.
const POLL: Duration = Duration::from_millis(2);
/// Times it is started again.
const STARTS: usize = 3;
/// What is wanted: memory in MB, and the start in milliseconds.
const MOST: (f64, f64) = (120.0, 1000.0);

/// What ours came to.
#[derive(Debug, Serialize)]
pub struct Size {
    /// Instances that are registered, ten to a service.
    pub instances: u64,
    /// Resident memory before any is.
    pub empty_rss_mb: f64,
    /// With all of them, after they were registered one by one.
    pub rss_mb: f64,
    /// With all of them, after the last start.
    pub restarted_rss_mb: f64,
    /// From the start of the program on the data of one that was killed with -9, to the first right answer for the
    /// service that was registered last.
    pub starts_ms: Vec<f64>,
    /// The median of these.
    pub start_ms: f64,
}

pub(super) async fn run(options: &Options, folder: &Path) -> Result<(Size, Vec<Target>)> {
    let services = options.instances / COPIES;
    let instances = services * COPIES;
    let room = Room { instances: instances as usize + 1_000, waiters: 1_000, cores: Vec::new() };
    let server = Server::start(&options.programs, Peer::Ours, folder, &room).await?;
    tokio::time::sleep(REST).await;
    let empty_rss_mb = mb(server.child.memory()?.rss_kib);
    progress(&format!("[size] {instances} instances are registered"));
    let next = |number: u64| Act::Register(Service((number / COPIES) as u32).copy(number % COPIES));
    let at = (server.peer, server.address);
    let run = load::run(at, options.connections, Limit::Count(instances), &[], next).await?;
    ensure!(run.failed == 0, "{:?}; {}", run.reason, server.child.last_words());
    tokio::time::sleep(REST).await;
    let rss_mb = mb(server.child.memory()?.rss_kib);
    server.child.stop().await?;

    let (mut starts_ms, mut restarted_rss_mb) = (Vec::new(), 0.0);
    for number in 1..=STARTS {
        progress(&format!("[size] start {number} of {STARTS} with {instances} instances"));
        let began = Instant::now();
        let mut server = Server::spawn(&options.programs, Peer::Ours, folder, &room)?;
        let (address, last) = (server.address, Act::Discover(Service((services - 1) as u32)));
        let answers = async || match Caller::connect(Peer::Ours, address).await {
            Ok(mut caller) => caller.call(last).await.is_ok(),
            Err(_) => false,
        };
        server.child.ready_every(POLL, answers).await?;
        starts_ms.push(began.elapsed().as_secs_f64() * 1000.0);
        tokio::time::sleep(REST).await;
        restarted_rss_mb = mb(server.child.memory()?.rss_kib);
        server.child.stop().await?;
    }
    let start_ms = median(starts_ms.iter().copied());
    let targets = vec![
        Target::at_most(format!("rss_mb, ours with {instances} instances"), rss_mb, MOST.0),
        Target::at_most(format!("start_ms, ours with {instances} instances"), start_ms, MOST.1),
    ];
    Ok((Size { instances, empty_rss_mb, rss_mb, restarted_rss_mb, starts_ms, start_ms }, targets))
}
