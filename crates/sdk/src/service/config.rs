//! What a service is told: a file, if there is one, under the environment.

use std::path::PathBuf;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use trellis_core::error::Result;
use trellis_core::{Error, InstanceId, ServiceName, codes};

use super::Environment;
use crate::Settings;

/// A service's configuration. The file named by `TRELLIS_CONFIG` (TOML or JSON) may give `port`, `database` and
/// `redis`; the environment wins over it.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// Application the service is part of (`TRELLIS_APP`).
    pub app: ServiceName,
    /// Modules to host (`TRELLIS_MODULES`, separated by commas); all if empty.
    pub modules: Vec<ServiceName>,
    /// This copy (`TRELLIS_INSTANCE`).
    pub instance: InstanceId,
    /// Port on 127.0.0.1 (`PORT`), 0 for any; not used when a socket is inherited.
    pub port: u16,
    /// `sqlite:PATH` or `postgres://` (`DATABASE_URL`); none without.
    pub database_url: Option<String>,
    /// `redis://` (`REDIS_URL`); no cache without.
    pub redis_url: Option<String>,
    /// Folder for files (`TRELLIS_DATA_DIR`).
    pub data_dir: PathBuf,
    /// `host:port` of the platform's admin API (`TRELLIS_ADMIN`, a URL); without it other services are not found.
    pub admin: Option<String>,
    /// `host:port` of the proxy beside this process, through which other services are called (`TRELLIS_OUTBOUND`, a
    /// URL); without it they are called at their own addresses.
    pub outbound: Option<String>,
    /// The platform registers this process and watches over it (`TRELLIS_MANAGED=1`).
    pub managed: bool,
    /// Most threads that serve requests (`TRELLIS_WORKERS`).
    pub max_workers: usize,
    /// Everything else in the environment, for the modules.
    pub settings: Settings,
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    port: Option<Port>,
    database: Option<DatabaseConfig>,
    redis: Option<RedisConfig>,
}

/// Where the database is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    #[serde(default = "postgres_port")]
    pub port: u16,
    /// Role.
    pub username: String,
    /// Its password.
    #[serde(default)]
    pub password: String,
    /// Name of the database.
    pub database: String,
}

/// Where the cache is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    #[serde(default = "redis_port")]
    pub port: u16,
}

/// The seed writes the port as text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Port {
    Number(u16),
    Text(String),
}

const MAX_WORKERS: usize = 4;

fn postgres_port() -> u16 {
    5432
}

fn redis_port() -> u16 {
    6379
}

impl ServiceConfig {
    pub(super) fn load(environment: Environment, program: &str) -> Result<Self> {
        let file = match environment.get("TRELLIS_CONFIG") {
            Some(path) => File::read(path)?,
            None => File::default(),
        };
        let modules = match environment.get("TRELLIS_MODULES") {
            Some(list) => {
                list.split(',').map(|name| parsed("TRELLIS_MODULES", name.trim())).collect::<Result<_>>()?
            }
            None => Vec::new(),
        };
        let port = match (environment.get("PORT"), file.port) {
            (Some(text), _) => parsed("PORT", text)?,
            (None, Some(Port::Number(port))) => port,
            (None, Some(Port::Text(text))) => parsed("port", &text)?,
            (None, None) => 0,
        };
        let instance = match environment.get("TRELLIS_INSTANCE") {
            Some(text) => parsed("TRELLIS_INSTANCE", text)?,
            None => parsed("TRELLIS_INSTANCE", &format!("{program}-{port}"))?,
        };
        let authority = |name: &'static str, example: &str| {
            let url = environment.get(name)?;
            let authority = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/').to_owned());
            Some(authority.ok_or_else(|| wrong(name, &format!("looks like {example}"))))
        };
        let admin = authority("TRELLIS_ADMIN", "http://127.0.0.1:7700").transpose()?;
        let outbound = authority("TRELLIS_OUTBOUND", "http://127.0.0.1:7701").transpose()?;
        let max_workers = match environment.get("TRELLIS_WORKERS") {
            Some(text) => parsed::<std::num::NonZeroUsize>("TRELLIS_WORKERS", text)?.get(),
            None => MAX_WORKERS,
        };
        Ok(Self {
            app: parsed("TRELLIS_APP", environment.get("TRELLIS_APP").unwrap_or(program))?,
            modules,
            instance,
            port,
            database_url: environment
                .get("DATABASE_URL")
                .map(str::to_owned)
                .or(file.database.map(|d| d.url())),
            redis_url: environment.get("REDIS_URL").map(str::to_owned).or(file.redis.map(|r| r.url())),
            data_dir: environment.get("TRELLIS_DATA_DIR").unwrap_or("data").into(),
            admin,
            outbound,
            managed: environment.get("TRELLIS_MANAGED") == Some("1"),
            max_workers,
            settings: Settings(environment.0.into()),
        })
    }
}

impl File {
    fn read(path: &str) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            wrong("TRELLIS_CONFIG", "names a file that cannot be read").because(format!("{path}: {e}"))
        })?;
        let is_json = std::path::Path::new(path).extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
        let parsed = if is_json {
            serde_json::from_str(&text).map_err(|e| e.to_string())
        } else {
            toml::from_str(&text).map_err(|e| e.to_string())
        };
        parsed.map_err(|why| Error::new(codes::INVALID_INPUT, format!("{path}: {why}")))
    }
}

impl DatabaseConfig {
    fn url(&self) -> String {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let Self { host, port, username, password, database } = self;
        format!("postgres://{}:{}@{host}:{port}/{}", encode(username), encode(password), encode(database))
    }
}

impl RedisConfig {
    fn url(&self) -> String {
        format!("redis://{}:{}/", self.host, self.port)
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(name: &'static str, text: &str) -> Result<T> {
    text.parse().map_err(|error| wrong(name, &format!("is {text:?}: {error}")))
}

fn wrong(name: &str, what: &str) -> Error {
    Error::new(codes::INVALID_INPUT, format!("{name} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)]) -> Result<ServiceConfig> {
        let environment = Environment(variables.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect());
        ServiceConfig::load(environment, "shop")
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("service.json");
        let text = r#"{"port":"8081","database":{"host":"db","username":"u","password":"p@ss","database":"shop"},
            "redis":{"host":"cache","port":6380}}"#;
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let config = load(&[("TRELLIS_CONFIG", path)]).unwrap();
        assert_eq!(config.port, 8081);
        assert_eq!(config.database_url.as_deref(), Some("postgres://u:p%40ss@db:5432/shop"));
        assert_eq!(config.redis_url.as_deref(), Some("redis://cache:6380/"));
        let config =
            load(&[("TRELLIS_CONFIG", path), ("PORT", "9"), ("DATABASE_URL", "sqlite:x.db")]).unwrap();
        assert_eq!((config.port, config.database_url.as_deref()), (9, Some("sqlite:x.db")));
    }

    #[test]
    fn a_wrong_value_is_named() {
        for (name, value) in [
            ("PORT", "http"),
            ("TRELLIS_MODULES", "users,Bad Name"),
            ("TRELLIS_ADMIN", "127.0.0.1:7700"),
            ("TRELLIS_OUTBOUND", "127.0.0.1:7701"),
            ("TRELLIS_INSTANCE", "a/b"),
            ("TRELLIS_WORKERS", "0"),
            ("TRELLIS_CONFIG", "/nowhere/at/all.toml"),
        ] {
            let error = load(&[(name, value)]).unwrap_err();
            assert!(error.detail().contains(name), "{error}");
        }
    }
}
