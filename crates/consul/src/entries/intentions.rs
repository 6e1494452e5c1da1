//! `/v1/connect/intentions`: who may call whom, as the entries of the kind `service-intentions` say. That is for the
//! proxies of Consul's mesh to enforce; nothing here does.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::{Map, Value, json};

use super::path_of;
use crate::answer::Answer;
use crate::door::{Door, filtered};
use crate::kept::{Kept, Revision};
use crate::refusal::{Refusal, Reply};
use crate::request::{self, Object, Params, Whole};
use crate::source::Source;

pub(super) const KIND: &str = "service-intentions";
const PATH: &str = "service-intentions/";
/// Stands for all services.
const ALL: &str = "*";

pub(super) fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/connect/intentions", get(list))
        .route("/v1/connect/intentions/exact", get(read).put(write).delete(remove))
        .route("/v1/connect/intentions/check", get(check))
        .route("/v1/connect/intentions/match", get(matching))
}

/// What an entry says of one source.
#[derive(Debug, Clone, PartialEq)]
struct Intention {
    source: String,
    destination: String,
    /// `allow` or `deny`; `None` if that depends on the request, which `permissions` are about.
    action: Option<String>,
    permissions: Option<Value>,
    description: String,
    meta: Value,
    create_index: u64,
    modify_index: u64,
}

impl Intention {
    /// The more exactly it says who, the more it counts; the destination goes first.
    fn precedence(&self) -> u8 {
        match (self.destination == ALL, self.source == ALL) {
            (false, false) => 9,
            (false, true) => 8,
            (true, false) => 6,
            (true, true) => 5,
        }
    }

    fn shown(&self) -> Value {
        let mut shown = json!({
            "Description": self.description,
            "SourceNS": "default",
            "SourceName": self.source,
            "SourceType": "consul",
            "DestinationNS": "default",
            "DestinationName": self.destination,
            "Action": self.action.as_deref().unwrap_or_default(),
            "Meta": self.meta,
            "Precedence": self.precedence(),
            "CreateIndex": self.create_index,
            "ModifyIndex": self.modify_index,
        });
        if let (Some(permissions), Value::Object(map)) = (&self.permissions, &mut shown) {
            map.insert("Permissions".into(), permissions.clone());
        }
        shown
    }
}

/// A source of an entry as Consul spells it.
fn source_of(mut given: Object, destination: &str) -> Reply<Map<String, Value>> {
    let name = plain(&given.text("Name")?).to_owned();
    if name.is_empty() {
        return Err(Refusal::bad("Name of Sources is required"));
    }
    let kind = given.first_text(&["Type", "SourceType"])?;
    if !matches!(kind.as_str(), "" | "consul") {
        return Err(Refusal::bad(format!("Type of Sources is \"consul\", not {kind:?}")));
    }
    let (action, permissions) = (given.text("Action")?, given.values("Permissions")?);
    match (action.as_str(), permissions.is_empty()) {
        ("allow" | "deny", true) | ("", false) => {}
        ("allow" | "deny", false) => {
            return Err(Refusal::bad("Sources have either an Action or Permissions, not both"));
        }
        _ => return Err(Refusal::bad("Action of Sources is \"allow\" or \"deny\"")),
    }
    let intention = Intention {
        source: name.clone(),
        destination: destination.to_owned(),
        action: None,
        permissions: None,
        description: String::new(),
        meta: Value::Null,
        create_index: 0,
        modify_index: 0,
    };
    let mut source = Map::new();
    source.insert("Name".into(), name.into());
    if permissions.is_empty() {
        source.insert("Action".into(), action.into());
    } else {
        source.insert("Permissions".into(), permissions.into());
    }
    source.insert("Precedence".into(), intention.precedence().into());
    source.insert("Type".into(), "consul".into());
    let description = given.text("Description")?;
    if !description.is_empty() {
        source.insert("Description".into(), description.into());
    }
    Ok(source)
}

