//! Every error code of the platform. A code is never renamed or reused; each has its page in `docs/errors/`.

use std::time::Duration;

use crate::error::{Blame, Retry};

/// A kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Stable name, such as `TRL1003`; the file in `docs/errors/` bears it.
    pub id: &'static str,
    /// HTTP status of the answer.
    pub status: u16,
    /// What went wrong, the same for every occurrence.
    pub title: &'static str,
    /// Who has to act.
    pub blame: Blame,
    /// Whether to try again, unless the occurrence knows better.
    pub retry: Retry,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $status:literal, $blame:ident, $retry:expr, $title:literal;)*) => {
        $($(#[$doc])* pub const $name: Code = Code { id: $id, status: $status, title: $title, blame: Blame::$blame, retry: $retry };)*

        /// All codes of the platform, for the documentation test and `trellis explain`.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

const SOON: Retry = Retry::After(Duration::from_secs(1));
const NO: Retry = Retry::No;

codes! {
    // 1xxx: what a gateway, proxy or client says about a request it carries
    /// No route matches.
    NO_ROUTE = "TRL1001", 404, Client, NO, "No route matches this request";
    /// The route does not take this method.
    METHOD_NOT_ALLOWED = "TRL1002", 405, Client, NO, "The method is not allowed here";
    /// The service has no instance that may take traffic.
    NO_ENDPOINT = "TRL1003", 503, Upstream, SOON, "No healthy instance";
    /// The breaker is open.
    BREAKER_OPEN = "TRL1004", 503, Upstream, SOON, "The circuit breaker is open";
    /// No connection could be made.
    CONNECT_FAILED = "TRL1005", 503, Upstream, SOON, "No connection to the service";
    /// The service did not answer in time.
    UPSTREAM_TIMEOUT = "TRL1006", 504, Upstream, NO, "The service did not answer in time";
    /// The connection broke before an answer came.
    UPSTREAM_RESET = "TRL1007", 502, Upstream, NO, "The service broke the connection";
    /// What came back is not HTTP, or over a limit.
    UPSTREAM_INVALID = "TRL1008", 502, Upstream, NO, "The service's answer is not valid";
    /// The request body is over the limit.
    BODY_TOO_LARGE = "TRL1009", 413, Client, NO, "The request body is too large";
    /// The request is not valid HTTP, or not one we carry.
    BAD_REQUEST = "TRL1010", 400, Client, NO, "The request is not valid";
    /// Every part of an aggregation failed.
    AGGREGATE_FAILED = "TRL1011", 502, Upstream, SOON, "Every part of the aggregation failed";
    /// The caller's own deadline has passed.
    DEADLINE_EXCEEDED = "TRL1012", 504, Client, NO, "The deadline has passed";
    /// We are stopping.
    SHUTTING_DOWN = "TRL1013", 503, Us, SOON, "Shutting down";
    /// Too many requests are under way.
    OVERLOADED = "TRL1014", 503, Us, SOON, "Too many requests at once";
    /// The client did not send its body in time.
    CLIENT_TIMEOUT = "TRL1015", 408, Client, SOON, "The request did not arrive in time";
    /// The parts of an aggregation do not give what is computed from them.
    COMPUTE_FAILED = "TRL1016", 502, Upstream, NO, "A computed member has no value";
    /// More requests came than a rate limit lets through.
    RATE_LIMITED = "TRL1017", 429, Client, SOON, "Too many requests in this time";
    /// The route fails on purpose; the status is the one that it says.
    FAULT_INJECTED = "TRL1018", 503, Us, NO, "A failure on purpose";
    /// The service's protocol has no way to open a WebSocket through here.
    UPGRADE_NOT_CARRIED = "TRL1019", 501, Us, NO, "The change of protocol is not carried to this service";

    // 2xxx: what a service or the admin API says about a request it was given
    /// The body is not JSON.
    MALFORMED_JSON = "TRL2001", 400, Client, NO, "The body is not valid JSON";
    /// The JSON does not have the form that is asked for.
    INVALID_INPUT = "TRL2002", 422, Client, NO, "The input is not valid";
    /// Another media type is needed.
    UNSUPPORTED_MEDIA_TYPE = "TRL2003", 415, Client, NO, "The media type is not supported";
    /// There is no such thing.
    NOT_FOUND = "TRL2004", 404, Client, NO, "Not found";
    /// It contradicts what is there.
    CONFLICT = "TRL2005", 409, Client, NO, "Conflict";
    /// We failed.
    INTERNAL = "TRL2006", 500, Us, NO, "Internal error";
    /// A thing we need (database, cache) does not answer.
    DEPENDENCY_UNAVAILABLE = "TRL2007", 503, Us, SOON, "A dependency does not answer";
    /// The same idempotency key came with another request.
    IDEMPOTENCY_MISMATCH = "TRL2008", 422, Client, NO, "The idempotency key was used for another request";
    /// The first request with this idempotency key is still under way.
    IDEMPOTENCY_IN_PROGRESS = "TRL2009", 409, Client, SOON, "The first request with this idempotency key is still under way";
    /// A path or query parameter is not valid.
    INVALID_PARAMETER = "TRL2010", 400, Client, NO, "A parameter is not valid";
    /// The registry holds as much as it may.
    REGISTRY_FULL = "TRL2011", 503, Us, SOON, "The registry is full";
    /// The request names a host that the admin API does not answer to.
    FORBIDDEN_HOST = "TRL2012", 403, Client, NO, "The admin API does not answer to this host name";
    /// The key is at another version than the change names.
    CONFIG_STALE = "TRL2013", 409, Client, NO, "The key is at another version";
    /// A value does not match the JSON Schema that is attached.
    CONFIG_SCHEMA = "TRL2014", 422, Client, NO, "The value does not match its schema";
    /// Secrets cannot be sealed or opened.
    CONFIG_SECRETS = "TRL2015", 503, Us, NO, "The secret cannot be sealed or opened";
    /// The configuration holds as much as it may.
    CONFIG_FULL = "TRL2016", 503, Us, SOON, "The configuration is full";
    /// A client of Consul asks for what Trellis does not have, or has elsewhere.
    CONSUL_UNSUPPORTED = "TRL2017", 501, Client, NO, "Consul has it and Trellis does not";
    /// A secret is not shown to who asks for it.
    CONFIG_REVEAL = "TRL2019", 403, Client, NO, "Secrets are not shown to this client";

    // 3xxx: start-up and configuration, seen on the command line
    /// trellis.toml has mistakes.
    INVALID_MANIFEST = "TRL3001", 422, Client, NO, "The manifest has mistakes";
    /// A port is taken or may not be bound.
    CANNOT_LISTEN = "TRL3002", 500, Client, NO, "Cannot listen";
    /// The data directory cannot be used.
    DATA_DIR_UNUSABLE = "TRL3003", 500, Client, NO, "The data directory cannot be used";
    /// Another trellis uses the data directory.
    DATA_DIR_IN_USE = "TRL3004", 500, Client, NO, "The data directory is in use";
    /// A module's program is not there or may not be run.
    COMMAND_NOT_FOUND = "TRL3005", 500, Client, NO, "A module's command cannot be run";
    /// A module did not become ready.
    NOT_READY = "TRL3006", 500, Upstream, NO, "A module did not become ready";
    /// The data directory belongs to another phase.
    PHASE_MISMATCH = "TRL3007", 500, Client, NO, "The data directory was made in another phase";
    /// The file with the application cannot be read.
    MANIFEST_UNREADABLE = "TRL3008", 500, Client, NO, "The manifest cannot be read";
    /// No platform answers at the admin address.
    NO_PLATFORM = "TRL3009", 500, Client, SOON, "No platform answers";
    /// A door would be open to the network without authentication.
    EXPOSED_WITHOUT_AUTH = "TRL3010", 500, Client, NO, "A door would be open to the network";

    /// A certificate or key file cannot be used.
    CERTIFICATE_UNUSABLE = "TRL3011", 422, Client, NO, "A certificate or key cannot be used";
    /// A new process did not take over.
    HANDOVER_FAILED = "TRL3012", 500, Us, NO, "A new process did not take over";

    // 4xxx: storage
    /// The database cannot be opened or reached.
    STORE_UNAVAILABLE = "TRL4001", 503, Us, SOON, "The database does not answer";
    /// A statement failed.
    STORE_FAILED = "TRL4002", 500, Us, NO, "A database statement failed";
    /// A migration failed or was changed after it ran.
    MIGRATION_FAILED = "TRL4003", 500, Us, NO, "A migration failed";
    /// A row with this key is there already.
    STORE_CONFLICT = "TRL4004", 409, Client, NO, "A row with this key exists";
    /// The write queue is full.
    STORE_BUSY = "TRL4005", 503, Us, SOON, "Too many writes are waiting";
    /// A node joined, left or was declared dead while another relied on the list.
    MEMBERSHIP_CHANGED = "TRL4006", 503, Us, SOON, "The nodes have changed meanwhile";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_page() {
        let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
        for code in ALL {
            let page = pages.join(format!("{}.md", code.id));
            let text = std::fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
            assert!(
                text.starts_with(&format!("# {}: {}\n", code.id, code.title)),
                "{} has another title",
                page.display()
            );
        }
    }

    #[test]
    fn ids_are_unique() {
        let mut ids: Vec<_> = ALL.iter().map(|c| c.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
    }
}
