//! Inventory over gRPC, on the module's own port.

use anyhow::{Context, Result};
use futures_util::{StreamExt, stream};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use trellis_testkit::wait_until;

use crate::kinds::{PATIENCE, Shop, in_every_kind};
use proto::inventory_client::InventoryClient;

#[expect(clippy::pedantic, unreachable_pub, reason = "generated")]
mod proto {
    tonic::include_proto!("shop.inventory.v1");
}

in_every_kind!(health_and_reflection_answer, the_rules_are_those_of_http);

const SERVICE: &str = "shop.inventory.v1.Inventory";

async fn connect(shop: &Shop) -> Result<Channel> {
    let port = shop.module("inventory").await?.port;
    Ok(Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?.connect().await?)
}

async fn health_and_reflection_answer(shop: Shop) -> Result<()> {
    let channel = connect(&shop).await?;
    let health = HealthClient::new(channel.clone());
    wait_until("it is serving", PATIENCE, async || {
        let request = HealthCheckRequest { service: SERVICE.into() };
        let answer = health.clone().check(request).await;
        answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
    })
    .await?;

    let ask = |question| ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let questions = [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol(format!("{SERVICE}.Reserve")),
    ];
    let mut reflection = ServerReflectionClient::new(channel);
    let mut answers = reflection.server_reflection_info(stream::iter(questions.map(ask))).await?.into_inner();
    let mut next = async || answers.next().await.context("an answer")??.message_response.context("a message");
    let MessageResponse::ListServicesResponse(list) = next().await? else { anyhow::bail!("another answer") };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&SERVICE) && names.contains(&"grpc.health.v1.Health"), "{names:?}");
    let MessageResponse::FileDescriptorResponse(files) = next().await? else {
        anyhow::bail!("another answer")
    };
    assert!(!files.file_descriptor_proto.is_empty());
    Ok(())
}

async fn the_rules_are_those_of_http(shop: Shop) -> Result<()> {
    let mut inventory = InventoryClient::new(connect(&shop).await?);
    let first = inventory.list(proto::ListRequest { limit: 2, cursor: String::new() }).await?.into_inner();
    let skus: Vec<_> = first.items.iter().map(|item| item.sku.as_str()).collect();
    assert_eq!(skus, ["keyboard", "monitor"]);
    let rest = inventory.list(proto::ListRequest { limit: 2, cursor: first.next_cursor }).await?.into_inner();
    assert_eq!((rest.items[0].price_minor, rest.next_cursor.as_str()), (2550, ""));

    let id = "01890000-0000-7000-8000-00000000000a";
    let lines = |sku: &str, quantity| vec![proto::Line { sku: sku.into(), quantity }];
    let reserve = |id: &str, items| proto::ReserveRequest { id: id.into(), items };
    for _ in 0..2 {
        let held = inventory.reserve(reserve(id, lines("mouse", 2))).await?.into_inner();
        assert_eq!((held.status(), held.total_minor), (proto::ReservationStatus::Held, 5100));
    }
    assert_eq!(shop.fetch("/api/inventory/mouse").await?["available"], 9998, "it is the same stock");
    let released = inventory.release(proto::ReleaseRequest { id: id.into() }).await?.into_inner();
    assert_eq!(released.status(), proto::ReservationStatus::Released);
    let back = inventory.get(proto::GetRequest { sku: "mouse".into() }).await?.into_inner();
    assert_eq!(back.available, 10_000);

    let other = "01890000-0000-7000-8000-00000000000b";
    for (request, code, text) in [
        (reserve(id, lines("mouse", 2)), Code::FailedPrecondition, "SHOP1007"),
        (reserve(other, lines("zzz", 1)), Code::InvalidArgument, "SHOP1004"),
        (reserve(other, lines("mouse", 0)), Code::InvalidArgument, "TRL2002"),
        (reserve("7", lines("mouse", 1)), Code::InvalidArgument, "UUID"),
        (reserve(other, Vec::new()), Code::InvalidArgument, "TRL2002"),
    ] {
        let refused = inventory.reserve(request).await.err().context("it is refused")?;
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.message().contains(text), "{refused}");
    }
    shop.put("/api/inventory/mouse")
        .json(&serde_json::json!({ "available": 1, "price": 1 }))
        .send()
        .await?
        .expect(200)?;
    let short = inventory.reserve(reserve(other, lines("mouse", 2))).await.err().context("it is refused")?;
    assert_eq!(short.code(), Code::FailedPrecondition);
    let missing =
        inventory.get(proto::GetRequest { sku: "zzz".into() }).await.err().context("it is missing")?;
    assert_eq!(missing.code(), Code::NotFound);
    Ok(())
}
