//! What a name asks for. The forms are those of Consul's documentation, "Perform static DNS queries".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::Name;
use trellis_registry::{Name as Called, Namespace, ServiceKey};

use crate::zone::Zone;

/// What a name asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A name that is neither in the domain nor the reverse of an address.
    Elsewhere,
    /// The domain itself.
    Apex,
    /// The server of the domain.
    NameServer,
    /// A name that has none of its own, but names below it. Resolvers that ask label by label (RFC 9156) come by.
    Between,
    /// `[tag.]service.service[.place].domain` and `_service._tag[.service][.place].domain`.
    Service { key: ServiceKey, tag: Option<String> },
    /// `node.node[.place].domain`
    Node(Called),
    /// `hex.addr[.place].domain`
    Address(IpAddr),
    /// The reverse of an address; `None`: of a part of one.
    Reverse(Option<IpAddr>),
    /// The reverse of something that is no address.
    NoReverse,
    /// A name of the domain that nothing can have.
    Nothing,
}

/// What may stand between a name and the domain, and what comes before it.
const KINDS: [&str; 7] = ["service", "node", "addr", "connect", "ingress", "virtual", "query"];
/// What says of the label before it what it is.
const PLACES: [&str; 3] = ["dc", "ns", "ap"];

impl Asked {
    /// Reads a name.
    pub(crate) fn read(name: &Name, zone: &Zone) -> Self {
        let labels: Vec<&[u8]> = name.iter().collect();
        let is = |label: &[u8], text: &str| label.eq_ignore_ascii_case(text.as_bytes());
        let start = labels.len().checked_sub(zone.labels.len());
        if let Some((inside, domain)) = start.and_then(|at| labels.split_at_checked(at))
            && domain.iter().zip(&zone.labels).all(|(label, text)| is(label, text))
        {
            // A dot within a label would look like two labels from here on.
            let texts: Option<Vec<&str>> = inside
                .iter()
                .map(|label| str::from_utf8(label).ok().filter(|text| text.is_ascii() && !text.contains('.')))
                .collect();
            return texts.map_or(Self::Nothing, |labels| inside_of(&labels, zone));
        }
        match labels.as_slice() {
            [.., half, arpa] if is(arpa, "arpa") && (is(half, "in-addr") || is(half, "ip6")) => reverse(name),
            _ => Self::Elsewhere,
        }
    }
}

fn reverse(name: &Name) -> Asked {
    match name.parse_arpa_name() {
        Ok(net) if net.prefix_len() == net.max_prefix_len() => Asked::Reverse(Some(net.addr())),
        Ok(_) => Asked::Reverse(None),
        Err(_) => Asked::NoReverse,
    }
}

fn inside_of(labels: &[&str], zone: &Zone) -> Asked {
    match labels {
        [] => return Asked::Apex,
        [ns] if ns.eq_ignore_ascii_case("ns") => return Asked::NameServer,
        _ => {}
    }
    let Some(at) = labels.iter().rposition(|label| is_one_of(label, &KINDS)) else {
        return without_kind(labels, zone);
    };
    let (before, after) = labels.split_at(at);
    let [kind, after @ ..] = after else { return Asked::Nothing };
    let Some(namespace) = place(after, zone) else { return Asked::Nothing };
    match (kind.to_ascii_lowercase().as_str(), before) {
        ("service" | "node" | "addr", []) => Asked::Between,
        ("service", before) => service(before, namespace),
        ("node", [node]) => called(node).map_or(Asked::Nothing, Asked::Node),
        ("addr", [digits]) => address(digits).map_or(Asked::Nothing, Asked::Address),
        _ => Asked::Nothing,
    }
}

