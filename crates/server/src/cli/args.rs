//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use trellis_core::{InstanceId, Phase, ServiceName, Status};

use super::client::AdminUrl;
use super::config::args::Config;
use crate::settings::{Given, LISTENS, Listens, Origin, Overrides};

/// Runs an application as a monolith, as microservices or in a mesh: gateway, registry, supervisor and proxies in one
/// program.
#[derive(Debug, Parser)]
#[command(
    name = "trellis",
    version,
    propagate_version = false,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "Start with `trellis up` beside a trellis.toml, or in a folder with one program.")]
pub(crate) struct Cli {
    /// Write JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the application and the platform, until Ctrl-C.
    #[command(after_help = "\
Examples:
  trellis up
  trellis up -f shop/trellis.toml --phase monolith --data-dir /var/lib/shop
  trellis up --any-port --json                        # any free ports; prints where it is")]
    Up(Up),
    /// Run a gateway alone: what `[gateway]`, `[[route]]` and `[[cluster]]` say, until Ctrl-C.
    #[command(after_help = "\
Examples:
  trellis gateway -c gateway.toml
  trellis gateway -c gateway.toml --gateway-listen 127.0.0.1:9009 --admin-listen 127.0.0.1:0 --json
  curl -X PUT --data-binary @gateway.toml http://127.0.0.1:7700/v1/gateway/config   # change it while it runs")]
    Gateway(GatewayAlone),
    /// Run a proxy beside one instance: what comes in goes to it, what goes out is led to services by name.
    #[command(after_help = "\
Examples:
  trellis proxy --service orders --instance orders-1 --app 127.0.0.1:9000 \\
    --inbound 127.0.0.1:9001 --outbound 127.0.0.1:9002 --control http://127.0.0.1:7700
  curl -H 'Host: users' http://127.0.0.1:9002/users/1      # what `orders` calls goes out here
  trellis up --phase service_mesh                          # starts one beside every instance by itself")]
    Proxy(Proxy),
    /// Check a manifest and tell every mistake in it.
    #[command(after_help = "\
Examples:
  trellis check
  trellis check shop/trellis.toml --json")]
    Check {
        /// The manifest.
        #[arg(value_name = "FILE", default_value = crate::manifest::FILE_NAME, value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// List services and their instances.
    #[command(after_help = "\
Examples:
  trellis services
  trellis services --json | jq '.[] | select(.status != \"UP\").name'")]
    Services(Client),
    /// Show how the platform and its processes are.
    #[command(after_help = "\
Examples:
  trellis status
  trellis status --admin http://127.0.0.1:7701")]
    Status(Client),
    /// Read, write and follow the configuration of applications, and show the settings of the platform.
    #[command(subcommand)]
    Config(Config),
    /// Take a service or an instance out of traffic, or put it back. Holds until it is taken back, over restarts.
    #[command(after_help = "\
Examples:
  trellis override orders/orders-2 OUT_OF_SERVICE     # one instance
  trellis override orders OUT_OF_SERVICE              # all of the service
  trellis override orders/orders-2 none               # back to what its health says")]
    Override {
        /// SERVICE, or SERVICE/INSTANCE for one instance.
        target: String,
        /// `UP`, `DOWN`, `OUT_OF_SERVICE` or `STARTING`; `none` takes back what was said.
        #[arg(value_parser = status_or_none)]
        status: StatusOrNone,
        #[command(flatten)]
        client: Client,
    },
    /// Explain an error code; without one, list them all.
    #[command(after_help = "Example:\n  trellis explain TRL3002")]
    Explain {
        /// Such as TRL3002.
        code: Option<String>,
    },
    /// Print the JSON Schema of trellis.toml, for editors.
    #[command(after_help = "Example:\n  trellis schema > trellis.schema.json")]
    Schema,
    /// Print the OpenAPI document of the admin API.
    #[command(after_help = "Example:\n  trellis openapi > admin.json")]
    Openapi,
    /// Print a script that completes this command line in a shell.
    #[command(
        after_help = "Example:\n  trellis completions bash > ~/.local/share/bash-completion/completions/trellis"
    )]
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Print the version.
    Version,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) source: Source,
    /// What is logged, such as `debug` or `info,trellis_proxy=debug`.
    #[arg(long, value_name = "LEVEL", env = "TRELLIS_LOG", default_value = crate::logging::DEFAULT_FILTER)]
    pub(crate) log: String,
}

#[derive(Debug, Args)]
pub(crate) struct GatewayAlone {
    /// The manifest; trellis.toml here if there is none.
    #[arg(short = 'c', long = "config", visible_short_alias = 'f', value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// Address for clients; port 0 takes any that is free.
    #[arg(long, value_name = "ADDRESS", env = "TRELLIS_GATEWAY_LISTEN")]
    gateway_listen: Option<SocketAddr>,
    /// Address of the admin API; port 0 takes any that is free.
    #[arg(long, value_name = "ADDRESS", env = "TRELLIS_ADMIN_LISTEN")]
    admin_listen: Option<SocketAddr>,
    /// What is logged, such as `debug` or `info,trellis_proxy=debug`.
    #[arg(long, value_name = "LEVEL", env = "TRELLIS_LOG", default_value = crate::logging::DEFAULT_FILTER)]
    pub(crate) log: String,
}

