//! Compiles the contract with protox, for Rust into code and for Python into descriptors.

use std::path::PathBuf;

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script its folder by environment")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).open_file("interop.proto")?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    // What the Python programs make their messages from.
    std::fs::write(out.join("interop.bin"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().out_dir(&out).compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
