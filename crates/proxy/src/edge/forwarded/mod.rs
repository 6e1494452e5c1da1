//! Who the client is, seen through the proxies in front of us, and what is sent on about it.
//!
//! `X-Forwarded-For`, `-Proto` and `-Host`, or `Forwarded` (RFC 7239). A client can write into them what it likes, so
//! they are believed only as far from the end as there are proxies of our own in front: each of those has added what
//! it saw itself.
//!
//! Only one of the two families is believed, the one that those proxies write. The other could come from the client
//! itself, past proxies that do not know it.

mod element;
mod list;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use http::header::FORWARDED;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue};

use list::{IpText, entries, join};

/// What is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ForwardedOptions {
    /// How many proxies in front of us are ours. With 0, nothing is believed.
    pub trusted_hops: u32,
    /// What they write.
    pub written: Written,
}

/// A family of headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Written {
    /// `X-Forwarded-For`, `X-Forwarded-Proto`, `X-Forwarded-Host`.
    #[default]
    XForwarded,
    /// `Forwarded`.
    Forwarded,
}

/// What is seen of the connection a request came on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The other side's address; none for a socket that has no addresses.
    pub peer: Option<IpAddr>,
    /// Whether it was TLS.
    pub tls: bool,
    /// The request's authority, or its `Host`.
    pub host: Option<HeaderValue>,
}

/// What the client did, as far as it can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub address: Option<IpAddr>,
    /// Whether its own connection was TLS.
    pub tls: bool,
    /// The host it asked for.
    pub host: Option<HeaderValue>,
}

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

impl ForwardedOptions {
    /// Who the client is. `headers` are the request's, as they came.
    pub fn client(self, seen: &Seen, headers: &HeaderMap) -> Client {
        let hops = self.trusted_hops as usize;
        let claim = match (hops, self.written) {
            (0, _) => None,
            (_, Written::XForwarded) => x_forwarded(headers, hops),
            (_, Written::Forwarded) => element::nth_from_end(headers, hops - 1),
        };
        // A list that is shorter has not come through all of them: somebody found another way in.
        let claim = claim.unwrap_or_default();
        Client {
            address: claim.address.or(seen.peer).map(|address| address.to_canonical()),
            tls: claim.tls.unwrap_or(seen.tls),
            host: claim.host.or_else(|| seen.host.clone()),
        }
    }

    /// Writes what a service is told, after hop-by-hop headers were removed. We add what we saw to the end of the list;
    /// the rest is what is believed.
    pub fn send_on(self, seen: &Seen, client: &Client, headers: &mut HeaderMap) {
        let peer = seen.peer.map(|peer| IpText::new(peer.to_canonical()));
        let list = match self.written {
            Written::XForwarded => {
                headers.remove(FORWARDED);
                join(headers, &FOR, peer.as_ref().map(IpText::as_bytes))
            }
            Written::Forwarded => {
                let list = join(headers, &FORWARDED, Some(&element::write(peer.as_ref(), seen)));
                put(headers, FORWARDED, list);
                // For services that read only this one.
                let client = client
                    .address
                    .filter(|address| seen.peer.map(|peer| peer.to_canonical()) != Some(*address));
                let client = client.map(IpText::new);
                list::write(|| client.iter().chain(&peer).map(IpText::as_bytes))
            }
        };
        put(headers, FOR, list);
        headers.insert(PROTO, HeaderValue::from_static(if client.tls { "https" } else { "http" }));
        put(headers, HOST, client.host.clone());
    }
}

/// What a proxy says about the side that it was asked from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Claim {
    address: Option<IpAddr>,
    tls: Option<bool>,
    host: Option<HeaderValue>,
}

/// What the `hops`-th proxy from here says; nothing if there are not so many.
fn x_forwarded(headers: &HeaderMap, hops: usize) -> Option<Claim> {
    let address = list::address(entries(headers, &FOR).nth(hops - 1)?);
    // Some proxies add to these lists, some replace them, so they may be shorter; then what is left is theirs.
    let entry = |name| entries(headers, name).take(hops).last();
    Some(Claim { address, tls: entry(&PROTO).and_then(tls), host: entry(&HOST).and_then(host) })
}

fn tls(scheme: &[u8]) -> Option<bool> {
    let is = |name: &str| scheme.eq_ignore_ascii_case(name.as_bytes());
    if is("https") || is("wss") {
        Some(true)
    } else if is("http") || is("ws") {
        Some(false)
    } else {
        None
    }
}

fn host(text: &[u8]) -> Option<HeaderValue> {
    let authority = Authority::try_from(text).ok()?;
    if authority.as_str().contains('@') { None } else { HeaderValue::from_bytes(text).ok() }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => headers.insert(name, value),
        None => headers.remove(name),
    };
}
