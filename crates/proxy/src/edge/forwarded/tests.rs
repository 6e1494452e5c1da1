use proptest::prelude::*;

use super::*;

fn seen(peer: &str) -> Seen {
    Seen {
        peer: Some(peer.parse().unwrap()),
        tls: false,
        host: Some(HeaderValue::from_static("edge.example")),
    }
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn trust(trusted_hops: u32, written: Written) -> ForwardedOptions {
    ForwardedOptions { trusted_hops, written }
}

/// What the service gets, by name.
fn sent(options: ForwardedOptions, seen: &Seen, lines: &[(&'static str, &str)]) -> Vec<String> {
    let mut headers = headers(lines);
    let client = options.client(seen, &headers);
    options.send_on(seen, &client, &mut headers);
    let mut sent: Vec<_> = headers.iter().map(|(k, v)| format!("{k}: {}", v.to_str().unwrap())).collect();
    sent.sort_unstable();
    sent
}

const CLAIMS: [(&str, &str); 5] = [
    ("x-forwarded-for", "6.6.6.6"),
    ("x-forwarded-for", "192.0.2.7, 10.0.0.2"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "shop.example"),
    ("forwarded", "for=7.7.7.7;proto=https;host=evil.example"),
];

#[test]
fn without_trusted_proxies_only_what_we_see_counts() {
    let options = ForwardedOptions::default();
    assert_eq!(
        sent(options, &seen("10.0.0.1"), &CLAIMS),
        [
            "x-forwarded-for: 6.6.6.6, 192.0.2.7, 10.0.0.2, 10.0.0.1",
            "x-forwarded-host: edge.example",
            "x-forwarded-proto: http",
        ]
    );
    let client = options.client(&seen("::ffff:10.0.0.1"), &headers(&CLAIMS));
    assert_eq!(client.address, Some("10.0.0.1".parse().unwrap()));
    let nobody = Seen { peer: None, tls: true, host: None };
    assert_eq!(sent(options, &nobody, &CLAIMS[2..]), ["x-forwarded-proto: https"]);
    assert_eq!(
        sent(options, &nobody, &CLAIMS[..1]),
        ["x-forwarded-for: 6.6.6.6", "x-forwarded-proto: https"]
    );
}

#[test]
fn trusted_proxies_are_believed_as_far_as_they_go() {
    let from = |hops| trust(hops, Written::XForwarded).client(&seen("10.0.0.1"), &headers(&CLAIMS));
    for (hops, address) in [(1, "10.0.0.2"), (2, "192.0.2.7"), (3, "6.6.6.6")] {
        let client = from(hops);
        assert_eq!(client.address, Some(address.parse().unwrap()), "{hops}");
        assert_eq!((client.tls, client.host.unwrap()), (true, HeaderValue::from_static("shop.example")));
    }
    // Not through all of them: nothing of it is believed.
    let client = from(4);
    let Seen { peer, tls, host } = seen("10.0.0.1");
    assert_eq!(client, Client { address: peer, tls, host });
    assert_eq!(
        sent(trust(2, Written::XForwarded), &seen("10.0.0.1"), &CLAIMS),
        [
            "x-forwarded-for: 6.6.6.6, 192.0.2.7, 10.0.0.2, 10.0.0.1",
            "x-forwarded-host: shop.example",
            "x-forwarded-proto: https",
        ]
    );
}

#[test]
fn lists_of_schemes_and_hosts_are_counted_from_the_end() {
    let lines = [
        ("x-forwarded-for", "6.6.6.6, 192.0.2.7"),
        ("x-forwarded-proto", "https,http"),
        ("x-forwarded-host", "evil.example, shop.example"),
    ];
    let client = trust(1, Written::XForwarded).client(&seen("10.0.0.1"), &headers(&lines));
    assert_eq!((client.tls, client.host.unwrap()), (false, HeaderValue::from_static("shop.example")));
}

#[test]
fn what_is_no_value_is_not_believed() {
    let lines =
        [("x-forwarded-for", "unknown"), ("x-forwarded-proto", "gopher"), ("x-forwarded-host", "user@evil")];
    let options = trust(1, Written::XForwarded);
    assert_eq!(
        sent(options, &seen("::1"), &lines),
        ["x-forwarded-for: unknown, ::1", "x-forwarded-host: edge.example", "x-forwarded-proto: http"]
    );
    assert_eq!(options.client(&seen("::1"), &headers(&lines)).address, Some("::1".parse().unwrap()));
}

#[test]
fn forwarded_is_believed_where_the_proxies_write_it() {
    let lines = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "http"),
        ("forwarded", "for=\"broken, for=192.0.2.7;proto=https;host=shop.example"),
    ];
    assert_eq!(
        sent(trust(1, Written::Forwarded), &seen("2001:db8::1"), &lines),
        [
            "forwarded: for=\"broken, for=192.0.2.7;proto=https;host=shop.example, \
             for=\"[2001:db8::1]\";proto=http;host=\"edge.example\"",
            "x-forwarded-for: 192.0.2.7, 2001:db8::1",
            "x-forwarded-host: shop.example",
            "x-forwarded-proto: https",
        ]
    );
    assert_eq!(
        sent(trust(0, Written::Forwarded), &seen("10.0.0.1"), &lines[..2]),
        [
            "forwarded: for=10.0.0.1;proto=http;host=\"edge.example\"",
            "x-forwarded-for: 10.0.0.1",
            "x-forwarded-host: edge.example",
            "x-forwarded-proto: http",
        ]
    );
}

proptest! {
    #[test]
    fn a_client_cannot_choose_its_address(claim in "[ -~]{0,40}", real: std::net::Ipv4Addr, forwarded: bool) {
        let (name, written, ours) = if forwarded {
            ("forwarded", Written::Forwarded, format!("for={real}"))
        } else {
            ("x-forwarded-for", Written::XForwarded, real.to_string())
        };
        let line = format!("{claim}, {ours}");
        let client = trust(1, written).client(&seen("10.0.0.1"), &headers(&[(name, &line)]));
        prop_assert_eq!(client.address, Some(IpAddr::V4(real)));
    }
}
