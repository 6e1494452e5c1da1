use axum::body::Body;
use http::{Request, StatusCode};

use crate::support::{Answer, TestGateway, echo};

const ROUTES: &str = "
    [gateway.cors]
    origins = ['https://app.example']
    expose = ['x-total']
    [[route]]
    path = '/users'
    methods = ['GET', 'PUT']
    service = 's'
    [[route]]
    path = '/open'
    service = 's'
    cors = { origins = ['*'] }
    [[route]]
    path = '/closed'
    service = 's'
    cors = { origins = [] }
    [[route]]
    path = '/down'
    service = 'none'
";

async fn gateway() -> TestGateway {
    let gateway = TestGateway::start(ROUTES).await;
    gateway.registry.set("s", &[echo().await]);
    gateway
}

async fn ask(gateway: &TestGateway, path: &str, origin: &str, method: &str) -> Answer {
    let request = Request::options(path)
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "content-type");
    gateway.send(request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn preflights_are_answered_here() {
    let gateway = gateway().await;
    let answer = ask(&gateway, "/users", "https://app.example", "PUT").await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::NO_CONTENT, ""));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(answer.header("access-control-allow-methods").is_some_and(|list| list.contains("PUT")));
    assert_eq!(answer.header("access-control-max-age"), Some("600"));
    // Another origin, and a method that the route does not take.
    let stranger = ask(&gateway, "/users", "https://evil.example", "PUT").await;
    assert_eq!(
        (stranger.status, stranger.header("access-control-allow-origin")),
        (StatusCode::NO_CONTENT, None)
    );
    assert_eq!(
        ask(&gateway, "/users", "https://app.example", "DELETE").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    // Where the gateway has no say, the service has.
    let asked = ask(&gateway, "/closed", "https://app.example", "PUT").await;
    assert_eq!((asked.status, &asked.json()["method"]), (StatusCode::OK, &"OPTIONS".into()));
}

#[tokio::test]
async fn answers_say_who_may_read_them_and_so_do_problems() {
    let gateway = gateway().await;
    let get =
        |path: &str| Request::get(path).header("origin", "https://app.example").body(Body::empty()).unwrap();
    let answer = gateway.send(get("/users")).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(
        (answer.header("access-control-expose-headers"), answer.header("vary")),
        (Some("x-total"), Some("origin"))
    );
    assert_eq!(gateway.send(get("/open")).await.header("access-control-allow-origin"), Some("*"));
    assert_eq!(gateway.send(get("/closed")).await.header("access-control-allow-origin"), None);
    let problem = gateway.send(get("/down")).await;
    problem.problem("TRL1003");
    assert_eq!(problem.header("access-control-allow-origin"), Some("https://app.example"));
}