/// RFC 2782 without `service`, or what lies between the domain and a kind.
fn without_kind(labels: &[&str], zone: &Zone) -> Asked {
    match labels {
        [name, protocol, after @ ..] if name.starts_with('_') && protocol.starts_with('_') => {
            place(after, zone).map_or(Asked::Nothing, |namespace| service(&[name, protocol], namespace))
        }
        [one, after @ ..] if one.starts_with('_') || is_one_of(one, &PLACES) => {
            place(after, zone).map_or(Asked::Nothing, |_| Asked::Between)
        }
        labels => place(labels, zone).map_or(Asked::Nothing, |_| Asked::Between),
    }
}

fn service(labels: &[&str], namespace: Namespace) -> Asked {
    let (name, tag) = match labels {
        [protocol] if protocol.starts_with('_') => return Asked::Between,
        [name, protocol] if name.starts_with('_') && protocol.starts_with('_') => {
            let tag = protocol.trim_start_matches('_');
            // Every service here is reached by TCP, so this is no choice among its instances.
            (
                name.trim_start_matches('_'),
                Some(tag.to_owned()).filter(|tag| !tag.eq_ignore_ascii_case("tcp")),
            )
        }
        [tag @ .., name] => (*name, Some(tag.join(".")).filter(|tag| !tag.is_empty())),
        [] => return Asked::Between,
    };
    called(name).map_or(Asked::Nothing, |name| Asked::Service { key: ServiceKey { namespace, name }, tag })
}

/// The namespace that is meant, if what stands between the kind and the domain is this place: `dc1`, `dc1.dc`,
/// `team.ns.dc1.dc`, nothing. There is one partition, the default.
fn place(labels: &[&str], zone: &Zone) -> Option<Namespace> {
    let (mut rest, mut namespace, mut datacenter) = (labels, None, false);
    while let Some((last, before)) = rest.split_last() {
        let named = before.split_last().filter(|_| is_one_of(last, &PLACES));
        let (what, value, left) = match named {
            Some((value, left)) => (last.to_ascii_lowercase(), *value, left),
            None => ("dc".to_owned(), *last, before),
        };
        match what.as_str() {
            "dc" if !datacenter && value.eq_ignore_ascii_case(&zone.datacenter) => datacenter = true,
            "ns" if namespace.is_none() => namespace = Some(value.to_ascii_lowercase().parse().ok()?),
            "ap" if value.eq_ignore_ascii_case("default") => {}
            _ => return None,
        }
        rest = left;
    }
    Some(namespace.unwrap_or_default())
}

/// A name that the registry may hold, if DNS can carry it.
fn called(label: &str) -> Option<Called> {
    label.parse().ok().filter(Called::is_dns_label)
}

fn address(digits: &str) -> Option<IpAddr> {
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    match digits.len() {
        8 => u32::from_str_radix(digits, 16).ok().map(|bits| Ipv4Addr::from(bits).into()),
        32 => u128::from_str_radix(digits, 16).ok().map(|bits| Ipv6Addr::from(bits).into()),
        _ => None,
    }
}

