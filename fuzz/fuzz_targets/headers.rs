//! Any headers: what ends at this hop is gone, and nothing that is read from them panics.
#![no_main]

use http::HeaderMap;
use http::header::{CONNECTION, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use libfuzzer_sys::fuzz_target;
use trellis_net::headers::strip_hop_by_hop;
use trellis_proxy::edge::cors::{Cors, CorsOptions};
use trellis_proxy::edge::websocket::Handshake;

fuzz_target!(|lines: Vec<(&[u8], &[u8])>| {
    let mut headers = HeaderMap::new();
    for (name, value) in lines.iter().take(128) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let mut request = http::Request::new(());
    *request.headers_mut() = headers.clone();
    let (head, ()) = request.into_parts();
    let _ = Handshake::read(&head);
    let options = CorsOptions { origins: vec!["https://*.shop.example".into()], ..CorsOptions::default() };
    let cors = Cors::compile(&options).expect("options");
    let _ = cors.preflight(&head);
    cors.decorate(head.headers.get("origin"), &mut headers);
    strip_hop_by_hop(&mut headers);
    for gone in [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        assert!(!headers.contains_key(gone));
    }
});
