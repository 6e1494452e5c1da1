use http::{Request, Response};

use super::*;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const RANDOM: [u8; 16] = *b"the sample nonce";

/// The request of RFC 6455, section 1.2, with some headers changed; an empty value removes one.
fn over_http1(changes: &[(&'static str, &'static str)]) -> request::Parts {
    let mut headers = vec![
        ("host", "server.example.com"),
        ("upgrade", "websocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-key", KEY),
        ("origin", "http://example.com"),
        ("sec-websocket-protocol", "chat, superchat"),
        ("sec-websocket-version", "13"),
    ];
    headers.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    headers.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    let request =
        headers.into_iter().fold(Request::get("/chat?a=1"), |r, (name, value)| r.header(name, value));
    request.body(()).unwrap().into_parts().0
}

/// The request of RFC 8441, section 5.1.
fn over_http2() -> request::Parts {
    let request = Request::builder()
        .method(Method::CONNECT)
        .version(Version::HTTP_2)
        .uri("https://server.example.com/chat?a=1")
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-protocol", "chat, superchat")
        .header("sec-websocket-extensions", "permessage-deflate")
        .header("sec-websocket-version", "13")
        .header("origin", "http://www.example.com");
    request.body(()).unwrap().into_parts().0
}

fn answer(status: u16, headers: &[(&'static str, &'static str)]) -> response::Parts {
    let response =
        headers.iter().fold(Response::builder().status(status), |r, (name, value)| r.header(*name, *value));
    response.body(()).unwrap().into_parts().0
}

fn opened(accept: &'static str) -> response::Parts {
    let headers = [
        ("upgrade", "WebSocket"),
        ("connection", "upgrade"),
        ("sec-websocket-accept", accept),
        ("sec-websocket-protocol", "chat"),
        ("content-length", "0"),
    ];
    answer(101, &headers)
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<_> = headers.iter().map(|(k, v)| format!("{k}: {}", v.to_str().unwrap())).collect();
    lines.sort_unstable();
    lines
}

fn send(mut head: request::Parts, to: Upstream) -> (request::Parts, Sent) {
    let handshake = Handshake::read(&head).unwrap().unwrap();
    let sent = handshake.send_on(&mut head, to);
    (head, sent)
}

#[test]
fn handshakes_are_recognized() {
    for (head, asks) in [
        (over_http1(&[]), true),
        (over_http2(), true),
        (over_http1(&[("connection", "keep-alive")]), false),
        (over_http1(&[("connection", "")]), false),
        (over_http1(&[("upgrade", "h2c")]), false),
        (over_http1(&[("upgrade", "h2c, WebSocket")]), true),
        (over_http1(&[("content-length", "0")]), true),
    ] {
        assert_eq!(Handshake::read(&head).map(|found| found.is_some()), Ok(asks), "{head:?}");
    }
    let mut connect = over_http2();
    connect.extensions.insert(Protocol::from_static("connect-udp"));
    assert_eq!(Handshake::read(&connect), Ok(None));
}

#[test]
fn what_is_wrong_with_a_handshake_is_said() {
    for (changes, refusal) in [
        (&[("sec-websocket-version", "8")][..], Refusal::Version),
        (&[("sec-websocket-version", "")], Refusal::Version),
        (&[("sec-websocket-key", "")], Refusal::Key),
        (&[("sec-websocket-key", "AAAA")], Refusal::Key),
        (&[("sec-websocket-key", KEY), ("sec-websocket-key", KEY)], Refusal::Key),
        (&[("content-length", "5")], Refusal::Body),
        (&[("transfer-encoding", "chunked")], Refusal::Body),
    ] {
        assert_eq!(Handshake::read(&over_http1(changes)), Err(refusal), "{changes:?}");
    }
    let mut post = over_http1(&[]);
    post.method = Method::POST;
    assert_eq!(Handshake::read(&post), Err(Refusal::Method));
    let mut old = over_http1(&[]);
    old.version = Version::HTTP_10;
    assert_eq!(Handshake::read(&old), Err(Refusal::Method));

    let mut headers = HeaderMap::new();
    Refusal::Version.decorate(&mut headers);
    assert_eq!(
        (Refusal::Version.status().as_u16(), lines(&headers)),
        (426, vec!["sec-websocket-version: 13".into()])
    );
    assert_eq!(Refusal::Key.status(), StatusCode::BAD_REQUEST);
}

