//! Changing keys.

use std::io::Read as _;
use std::path::Path;

use http::Method;
use serde_json::{Value as Json, json as json_value};
use trellis_core::{Error, codes};

use super::args::{About, At, Format, Input};
use super::read::text;
use super::request::{Place, Query};
use crate::cli::{output, small_runtime};

/// How a gray release ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Promote,
    Abort,
}

/// Who gets a candidate.
#[derive(Debug)]
pub(super) struct Who<'a> {
    pub(super) share: Option<f64>,
    pub(super) labels: &'a [String],
    pub(super) when: Option<&'a str>,
}

/// Longest value that is read; the platform refuses earlier.
const MAX_INPUT: u64 = 16 << 20;

/// Writes a key.
pub(super) fn set(at: &At, value: &Input, secret: bool, about: &About, json: bool) -> Result<(), Error> {
    if secret && value.value.is_some() {
        let error = Error::new(
            codes::INVALID_PARAMETER,
            "a secret is not written on the command line, where all can see it",
        );
        return Err(output::help(error, &["give it with --file FILE, or with --file - on standard input"]));
    }
    let (format, bytes) = input(value)?;
    let query = Query::default().about(about).with_some("secret", secret.then_some(true));
    let path = query.after(&Place::of(at)?.key("keys")?);
    change(at, Method::PUT, &path, Some((media_type(format), bytes)), about, json)
}

/// Deletes a key.
pub(super) fn delete(at: &At, purge: bool, about: &About, json: bool) -> Result<(), Error> {
    let query = Query::default().about(about).with_some("purge", purge.then_some(true));
    let path = query.after(&Place::of(at)?.key("keys")?);
    change(at, Method::DELETE, &path, None, about, json)
}

/// Brings a version back.
pub(super) fn rollback(at: &At, to: u64, about: &About, json: bool) -> Result<(), Error> {
    let path = Query::default().about(about).with("to", &to).after(&Place::of(at)?.key("rollback")?);
    change(at, Method::POST, &path, None, about, json)
}

/// Begins or ends a gray release.
pub(super) fn gray(
    at: &At,
    value: &Input,
    who: &Who<'_>,
    end: Option<End>,
    about: &About,
    json: bool,
) -> Result<(), Error> {
    let path = Query::default().about(about).after(&Place::of(at)?.key("gray")?);
    match end {
        Some(End::Promote) => return change(at, Method::POST, &path, None, about, json),
        Some(End::Abort) => return change(at, Method::DELETE, &path, None, about, json),
        None => {}
    }
    let (format, bytes) = input(value)?;
    let (name, value) = match format {
        Format::Json => ("json", serde_json::from_slice(&bytes).map_err(|error| not_json(&error))?),
        Format::Toml => ("toml", as_text(&bytes)),
        Format::Yaml => ("yaml", as_text(&bytes)),
        Format::Text => ("text", as_text(&bytes)),
    };
    let mut rule = serde_json::Map::new();
    if let Some(share) = who.share {
        rule.insert("share".into(), share.into());
    }
    if let Some(when) = who.when {
        rule.insert("when".into(), when.into());
    }
    if !who.labels.is_empty() {
        let pairs = who.labels.iter().map(|label| {
            let (name, value) = label.split_once('=').unwrap_or((label, ""));
            (name.to_owned(), Json::from(value))
        });
        rule.insert("labels".into(), Json::Object(pairs.collect()));
    }
    let body = json_value!({ "value": value, "format": name, "rule": rule }).to_string();
    change(at, Method::PUT, &path, Some(("application/json", body.into_bytes())), about, json)
}

/// Shows, attaches or removes schemas.
pub(super) fn schema(
    at: &At,
    file: Option<&Path>,
    remove: bool,
    about: &About,
    json: bool,
) -> Result<(), Error> {
    let place = Place::of(at)?;
    let path = place.space("schemas");
    if file.is_none() && !remove {
        let all: Json = small_runtime()?.block_on(at.client.admin.get(&path))?;
        let here = |schema: &&Json| schema["path"].as_str().is_some_and(|path| path.starts_with(place.rest));
        let found: Vec<_> = all.as_array().into_iter().flatten().filter(here).collect();
        if json {
            return output::print_json(&found);
        }
        let rows = found.iter().map(|schema| {
            let path = text(&schema["path"]);
            [if path.is_empty() { "(all)".into() } else { path }, schema["schema"].to_string()]
        });
        return output::print(&output::table(["PATH", "SCHEMA"], rows));
    }
    let query = Query::default().with("path", place.rest).with_some("reason", about.reason.as_deref());
    let path = query.after(&path);
    let (method, body) = match file {
        Some(file) => (Method::PUT, Some(("application/json", read(file)?))),
        None => (Method::DELETE, None),
    };
    let answer =
        small_runtime()?.block_on(at.client.admin.change(method, &path, body, about.actor.as_deref()))?;
    if json {
        return output::print_json(&answer);
    }
    output::print(if remove { "removed\n" } else { "attached\n" })
}

fn change(
    at: &At,
    method: Method,
    path: &str,
    body: Option<(&'static str, Vec<u8>)>,
    about: &About,
    json: bool,
) -> Result<(), Error> {
    let answer =
        small_runtime()?.block_on(at.client.admin.change(method, path, body, about.actor.as_deref()))?;
    if json {
        return output::print_json(&answer);
    }
    let key = text(&answer["key"]);
    output::print(&match &answer["version"] {
        version if *version == 0 => format!("nothing is left of {key}\n"),
        version => format!("{key} is at version {version}\n"),
    })
}

/// The value and what kind of text it is.
fn input(value: &Input) -> Result<(Format, Vec<u8>), Error> {
    let bytes = match (&value.value, &value.file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(file)) => read(file)?,
        (None, None) => {
            let error = Error::new(codes::INVALID_PARAMETER, "there is no value");
            return Err(output::help(error, &["write it after the key, or name a file with --file"]));
        }
    };
    let extension = value.file.as_ref().and_then(|file| file.extension()?.to_str());
    let format = value.format.unwrap_or(match extension {
        Some("toml") => Format::Toml,
        Some("yaml" | "yml") => Format::Yaml,
        Some("txt") => Format::Text,
        _ => Format::Json,
    });
    if matches!(format, Format::Json) {
        serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).map_err(|error| not_json(&error))?;
    }
    Ok((format, bytes))
}

/// Where, and not what: it may be a secret.
fn not_json(error: &serde_json::Error) -> Error {
    let text = format!("the value is not JSON: line {} column {}", error.line(), error.column());
    output::help(Error::new(codes::MALFORMED_JSON, text), &["say `--format text` for plain text"])
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let done = if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_INPUT).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MAX_INPUT).read_to_end(&mut bytes))
    };
    done.map_err(|error| {
        Error::new(codes::INVALID_PARAMETER, format!("{} cannot be read: {error}", file.display()))
    })?;
    // A line that ends with the input is how editors and `echo` write one line.
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(bytes)
}

fn as_text(bytes: &[u8]) -> Json {
    Json::String(String::from_utf8_lossy(bytes).into_owned())
}

fn media_type(format: Format) -> &'static str {
    match format {
        Format::Json => "application/json",
        Format::Toml => "application/toml",
        Format::Yaml => "application/yaml",
        Format::Text => "text/plain",
    }
}