/// An entry with its sources as Consul spells them, the most exact first.
pub(super) fn normal(mut entry: Map<String, Value>) -> Reply<Map<String, Value>> {
    let destination = entry.get("Name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let spelt = entry.keys().find(|key| key.eq_ignore_ascii_case("Sources")).cloned();
    let given = spelt.and_then(|key| entry.remove(&key)).unwrap_or_default();
    let mut fields = Object::new(KIND, json!({"Sources": given}))?;
    let mut sources: Vec<Map<String, Value>> = Vec::new();
    for source in fields.objects("Sources")? {
        let source = source_of(source, &destination)?;
        if sources.iter().any(|known| known["Name"] == source["Name"]) {
            return Err(Refusal::bad(format!("Sources name {} more than once", source["Name"])));
        }
        sources.push(source);
    }
    if sources.is_empty() {
        return Err(Refusal::bad("At least one source is required"));
    }
    sources.sort_by_key(|source| (source["Name"] == ALL, source["Name"].to_string()));
    entry.insert("Sources".into(), json!(sources));
    Ok(entry)
}

/// What an entry says.
fn of_entry(kept: &Kept) -> Vec<Intention> {
    let sources = kept.object.get("Sources").and_then(Value::as_array);
    let text = |source: &Value, name: &str| source[name].as_str().unwrap_or_default().to_owned();
    let intention = |source: &Value| Intention {
        source: text(source, "Name"),
        destination: kept.text("Name").to_owned(),
        action: source["Action"].as_str().map(str::to_owned),
        permissions: source.get("Permissions").cloned(),
        description: text(source, "Description"),
        meta: kept.object.get("Meta").cloned().unwrap_or_else(|| json!({})),
        create_index: kept.create_index,
        modify_index: kept.modify_index,
    };
    sources.into_iter().flatten().map(intention).collect()
}

/// All of them, those that count most first.
fn all(door: &Door) -> Reply<Vec<Intention>> {
    let mut all: Vec<_> = door.kept_under(PATH)?.iter().flat_map(of_entry).collect();
    all.sort_by_cached_key(|i| (u8::MAX - i.precedence(), i.destination.clone(), i.source.clone()));
    Ok(all)
}

/// A name without the namespace in front, of which there is one.
fn plain(name: &str) -> &str {
    name.rsplit_once('/')
        .filter(|(before, _)| matches!(*before, "default" | "default/default"))
        .map_or(name, |n| n.1)
}

fn named<'p>(params: &'p Params, what: &str) -> Reply<&'p str> {
    params
        .get(what)
        .map(plain)
        .ok_or_else(|| Refusal::bad(format!("required query parameter '{what}' not set")))
}

async fn list(State(door): State<Door>, params: Params) -> Reply<Answer> {
    params.filter()?;
    let source = Source::kept(PATH);
    door.follow(&params, &source).await?;
    let index = door.index_of(&source)?;
    let shown: Vec<_> = all(&door)?.iter().map(Intention::shown).collect();
    Ok(filtered(&params, shown)?.at(&params, index))
}

async fn read(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let (from, to) = (named(&params, "source")?, named(&params, "destination")?);
    let path = path_of(KIND, to);
    let source = Source::kept(path.as_str());
    door.follow(&params, &source).await?;
    let index = door.index_of(&source)?;
    let kept = door.kept(&path)?;
    let found = kept.iter().flat_map(of_entry).find(|intention| intention.source == from);
    Ok(match found {
        Some(intention) => Answer::json(&params, &intention.shown()),
        None => Answer::text("Intention not found").with_status(StatusCode::NOT_FOUND),
    }
    .at(&params, index))
}

async fn write(State(door): State<Door>, params: Params, Whole(body): Whole) -> Reply<Answer> {
    let (from, to) = (named(&params, "source")?, named(&params, "destination")?);
    let mut object = request::read(&body)?;
    let meta = object.labels("Meta")?;
    object.put_if_absent("Name", from);
    let source = Value::Object(source_of(object, to)?);
    let revise = |known: Option<&Kept>| {
        let mut entry = known.map(|kept| kept.object.clone()).unwrap_or_default();
        let mut sources = others(known, from);
        sources.push(source.clone());
        entry.insert("Kind".into(), KIND.into());
        entry.insert("Name".into(), to.into());
        if !meta.is_empty() {
            entry.insert("Meta".into(), json!(meta));
        }
        entry.insert("Sources".into(), sources.into());
        Ok(Revision::Keep(normal(entry)?))
    };
    door.revise(&path_of(KIND, to), None, revise).await?;
    Ok(Answer::json(&params, &true))
}

