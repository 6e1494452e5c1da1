//! `/api/notifications`, and mail as files and over SMTP.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use trellis_testkit::{PlatformOptions, SmtpSink, wait_until};

use crate::kinds::{PATIENCE, Shop, in_every_kind, problem, resolve};

in_every_kind!(mail_is_kept_and_delivered);

const PATH: &str = "/api/notifications";

async fn mail_is_kept_and_delivered(shop: Shop) -> Result<()> {
    let mail = json!({ "to": "alice@example.com", "subject": "Hello", "text": "Are you there?" });
    let queue = |key: &str| shop.post(PATH).header("Idempotency-Key", key).json(&mail);
    let created = queue("k1").send().await?.expect(201)?;
    let id = created.json::<Value>()?["id"].as_str().context("an id")?.to_owned();
    assert_eq!(queue("k1").send().await?.expect(200)?.json::<Value>()?["id"], id.as_str());
    let path = resolve(PATH, created.header("location").context("no Location")?);
    wait_until("the mail is sent", PATIENCE, async || {
        shop.fetch(&path).await.is_ok_and(|message| message["status"] == "sent")
    })
    .await?;
    let files = mail_files(shop.data_dir());
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(files[0].ends_with(format!("{id}.eml")));
    assert!(std::fs::read_to_string(&files[0])?.contains("Are you there?"));

    let other = json!({ "to": "alice@example.com", "subject": "Hello", "text": "Something else" });
    problem(&shop.post(PATH).header("Idempotency-Key", "k1").json(&other).send().await?, 422, "TRL2008")?;
    let wrong = json!({ "to": "nobody", "subject": "a\nb", "text": "" });
    problem(&shop.post(PATH).json(&wrong).send().await?, 422, "TRL2002")?;
    assert_eq!(shop.fetch(PATH).await?.as_array().context("a list")?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_confirmed_over_smtp() -> Result<()> {
    let server = SmtpSink::start().await?;
    let options = PlatformOptions::shop()
        .set("defaults.env.MAIL_SMTP_URL", server.url())
        .set("defaults.env.MAIL_FROM", "orders@example.com");
    let shop = Shop::with(options).await?;
    let order =
        json!({ "user_id": 1, "items": [{ "sku": "mouse", "quantity": 2 }], "payment_token": "tok_ok" });
    shop.post("/api/orders").json(&order).send().await?.expect(201)?;
    let mails = server.wait_for(1, PATIENCE).await?;
    assert_eq!(
        (mails[0].from.as_str(), mails[0].to.as_slice()),
        ("orders@example.com", &["alice@example.com".to_owned()][..])
    );
    assert!(mails[0].data.contains("Subject: Your order 3"), "{}", mails[0].data);
    Ok(())
}

/// All mail files of the module's folder, wherever the phase puts that.
pub(crate) fn mail_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(mail_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "eml") {
            found.push(path);
        }
    }
    found
}
