//! Traefik, which finds the shop through the door for Consul.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::Result;
use http::Method;
use serde_json::json;
use trellis_testkit::{Http, Platform, PlatformOptions, Program, free_port, wait_until};

use crate::python::program;

/// It comes and goes with what the registry says; the first time includes its start.
const PATIENCE: Duration = Duration::from_mins(1);

/// Starts it, with a route `/NAME` for each service. Where it serves.
fn start(consul: &str) -> Result<(Program, String)> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let args: Vec<OsString> = [
        "--global.checknewversion=false".to_owned(),
        "--global.sendanonymoususage=false".to_owned(),
        "--log.level=ERROR".to_owned(),
        format!("--entrypoints.web.address={address}"),
        "--providers.consulcatalog=true".to_owned(),
        format!("--providers.consulcatalog.endpoint.address={}", consul.trim_start_matches("http://")),
        "--providers.consulcatalog.watch=true".to_owned(),
        "--providers.consulcatalog.defaultrule=PathPrefix(`/{{ .Name }}`)".to_owned(),
    ]
    .into_iter()
    .map(OsString::from)
    .collect();
    let args: Vec<_> = args.iter().map(OsString::as_os_str).collect();
    Ok((Program::start(&program("traefik")?, &args)?, format!("http://{address}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn traefik_leads_to_the_shop_and_follows_what_operators_say() -> Result<()> {
    let shop = Platform::start(PlatformOptions::shop()).await?;
    let (_traefik, url) = start(shop.consul()?)?;
    let http = Http::new();
    let answers = || async {
        let answer = http.call(Method::GET, format!("{url}/users")).send().await;
        answer.is_ok_and(|answer| answer.status == 200 && answer.text().contains("Alice"))
    };
    wait_until("Traefik leads to the users", PATIENCE, answers).await?;

    let operator = format!("{}/v1/services/users/override", shop.admin());
    let say = http.call(Method::PUT, operator.clone()).json(&json!({ "status": "OUT_OF_SERVICE" }));
    let said = say.send().await?.status;
    anyhow::ensure!((200..300).contains(&said), "the override is answered with {said}");
    wait_until("Traefik leaves them out", PATIENCE, || async { !answers().await }).await?;

    let said = http.call(Method::DELETE, operator).send().await?.status;
    anyhow::ensure!((200..300).contains(&said), "taking it back is answered with {said}");
    wait_until("Traefik leads to them again", PATIENCE, answers).await
}
