//! From the application model to the edge's own options.

use trellis_core::model::{self, Algorithm};

use super::compress::{CompressionOptions, Encoding};
use super::cors::CorsOptions;

impl From<&model::Cors> for CorsOptions {
    fn from(model: &model::Cors) -> Self {
        Self {
            origins: model.origins.clone(),
            methods: model.methods.clone(),
            headers: model.headers.clone(),
            expose: model.expose.clone(),
            credentials: model.credentials,
            max_age: model.max_age.into(),
        }
    }
}

impl From<&model::Compression> for CompressionOptions {
    fn from(model: &model::Compression) -> Self {
        Self {
            types: model.types.clone(),
            min_bytes: model.min_bytes,
            algorithms: model.algorithms.iter().copied().map(Encoding::from).collect(),
            ..Self::default()
        }
    }
}

impl From<Algorithm> for Encoding {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Zstd => Self::Zstd,
            Algorithm::Br => Self::Brotli,
            Algorithm::Gzip => Self::Gzip,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::compress::Compression;
    use super::super::cors::Cors;
    use super::*;

    #[test]
    fn what_the_model_has_by_default_compiles() {
        assert!(Cors::compile(&CorsOptions::from(&model::Cors::default())).is_ok());
        assert!(Compression::compile(&CompressionOptions::from(&model::Compression::default())).is_ok());
    }
}
