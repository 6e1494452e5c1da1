//! Secrets at rest: AES-256-GCM, bound to the key's address and version, with the id of the key that sealed them.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The keys that seal and open secrets. The last one seals; all of them open. Clones share them.
#[derive(Clone, Default)]
pub struct Keys(Arc<Vec<(String, LessSafeKey)>>);

/// How a value was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seal {
    /// The id of the key.
    key: String,
    /// Base64; never used twice with a key.
    nonce: String,
}

impl Keys {
    /// Reads keys: one a line, `id:base64 of 32 bytes`, the newest last. Empty lines and those that begin with `#` are
    /// skipped. The error never shows a key.
    pub fn parse(text: &str) -> Result<Self> {
        let mut keys: Vec<(String, LessSafeKey)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what: &str| {
                let form = "write `id:KEY`, where KEY is the base64 of 32 random bytes";
                Error::Secrets(format!("line {} of the secret keys: {what}; {form}", index + 1))
            };
            let (id, key) = line.split_once(':').ok_or_else(|| wrong("there is no `:`"))?;
            let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if id.is_empty() || id.len() > 64 || !id.chars().all(named) {
                return Err(wrong("the id is not 1 to 64 letters, digits, '-', '_' and '.'"));
            }
            if keys.iter().any(|(known, _)| known == id) {
                return Err(wrong("the id is there twice"));
            }
            let bytes = STANDARD.decode(key.trim()).map_err(|_| wrong("the key is not base64"))?;
            let key =
                UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| wrong("the key is not 32 bytes long"))?;
            keys.push((id.to_owned(), LessSafeKey::new(key)));
        }
        Ok(Self(Arc::new(keys)))
    }

    /// Whether secrets can be written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn seal(&self, name: &str, version: u64, plain: &[u8]) -> Result<(Seal, Vec<u8>)> {
        let (id, key) = self.0.last().ok_or_else(|| {
            let text = "there is no key to seal secrets with; name a file with one in [config] secret_keys";
            Error::Secrets(text.into())
        })?;
        let failed = |_| Error::Secrets("the secret cannot be sealed".into());
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(failed)?;
        let seal = Seal { key: id.clone(), nonce: STANDARD.encode(nonce) };
        let mut bytes = plain.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce, aad(name, version), &mut bytes).map_err(failed)?;
        Ok((seal, bytes))
    }

    pub(crate) fn open(&self, name: &str, version: u64, seal: &Seal, sealed: &[u8]) -> Result<Vec<u8>> {
        let key = self.0.iter().find(|(id, _)| *id == seal.key).map(|(_, key)| key);
        let key = key.ok_or_else(|| {
            Error::Secrets(format!(
                "the secret {name} was sealed with the key {:?}, which is not among [config] secret_keys",
                seal.key
            ))
        })?;
        let broken =
            || Error::Secrets(format!("the secret {name} cannot be opened: it, or the key, was changed"));
        let nonce = STANDARD.decode(&seal.nonce).map_err(|_| broken())?;
        let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| broken())?;
        let mut bytes = sealed.to_vec();
        let length = key.open_in_place(nonce, aad(name, version), &mut bytes).map_err(|_| broken())?.len();
        bytes.truncate(length);
        Ok(bytes)
    }
}

fn aad(name: &str, version: u64) -> Aad<Vec<u8>> {
    Aad::from(format!("{name}\0{version}").into_bytes())
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, byte: u8) -> String {
        format!("{id}:{}\n", STANDARD.encode([byte; 32]))
    }

    #[test]
    fn a_secret_opens_only_where_and_as_it_was_sealed() {
        let keys = Keys::parse(&key("one", 1)).unwrap();
        let (seal, sealed) = keys.seal("a/b/c", 3, b"hunter2").unwrap();
        assert!(!sealed.windows(7).any(|part| part == b"hunter2"));
        assert_eq!(keys.open("a/b/c", 3, &seal, &sealed).unwrap(), b"hunter2");
        assert!(keys.open("a/b/d", 3, &seal, &sealed).is_err(), "moved to another key");
        assert!(keys.open("a/b/c", 4, &seal, &sealed).is_err(), "moved to another version");
        let mut changed = sealed.clone();
        changed[0] ^= 1;
        assert!(keys.open("a/b/c", 3, &seal, &changed).is_err());
        let rotated = Keys::parse(&format!("# old\n{}\n{}", key("one", 1), key("two", 2))).unwrap();
        assert_eq!(rotated.open("a/b/c", 3, &seal, &sealed).unwrap(), b"hunter2");
        assert_eq!(rotated.seal("a/b/c", 4, b"x").unwrap().0.key, "two", "the newest seals");
        let lost = Keys::parse(&key("two", 2)).unwrap().open("a/b/c", 3, &seal, &sealed).unwrap_err();
        assert!(lost.to_string().contains("\"one\""), "{lost}");
        assert!(Keys::default().seal("a", 1, b"x").is_err());
    }

    #[test]
    fn wrong_keys_are_refused_and_never_shown() {
        let twice = format!("{}{}", key("a", 1), key("a", 2));
        for text in ["nothing", "a:AAAA", "a:***not base64***", ":AAAA", &twice] {
            let error = Keys::parse(text).unwrap_err().to_string();
            assert!(
                error.contains("line ") && !error.contains("AAAA") && !error.contains("not base64***"),
                "{error}"
            );
        }
        assert_eq!(format!("{:?}", Keys::parse(&key("a", 1)).unwrap()), "[\"a\"]");
    }
}