#[test]
fn http2_to_http1() {
    let (head, sent) = send(over_http2(), Upstream::Http1(RANDOM));
    assert_eq!(
        (head.method, head.version, head.uri),
        (Method::GET, Version::HTTP_11, Uri::from_static("/chat?a=1"))
    );
    assert!(head.extensions.get::<Protocol>().is_none());
    assert_eq!(
        lines(&head.headers),
        [
            "connection: Upgrade",
            "host: server.example.com",
            "origin: http://www.example.com",
            "sec-websocket-extensions: permessage-deflate",
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            "sec-websocket-protocol: chat, superchat",
            "sec-websocket-version: 13",
            "upgrade: websocket",
        ]
    );
    let mut yes = opened(ACCEPT);
    assert_eq!(sent.returned(&mut yes), Ok(true));
    assert_eq!(
        (yes.status, lines(&yes.headers)),
        (StatusCode::OK, vec!["sec-websocket-protocol: chat".into()])
    );
    let mut no = answer(403, &[("connection", "close"), ("content-length", "3")]);
    assert_eq!(sent.returned(&mut no), Ok(false));
    assert_eq!((no.status.as_u16(), lines(&no.headers)), (403, vec!["content-length: 3".into()]));
    // It has sent a page, not opened anything.
    assert_eq!(sent.returned(&mut answer(200, &[])), Err(Mistake::Status));
}

#[test]
fn http1_to_http2() {
    let (head, sent) = send(over_http1(&[("te", "trailers")]), Upstream::Http2);
    assert_eq!((head.method, head.version), (Method::CONNECT, Version::HTTP_2));
    assert_eq!(head.extensions.get::<Protocol>().map(Protocol::as_str), Some("websocket"));
    assert_eq!(
        lines(&head.headers),
        [
            "origin: http://example.com",
            "sec-websocket-protocol: chat, superchat",
            "sec-websocket-version: 13",
        ]
    );
    let mut yes = answer(200, &[("sec-websocket-protocol", "chat")]);
    assert_eq!(sent.returned(&mut yes), Ok(true));
    assert_eq!((yes.status, yes.version), (StatusCode::SWITCHING_PROTOCOLS, Version::HTTP_11));
    assert_eq!(
        lines(&yes.headers),
        [
            "connection: Upgrade",
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "sec-websocket-protocol: chat",
            "upgrade: websocket",
        ]
    );
    assert_eq!(sent.returned(&mut answer(501, &[])), Ok(false));
    assert_eq!(sent.returned(&mut opened(ACCEPT)), Err(Mistake::Protocol));
}

#[test]
fn http1_to_http1_has_a_key_for_each_side() {
    let (head, sent) =
        send(over_http1(&[("connection", "upgrade, x-secret"), ("x-secret", "1")]), Upstream::Http1([0; 16]));
    assert_eq!(head.headers[SEC_WEBSOCKET_KEY], "AAAAAAAAAAAAAAAAAAAAAA==");
    assert!(!head.headers.contains_key("x-secret"));
    assert_eq!(head.headers[HOST], "server.example.com");
    assert_eq!(sent.returned(&mut opened(ACCEPT)), Err(Mistake::Accept));
    let mut yes = opened("ICX+Yqv66kxgM0FcWaLWlFLwTAI=");
    assert_eq!(sent.returned(&mut yes), Ok(true));
    assert_eq!(yes.headers[SEC_WEBSOCKET_ACCEPT], ACCEPT);
    assert_eq!(
        sent.returned(&mut answer(101, &[("upgrade", "h2c"), ("connection", "upgrade")])),
        Err(Mistake::Protocol)
    );
    // A page is a page for HTTP/1.1.
    assert_eq!(sent.returned(&mut answer(200, &[])), Ok(false));
}

#[test]
fn http2_to_http2() {
    let (head, sent) = send(over_http2(), Upstream::Http2);
    assert_eq!(head.uri.path(), "/chat");
    assert!(!head.headers.contains_key(SEC_WEBSOCKET_KEY) && !head.headers.contains_key(CONNECTION));
    let mut yes = answer(204, &[]);
    assert_eq!((sent.returned(&mut yes), yes.status), (Ok(true), StatusCode::OK));
    assert_eq!(sent.returned(&mut answer(302, &[])), Ok(false));
}