#[derive(Debug, Args)]
pub(crate) struct Proxy {
    /// The service that it stands for.
    #[arg(long, value_name = "NAME")]
    pub(crate) service: ServiceName,
    /// The instance that it stands beside; NAME-1 if not given.
    #[arg(long, value_name = "ID")]
    pub(crate) instance: Option<InstanceId>,
    /// Where that instance is; the control plane is asked if not given.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) app: Option<SocketAddr>,
    /// Address for other proxies and the gateway; port 0 takes any that is free.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) inbound: Option<SocketAddr>,
    /// Address for what the instance calls; port 0 takes any that is free.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) outbound: Option<SocketAddr>,
    /// Address of the proxy's own admin API; any free port if not given.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// The admin API of the platform, which says where services are and how they are called.
    #[arg(long, value_name = "URL", env = "TRELLIS_ADMIN", default_value = "http://127.0.0.1:7700")]
    pub(crate) control: AdminUrl,
    /// A manifest that holds until the control plane answers; without one the proxy waits for it.
    #[arg(short = 'c', long = "config", visible_short_alias = 'f', value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// What is logged, such as `debug` or `info,trellis_proxy=debug`.
    #[arg(long, value_name = "LEVEL", env = "TRELLIS_LOG", default_value = crate::logging::DEFAULT_FILTER)]
    pub(crate) log: String,
}

/// The manifest, and the settings that may be given outside it.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// The manifest; without one, trellis.toml here, or else the only program here.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// How modules are run: monolith, microservices or `service_mesh`.
    #[arg(long, env = "TRELLIS_PHASE")]
    phase: Option<Phase>,
    /// The folder that holds all state; `data` beside the manifest if not given.
    #[arg(long, value_name = "DIR", env = "TRELLIS_DATA_DIR", value_hint = ValueHint::DirPath)]
    data_dir: Option<PathBuf>,
    /// Address for clients; port 0 takes any that is free.
    #[arg(long, value_name = "ADDRESS", env = "TRELLIS_GATEWAY_LISTEN")]
    gateway_listen: Option<SocketAddr>,
    /// Address of the admin API; port 0 takes any that is free.
    #[arg(long, value_name = "ADDRESS", env = "TRELLIS_ADMIN_LISTEN")]
    admin_listen: Option<SocketAddr>,
    /// Address of the door that speaks Consul's HTTP API; port 0 takes any that is free.
    #[arg(long, value_name = "ADDRESS", env = "TRELLIS_CONSUL_LISTEN")]
    consul_listen: Option<SocketAddr>,
    /// Address of the door for DNS, over UDP and TCP; port 0 takes any that is free.
    #[arg(long, value_name = "ADDRESS", env = "TRELLIS_DNS_LISTEN")]
    dns_listen: Option<SocketAddr>,
    /// Address of the door that speaks Eureka's API; port 0 takes any that is free.
    #[arg(long, value_name = "ADDRESS", env = "TRELLIS_EUREKA_LISTEN")]
    eureka_listen: Option<SocketAddr>,
    /// Any free port for each of these addresses that is not given here or in the environment.
    #[arg(long, env = "TRELLIS_ANY_PORT")]
    any_port: bool,
}

/// Where the platform is that a command talks to.
#[derive(Debug, Args)]
pub(crate) struct Client {
    /// The admin API of a running platform.
    #[arg(long, value_name = "URL", env = "TRELLIS_ADMIN", default_value = "http://127.0.0.1:7700")]
    pub(crate) admin: AdminUrl,
}

/// What an operator says.
pub(crate) type StatusOrNone = Option<Status>;

fn status_or_none(text: &str) -> Result<StatusOrNone, String> {
    if text.eq_ignore_ascii_case("none") { Ok(None) } else { text.parse().map(Some) }
}

impl GatewayAlone {
    /// The overrides, each with who gave it. `matches` are those of the subcommand.
    pub(crate) fn overrides(&self, matches: &ArgMatches) -> Overrides {
        Overrides {
            listens: listens(matches, &[self.gateway_listen, self.admin_listen], false),
            ..Overrides::default()
        }
    }
}

impl Source {
    /// The overrides, each with who gave it. `matches` are those of the subcommand.
    pub(crate) fn overrides(&self, matches: &ArgMatches) -> Overrides {
        Overrides {
            phase: given(matches, self.phase, "phase", "TRELLIS_PHASE"),
            data_dir: given(matches, self.data_dir.clone(), "data-dir", "TRELLIS_DATA_DIR"),
            listens: listens(
                matches,
                &[
                    self.gateway_listen,
                    self.admin_listen,
                    self.consul_listen,
                    self.dns_listen,
                    self.eureka_listen,
                ],
                self.any_port,
            ),
        }
    }
}

/// The addresses, in the order of [`LISTENS`].
fn listens(matches: &ArgMatches, addresses: &[Option<SocketAddr>], any_port: bool) -> Listens {
    let all = LISTENS.iter().zip(addresses);
    let given = all.filter_map(|(listen, address)| {
        Some((listen.key, given(matches, *address, listen.flag, listen.variable)?))
    });
    let any_port = given_by(matches, "any-port", "TRELLIS_ANY_PORT", any_port);
    Listens::new(given.collect(), any_port)
}

fn given_by(matches: &ArgMatches, flag: &'static str, variable: &'static str, is: bool) -> Option<Origin> {
    given(matches, is.then_some(()), flag, variable).map(|given| given.origin)
}

fn given<T>(
    matches: &ArgMatches,
    value: Option<T>,
    flag: &'static str,
    variable: &'static str,
) -> Option<Given<T>> {
    // Not every command has every option, so only those are asked for that were given.
    value.map(|value| {
        let origin = match matches.value_source(&flag.replace('-', "_")) {
            Some(ValueSource::EnvVariable) => Origin::Environment(variable),
            _ => Origin::Flag(flag),
        };
        Given { value, origin }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
