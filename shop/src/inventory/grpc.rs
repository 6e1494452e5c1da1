//! The gRPC door: the same rules behind `shop.inventory.v1.Inventory`, with the standard health and reflection
//! services, on the module's own port.

use std::time::Duration;

use axum::Router;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tonic_health::server::HealthReporter;
use trellis_sdk::core::error::{Retry, chain};
use trellis_sdk::core::{self, codes};
use trellis_sdk::database::Store;
use trellis_sdk::runtime::Shutdown;
use uuid::Uuid;

use super::model::{self, ReservationStatus, ReserveInput};
use super::service::Inventory;
use crate::codes::{OUT_OF_STOCK, RESERVATION_RELEASED};
use crate::paging::PageQuery;
use proto::inventory_server::{Inventory as Door, InventoryServer};

/// The contract, compiled from `proto/inventory.proto`.
mod proto {
    #![expect(clippy::pedantic, unreachable_pub, reason = "generated")]
    tonic::include_proto!("shop.inventory.v1");

    /// The contract itself, for reflection.
    pub(super) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/inventory.bin"));
}

const HEALTH_INTERVAL: Duration = Duration::from_secs(5);

/// The gRPC services as a router, and the reporter that says whether they can serve.
pub(super) fn router(inventory: Inventory) -> core::error::Result<(Router, HealthReporter)> {
    let broken = |error| core::Error::new(codes::INTERNAL, "the gRPC contract cannot be read").because(error);
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(broken)?;
    let routes =
        Routes::new(InventoryServer::new(GrpcDoor(inventory))).add_service(health).add_service(reflection);
    // Its fallback would answer for paths that belong to others.
    Ok((routes.into_axum_router().reset_fallback(), reporter))
}

/// Keeps the health service's answer true until `shutdown`.
pub(super) async fn report_health(
    reporter: HealthReporter,
    store: Store,
    shutdown: Shutdown,
) -> core::error::Result<()> {
    loop {
        match store.ping().await {
            Ok(()) => reporter.set_serving::<InventoryServer<GrpcDoor>>().await,
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    "inventory cannot serve over gRPC: its database does not answer"
                );
                reporter.set_not_serving::<InventoryServer<GrpcDoor>>().await;
            }
        }
        tokio::select! {
            () = shutdown.triggered() => break,
            () = tokio::time::sleep(HEALTH_INTERVAL) => {}
        }
    }
    reporter.set_not_serving::<InventoryServer<GrpcDoor>>().await;
    Ok(())
}

pub(super) struct GrpcDoor(Inventory);

#[tonic::async_trait]
impl Door for GrpcDoor {
    async fn list(
        &self,
        request: Request<proto::ListRequest>,
    ) -> Result<Response<proto::ListResponse>, Status> {
        let proto::ListRequest { limit, cursor } = request.into_inner();
        let query =
            PageQuery { limit: (limit > 0).then_some(limit), cursor: Some(cursor).filter(|c| !c.is_empty()) };
        let slice = self
            .0
            .list(&query.window().map_err(|error| status(&error))?)
            .await
            .map_err(|error| status(&error))?;
        let next_cursor = slice.next.unwrap_or_default();
        Ok(Response::new(proto::ListResponse {
            items: slice.items.into_iter().map(Into::into).collect(),
            next_cursor,
        }))
    }

    async fn get(&self, request: Request<proto::GetRequest>) -> Result<Response<proto::Item>, Status> {
        let item = self.0.get(&request.into_inner().sku).await.map_err(|error| status(&error))?;
        Ok(Response::new(item.into()))
    }

    async fn reserve(
        &self,
        request: Request<proto::ReserveRequest>,
    ) -> Result<Response<proto::Reservation>, Status> {
        let proto::ReserveRequest { id, items } = request.into_inner();
        let items =
            items.into_iter().map(|line| model::Line { sku: line.sku, quantity: line.quantity }).collect();
        let reserved =
            self.0.reserve(ReserveInput { id: parse(&id)?, items }).await.map_err(|error| status(&error))?;
        Ok(Response::new(reserved.reservation.into()))
    }

    async fn release(
        &self,
        request: Request<proto::ReleaseRequest>,
    ) -> Result<Response<proto::Reservation>, Status> {
        let released =
            self.0.release(parse(&request.into_inner().id)?).await.map_err(|error| status(&error))?;
        Ok(Response::new(released.into()))
    }
}

impl From<model::Item> for proto::Item {
    fn from(item: model::Item) -> Self {
        Self { sku: item.sku, available: item.available, price_minor: item.price.minor() }
    }
}

impl From<model::Reservation> for proto::Reservation {
    fn from(reservation: model::Reservation) -> Self {
        let line = |line: model::ReservedLine| proto::ReservedLine {
            sku: line.sku,
            quantity: line.quantity,
            price_minor: line.price.minor(),
        };
        let status = match reservation.status {
            ReservationStatus::Held => proto::ReservationStatus::Held,
            ReservationStatus::Released => proto::ReservationStatus::Released,
        };
        Self {
            id: reservation.id.to_string(),
            status: status.into(),
            items: reservation.items.into_iter().map(line).collect(),
            total_minor: reservation.total.minor(),
        }
    }
}

fn parse(id: &str) -> Result<Uuid, Status> {
    Uuid::parse_str(id).map_err(|_| Status::invalid_argument("id must be a UUID"))
}

/// The same refusal in gRPC's words. The message begins with the stable code.
fn status(error: &core::Error) -> Status {
    let text = format!("{}: {}", error.code().id, error.detail());
    match error.code() {
        OUT_OF_STOCK | RESERVATION_RELEASED => Status::failed_precondition(text),
        code => match (code.status, error.retry_advice()) {
            (400 | 422, _) => Status::invalid_argument(text),
            (404, _) => Status::not_found(text),
            (409, _) => Status::already_exists(text),
            (_, Retry::After(_)) => Status::unavailable(text),
            _ => {
                tracing::error!(error = chain(error), "a gRPC call failed");
                Status::internal(text)
            }
        },
    }
}
