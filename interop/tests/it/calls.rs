//! Calls of every shape that end well.

use anyhow::{Context, Result};
use futures_util::{TryStreamExt, stream};
use tokio::sync::mpsc;

use crate::pairs::{World, in_every_pair};
use crate::proto::{
    Empty, Payload, ResponseParameters, SimpleRequest, StreamingInputCallRequest, StreamingOutputCallRequest,
    StreamingOutputCallResponse,
};

in_every_pair!(
    empty_unary,
    large_unary,
    client_streaming,
    server_streaming,
    ping_pong,
    empty_stream,
    outlives_the_wait_for_its_beginning,
);

const REQUEST: usize = 271_828;
const RESPONSE: i32 = 314_159;
const REQUESTS: [usize; 4] = [27_182, 8, 1_828, 45_904];
pub(crate) const RESPONSES: [i32; 4] = [31_415, 9, 2_653, 58_979];

fn payload(size: usize) -> Payload {
    Payload { body: vec![0; size] }
}

/// Asks for responses of these sizes, each after so many microseconds.
pub(crate) fn asked(responses: &[(i32, i32)]) -> StreamingOutputCallRequest {
    let parameters = responses.iter().map(|(size, interval_us)| (*size, *interval_us));
    let parameters = parameters.map(|(size, interval_us)| ResponseParameters { size, interval_us });
    StreamingOutputCallRequest { response_parameters: parameters.collect(), ..Default::default() }
}

pub(crate) fn size(response: &StreamingOutputCallResponse) -> i32 {
    let length = response.payload.as_ref().map_or(0, |payload| payload.body.len());
    i32::try_from(length).unwrap_or(i32::MAX)
}

/// Requests that are sent when the test says so.
pub(crate) fn requests() -> (
    mpsc::Sender<StreamingOutputCallRequest>,
    impl futures_util::Stream<Item = StreamingOutputCallRequest> + Send,
) {
    let (sender, receiver) = mpsc::channel(1);
    let next = async |mut receiver: mpsc::Receiver<_>| Some((receiver.recv().await?, receiver));
    (sender, stream::unfold(receiver, next))
}

async fn empty_unary(world: &World) -> Result<()> {
    assert_eq!(world.tonic().await?.empty_call(Empty {}).await?.into_inner(), Empty {});
    Ok(())
}

async fn large_unary(world: &World) -> Result<()> {
    let request =
        SimpleRequest { response_size: RESPONSE, payload: Some(payload(REQUEST)), response_status: None };
    let answer = world.tonic().await?.unary_call(request).await?.into_inner();
    assert!(answer.payload == Some(payload(RESPONSE as usize)));
    Ok(())
}

async fn client_streaming(world: &World) -> Result<()> {
    let requests = REQUESTS.map(|size| StreamingInputCallRequest { payload: Some(payload(size)) });
    let answer = world.tonic().await?.streaming_input_call(stream::iter(requests)).await?.into_inner();
    assert_eq!(answer.aggregated_payload_size as usize, REQUESTS.iter().sum::<usize>());
    Ok(())
}

async fn server_streaming(world: &World) -> Result<()> {
    let request = asked(&RESPONSES.map(|size| (size, 0)));
    let answers = world.tonic().await?.streaming_output_call(request).await?.into_inner();
    let answers: Vec<_> = answers.try_collect().await?;
    assert_eq!(answers.iter().map(size).collect::<Vec<_>>(), RESPONSES);
    Ok(())
}

/// Nothing is sent before the answer to what came before it is there: who buffers either direction never ends.
async fn ping_pong(world: &World) -> Result<()> {
    let (sender, requests) = requests();
    let ask = |i: usize| {
        let request = asked(&[(RESPONSES[i], 0)]);
        sender.send(StreamingOutputCallRequest { payload: Some(payload(REQUESTS[i])), ..request })
    };
    ask(0).await?;
    let mut answers = world.tonic().await?.full_duplex_call(requests).await?.into_inner();
    for (i, wanted) in RESPONSES.into_iter().enumerate() {
        if i > 0 {
            ask(i).await?;
        }
        assert_eq!(size(&answers.message().await?.context("an answer")?), wanted);
    }
    drop(sender);
    assert_eq!(answers.message().await?, None);
    Ok(())
}

async fn empty_stream(world: &World) -> Result<()> {
    let mut answers = world.tonic().await?.full_duplex_call(stream::empty()).await?.into_inner();
    assert_eq!(answers.message().await?, None);
    Ok(())
}

/// A route's timeout is the wait for an answer to begin. The server must not take it for the call's deadline.
async fn outlives_the_wait_for_its_beginning(world: &World) -> Result<()> {
    let request = asked(&[(1, 0), (2, 2_000_000)]);
    let answers = world.tonic().await?.full_duplex_call(stream::iter([request])).await?.into_inner();
    let answers: Vec<_> = answers.try_collect().await?;
    assert_eq!(answers.iter().map(size).collect::<Vec<_>>(), [1, 2]);
    Ok(())
}
