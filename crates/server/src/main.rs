//! The binary `trellis`.

use std::process::ExitCode;

fn main() -> ExitCode {
    trellis_server::cli::main()
}
