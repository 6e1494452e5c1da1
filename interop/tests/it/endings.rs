//! Calls that the client gives up. That the server sees it is looked at afterwards, for all of them.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::stream;
use tokio::runtime::Builder;
use tonic::Code;

use crate::calls::{RESPONSES, asked, requests, size};
use crate::pairs::{World, in_every_pair};
use crate::proto::Empty;

in_every_pair!(cancel_after_begin, cancel_after_first_response, timeout_on_sleeping_server);

async fn cancel_after_begin(world: &World) -> Result<()> {
    let mut client = world.tonic().await?;
    tokio::select! {
        answer = client.streaming_input_call(stream::pending()) => anyhow::bail!("answered: {answer:?}"),
        begun = world.has_begun() => begun,
    }
}

/// A call of tonic's whose answers are dropped still sends its requests, to their end. It is cancelled by a client that
/// goes away with all that it has.
async fn cancel_after_first_response(world: &World) -> Result<()> {
    let away = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (sender, requests) = requests();
    sender.send(asked(&[(RESPONSES[0], 0)])).await?;
    let client = world.tonic();
    let begun = away.spawn(async {
        let mut answers = client.await?.full_duplex_call(requests).await?.into_inner();
        let first = answers.message().await?.context("an answer")?;
        anyhow::Ok((first, answers))
    });
    let (first, _answers) = begun.await??;
    assert_eq!(size(&first), RESPONSES[0]);
    away.shutdown_background();
    // Until then the requests may not end.
    sender.closed().await;
    Ok(())
}

/// tonic's own timer is for the wait until an answer begins, and calls it `CANCELLED`; whoever is first on the way says
/// `DEADLINE_EXCEEDED`.
async fn timeout_on_sleeping_server(world: &World) -> Result<()> {
    let mut client = world.tonic().await?;
    // The connection is there before the time begins.
    client.empty_call(Empty {}).await?;
    let mut request = tonic::Request::new(asked(&[(1, 60_000_000)]));
    request.set_timeout(Duration::from_millis(700));
    let status = client.streaming_output_call(request).await.err().context("a status")?;
    let expired = status.code() == Code::Cancelled && status.message() == "Timeout expired";
    assert!(expired || status.code() == Code::DeadlineExceeded, "{status}");
    Ok(())
}
