//! The environment of the process, read once.

use std::collections::BTreeMap;

use trellis_core::error::Result;
use trellis_core::{Error, codes};

/// Variables by name.
#[derive(Default)]
pub(super) struct Environment(pub(super) BTreeMap<String, String>);

impl Environment {
    #[expect(clippy::disallowed_methods, reason = "this is a program's outermost layer")]
    pub(super) fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }
}

/// The socket the platform bound for us, if it did (`LISTEN_FDS`, `LISTEN_PID`).
pub(super) fn inherited_listener() -> Result<Option<std::net::TcpListener>> {
    let broken = |e| Error::new(codes::CANNOT_LISTEN, "the inherited socket is no TCP listener").because(e);
    let listener = listenfd::ListenFd::from_env().take_tcp_listener(0).map_err(broken)?;
    if let Some(listener) = &listener {
        listener.set_nonblocking(true).map_err(broken)?;
    }
    Ok(listener)
}