async fn remove(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let (from, to) = (named(&params, "source")?, named(&params, "destination")?);
    let revise = |known: Option<&Kept>| {
        let sources = others(known, from);
        Ok(match known {
            None => Revision::Forget,
            // An entry without sources says nothing.
            Some(_) if sources.is_empty() => Revision::Forget,
            Some(kept) => {
                let mut entry = kept.object.clone();
                entry.insert("Sources".into(), sources.into());
                Revision::Keep(entry)
            }
        })
    };
    door.revise(&path_of(KIND, to), None, revise).await?;
    Ok(Answer::json(&params, &true))
}

/// The sources of an entry but this one.
fn others(kept: Option<&Kept>, name: &str) -> Vec<Value> {
    let sources = kept.and_then(|kept| kept.object.get("Sources")?.as_array());
    sources.into_iter().flatten().filter(|source| source["Name"] != name).cloned().collect()
}

/// What the entries say of one service that calls another. What depends on the request is not allowed as such; what
/// nobody says anything of is.
async fn check(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let (from, to) = (named(&params, "source")?, named(&params, "destination")?);
    let is_about = |i: &Intention| {
        (i.source == from || i.source == ALL) && (i.destination == to || i.destination == ALL)
    };
    let decides = all(&door)?.into_iter().find(is_about);
    let allowed = decides.is_none_or(|intention| intention.action.as_deref() == Some("allow"));
    Ok(Answer::json(&params, &json!({"Allowed": allowed})))
}

/// For each of the names, what is about it as a source or as a destination.
async fn matching(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let by_source = match params.get("by") {
        Some("source") => true,
        Some("destination") => false,
        _ => return Err(Refusal::bad("required query parameter 'by' is source or destination")),
    };
    named(&params, "name")?;
    let source = Source::kept(PATH);
    door.follow(&params, &source).await?;
    let (index, all) = (door.index_of(&source)?, all(&door)?);
    let about = |name: &str| -> Vec<Value> {
        let side = |i: &Intention| if by_source { i.source.clone() } else { i.destination.clone() };
        all.iter().filter(|i| [name, ALL].contains(&side(i).as_str())).map(Intention::shown).collect()
    };
    let found: Map<String, Value> =
        params.all("name").map(|name| (name.to_owned(), about(plain(name)).into())).collect();
    Ok(Answer::json(&params, &found).at(&params, index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sources: &Value) -> Result<Value, String> {
        let Value::Object(entry) = json!({"Kind": KIND, "Name": "db", "sources": sources}) else { panic!() };
        normal(entry).map(|entry| entry["Sources"].clone()).map_err(|refusal| refusal.text)
    }

    #[test]
    fn sources_are_spelt_one_way_and_the_most_exact_comes_first() {
        let sources =
            entry(&json!([{"name": "*", "action": "deny"}, {"Name": "default/web", "Action": "allow"}]));
        let wanted = json!([
            {"Name": "web", "Action": "allow", "Precedence": 9, "Type": "consul"},
            {"Name": "*", "Action": "deny", "Precedence": 8, "Type": "consul"},
        ]);
        assert_eq!(sources, Ok(wanted));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (sources, wanted) in [
            (json!([]), "At least one source"),
            (json!([{"Action": "allow"}]), "Name of Sources"),
            (json!([{"Name": "a", "Action": "maybe"}]), "Action of Sources"),
            (json!([{"Name": "a"}]), "Action of Sources"),
            (json!([{"Name": "a", "Action": "allow", "Permissions": [{}]}]), "Sources have either"),
            (json!([{"Name": "a", "Action": "allow", "Type": "vm"}]), "Type of Sources"),
            (
                json!([{"Name": "a", "Action": "allow"}, {"Name": "a", "Action": "deny"}]),
                "Sources name \"a\"",
            ),
        ] {
            let text = entry(&sources).unwrap_err();
            assert!(text.starts_with(wanted), "{sources}: {text}");
        }
    }

    #[test]
    fn there_is_one_namespace() {
        for (name, wanted) in
            [("web", "web"), ("default/web", "web"), ("default/default/web", "web"), ("b/web", "b/web")]
        {
            assert_eq!(plain(name), wanted);
        }
    }
}
