//! The floor: what it costs to hand bytes from one connection to another, with nothing read or decided. No proxy on
//! the same runtime can do with less.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use super::workers;

/// `trellis-bench relay`: a TCP relay, copying both ways. Ends when standard input does.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where clients connect
    #[arg(long)]
    listen: SocketAddr,
    /// Where their bytes go
    #[arg(long)]
    upstream: SocketAddr,
    /// Threads, each with a runtime of its own
    #[arg(long, default_value_t = 1, value_parser = super::args::at_least_one)]
    workers: usize,
}

/// Serves until standard input ends.
pub async fn run(args: Args) -> Result<()> {
    workers::start(args.listen, args.workers, move |client| relay(client, args.upstream))?;
    workers::until_abandoned().await
}

/// One connection for one connection; a broken one is the client's to notice.
async fn relay(mut client: TcpStream, upstream: SocketAddr) {
    let Ok(mut upstream) = TcpStream::connect(upstream).await else { return };
    upstream.set_nodelay(true).ok();
    copy_bidirectional(&mut client, &mut upstream).await.ok();
}
