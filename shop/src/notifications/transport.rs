//! How a message leaves: into a folder of mail files, or to a mail server.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{ContentType, Date};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use trellis_sdk::core::error::{Result, chain};

use super::model::Message;
use crate::settings::wrong;

const SMTP_TIMEOUT: Duration = Duration::from_secs(20);

/// Delivers mail.
#[derive(Debug)]
pub(super) struct Transport {
    from: Mailbox,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// A folder: one file for each message.
    Folder(PathBuf),
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
}

/// Why a message was not delivered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Undelivered {
    /// Trying again will not help.
    pub(super) is_final: bool,
    /// For the operator.
    pub(super) reason: String,
}

impl Transport {
    /// Mail into `folder`, which is made if it is missing.
    pub(super) fn folder(folder: PathBuf, from: &str) -> Result<Self> {
        std::fs::create_dir_all(&folder).map_err(|error| {
            wrong("TRELLIS_DATA_DIR", "the mail folder cannot be made in it").because(error)
        })?;
        Ok(Self { from: sender(from)?, way: Way::Folder(folder) })
    }

    /// Mail to the server at `url`.
    pub(super) fn smtp(url: &str, from: &str) -> Result<Self> {
        // The URL may hold a password, so it is not repeated.
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| {
            wrong("MAIL_SMTP_URL", "write smtp://USER:PASSWORD@HOST:PORT, or smtps:// for TLS")
        })?;
        Ok(Self { from: sender(from)?, way: Way::Smtp(builder.timeout(Some(SMTP_TIMEOUT)).build()) })
    }

    /// Delivers one message. It may arrive twice if the answer is lost; its Message-ID tells that it is the same.
    pub(super) async fn deliver(&self, message: &Message) -> Result<(), Undelivered> {
        let mail = compose(&self.from, message)
            .map_err(|error| Undelivered { is_final: true, reason: chain(error.as_ref()) })?;
        match &self.way {
            Way::Folder(folder) => {
                let (folder, name, bytes) = (folder.clone(), message.id.to_string(), mail.formatted());
                let written = tokio::task::spawn_blocking(move || write_file(&folder, &name, &bytes)).await;
                written.map_err(|error| for_now(&error))?.map_err(|error| for_now(&error))
            }
            Way::Smtp(smtp) => match smtp.send(mail).await {
                Ok(_) => Ok(()),
                Err(error) => Err(Undelivered { is_final: error.is_permanent(), reason: chain(&error) }),
            },
        }
    }
}

fn for_now(error: &dyn std::error::Error) -> Undelivered {
    Undelivered { is_final: false, reason: chain(error) }
}

fn sender(text: &str) -> Result<Mailbox> {
    text.parse().map_err(|_| wrong("MAIL_FROM", "it is no address such as shop@example.com"))
}

fn compose(from: &Mailbox, message: &Message) -> Result<lettre::Message, Box<dyn std::error::Error>> {
    let to: Address = message.to.parse()?;
    let created = UNIX_EPOCH + Duration::from_millis(message.created_ms.try_into()?);
    let mail = MessageBuilder::new()
        .message_id(Some(format!("<{}@{}>", message.id, from.email.domain())))
        .header(Date::new(created))
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(&message.subject)
        .header(ContentType::TEXT_PLAIN)
        .body(message.text.clone())?;
    Ok(mail)
}

/// The whole file or none, also when the power fails: a message that is said to be sent is on the disk. The name comes
/// from the message, so that delivering again overwrites.
fn write_file(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let (draft, done) = (folder.join(format!(".{name}.part")), folder.join(format!("{name}.eml")));
    let mut file = std::fs::File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, &done)?;
    std::fs::File::open(folder)?.sync_all()
}
