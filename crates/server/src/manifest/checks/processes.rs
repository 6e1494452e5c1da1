//! Whether every module can be started in the phase that is asked for.

use std::collections::{BTreeMap, BTreeSet};

use trellis_core::Phase;
use trellis_core::model::{AppModel, Module, SocketMode};

use super::super::mistake::{Mistake, Place};
use super::super::path::Path;
use crate::secrets;
use crate::settings::Overrides;

/// What the platform says to a module; a module that is told otherwise would not be found.
const RESERVED: [&str; 11] = [
    "PORT",
    "LISTEN_FDS",
    "LISTEN_PID",
    "TRELLIS_APP",
    "TRELLIS_PHASE",
    "TRELLIS_MODULES",
    "TRELLIS_INSTANCE",
    "TRELLIS_ADMIN",
    "TRELLIS_MANAGED",
    "TRELLIS_DATA_DIR",
    "TRELLIS_OUTBOUND",
];

pub(super) fn check(model: &AppModel, overrides: &Overrides) -> Vec<Mistake> {
    let mut mistakes = commands(model);
    mistakes.extend(phase(model, overrides));
    mistakes.extend(environment(&Path::keys(["defaults"]), &model.defaults.env, false));
    for (name, module) in &model.module {
        let database = module.database.as_ref().unwrap_or(&model.defaults.database);
        mistakes.extend(environment(&Path::keys(["module", name.as_str()]), &module.env, database != "none"));
    }
    if model.app.phase == Phase::Monolith {
        mistakes.extend(shared_process(model));
    }
    mistakes
}

fn commands(model: &AppModel) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let own = model
        .module
        .iter()
        .map(|(name, module)| (Path::keys(["module", name.as_str()]), module.command.as_ref()));
    let defaults = (Path::keys(["defaults"]), model.defaults.command.as_ref());
    for (path, command) in own.chain([defaults.clone()]) {
        let program = command.and_then(|words| words.first());
        if program.is_some_and(String::is_empty) {
            mistakes.push(Mistake::value(path.key("command").index(0), "\"\"", "the name of a program"));
        }
        for (i, _) in command.into_iter().flatten().enumerate().filter(|(_, word)| word.contains('\0')) {
            mistakes.push(Mistake::value(
                path.key("command").index(i),
                "a text with a NUL",
                "a text without NUL",
            ));
        }
        if command.is_none() && defaults.1.is_none() && path != defaults.0 {
            mistakes.push(
                Mistake::new(Place::Value(path.clone()), format!("`{path}` has no command"))
                    .expected("`command`, here or in `[defaults]`")
                    .help("say how it is started: `command = [\"./server\", \"--flag\"]`")
                    .rests_on([Path::default(), defaults.0.clone(), path]),
            );
        }
    }
    mistakes
}

fn phase(model: &AppModel, overrides: &Overrides) -> Option<Mistake> {
    let phase = model.app.phase;
    if phase != Phase::Serverless {
        return None;
    }
    let place = match &overrides.phase {
        Some(given) => Place::Outside(given.origin.to_string()),
        None => Place::Value(Path::keys(["app", "phase"])),
    };
    Some(
        Mistake::new(place, format!("this version cannot run the phase `{phase}`"))
            .expected("`monolith`, `microservices` or `service_mesh`")
            .help("the modules stay the same: run them as `microservices` until then"),
    )
}

fn environment(owner: &Path, env: &BTreeMap<String, String>, has_database: bool) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let table = owner.key("env");
    for (name, value) in env {
        let key = Place::Key(table.key(name));
        if name.is_empty() || name.contains(['=', '\0']) {
            mistakes.push(
                Mistake::new(key, format!("{name:?} cannot be an environment variable"))
                    .expected("a name without `=` or NUL"),
            );
        } else if RESERVED.contains(&name.as_str()) {
            mistakes.push(
                Mistake::new(key, format!("`{name}` is set by the platform"))
                    .expected("a variable of your own")
                    .help(format!("these are the platform's: {}", RESERVED.join(", "))),
            );
        } else if name == "DATABASE_URL" && has_database {
            mistakes.push(
                Mistake::new(key, "`DATABASE_URL` is set by the platform")
                    .expected("the `database` key instead")
                    .help("write the URL as `database`, or `database = \"none\"` to keep this variable"),
            );
        }
        if value.contains('\0') {
            mistakes.push(Mistake::value(table.key(name), "a text with a NUL", "a text without NUL"));
        }
    }
    mistakes
}

/// In the monolith, modules without a command of their own share one process, and with it what a process has once.
fn shared_process(model: &AppModel) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let (sharing, alone): (Vec<_>, Vec<_>) =
        model.module.iter().partition(|(_, module)| module.command.is_none());
    let defaults = &model.defaults;
    let mut agree = |key: &str, of: &dyn Fn(&Module) -> Option<String>, default: Option<String>| {
        let given: Vec<_> = sharing.iter().filter_map(|(name, module)| Some((*name, of(module)?))).collect();
        let Some((_, first)) =
            given.first().filter(|(_, first)| given.iter().any(|(_, value)| value != first))
        else {
            return;
        };
        let wanted = default.unwrap_or_else(|| first.clone());
        let shown = |text: &str| format!("{:?}", secrets::mask(key, text));
        let holder =
            given.iter().find(|(_, value)| *value == wanted).map_or("[defaults]", |(name, _)| name.as_str());
        for (name, other) in given.iter().filter(|(_, value)| *value != wanted) {
            mistakes.push(
                Mistake::value(Path::parse(&format!("module.{name}.{key}")), shown(other), shown(&wanted))
                    .remark(format!("`{holder}` has {} in the same process", shown(&wanted)))
                    .help("modules without a command of their own share a process in the monolith: say it once, in `[defaults]`"),
            );
        }
    };
    // One that needs no database does not mind there being one.
    let database = |module: &Module| module.database.as_ref().unwrap_or(&defaults.database).clone();
    let socket = |mode: SocketMode| format!("{mode:?}").to_lowercase();
    let here = || ".".to_owned();
    agree(
        "database",
        &|m| Some(database(m)).filter(|name| name != "none"),
        Some(defaults.database.clone()).filter(|name| name != "none"),
    );
    agree("directory", &|m| Some(m.directory.clone().unwrap_or_else(here)), Some(here()));
    agree(
        "health",
        &|m| Some(m.health.clone().unwrap_or_else(|| defaults.health.clone())),
        Some(defaults.health.clone()),
    );
    agree("socket", &|m| Some(socket(m.socket.unwrap_or(defaults.socket))), Some(socket(defaults.socket)));
    let names: BTreeSet<_> = sharing.iter().flat_map(|(_, module)| module.env.keys()).collect();
    for name in names {
        agree(&format!("env.{name}"), &|module| module.env.get(name).cloned(), None);
    }
    if let (false, Some((name, _))) =
        (sharing.is_empty(), alone.iter().find(|(name, _)| **name == model.app.name))
    {
        mistakes.push(
            Mistake::new(
                Place::Key(Path::keys(["module", name.as_str()])),
                format!("`{name}` is the name of the application"),
            )
            .expected("another name: the process of the other modules bears this one in the monolith"),
        );
    }
    mistakes
}
