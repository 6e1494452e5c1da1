//! The binary `trellis`.

use std::process::ExitCode;

/// Many small pieces live for one request only: an allocator with free lists for each thread is worth a tenth of the
/// proxy's own work (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    trellis_server::cli::main()
}
