//! The messages' rules, queue and delivery, on both databases.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use trellis_sdk::core::codes;
use trellis_sdk::database::Store;
use trellis_sdk::runtime::{Shutdown, WallClock};
use trellis_testkit::SmtpSink;

use super::courier::Courier;
use super::model::{Message, MessageInput, Status};
use super::repository::Repository;
use super::service::Notifications;
use super::transport::Transport;
use crate::paging::PageQuery;
use crate::testing::on_both_databases;

const FROM: &str = "shop@example.com";
const LONG: i64 = 1_000_000;

on_both_databases! {
    &[("notifications", super::MIGRATIONS)];
    a_key_queues_one_message, a_message_becomes_a_file, what_was_cut_off_is_delivered_again, a_mail_server_gets_it,
    a_server_that_says_later_is_asked_again_and_then_given_up, the_bell_wakes_the_courier,
}

struct Fixture {
    notifications: Notifications,
    repository: Repository,
    clock: WallClock,
    bell: Arc<Notify>,
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new(store: Store) -> Self {
        let (repository, clock, bell) =
            (Repository::new(store), WallClock::fixed(LONG), Arc::new(Notify::new()));
        let notifications = Notifications::new(repository.clone(), bell.clone(), clock.clone());
        Self { notifications, repository, clock, bell, folder: tempfile::tempdir().unwrap() }
    }

    fn courier(&self, transport: Transport) -> Courier {
        let (repository, clock, bell) = (self.repository.clone(), self.clock.clone(), self.bell.clone());
        Courier { repository, transport, max_attempts: 3, bell, clock }
    }

    fn to_folder(&self) -> Courier {
        self.courier(Transport::folder(self.folder.path().join("mail"), FROM).unwrap())
    }

    async fn queue(&self, key: Option<&str>, text: &str) -> Message {
        self.notifications.queue(key.map(Into::into), input(text)).await.unwrap().message
    }

    async fn status(&self, message: &Message) -> (Status, u32) {
        let message = self.notifications.get(message.id).await.unwrap();
        (message.status, message.attempts)
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join("mail")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn input(text: &str) -> MessageInput {
    MessageInput { to: "alice@example.com".into(), subject: "Grüße".into(), text: text.into() }
}

async fn a_key_queues_one_message(store: Store) {
    let fixture = Fixture::new(store);
    let queued =
        join_all((0..10).map(|_| fixture.notifications.queue(Some("k".into()), input("hello")))).await;
    let queued: Vec<_> = queued.into_iter().map(|queued| queued.unwrap()).collect();
    assert_eq!(queued.iter().filter(|queued| queued.is_new).count(), 1);
    assert!(queued.iter().all(|one| one.message.id == queued[0].message.id));

    let other = fixture.notifications.queue(Some("k".into()), input("bye")).await.map(|_| ()).unwrap_err();
    assert_eq!(other.code(), codes::IDEMPOTENCY_MISMATCH);
    fixture.queue(None, "hello").await;
    fixture.queue(None, "hello").await;
    let window = PageQuery::default().window().unwrap();
    assert_eq!(
        fixture.notifications.list(&window).await.unwrap().items.len(),
        3,
        "without a key each is its own"
    );
}

async fn a_message_becomes_a_file(store: Store) {
    let fixture = Fixture::new(store);
    let message = fixture.queue(None, "Hello Alice").await;
    let courier = fixture.to_folder();
    assert_eq!(courier.round().await, 1);
    assert_eq!(courier.round().await, 0);
    assert_eq!(fixture.status(&message).await, (Status::Sent, 1));

    let name = format!("{}.eml", message.id);
    assert_eq!(fixture.files(), std::slice::from_ref(&name));
    let mail = std::fs::read_to_string(fixture.folder.path().join("mail").join(name)).unwrap();
    for part in [
        "To: alice@example.com",
        "From: shop@example.com",
        &format!("Message-ID: <{}@", message.id),
        "Hello Alice",
    ] {
        assert!(mail.contains(part), "{part:?} is not in {mail}");
    }
}

async fn what_was_cut_off_is_delivered_again(store: Store) {
    let fixture = Fixture::new(store);
    let message = fixture.queue(None, "hello").await;
    // A courier that took it and was killed before it could say what came of it.
    let taken = fixture.repository.claim(10, LONG, LONG + 60_000).await.unwrap();
    let courier = fixture.to_folder();
    courier.transport.deliver(&taken[0]).await.unwrap();

    assert_eq!(courier.round().await, 0, "it is still taken");
    fixture.clock.set(LONG + 60_000);
    assert_eq!(courier.round().await, 1);
    assert_eq!(fixture.status(&message).await.0, Status::Sent);
    assert_eq!(fixture.files().len(), 1, "the same message is the same file");
}

async fn a_mail_server_gets_it(store: Store) {
    let fixture = Fixture::new(store);
    let server = SmtpSink::start().await.unwrap();
    let message = fixture.queue(None, "Hello Alice").await;
    fixture.courier(Transport::smtp(&server.url(), FROM).unwrap()).round().await;
    assert_eq!(fixture.status(&message).await, (Status::Sent, 1));
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(
        (mails[0].from.as_str(), mails[0].to.as_slice()),
        (FROM, &["alice@example.com".to_owned()][..])
    );
    assert!(mails[0].data.contains("Hello Alice"));
}

async fn a_server_that_says_later_is_asked_again_and_then_given_up(store: Store) {
    let fixture = Fixture::new(store);
    let server = SmtpSink::start().await.unwrap();
    server.set_refusing(true);
    let (patient, hopeless) = (fixture.queue(None, "one").await, fixture.queue(None, "two").await);
    let courier = fixture.courier(Transport::smtp(&server.url(), FROM).unwrap());
    assert_eq!(courier.round().await, 2);
    assert_eq!(courier.round().await, 0, "not before the wait is over");
    assert_eq!(fixture.status(&patient).await, (Status::Queued, 1));

    fixture.clock.set(2 * LONG);
    courier.round().await;
    fixture.clock.set(3 * LONG);
    courier.round().await;
    let given_up = fixture.notifications.get(hopeless.id).await.unwrap();
    assert_eq!((given_up.status, given_up.attempts), (Status::Failed, 3));
    assert!(given_up.error.unwrap().contains("451"), "the operator is told why");

    server.set_refusing(false);
    fixture.clock.set(4 * LONG);
    assert_eq!(courier.round().await, 0, "what is given up stays so");
    assert!(server.mails().is_empty());
}

async fn the_bell_wakes_the_courier(store: Store) {
    let fixture = Fixture::new(store);
    let server = SmtpSink::start().await.unwrap();
    let shutdown = Shutdown::new();
    let courier = fixture.courier(Transport::smtp(&server.url(), FROM).unwrap());
    let running = tokio::spawn(courier.run(shutdown.clone()));
    fixture.queue(None, "hello").await;
    server.wait_for(1, Duration::from_secs(30)).await.unwrap();
    shutdown.trigger();
    running.await.unwrap().unwrap();
}

#[test]
fn settings_are_checked_without_showing_secrets() {
    let error = Transport::smtp("smtp://ada:sesame@[broken", FROM).unwrap_err();
    assert!(error.detail().contains("MAIL_SMTP_URL"), "{error}");
    assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
    let error = Transport::smtp("smtp://mail.example.com", "nobody").unwrap_err();
    assert!(error.detail().contains("MAIL_FROM"), "{error}");
}
