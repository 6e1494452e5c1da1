//! The core's types as the document shows them. `core` does not know OpenAPI; a test below keeps the two alike.

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// What is known of an instance's ability to serve; only UP receives traffic.
#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(dead_code, reason = "read by the derive only")]
pub(crate) enum Status {
    /// Announced, not yet ready.
    Starting,
    /// Ready.
    Up,
    /// Known not to answer.
    Down,
    /// Taken out.
    OutOfService,
}

/// One running copy of a service.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the derive only")]
pub(crate) struct ServiceInstance {
    /// Unique across all services.
    id: String,
    /// The service it is a copy of.
    name: String,
    /// Host name or address, without port or brackets.
    host: String,
    /// TCP port.
    port: u16,
    /// Free labels.
    metadata: BTreeMap<String, String>,
    /// Share of traffic relative to its siblings; 0 takes none.
    weight: u32,
    /// Failure domain, if known.
    #[schema(required = false, nullable = false)]
    zone: Option<String>,
    /// The operator's override if there is one, else what liveness says.
    status: Status,
}

/// One address that can take a request for a service.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the derive only")]
pub(crate) struct Endpoint {
    /// The instance behind the address.
    id: String,
    /// `host:port`.
    authority: String,
    /// Share of traffic relative to its siblings; 0 takes none.
    weight: u32,
    /// Failure domain, if known.
    #[schema(required = false, nullable = false)]
    zone: Option<String>,
}

/// All endpoints that may take traffic for one service at one moment.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the derive only")]
pub(crate) struct EndpointSet {
    /// Another number for each set; 0 means nothing is known.
    revision: u64,
    /// In the order of their ids.
    endpoints: Vec<Endpoint>,
}

/// All endpoints that may take traffic for one of several services.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the derive only")]
pub(crate) struct ServiceEndpoints {
    /// The service.
    service: String,
    /// Another number for each set of this service; 0 means nothing is known.
    revision: u64,
    /// In the order of their ids.
    endpoints: Vec<Endpoint>,
}

/// Whom an override is about.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the derive only")]
pub(crate) struct Target {
    /// What it is about.
    kind: Kind,
    /// Name of the service, or id of the instance.
    name: String,
}

/// What an override is about.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "read by the derive only")]
pub(crate) enum Kind {
    /// One instance.
    Instance,
    /// All instances of a service.
    Service,
    /// An instance of another namespace or node.
    InstanceAt,
    /// A service of another namespace, or with a name that routes cannot use.
    ServiceAt,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};
    use trellis_core::codes;

    use crate::view;

    fn document() -> Value {
        serde_json::to_value(crate::openapi()).unwrap()
    }

    /// The members that a schema names, with those of the schemas it is put together from.
    fn members(schema: &Value) -> BTreeSet<String> {
        let own = schema["properties"].as_object().into_iter().flat_map(|p| p.keys().cloned());
        let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(members);
        own.chain(parts).collect()
    }

    fn assert_alike(name: &str, value: &impl serde::Serialize) {
        let document = document();
        let schema = &document["components"]["schemas"][name];
        let value = serde_json::to_value(value).unwrap();
        assert_eq!(members(schema), value.as_object().unwrap().keys().cloned().collect(), "{name}");
    }

    #[test]
    fn what_is_shown_is_what_is_sent() {
        let instance: trellis_core::ServiceInstance = serde_json::from_value(json!({
            "id": "a-1", "name": "a", "host": "::1", "port": 1, "zone": "z", "status": "UP",
        }))
        .unwrap();
        let said = Some(trellis_core::Status::Up);
        let view = view::InstanceView {
            instance,
            since_unix_ms: 0,
            reported: trellis_core::Status::Up,
            override_status: said,
            expires_in_ms: Some(1),
        };
        assert_alike("InstanceView", &view);
        assert_alike("ServiceSummary", &view::ServiceSummary::new("a".parse().unwrap(), said, vec![view]));
        let endpoint: trellis_core::Endpoint =
            serde_json::from_value(json!({"id": "a-1", "authority": "h:1", "weight": 1, "zone": "z"}))
                .unwrap();
        assert_alike("Endpoint", &endpoint);
        let set = trellis_core::EndpointSet::default();
        assert_alike("EndpointSet", &set);
        let service = &"a".parse().unwrap();
        assert_alike("ServiceEndpoints", &crate::broadcast::ServiceEndpoints { service, set: &set });
        let target = view::Target::Service("a".parse().unwrap());
        assert_alike(
            "OverrideView",
            &view::OverrideView { target, status: trellis_core::Status::Up, since_unix_ms: 0 },
        );
        let mut problem = trellis_core::Problem::from(&trellis_core::Error::new(codes::OVERLOADED, ""));
        problem.request_id = Some("r".into());
        assert_alike("Problem", &problem);
    }

    #[test]
    fn every_status_is_shown() {
        let shown = document()["components"]["schemas"]["Status"]["enum"].clone();
        assert_eq!(shown, json!(trellis_core::Status::ALL));
    }
}
