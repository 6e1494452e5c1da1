//! Programs of others that speak to a real `trellis`:
//!
//! - gRPC through `trellis gateway`: the cases of the gRPC project's interoperability tests, with tonic and grpcio (C-core)
//!   on either side;
//! - discovery: Traefik by the door for Consul, Prometheus by those for Eureka and DNS;
//! - the whole of the door for Consul: the tests of py-consul.
//!
//! Needs the programs, `cargo build -p trellis -p shop`, and what `cargo xtask setup` installs.

mod calls;
mod endings;
mod pairs;
mod prometheus;
mod py_consul;
mod python;
mod refusals;
mod server;
mod statuses;
mod traefik;

/// The contract.
#[expect(clippy::pedantic, unreachable_pub, reason = "generated")]
mod proto {
    tonic::include_proto!("grpc.testing");
}