fn is_one_of(label: &str, words: &[&str]) -> bool {
    words.iter().any(|word| label.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;

    fn asked(text: &str) -> Asked {
        let zone = Zone::new(&Options::default()).unwrap();
        let labels = text.split('.').filter(|label| !label.is_empty()).map(str::as_bytes);
        Asked::read(&Name::from_labels(labels).unwrap(), &zone)
    }

    fn service(namespace: &str, name: &str, tag: Option<&str>) -> Asked {
        let key = ServiceKey { namespace: namespace.parse().unwrap(), name: name.parse().unwrap() };
        Asked::Service { key, tag: tag.map(Into::into) }
    }

    #[test]
    fn services() {
        for text in [
            "web.service.consul.",
            "WEB.Service.CONSUL.",
            "web.service.dc1.consul.",
            "web.service.dc1.dc.consul.",
            "web.service.default.ns.dc1.dc.consul.",
            "web.service.default.ns.default.ap.dc1.dc.consul.",
            "_web._tcp.service.consul.",
            "_web._TCP.service.dc1.consul.",
            "_web._tcp.consul.",
        ] {
            assert_eq!(asked(text), service("default", "web", None), "{text}");
        }
        assert_eq!(asked("v1.web.service.consul."), service("default", "web", Some("v1")));
        assert_eq!(asked("a.b.web.service.consul."), service("default", "web", Some("a.b")));
        assert_eq!(asked("_web._v1.service.consul."), service("default", "web", Some("v1")));
        assert_eq!(asked("_web._v1.consul."), service("default", "web", Some("v1")));
        assert_eq!(asked("web.service.team.ns.dc1.dc.consul."), service("team", "web", None));
        assert_eq!(asked("service.service.consul."), service("default", "service", None));
        assert_eq!(asked("node.web.service.consul."), service("default", "web", Some("node")));
    }

    #[test]
    fn nodes_and_addresses() {
        for text in ["Foo.node.consul.", "foo.node.dc1.consul.", "foo.NODE.dc1.dc.consul."] {
            assert_eq!(asked(text), Asked::Node("foo".parse().unwrap()), "{text}");
        }
        assert_eq!(asked("C000020a.addr.dc1.consul."), Asked::Address([192, 0, 2, 10].into()));
        let six = "20010db800010002cafe000000001337.addr.consul.";
        assert_eq!(asked(six), Asked::Address("2001:db8:1:2:cafe::1337".parse().unwrap()));
    }

    #[test]
    fn names_between_have_names_below_them() {
        assert_eq!(asked("consul."), Asked::Apex);
        assert_eq!(asked("ns.consul."), Asked::NameServer);
        for text in [
            "service.consul.",
            "node.consul.",
            "addr.dc1.consul.",
            "dc1.consul.",
            "dc.consul.",
            "dc1.dc.consul.",
            "ns.dc1.dc.consul.",
            "team.ns.dc1.dc.consul.",
            "_tcp.service.consul.",
            "_tcp.consul.",
        ] {
            assert_eq!(asked(text), Asked::Between, "{text}");
        }
    }

    #[test]
    fn what_nothing_can_be_called() {
        for text in [
            "web.consul.",
            "web.service.dc2.consul.",
            "web.service.dc2.dc.consul.",
            "web.service.dc1.dc1.consul.",
            "web.service.other.ap.consul.",
            "web.service.peer1.peer.consul.",
            "web.ingress.consul.",
            "web.connect.consul.",
            "web.virtual.consul.",
            "q.query.consul.",
            "my_db.service.consul.",
            "-a.service.consul.",
            "a.b.node.consul.",
            "xyz.addr.consul.",
            "+1234567.addr.consul.",
            "__._tcp.service.consul.",
        ] {
            assert_eq!(asked(text), Asked::Nothing, "{text}");
        }
        let zone = Zone::new(&Options::default()).unwrap();
        let dotted = Name::from_labels([&b"a.web"[..], b"service", b"consul"]).unwrap();
        assert_eq!(Asked::read(&dotted, &zone), Asked::Nothing);
        let bytes = Name::from_labels([&b"\xff\x00"[..], b"service", b"consul"]).unwrap();
        assert_eq!(Asked::read(&bytes, &zone), Asked::Nothing);
    }

    #[test]
    fn elsewhere_and_reverse() {
        for text in [".", "com.", "consul.com.", "notconsul.", "home.arpa."] {
            assert_eq!(asked(text), Asked::Elsewhere, "{text}");
        }
        assert_eq!(asked("4.3.2.1.in-addr.arpa."), Asked::Reverse(Some([1, 2, 3, 4].into())));
        assert_eq!(asked("3.2.1.IN-ADDR.arpa."), Asked::Reverse(None));
        assert_eq!(asked("257.3.2.1.in-addr.arpa."), Asked::NoReverse);
        let six = "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
        assert_eq!(asked(six), Asked::Reverse(Some("2001:db8::567:89ab".parse().unwrap())));
    }
}
