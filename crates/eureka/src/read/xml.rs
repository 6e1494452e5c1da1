//! XML, as much of it as Eureka's clients write, turned into what the same thing is in Eureka's JSON: attributes are
//! members that begin with `@`, the text beside them is `$`, and elements of the same name are a list.
//!
//! There is no document type and no entity but XML's own five, so nothing in a document can refer to anything outside
//! it or grow when it is read. Depth and number of elements are bounded; the size of the whole is the caller's to bound.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};
use trellis_core::{Error, codes};

/// Deepest nesting; a registration has four levels.
const MAX_DEPTH: usize = 16;
/// Most elements and attributes of a document; a registration with all labels at their limits has about 200.
const MAX_NODES: usize = 2_000;

/// An element whose end has not been seen.
struct Open {
    name: String,
    members: Map<String, Value>,
    text: String,
}

/// Reads a document into an object with one member, its root.
pub(super) fn parse(body: &[u8]) -> Result<Value, Error> {
    let text = std::str::from_utf8(body).map_err(|_| refuse("it is not UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<Value> = None;
    let mut nodes = 0;
    loop {
        match reader.read_event().map_err(|error| refuse(&error.to_string()))? {
            Event::Start(start) => {
                if root.is_some() || open.len() == MAX_DEPTH {
                    return Err(refuse(&format!("it has a second root, or more than {MAX_DEPTH} levels")));
                }
                open.push(begin(&start, &mut nodes)?);
            }
            Event::Empty(start) => {
                if root.is_some() || open.len() == MAX_DEPTH {
                    return Err(refuse(&format!("it has a second root, or more than {MAX_DEPTH} levels")));
                }
                end(begin(&start, &mut nodes)?, &mut open, &mut root);
            }
            Event::End(_) => match open.pop() {
                Some(element) => end(element, &mut open, &mut root),
                None => return Err(refuse("an element ends that has not begun")),
            },
            Event::Text(text) => add(&mut open, &text.xml10_content())?,
            Event::CData(text) => add(&mut open, &text.xml10_content())?,
            Event::GeneralRef(entity) => {
                let written = match entity.resolve_char_ref().map_err(|error| refuse(&error.to_string()))? {
                    Some(character) if is_character(character) => character.to_string(),
                    Some(_) => return Err(refuse("it refers to a character that XML does not have")),
                    None => quick_xml::escape::resolve_xml_entity(&entity.xml10_content())
                        .ok_or_else(|| refuse("it has an entity that is not one of XML's own five"))?
                        .to_owned(),
                };
                add(&mut open, &written)?;
            }
            Event::DocType(_) => return Err(refuse("it has a document type, which is not read here")),
            Event::Decl(declared) => {
                if let Some(encoding) = declared.encoding() {
                    let encoding = encoding.map_err(|error| refuse(&error.to_string()))?;
                    if !["utf-8", "us-ascii"].iter().any(|known| encoding.eq_ignore_ascii_case(known)) {
                        return Err(refuse("it is not in UTF-8"));
                    }
                }
            }
            Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    match root {
        Some(root) if open.is_empty() => Ok(root),
        _ => Err(refuse("it ends too early")),
    }
}

fn refuse(why: &str) -> Error {
    Error::new(codes::INVALID_INPUT, format!("the body is not XML that can be read: {why}"))
}

fn begin(start: &BytesStart<'_>, nodes: &mut usize) -> Result<Open, Error> {
    let mut count = || {
        *nodes += 1;
        if *nodes > MAX_NODES {
            Err(refuse(&format!("it has more than {MAX_NODES} elements")))
        } else {
            Ok(())
        }
    };
    count()?;
    let mut members = Map::new();
    for attribute in start.attributes() {
        count()?;
        let attribute = attribute.map_err(|error| refuse(&error.to_string()))?;
        let value = attribute
            .normalized_value(XmlVersion::Explicit1_0)
            .map_err(|error| refuse(&error.to_string()))?;
        let name: &str = attribute.key.as_ref();
        members.insert(format!("@{name}"), Value::String(value.into_owned()));
    }
    Ok(Open { name: decode(start.name().as_ref()), members, text: String::new() })
}

fn add(open: &mut [Open], text: &str) -> Result<(), Error> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(refuse("there is text outside the root")),
    }
    Ok(())
}

fn end(element: Open, open: &mut [Open], root: &mut Option<Value>) {
    let Open { name, mut members, text } = element;
    let has_children = members.keys().any(|key| !key.starts_with('@'));
    let value = if members.is_empty() {
        Value::String(text)
    } else {
        if !has_children {
            members.insert("$".into(), Value::String(text.trim().to_owned()));
        }
        Value::Object(members)
    };
    match open.last_mut() {
        Some(parent) => put(&mut parent.members, name, value),
        None => *root = Some(Value::Object(Map::from_iter([(name, value)]))),
    }
}

/// A second element of the same name makes a list of them.
fn put(members: &mut Map<String, Value>, name: String, value: Value) {
    match members.get_mut(&name) {
        Some(Value::Array(list)) => list.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
        None => {
            members.insert(name, value);
        }
    }
}

/// The key behind an element's name: clients in Java write `_` as `__`, `$` as `_-`, and what a name in XML cannot have
/// as `_.` and four hexadecimal digits for each unit of UTF-16 (the encoding of `XStream`). What is none of these stays
/// as it is.
fn decode(name: &str) -> String {
    if !name.contains('_') {
        return name.to_owned();
    }
    let mut units = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('_') {
        units.extend(before.encode_utf16());
        let digits = after.strip_prefix('.').and_then(|after| after.get(..4));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let (unit, length) = match (unit, after.as_bytes().first()) {
            (_, Some(b'_')) => (u16::from(b'_'), 1),
            (_, Some(b'-')) => (u16::from(b'$'), 1),
            (Some(unit), _) => (unit, 5),
            (None, _) => (u16::from(b'_'), 0),
        };
        units.push(unit);
        rest = after.get(length..).unwrap_or_default();
    }
    units.extend(rest.encode_utf16());
    String::from_utf16_lossy(&units)
}

/// Whether a document may have the character in it (XML 1.0, section 2.2).
pub(crate) fn is_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::show::{Document as _, Xml};

    fn read(text: &str) -> Value {
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_document_is_what_it_is_in_json() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
            <!-- one --><instance><port enabled="true">8080</port><m class="a&amp;b"/><e></e>
            <a>1 &lt; &#x32;<![CDATA[ & ]]>3</a><l>1</l><l>2</l><o><i>x</i></o></instance>"#;
        let expected = json!({"instance": {
            "port": {"@enabled": "true", "$": "8080"}, "m": {"@class": "a&b", "$": ""}, "e": "",
            "a": "1 < 2 & 3", "l": ["1", "2"], "o": {"i": "x"},
        }});
        assert_eq!(read(text), expected);
    }

    #[test]
    fn keys_that_are_no_names_come_back() {
        for (name, key) in [
            ("my__key", "my_key"),
            ("my_key", "my_key"),
            ("a_-b", "a$b"),
            ("a_.0020b", "a b"),
            ("_.d83d_.de00", "😀"),
            ("a_.00zz", "a_.00zz"),
            ("_", "_"),
            ("___", "__"),
        ] {
            assert_eq!(decode(name), key, "{name}");
        }
    }

    proptest::proptest! {
        /// Any key and any text that XML can carry come back from what the door writes.
        #[test]
        fn what_is_written_is_read(key in ".{1,12}", text in "[^\\p{C}]{0,20}") {
            let mut out = Xml::default();
            out.begin("metadata", None);
            out.free(&key, &text);
            out.end("metadata");
            let read = parse(&out.finish()).unwrap();
            proptest::prop_assert_eq!(&read["metadata"][&key], &Value::String(text));
        }

        /// Nothing that comes panics, and what is read stays within the bounds.
        #[test]
        fn anything_is_read_or_refused(text in "(<a>|</a>|<b c='d'>|</b>|<e/>|&amp;|&#9;|<!--|-->|<!\\[CDATA\\[|\\]\\]>|<\\?x|.){0,40}") {
            let _ = parse(text.as_bytes());
        }
    }

    #[test]
    fn what_is_refused() {
        let deep = "<a>".repeat(MAX_DEPTH + 1);
        let many = format!("<a>{}</a>", "<b/>".repeat(MAX_NODES));
        for (text, why) in [
            ("", "too early"),
            ("<a>", "too early"),
            ("<a></b>", "expected"),
            ("</a>", ""),
            ("<a/><b/>", "second root"),
            ("<a/>x", "outside"),
            ("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "document type"),
            ("<a>&x;</a>", "entity"),
            ("<a>&nbsp;</a>", "entity"),
            ("<a>&#0;</a>", "char"),
            ("<a b='&x;'/>", ""),
            ("<a b='1' b='2'/>", ""),
            ("<?xml version='1.0' encoding='UTF-16'?><a/>", "UTF-8"),
            (&deep, "levels"),
            (&many, "elements"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.detail().contains(why), "{text:.40}: {error}");
        }
        assert!(parse(b"<a>\xff</a>").unwrap_err().detail().contains("UTF-8"));
    }
}
