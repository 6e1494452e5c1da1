use trellis_storage::{Error, FromRow, Row, params};

use crate::support::{Database, work};

const TABLE: &str =
    "CREATE TABLE v (id {{auto_id}}, i BIGINT, f DOUBLE PRECISION, t TEXT, b {{blob}}, o BOOLEAN, s INTEGER)";

type Record = (Option<i64>, Option<f64>, Option<String>, Option<Vec<u8>>, Option<bool>);

async fn store(db: &Database) -> trellis_storage::Store {
    let store = db.store().await;
    let table = trellis_storage::Migration { version: 1, name: "table", sql: TABLE };
    store.migrate("types", &[table]).await.unwrap();
    store
}

async fn round_trip(store: &trellis_storage::Store, record: Record) {
    let (int, float, text, bytes, flag) = record.clone();
    let id: i64 = store
        .write(move |tx| {
            Box::pin(tx.fetch_one(
                "INSERT INTO v (i, f, t, b, o) VALUES ($1, $2, $3, $4, $5) RETURNING id",
                params![int, float, text, bytes, flag],
            ))
        })
        .await
        .unwrap_or_else(|error: Error| panic!("{error}"));
    let back: Record =
        store.fetch_one("SELECT i, f, t, b, o FROM v WHERE id = $1", params![id]).await.unwrap();
    assert_eq!(back, record);
}

pub(super) async fn every_type_comes_back_as_it_went(db: Database) {
    let store = store(&db).await;
    for i in [0, 1, -1, i64::MIN, i64::MAX] {
        round_trip(&store, (Some(i), None, None, None, None)).await;
    }
    for f in [0.0, -1.5, 1e300, f64::MIN_POSITIVE, f64::INFINITY, 0.1 + 0.2] {
        round_trip(&store, (None, Some(f), None, None, None)).await;
    }
    for t in ["", "plain", "Grüße, 世界 🌍", "'; DROP TABLE v; --", "line\nbreak\ttab", "123"] {
        round_trip(&store, (None, None, Some(t.to_owned()), None, None)).await;
    }
    for b in [vec![], vec![0], (0..=255).collect()] {
        round_trip(&store, (None, None, None, Some(b), None)).await;
    }
    round_trip(&store, (None, None, None, None, Some(true))).await;
    round_trip(&store, (None, None, None, None, Some(false))).await;
}

pub(super) async fn nulls_of_every_type_come_back(db: Database) {
    let store = store(&db).await;
    round_trip(&store, (None, None, None, None, None)).await;
    let back: Vec<Option<i64>> = store
        .fetch_all("SELECT i FROM v WHERE (CAST($1 AS BIGINT) IS NULL OR i = $1)", params![None::<i64>])
        .await
        .unwrap();
    assert_eq!(back, [None]);
    let error = store.fetch_one::<i64>("SELECT i FROM v", params![]).await.unwrap_err();
    assert!(error.to_string().contains("`i` holds NULL"), "{error}");
}

pub(super) async fn large_values_come_back(db: Database) {
    let store = store(&db).await;
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    round_trip(&store, (None, None, Some("ß".repeat(1_000_000)), Some(bytes), None)).await;
}

pub(super) async fn expressions_have_the_types_one_expects(db: Database) {
    let store = store(&db).await;
    let none: (i64, Option<i64>, i64) =
        store.fetch_one("SELECT COUNT(*), SUM(i), COALESCE(SUM(i), 0) FROM v", params![]).await.unwrap();
    assert_eq!(none, (0, None, 0));
    for i in [1, 2, 4_000_000_000_i64] {
        store.execute("INSERT INTO v (i, f, s) VALUES ($1, 0.5, 3)", params![i]).await.unwrap();
    }
    let (count, sum, max): (i64, i64, i64) =
        store.fetch_one("SELECT COUNT(*), SUM(i), MAX(i) FROM v", params![]).await.unwrap();
    assert_eq!((count, sum, max), (3, 4_000_000_003, 4_000_000_000));
    let (average, total): (f64, f64) =
        store.fetch_one("SELECT AVG(i), SUM(f) FROM v WHERE i < 3", params![]).await.unwrap();
    assert!((average - 1.5).abs() < 1e-9 && (total - 1.0).abs() < 1e-9);
    let (many, few, one): (bool, bool, i64) =
        store.fetch_one("SELECT COUNT(*) > 2, COUNT(*) < 2, 1 FROM v", params![]).await.unwrap();
    assert_eq!((many, few, one), (true, false, 1));
    let (small, text): (i32, String) =
        store.fetch_one("SELECT s, 'x' FROM v LIMIT $1", params![1_i64]).await.unwrap();
    assert_eq!((small, text.as_str()), (3, "x"));
}

