//! gRPC through a real `trellis gateway`: the cases of the gRPC project's interoperability tests, with tonic and grpcio
//! (C-core) on either side.
//!
//! Needs the program, `cargo build -p trellis`, and the Python packages, `cargo xtask setup`.

mod calls;
mod endings;
mod pairs;
mod python;
mod refusals;
mod server;
mod statuses;

/// The contract.
#[expect(clippy::pedantic, unreachable_pub, reason = "generated")]
mod proto {
    tonic::include_proto!("grpc.testing");
}
