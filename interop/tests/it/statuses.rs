//! Statuses and metadata on their way through.

use anyhow::{Context, Result};
use futures_util::stream;
use http::uri::PathAndQuery;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::calls::asked;
use crate::pairs::{World, in_every_pair};
use crate::proto::{EchoStatus, Empty, SimpleRequest, StreamingOutputCallRequest};

in_every_pair!(
    status_code_and_message,
    special_status_message,
    unimplemented_method,
    unimplemented_service,
    custom_metadata,
);

const SPECIAL: &str = "\t 100 % of it,\r\n a snowman \u{2603} and a horn \u{1f4ef}\n";
const ECHO_INITIAL: &str = "x-grpc-test-echo-initial";
const ECHO_TRAILING: &str = "x-grpc-test-echo-trailing-bin";

async fn status_code_and_message(world: &World) -> Result<()> {
    status(world, "what was asked for").await
}

async fn special_status_message(world: &World) -> Result<()> {
    status(world, SPECIAL).await
}

/// Both for a call that is answered whole and for a stream.
async fn status(world: &World, message: &str) -> Result<()> {
    let mut client = world.tonic().await?;
    let wanted = Some(EchoStatus { code: Code::Unknown.into(), message: message.into() });
    let request = SimpleRequest { response_status: wanted.clone(), ..Default::default() };
    let unary = client.unary_call(request).await.err().context("a status")?;
    let request = StreamingOutputCallRequest { response_status: wanted, ..Default::default() };
    let duplex = match client.full_duplex_call(stream::iter([request])).await {
        Ok(answers) => answers.into_inner().message().await.err().context("a status")?,
        Err(status) => status,
    };
    for status in [unary, duplex] {
        assert_eq!((status.code(), status.message()), (Code::Unknown, message));
    }
    Ok(())
}

async fn unimplemented_method(world: &World) -> Result<()> {
    unimplemented(world, "/grpc.testing.TestService/UnimplementedCall").await
}

async fn unimplemented_service(world: &World) -> Result<()> {
    unimplemented(world, "/grpc.testing.UnimplementedService/UnimplementedCall").await
}

async fn unimplemented(world: &World, path: &'static str) -> Result<()> {
    let status = call(world.channel().await?, path).await?;
    assert_eq!(status.code(), Code::Unimplemented, "{status}");
    assert!(!status.message().contains("TRL"), "the server says so, not the gateway: {status}");
    Ok(())
}

/// How a call of a method that is in no contract ends.
pub(crate) async fn call(channel: Channel, path: &'static str) -> Result<Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await?;
    let codec = ProstCodec::<Empty, Empty>::default();
    let request = tonic::Request::new(Empty {});
    client.unary(request, PathAndQuery::from_static(path), codec).await.err().context("a status")
}

async fn custom_metadata(world: &World) -> Result<()> {
    let mut client = world.tonic().await?;
    let initial = MetadataValue::from_static("at the beginning");
    let trailing = MetadataValue::from_bytes(b"\xab\x00\xff");
    let mut sent = MetadataMap::new();
    sent.insert(ECHO_INITIAL, initial.clone());
    sent.insert_bin(ECHO_TRAILING, trailing.clone());

    let request = SimpleRequest { response_size: 1, ..Default::default() };
    // What the trailers say is put beside what the head says.
    let answer = client.unary_call(with(request, &sent)).await?;
    assert_eq!(answer.metadata().get(ECHO_INITIAL), Some(&initial));
    assert_eq!(answer.metadata().get_bin(ECHO_TRAILING), Some(&trailing));

    let answer = client.full_duplex_call(with(stream::iter([asked(&[(1, 0)])]), &sent)).await?;
    assert_eq!(answer.metadata().get(ECHO_INITIAL), Some(&initial));
    assert_eq!(answer.metadata().get_bin(ECHO_TRAILING), None);
    let trailers = answer.into_inner().trailers().await?.context("trailers")?;
    assert_eq!(trailers.get_bin(ECHO_TRAILING), Some(&trailing));
    Ok(())
}

fn with<T>(message: T, metadata: &MetadataMap) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    *request.metadata_mut() = metadata.clone();
    request
}
