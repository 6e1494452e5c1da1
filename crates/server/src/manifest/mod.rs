//! `trellis.toml`: found, read, held against the rules; every mistake is told with its place.

mod checks;
pub mod mistake;
pub mod path;
mod report;
mod rules;
mod salvage;
pub mod schema;
mod single;
mod suggest;
mod text;
mod tree;

use std::io::{ErrorKind, Read as _};
use std::path::{Path as FilePath, PathBuf};

use toml::de::DeTable;
use trellis_core::model::AppModel;
use trellis_core::{Error, codes};
use trellis_proxy::RouteTable;

pub use report::{Finding, Report};
pub use single::only_program;

use crate::settings::{Origin, Overrides};
use crate::{mesh, traffic};
use mistake::{Mistake, Place};
use path::Path;
use text::Text;
use tree::Node;

/// The file that is read if none is named.
pub const FILE_NAME: &str = "trellis.toml";

/// A manifest is written by hand; what is larger is another file.
const MAX_BYTES: u64 = 1 << 20;

/// An application, read and checked.
#[derive(Debug)]
pub struct Manifest {
    /// What it says, with overrides in place.
    pub model: AppModel,
    /// The folder that relative paths in it start from.
    pub directory: PathBuf,
    written: Option<(Text, Node)>,
    /// What the check of the routes made of them.
    routes: Option<RouteTable>,
}

/// Why there is no application.
#[derive(Debug)]
pub enum Failure {
    /// There is no manifest, or it cannot be read.
    Unreadable(Error),
    /// It has mistakes.
    Mistaken(Box<Report>),
}

impl Manifest {
    /// Reads `file`; without one, `trellis.toml` in `folder`; without that, the only program in `folder`.
    pub fn load(file: Option<&FilePath>, folder: &FilePath, overrides: &Overrides) -> Result<Self, Failure> {
        let default = folder.join(FILE_NAME);
        let (path, name) = match file {
            Some(file) => (folder.join(file), file.display().to_string()),
            None if default.exists() => (default, FILE_NAME.to_owned()),
            None => {
                let mut model = only_program(folder).map_err(Failure::Unreadable)?;
                overrides.apply(&mut model);
                let nothing = || Text::new(folder.display().to_string(), String::new());
                let routes = checks::check(&model, overrides).map_err(|mistakes| {
                    Failure::Mistaken(Box::new(Report::new(nothing(), None, mistakes)))
                })?;
                return Ok(Self { model, directory: folder.to_owned(), written: None, routes: Some(routes) });
            }
        };
        let text = read(&path, &name).map_err(Failure::Unreadable)?;
        let directory = path.parent().map(FilePath::to_owned).unwrap_or_default();
        Self::parse(&name, text, directory, overrides).map_err(|report| Failure::Mistaken(Box::new(report)))
    }

    /// Reads `text`, which came from the file `name` in `directory`.
    pub fn parse(
        name: &str,
        text: String,
        directory: PathBuf,
        overrides: &Overrides,
    ) -> Result<Self, Report> {
        let text = Text::new(name.to_owned(), text);
        let (document, errors) = DeTable::parse_recoverable(&text.content);
        if !errors.is_empty() {
            // What a broken line was meant to say is a guess; the rest is checked once it reads.
            let mistakes = errors.iter().map(|error| syntax(&text, error)).collect();
            return Err(Report::new(text, None, mistakes));
        }
        let (json, tree, mut mistakes) = tree::read(&document);
        match rules::model(&json) {
            Ok(mut model) => {
                overrides.apply(&mut model);
                match checks::check(&model, overrides) {
                    Ok(routes) if mistakes.is_empty() => {
                        drop(document);
                        return Ok(Self {
                            model,
                            directory,
                            written: Some((text, tree)),
                            routes: Some(routes),
                        });
                    }
                    Ok(_) => {}
                    Err(more) => mistakes.extend(more),
                }
            }
            Err(violations) => {
                let unsaid =
                    violations.into_iter().filter(|v| !mistakes.iter().any(|known| known.path() == v.path()));
                let unsaid: Vec<_> = unsaid.collect();
                mistakes.extend(unsaid);
                if let Some(mut rest) = salvage::salvage(json, &mistakes) {
                    overrides.apply(&mut rest.model);
                    let more = checks::check(&rest.model, overrides).err().unwrap_or_default();
                    mistakes.extend(rest.keep(more));
                }
            }
        }
        drop(document);
        Err(Report::new(text, Some(&tree), mistakes))
    }

    /// The routes, ready to be put into force. To make them takes a while when there are many, so what the check of the
    /// manifest made is handed out, once.
    pub fn routes(&mut self) -> Result<RouteTable, Error> {
        // Between the proxies of a mesh, clusters have more to them than the manifest says.
        let ready = self.routes.take().filter(|_| !mesh::tls::applies(&self.model));
        ready.map_or_else(|| traffic::compile(&self.model), Ok)
    }

    /// The file, if there is one.
    pub fn file(&self) -> Option<PathBuf> {
        let (text, _) = self.written.as_ref()?;
        Some(self.directory.join(FilePath::new(&text.name).file_name()?))
    }

    /// Whether there is a file; otherwise the model was found out from the folder.
    pub fn is_written(&self) -> bool {
        self.written.is_some()
    }

    /// The line of the value at `path`, if it is written down.
    pub fn line_of(&self, path: &Path) -> Option<Origin> {
        let (text, tree) = self.written.as_ref()?;
        let offset = tree.get(path)?.value.start;
        Some(Origin::File { name: text.name.clone(), line: text.position(offset).line })
    }

    /// The folder that holds all state: `data` beside the manifest unless told otherwise.
    pub fn data_dir(&self, overrides: &Overrides) -> PathBuf {
        match &overrides.data_dir {
            Some(given) => given.value.clone(),
            None => self.directory.join("data"),
        }
    }
}

/// The text of the file at `path`, which is called `name` in errors.
pub(crate) fn read(path: &FilePath, name: &str) -> Result<String, Error> {
    let unreadable = |why: String| Error::new(codes::MANIFEST_UNREADABLE, format!("{name}: {why}"));
    if path.is_dir() {
        return Err(unreadable(format!("this is a folder; name the file in it: {name}/{FILE_NAME}")));
    }
    let mut bytes = Vec::new();
    // The limit holds for what is read, not for what the file system says: it may be a pipe.
    std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(
        |error| match error.kind() {
            ErrorKind::NotFound => unreadable("there is no such file".into()),
            _ => unreadable(error.to_string()),
        },
    )?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(unreadable(format!("this is too large for a manifest; the limit is {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = String::from_utf8_lossy(&error.as_bytes()[..good]).matches('\n').count() + 1;
        unreadable(format!("line {line} is not UTF-8"))
    })
}

fn syntax(text: &Text, error: &toml::de::Error) -> Mistake {
    let span = error.span().unwrap_or(text.content.len()..text.content.len());
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, expected),
        None => (error.message(), ""),
    };
    Mistake::new(Place::Text(span), format!("this is not TOML: {message}")).expected(expected)
}
