use http::Request;

use super::*;

fn cors(change: impl FnOnce(&mut CorsOptions)) -> Cors {
    let mut options = CorsOptions { origins: vec!["https://shop.example".into()], ..CorsOptions::default() };
    change(&mut options);
    Cors::compile(&options).unwrap()
}

fn ask(cors: &Cors, headers: &[(&str, &str)]) -> Option<Response<()>> {
    let mut request = Request::options("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    cors.preflight(&request.body(()).unwrap().into_parts().0)
}

fn text<'r>(headers: &'r HeaderMap, name: &str) -> Option<&'r str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

const PUT: [(&str, &str); 2] = [("origin", "https://shop.example"), ("access-control-request-method", "PUT")];

#[test]
fn a_preflight_gets_what_it_needs() {
    let mut asked = PUT.to_vec();
    asked.push(("access-control-request-headers", "content-type,authorization"));
    let answer = ask(&cors(|_| ()), &asked).unwrap();
    assert_eq!(answer.status(), 204);
    let headers = answer.headers();
    assert_eq!(text(headers, "access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(text(headers, "access-control-allow-methods"), Some("PUT, PATCH, DELETE"));
    assert_eq!(
        text(headers, "access-control-allow-headers"),
        Some("Authorization, Content-Type, Idempotency-Key")
    );
    assert_eq!(text(headers, "access-control-max-age"), Some("600"));
    assert_eq!(text(headers, "access-control-allow-credentials"), None);
    assert!(text(headers, "vary").unwrap().contains("origin"));
}

#[test]
fn what_is_no_preflight_is_not_answered() {
    let cors = cors(|_| ());
    assert!(ask(&cors, &PUT[..1]).is_none());
    assert!(ask(&cors, &PUT[1..]).is_none());
    let get = Request::get("/").header(PUT[0].0, PUT[0].1).header(PUT[1].0, PUT[1].1).body(()).unwrap();
    assert!(cors.preflight(&get.into_parts().0).is_none());
}

#[test]
fn a_refusal_has_no_allow_headers() {
    let origin = PUT[0];
    let method = |m| ("access-control-request-method", m);
    let headers = |h| ("access-control-request-headers", h);
    for asked in [
        vec![("origin", "https://evil.example"), method("PUT")],
        vec![("origin", "null"), method("PUT")],
        vec![origin, origin, method("PUT")],
        vec![origin, method("PURGE")],
        vec![origin, method("put")],
        vec![origin, method("PUT"), method("GET")],
        vec![origin, method("PUT"), headers("content-type, x-secret")],
        vec![origin, method("PUT"), headers("content-type"), headers("x-secret")],
    ] {
        let answer = ask(&cors(|_| ()), &asked).unwrap();
        assert_eq!((answer.status(), answer.headers().len()), (StatusCode::NO_CONTENT, 1), "{asked:?}");
        assert!(answer.headers().contains_key(VARY));
    }
    // A method that needs no permission may still carry headers that do.
    let simple = ask(&cors(|o| o.methods.clear()), &[origin, method("POST")]).unwrap();
    assert!(simple.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    assert!(!simple.headers().contains_key(ACCESS_CONTROL_ALLOW_METHODS));
}

#[test]
fn any_header_does_not_mean_authorization() {
    let open = cors(|o| o.headers = vec!["*".into()]);
    for (asked, allowed) in [("x-anything", true), ("Authorization", false)] {
        let mut request = PUT.to_vec();
        request.push(("access-control-request-headers", asked));
        let answer = ask(&open, &request).unwrap();
        assert_eq!(answer.headers().contains_key(ACCESS_CONTROL_ALLOW_HEADERS), allowed, "{asked}");
    }
}

#[test]
fn a_response_has_one_answer_the_gateways() {
    let mut response = HeaderMap::new();
    for value in ["*", "https://other.example"] {
        response.append(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static(value));
    }
    response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("X-Secret"));
    response.insert(VARY, HeaderValue::from_static("Accept"));
    let cors = cors(|o| o.credentials = true);

    let mut allowed = response.clone();
    cors.decorate(Some(&HeaderValue::from_static("https://shop.example")), &mut allowed);
    let origins: Vec<_> = allowed.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter().collect();
    assert_eq!(origins, ["https://shop.example"]);
    assert_eq!(text(&allowed, "access-control-allow-credentials"), Some("true"));
    assert_eq!(text(&allowed, "access-control-expose-headers"), Some("Retry-After, X-Request-Id"));
    assert_eq!(allowed.get_all(VARY).iter().collect::<Vec<_>>(), ["Accept", "origin"]);

    for other in [Some(HeaderValue::from_static("https://evil.example")), None] {
        let mut refused = response.clone();
        cors.decorate(other.as_ref(), &mut refused);
        assert_eq!(refused.len(), 2, "only Vary is left: {refused:?}");
        assert_eq!(refused.get_all(VARY).iter().count(), 2);
    }
}

#[test]
fn what_anybody_may_read_is_the_same_for_everybody() {
    let open = cors(|o| o.origins = vec!["*".into()]);
    for origin in
        [None, Some(HeaderValue::from_static("null")), Some(HeaderValue::from_static("https://x.example"))]
    {
        let mut response = HeaderMap::new();
        open.decorate(origin.as_ref(), &mut response);
        assert_eq!(text(&response, "access-control-allow-origin"), Some("*"));
        assert!(!response.contains_key(VARY));
    }
}

#[test]
fn credentials_need_names() {
    for list in ["origins", "methods", "headers", "expose"] {
        let mut options = CorsOptions { origins: vec!["https://a.example".into()], ..CorsOptions::default() };
        options.credentials = true;
        match list {
            "origins" => &mut options.origins,
            "methods" => &mut options.methods,
            "headers" => &mut options.headers,
            _ => &mut options.expose,
        }
        .push("*".into());
        let error = Cors::compile(&options).unwrap_err();
        assert!(error.starts_with(list) && error.contains("credentials"), "{error}");
        options.credentials = false;
        assert!(Cors::compile(&options).is_ok());
    }
    let wrong =
        CorsOptions { origins: vec!["*".into()], headers: vec!["a b".into()], ..CorsOptions::default() };
    assert!(Cors::compile(&wrong).unwrap_err().starts_with("headers: \"a b\""));
}
