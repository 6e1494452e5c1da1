//! The processes that an application needs in its phase.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use trellis_core::model::{AppModel, Module};
use trellis_core::{Error, InstanceId, Phase, ServiceName, codes};
use trellis_supervisor::{ProcessSpec, resolve_command};

use super::data_dir::DataDir;
use super::sidecars::{self, Sidecar};
use crate::database::Database;
use crate::secrets;

/// What the machine has to say about it.
pub(crate) struct Machine<'a> {
    /// `trellis` itself.
    pub(crate) program: &'a Path,
    /// The folder that holds `trellis`.
    pub(crate) beside: &'a Path,
    /// The value of PATH.
    pub(crate) path: Option<&'a OsStr>,
    /// The folder that holds the manifest.
    pub(crate) directory: &'a Path,
    /// `http://` and the address of the admin API.
    pub(crate) admin: &'a str,
}

/// One process, and what it is to the registry and to people.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    /// What the supervisor runs.
    pub(crate) spec: ProcessSpec,
    /// The instances it is.
    pub(crate) instances: Vec<(ServiceName, InstanceId)>,
    /// Its database, fit to be shown.
    pub(crate) database: String,
    /// The port at which others reach its instances, if that is not its own but its proxy's.
    pub(crate) entrance: Option<u16>,
    /// Set if it is itself a proxy.
    pub(crate) sidecar: Option<Sidecar>,
}

/// Modules that are run as one process.
struct Group<'a> {
    /// Bears its folder and its ids.
    name: &'a ServiceName,
    modules: Vec<(&'a ServiceName, &'a Module)>,
    replicas: u32,
}

/// All processes of `model`. Every program that cannot be run is named in the error.
pub(crate) fn plan(model: &AppModel, data: &DataDir, machine: &Machine<'_>) -> Result<Vec<Process>, Error> {
    let groups = groups(model);
    let programs = programs(model, &groups, machine)?;
    let mut processes = Vec::new();
    for (group, program) in groups.iter().zip(programs) {
        for number in 1..=group.replicas {
            let mut process = process(model, data, machine, group, &program, number)?;
            let proxy = match model.app.phase {
                Phase::ServiceMesh => Some(sidecars::beside(&mut process, group.name, model, machine)?),
                _ => None,
            };
            processes.push(process);
            processes.extend(proxy);
        }
    }
    Ok(processes)
}

fn groups(model: &AppModel) -> Vec<Group<'_>> {
    let shares = |module: &Module| model.app.phase == Phase::Monolith && module.command.is_none();
    let sharing: Vec<_> = model.module.iter().filter(|(_, module)| shares(module)).collect();
    let mut groups = Vec::new();
    if !sharing.is_empty() {
        groups.push(Group { name: &model.app.name, modules: sharing, replicas: 1 });
    }
    for (name, module) in model.module.iter().filter(|(_, module)| !shares(module)) {
        let replicas = module.replicas.unwrap_or(model.defaults.replicas);
        groups.push(Group { name, modules: vec![(name, module)], replicas });
    }
    groups
}

