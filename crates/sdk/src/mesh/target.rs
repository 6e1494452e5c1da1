//! Where a call goes.

use std::time::Duration;

use http::{Request, Response};
use tokio::time::{Instant, timeout_at};
use tower::ServiceExt;
use trellis_core::{Error, ServiceName, codes, headers};
use trellis_net::{Body, Cluster, ModuleService, ServiceWatch};

use super::outbound::Outbound;
use super::{CallError, LocalModules};
use crate::context::{self, RequestContext};

pub(super) enum Target {
    /// A module, in this process if it is here.
    Module { name: ServiceName, local: LocalModules, remote: Option<Remote> },
    /// A fixed address.
    Address(Box<Cluster>),
    /// A name that no module can have.
    Nowhere(String),
}

/// A module that is not in this process.
pub(super) enum Remote {
    /// Its instances, as the platform knows them.
    Instances(Box<Cluster>, ServiceWatch),
    /// The proxy beside this process knows where it is.
    Outbound(Outbound),
}

impl Target {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Module { name, .. } => name.as_str(),
            Self::Address(cluster) => cluster.name().as_str(),
            Self::Nowhere(name) => name,
        }
    }

    /// Sends `request` with the running request's context and waits for the response's head, never beyond the
    /// caller's own deadline.
    pub(super) async fn call(
        &self,
        mut request: Request<Body>,
        within: Duration,
    ) -> Result<Response<Body>, CallError> {
        let now = Instant::now();
        let mut deadline = now + within;
        if let Some(context) = context::current() {
            context.send(request.headers_mut());
            deadline = context.deadline.map_or(deadline, |d| d.min(deadline));
        } else if let Ok(name) = "client".parse() {
            RequestContext::root(name, context::random()).send(request.headers_mut());
        }
        if deadline <= now {
            let error =
                Error::new(codes::DEADLINE_EXCEEDED, format!("no time is left to call {}", self.name()));
            return Err(CallError::Unavailable(error));
        }
        match self {
            Self::Module { name, local, remote } => {
                if let Some(module) = local.get().and_then(|modules| modules.get(name)) {
                    return in_process(name, module.clone(), request, deadline).await;
                }
                match remote {
                    None => Err(self.nobody()),
                    Some(Remote::Instances(cluster, watch)) => {
                        watch.first_snapshot(deadline).await;
                        over_network(cluster, request, deadline).await
                    }
                    Some(Remote::Outbound(proxy)) => proxy.call(request, deadline).await,
                }
            }
            Self::Address(cluster) => over_network(cluster, request, deadline).await,
            Self::Nowhere(_) => Err(self.nobody()),
        }
    }

    fn nobody(&self) -> CallError {
        let name = self.name();
        CallError::Unavailable(
            Error::new(codes::NO_ENDPOINT, format!("{name} is not known here")).with("service", name),
        )
    }
}

async fn over_network(
    cluster: &Cluster,
    request: Request<Body>,
    deadline: Instant,
) -> Result<Response<Body>, CallError> {
    let left = deadline.saturating_duration_since(Instant::now());
    match cluster.call(request, left).await {
        Ok(answer) => Ok(answer.response),
        Err(error) => Err(CallError::from_cluster(error)),
    }
}

async fn in_process(
    name: &ServiceName,
    module: ModuleService,
    mut request: Request<Body>,
    deadline: Instant,
) -> Result<Response<Body>, CallError> {
    let left = deadline.saturating_duration_since(Instant::now());
    request.headers_mut().insert(headers::TIMEOUT_MS, (left.as_millis() as u64).into());
    match timeout_at(deadline, module.oneshot(request)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(CallError::Unknown(error)),
        Err(_) => {
            let late = Error::new(codes::UPSTREAM_TIMEOUT, format!("{name} did not answer in time"));
            Err(CallError::Unknown(late.with("service", name.as_str())))
        }
    }
}
