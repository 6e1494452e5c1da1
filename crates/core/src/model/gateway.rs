//! `[gateway]`

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BreakerModel, Compression, Cors, Retry, Tls};
use crate::{HumanDuration, Share};

/// `[gateway]`: the door for clients, and what routes have unless they say otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// Address for clients.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Threads that carry requests; 0 is one for each core.
    #[schemars(range(max = 1024))]
    pub workers: u32,
    /// Where this gateway runs; instances of the same zone are preferred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Proxies in front of this one that are believed when they say in `X-Forwarded-For` who the client is.
    #[schemars(range(max = 16))]
    pub trusted_hops: u32,
    /// Longest wait for an answer to begin.
    pub timeout: HumanDuration,
    /// Longest wait for a connection to an instance.
    pub connect_timeout: HumanDuration,
    /// Longest wait for the next request on a client's connection.
    pub idle_timeout: HumanDuration,
    /// Longest time in which a body, in either direction, makes no progress.
    pub stall_timeout: HumanDuration,
    /// Largest request body, in bytes.
    pub max_body_bytes: u64,
    /// Most that is read on of a request body that nobody wants, in bytes, so that its client sees the answer.
    pub max_unread_bytes: u64,
    /// Longest time in which that is done.
    pub unread_timeout: HumanDuration,
    /// Largest request head, in bytes.
    #[schemars(range(min = 8192, max = 1_048_576))]
    pub max_header_bytes: u32,
    /// Longest wait for a request head to arrive.
    pub header_timeout: HumanDuration,
    /// Most connections from clients at once; more wait to be accepted.
    #[schemars(range(min = 1))]
    pub max_connections: u32,
    /// Most requests at once on one HTTP/2 connection.
    #[schemars(range(min = 1, max = 65_535))]
    pub max_streams: u32,
    /// Most requests carried at once; more are refused with 503.
    #[schemars(range(min = 1))]
    pub max_requests: u32,
    /// Most idle connections kept to each instance.
    pub max_idle_connections: u32,
    /// Most other instances tried after a connection fails.
    #[schemars(range(max = 10))]
    pub connect_retries: u32,
    /// Longest wait for running requests when stopping.
    pub drain: HumanDuration,
    /// Write a log line for each request.
    pub access_log: bool,
    /// Share of requests that get their log line; those that fail always do.
    pub access_log_sample: Share,
    /// When to stop asking an instance that fails.
    pub breaker: BreakerModel,
    /// A second door, for TLS; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// What scripts of other origins may ask; nothing if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Which answers are compressed; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// When a request is tried again; only as `connect_retries` says if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: 0,
            zone: None,
            trusted_hops: 0,
            timeout: HumanDuration::from_secs(30),
            connect_timeout: HumanDuration::from_secs(2),
            idle_timeout: HumanDuration::from_secs(60),
            stall_timeout: HumanDuration::from_secs(60),
            max_body_bytes: 16 << 20,
            max_unread_bytes: 4 << 20,
            unread_timeout: HumanDuration::from_secs(2),
            max_header_bytes: 64 << 10,
            header_timeout: HumanDuration::from_secs(15),
            max_connections: 20_000,
            max_streams: 256,
            max_requests: 10_000,
            max_idle_connections: 128,
            connect_retries: 2,
            drain: HumanDuration::from_secs(15),
            access_log: true,
            access_log_sample: Share::ALL,
            breaker: BreakerModel::default(),
            tls: None,
            cors: None,
            compression: None,
            retry: None,
        }
    }
}