fn programs(
    model: &AppModel,
    groups: &[Group<'_>],
    machine: &Machine<'_>,
) -> Result<Vec<Vec<OsString>>, Error> {
    let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut programs = Vec::new();
    for group in groups {
        let words = group
            .modules
            .iter()
            .find_map(|(_, module)| module.command.as_ref())
            .or(model.defaults.command.as_ref());
        let Some((program, args)) = words.and_then(|words| words.split_first()) else {
            missing.entry("there is no command".into()).or_default().push(group.name.as_str());
            continue;
        };
        match resolve_command(OsStr::new(program), machine.beside, machine.path, machine.directory) {
            Ok(file) => {
                programs.push(std::iter::once(file.into()).chain(args.iter().map(OsString::from)).collect());
            }
            Err(error) => missing.entry(error.detail().to_owned()).or_default().push(group.name.as_str()),
        }
    }
    if missing.is_empty() {
        return Ok(programs);
    }
    let all: Vec<_> = missing.iter().map(|(why, modules)| format!("{}: {why}", modules.join(", "))).collect();
    Err(Error::new(codes::COMMAND_NOT_FOUND, all.join("; "))
        .with("help", vec!["build or install the program, or correct `command` in the manifest"]))
}

fn process(
    model: &AppModel,
    data: &DataDir,
    machine: &Machine<'_>,
    group: &Group<'_>,
    command: &[OsString],
    number: u32,
) -> Result<Process, Error> {
    let id = instance(group.name, number)?;
    let names: BTreeSet<_> = group.modules.iter().map(|(name, _)| *name).collect();
    let folder = data.module(group.name.as_str())?;
    let (url, database) = database(model, group, &folder)?;
    let defaults = &model.defaults;
    let longest = |own: fn(&Module) -> Option<trellis_core::HumanDuration>,
                   default: trellis_core::HumanDuration|
     -> Duration {
        group.modules.iter().map(|(_, module)| own(module).unwrap_or(default).0).max().unwrap_or(default.0)
    };
    let first = group.modules.first().map(|(_, module)| *module);
    let mut env = defaults.env.clone();
    for (_, module) in &group.modules {
        env.extend(module.env.clone());
    }
    let listed: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    let told = [
        ("TRELLIS_APP", model.app.name.to_string()),
        ("TRELLIS_PHASE", model.app.phase.to_string()),
        ("TRELLIS_MODULES", listed.join(",")),
        ("TRELLIS_INSTANCE", id.to_string()),
        ("TRELLIS_ADMIN", machine.admin.to_owned()),
        ("TRELLIS_MANAGED", "1".to_owned()),
        ("TRELLIS_DATA_DIR", folder.display().to_string()),
    ];
    env.extend(told.map(|(name, value)| (name.to_owned(), value)));
    match url {
        Some(url) => drop(env.insert("DATABASE_URL".to_owned(), url)),
        // One that the platform itself was started with is not meant for the module.
        None => drop(env.entry("DATABASE_URL".to_owned()).or_default()),
    }
    let needs: BTreeSet<_> = group.modules.iter().flat_map(|(_, module)| &module.needs).collect();
    let instances = match group.modules.as_slice() {
        [(name, _)] if *name == group.name => vec![((*name).clone(), id.clone())],
        several => several
            .iter()
            .map(|(name, _)| Ok(((*name).clone(), instance(name, 1)?)))
            .collect::<Result<_, Error>>()?,
    };
    let spec = ProcessSpec {
        id,
        provides: names.iter().map(|name| (*name).clone()).collect(),
        needs: needs.into_iter().filter(|need| !names.contains(need)).cloned().collect(),
        after: Vec::new(),
        command: command.to_vec(),
        env,
        directory: first
            .and_then(|m| m.directory.as_ref())
            .map_or(machine.directory.to_owned(), |d| machine.directory.join(d)),
        socket: first.and_then(|module| module.socket).unwrap_or(defaults.socket),
        more_sockets: Vec::new(),
        health_path: first
            .and_then(|module| module.health.clone())
            .unwrap_or_else(|| defaults.health.clone()),
        start_timeout: longest(|module| module.start_timeout, defaults.start_timeout),
        health_interval: defaults.health_interval.0,
        health_timeout: defaults.health_timeout.0,
        grace: longest(|module| module.grace, defaults.grace),
        restart: defaults.restart.clone(),
    };
    Ok(Process { spec, instances, database, entrance: None, sidecar: None })
}

/// The URL a process is given, and how it is shown.
fn database(model: &AppModel, group: &Group<'_>, folder: &Path) -> Result<(Option<String>, String), Error> {
    let settings =
        group.modules.iter().map(|(_, module)| module.database.as_ref().unwrap_or(&model.defaults.database));
    // Modules that share a process agree, apart from those that need none: the manifest was checked for that.
    let setting = settings.max_by_key(|setting| *setting != "none").map_or("none", String::as_str);
    let file: PathBuf = folder.join(format!("{}.db", group.name));
    match setting.parse::<Database>() {
        Ok(Database::None) => Ok((None, "none".into())),
        Ok(Database::Sqlite) => {
            Ok((Some(format!("sqlite://{}", file.display())), format!("sqlite {}", file.display())))
        }
        Ok(Database::Postgres(url)) => Ok((Some(url.clone()), secrets::mask_urls(&url))),
        Err(expected) => Err(Error::new(
            codes::INVALID_MANIFEST,
            format!("the database of {} is not {expected}", group.name),
        )),
    }
}

fn instance(name: &ServiceName, number: u32) -> Result<InstanceId, Error> {
    let invalid =
        |error| Error::new(codes::INVALID_MANIFEST, format!("{name} cannot name an instance")).because(error);
    format!("{name}-{number}").parse().map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The processes of `manifest`, whose programs are `sh`.
    fn planned(manifest: &str, phase: Phase) -> Result<Vec<Process>, Error> {
        let mut model: AppModel = toml::from_str(manifest).unwrap();
        model.app.phase = phase;
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path(), "shop", phase).unwrap();
        let machine = Machine {
            program: Path::new("/opt/trellis"),
            beside: Path::new("/nowhere"),
            path: Some(OsStr::new("/bin:/usr/bin")),
            directory: Path::new("/app"),
            admin: "http://127.0.0.1:7700",
        };
        plan(&model, &data, &machine)
    }

    fn ids(processes: &[Process]) -> Vec<&str> {
        processes.iter().map(|process| process.spec.id.as_str()).collect()
    }

    const SHOP: &str = r#"
        [app]
        name = "shop"
        [defaults]
        command = ["sh", "-c", "serve"]
        env = { LEVEL = "info" }
        grace = "2s"
        [module.users]
        [module.orders]
        needs = ["users", "mail"]
        replicas = 2
        grace = "5s"
        env = { LEVEL = "debug" }
        [module.mail]
        command = ["sh"]
        database = "none"
        directory = "mail"
    "#;

    #[test]
    fn microservices_are_a_process_for_each_replica() {
        let processes = planned(SHOP, Phase::Microservices).unwrap();
        assert_eq!(ids(&processes), ["mail-1", "orders-1", "orders-2", "users-1"]);
        let [mail, _, orders, users] = processes.as_slice() else { panic!("{processes:?}") };
        assert_eq!(orders.spec.needs.iter().map(ServiceName::as_str).collect::<Vec<_>>(), ["mail", "users"]);
        assert_eq!((&*orders.spec.env["LEVEL"], &*users.spec.env["LEVEL"]), ("debug", "info"));
        assert_eq!(orders.spec.env["TRELLIS_INSTANCE"], "orders-2");
        assert!(orders.spec.env["DATABASE_URL"].ends_with("/modules/orders/orders.db"));
        assert_eq!(orders.spec.grace, Duration::from_secs(5));
        let url = mail.spec.env.get("DATABASE_URL").map(String::as_str);
        assert_eq!((url, &*mail.database), (Some(""), "none"), "not the one of whoever started the platform");
        assert_eq!(mail.spec.directory, Path::new("/app/mail"));
        assert!(mail.spec.command[0].to_string_lossy().ends_with("/sh"));
    }

    #[test]
    fn in_the_mesh_every_instance_has_a_proxy_that_is_ready_before_it_starts() {
        let processes = planned(SHOP, Phase::ServiceMesh).unwrap();
        assert_eq!(
            ids(&processes),
            [
                "mail-1",
                "mail-1-proxy",
                "orders-1",
                "orders-1-proxy",
                "orders-2",
                "orders-2-proxy",
                "users-1",
                "users-1-proxy"
            ]
        );
        let (orders, proxy) = (&processes[2], &processes[3]);
        assert_eq!(orders.spec.after, std::slice::from_ref(&proxy.spec.id));
        let sidecar = proxy.sidecar.as_ref().unwrap();
        assert_eq!((&sidecar.of, orders.entrance), (&orders.spec.id, Some(sidecar.inbound)));
        assert_eq!(orders.spec.env["TRELLIS_OUTBOUND"], format!("http://127.0.0.1:{}", sidecar.outbound));
        assert_eq!((proxy.spec.more_sockets.len(), proxy.spec.provides.len()), (2, 0));
        let command: Vec<_> = proxy.spec.command.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(command[..6], ["/opt/trellis", "proxy", "--service", "orders", "--instance", "orders-1"]);
        assert!(planned(SHOP, Phase::Microservices).unwrap()[0].spec.after.is_empty());
    }

    #[test]
    fn the_monolith_is_one_process_beside_those_with_a_command_of_their_own() {
        let processes = planned(SHOP, Phase::Monolith).unwrap();
        assert_eq!(ids(&processes), ["shop-1", "mail-1"]);
        let shop = &processes[0];
        let instances: Vec<_> = shop.instances.iter().map(|(_, id)| id.as_str()).collect();
        assert_eq!(instances, ["orders-1", "users-1"]);
        assert_eq!(shop.spec.needs.iter().map(ServiceName::as_str).collect::<Vec<_>>(), ["mail"]);
        assert_eq!(shop.spec.env["TRELLIS_MODULES"], "orders,users");
        assert!(shop.spec.env["DATABASE_URL"].ends_with("/modules/shop/shop.db"));
        assert_eq!(shop.spec.grace, Duration::from_secs(5));
    }

    #[test]
    fn a_database_url_is_passed_on_whole_and_shown_without_its_password() {
        let manifest = "[module.users]\ncommand = [\"sh\"]\ndatabase = \"postgres://u:hunter2@db/x\"\n";
        let processes = planned(manifest, Phase::Microservices).unwrap();
        assert_eq!(processes[0].spec.env["DATABASE_URL"], "postgres://u:hunter2@db/x");
        assert_eq!(processes[0].database, "postgres://u:***@db/x");
    }

    #[test]
    fn every_program_that_is_missing_is_named_with_those_who_want_it() {
        let manifest = "[defaults]\ncommand = [\"no-such\"]\n[module.a]\n[module.b]\n[module.c]\ncommand = [\"./gone\"]\n";
        let error = planned(manifest, Phase::Microservices).unwrap_err();
        assert_eq!(error.code(), codes::COMMAND_NOT_FOUND);
        assert!(error.detail().contains("a, b: ") && error.detail().contains("c: "), "{error}");
    }
}