/// A driver that remembers, for a connection, the types of a statement's first parameters would misread those of the
/// second. One transaction has one connection.
pub(super) async fn one_statement_takes_changing_types(db: Database) {
    let store = store(&db).await;
    store
        .write(work(|tx| {
            Box::pin(async move {
                let sql = "INSERT INTO v (f, s) VALUES ($1, $2)";
                tx.execute(sql, params![None::<i64>, None::<i64>]).await?;
                tx.execute(sql, params![7_i64, 8_i64]).await?;
                tx.execute(sql, params![0.5, None::<i64>]).await
            })
        }))
        .await
        .unwrap();
    let back: Vec<(Option<f64>, Option<i64>)> =
        store.fetch_all("SELECT f, s FROM v ORDER BY id", params![]).await.unwrap();
    assert_eq!(back, [(None, None), (Some(7.0), Some(8)), (Some(0.5), None)]);
}

pub(super) async fn changed_rows_are_counted(db: Database) {
    let store = store(&db).await;
    for i in 0..5_i64 {
        assert_eq!(store.execute("INSERT INTO v (i) VALUES ($1)", params![i]).await.unwrap(), 1);
    }
    assert_eq!(store.execute("UPDATE v SET t = 'x' WHERE i >= $1", params![2_i64]).await.unwrap(), 3);
    assert_eq!(store.execute("UPDATE v SET t = 'x' WHERE i > $1", params![9_i64]).await.unwrap(), 0);
    let again = "INSERT INTO v (id, i) VALUES ($1, 0) ON CONFLICT (id) DO NOTHING";
    assert_eq!(store.execute(again, params![1_i64]).await.unwrap(), 0);
    assert_eq!(store.execute("DELETE FROM v", params![]).await.unwrap(), 5);
}

pub(super) async fn generated_keys_are_returned(db: Database) {
    let store = store(&db).await;
    let add = || {
        store
            .write(|tx| Box::pin(tx.fetch_one::<i64>("INSERT INTO v (i) VALUES (1) RETURNING id", params![])))
    };
    assert_eq!(add().await.unwrap(), 1);
    assert_eq!(add().await.unwrap(), 2);
    store.execute("DELETE FROM v WHERE id = 2", params![]).await.unwrap();
    assert_eq!(add().await.unwrap(), 3, "a number is never given twice");
    let changed: Vec<(i64, i64)> = store
        .write(|tx| Box::pin(tx.fetch_all("UPDATE v SET i = i + $1 RETURNING id, i", params![10_i64])))
        .await
        .unwrap_or_else(|error: Error| panic!("{error}"));
    assert_eq!(changed.len(), 2);
    assert!(changed.contains(&(3, 11)), "{changed:?}");
}

pub(super) async fn what_one_database_cannot_keep_is_refused(db: Database) {
    let store = store(&db).await;
    for params in [params!["nul\0", 0.0], params!["fine", f64::NAN]] {
        let error = store.execute("INSERT INTO v (t, f) VALUES ($1, $2)", params).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
    let count: i64 = store.fetch_one("SELECT COUNT(*) FROM v", params![]).await.unwrap();
    assert_eq!(count, 0);
}

#[derive(Debug, PartialEq)]
struct Named {
    number: i64,
    text: Option<String>,
    open: bool,
}

impl FromRow for Named {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self { number: row.get("i")?, text: row.get("t")?, open: row.get("is_open")? })
    }
}

pub(super) async fn rows_are_read_by_name(db: Database) {
    let store = store(&db).await;
    store.execute("INSERT INTO v (i, t, o) VALUES (5, NULL, $1)", params![true]).await.unwrap();
    let sql = "SELECT o AS is_open, t, i FROM v WHERE o";
    let found: Option<Named> = store.fetch_optional(sql, params![]).await.unwrap();
    assert_eq!(found, Some(Named { number: 5, text: None, open: true }));
    let none: Option<Named> = store.fetch_optional("SELECT * FROM v WHERE id = 99", params![]).await.unwrap();
    assert_eq!(none, None);
    let error = store.fetch_one::<Named>("SELECT i FROM v", params![]).await.unwrap_err();
    assert!(matches!(&error, Error::Decode(text) if text.contains("`t`")), "{error}");
    let error = store.fetch_one::<i64>("SELECT i FROM v WHERE id = 99", params![]).await.unwrap_err();
    assert!(matches!(error, Error::NoRow(_)), "{error}");
}
