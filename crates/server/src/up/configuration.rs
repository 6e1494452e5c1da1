//! What `[config]` says, and the keys that seal secrets.

use trellis_config::Options;
use trellis_config::versioned::Keys;
use trellis_core::{Error, codes};

use crate::manifest::Manifest;

/// The options of the configuration. Keys come from the file that the manifest names, else from the environment.
pub(super) fn options(manifest: &Manifest, environment: Option<&str>) -> Result<Options, Error> {
    let model = &manifest.model.config;
    let keys = match &model.secret_keys {
        Some(file) => {
            let path = manifest.directory.join(file);
            let text = std::fs::read_to_string(&path).map_err(|error| {
                let text = format!("config.secret_keys: {} cannot be read", path.display());
                Error::new(codes::INVALID_MANIFEST, text).because(error)
            })?;
            Keys::parse(&text)?
        }
        None => Keys::parse(environment.unwrap_or_default())?,
    };
    Ok(Options { keys, ..Options::from(model) })
}
