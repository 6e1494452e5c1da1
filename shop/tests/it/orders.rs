//! `/api/orders`

use anyhow::{Context, Result};
use futures_util::future::join_all;
use serde_json::{Value, json};
use trellis_testkit::{Call, wait_until};

use crate::kinds::{PATIENCE, Shop, in_every_kind, next_page, problem, resolve};
use crate::notifications::mail_files;

in_every_kind!(an_order_is_placed_and_cancelled, every_refusal_has_its_code, many_at_once_add_up);

const PATH: &str = "/api/orders";

fn order(sku: &str, quantity: i64, token: &str) -> Value {
    json!({ "user_id": 1, "items": [{ "sku": sku, "quantity": quantity }], "payment_token": token })
}

fn place(shop: &Shop, key: &str, order: &Value) -> Call {
    shop.post(PATH).header("Idempotency-Key", key).json(order)
}

async fn an_order_is_placed_and_cancelled(shop: Shop) -> Result<()> {
    let demo = json!([
        { "id": 1, "user_id": 1, "amount": 100.0, "status": "completed" },
        { "id": 2, "user_id": 2, "amount": 200.0, "status": "pending" },
    ]);
    assert_eq!(shop.fetch(PATH).await?, demo);

    let wanted = order("mouse", 2, "tok_ok");
    let created = place(&shop, "k1", &wanted).send().await?.expect(201)?;
    let placed: Value = created.json()?;
    let items = json!([{ "sku": "mouse", "quantity": 2, "price": 25.5 }]);
    assert_eq!(
        placed,
        json!({ "id": 3, "user_id": 1, "amount": 51.0, "status": "completed", "items": items })
    );
    let path = resolve(PATH, created.header("location").context("no Location")?);
    assert_eq!(shop.fetch(&path).await?, placed);
    assert_eq!(place(&shop, "k1", &wanted).send().await?.json::<Value>()?, placed, "the same answer again");
    wait_until("the confirmation is written", PATIENCE, async || mail_files(shop.data_dir()).len() == 1)
        .await?;

    for _ in 0..2 {
        let cancelled: Value = shop.post(&format!("{path}/cancel")).send().await?.expect(200)?.json()?;
        assert_eq!(
            (&cancelled["status"], &cancelled["reason"]),
            (&json!("cancelled"), &json!("cancelled on request"))
        );
    }
    assert_eq!(shop.fetch("/api/inventory/mouse").await?["available"], 10_000);
    let paid = shop.fetch("/api/payments").await?;
    assert_eq!((&paid[1]["amount"], &paid[1]["status"]), (&json!(51.0), &json!("refunded")));
    assert_eq!(
        place(&shop, "k1", &wanted).send().await?.json::<Value>()?,
        placed,
        "what was answered stays answered"
    );

    // Bob's order, which nobody has gone on with.
    let cancelled: Value = shop.post("/api/orders/2/cancel").send().await?.expect(200)?.json()?;
    assert_eq!(cancelled["status"], "cancelled");
    problem(&shop.post("/api/orders/99/cancel").send().await?, 404, "TRL2004")?;
    problem(&shop.get("/api/orders/99").send().await?, 404, "TRL2004")?;

    let first = shop.get("/api/orders?status=cancelled&limit=1").send().await?.expect(200)?;
    assert_eq!(first.json::<Value>()?[0]["id"], 2);
    let next = next_page("/api/orders?status=cancelled&limit=1", &first).context("there is a next page")?;
    let rest = shop.get(&next).send().await?.expect(200)?;
    assert_eq!((&rest.json::<Value>()?[0]["id"], next_page(&next, &rest)), (&json!(3), None));
    assert_eq!(shop.fetch("/api/orders?user_id=2").await?.as_array().map(Vec::len), Some(1));
    problem(&shop.get("/api/orders?status=lost").send().await?, 400, "TRL2010")?;
    Ok(())
}

async fn every_refusal_has_its_code(shop: Shop) -> Result<()> {
    let mut nobody = order("mouse", 1, "tok_ok");
    nobody["user_id"] = json!(99);
    shop.put("/api/inventory/rare").json(&json!({ "available": 1, "price": 5 })).send().await?.expect(200)?;
    for (wanted, status, code) in [
        (nobody, 404, "SHOP1003"),
        (order("rare", 2, "tok_ok"), 409, "SHOP1001"),
        (order("mouse", 1, "tok_declined"), 402, "SHOP1002"),
        (order("mouse", 1, "tok_what"), 422, "SHOP1005"),
        (order("unheard-of", 1, "tok_ok"), 422, "SHOP1004"),
        (order("mouse", 0, "tok_ok"), 422, "TRL2002"),
        (order("mouse", 1001, "tok_ok"), 422, "TRL2002"),
        (json!({ "user_id": 1, "items": [], "payment_token": "tok_ok" }), 422, "TRL2002"),
        (json!({ "user_id": "one", "items": [], "payment_token": "tok_ok" }), 422, "TRL2002"),
        (json!({ "user_id": 1, "items": [{ "sku": "mouse", "quantity": 1 }] }), 422, "TRL2002"),
    ] {
        // With a key, the refusal is the same the second time.
        for _ in 0..2 {
            let answer = place(&shop, &format!("{status}{wanted}").replace(' ', ""), &wanted).send().await?;
            problem(&answer, status, code).with_context(|| wanted.to_string())?;
        }
        problem(&shop.post(PATH).json(&wanted).send().await?, status, code)?;
    }
    place(&shop, "k", &order("mouse", 1, "tok_ok")).send().await?.expect(201)?;
    problem(&place(&shop, "k", &order("mouse", 2, "tok_ok")).send().await?, 422, "TRL2008")?;
    problem(&place(&shop, "a b", &order("mouse", 1, "tok_ok")).send().await?, 400, "TRL2010")?;

    assert_eq!(
        shop.fetch("/api/inventory/mouse").await?["available"],
        9999,
        "refused orders leave no trace in stock"
    );
    assert_eq!(shop.fetch("/api/inventory/rare").await?["available"], 1);
    Ok(())
}

async fn many_at_once_add_up(shop: Shop) -> Result<()> {
    const STOCK: usize = 30;
    shop.put("/api/inventory/rare")
        .json(&json!({ "available": STOCK, "price": 5 }))
        .send()
        .await?
        .expect(200)?;
    let wanted = order("rare", 1, "tok_ok");
    // Each key twice at the same time.
    let clients = (0..80).map(|i| place(&shop, &format!("key-{}", i / 2), &wanted).send());
    let mut acknowledged = Vec::new();
    for answer in join_all(clients).await {
        let answer = answer?;
        match answer.status {
            201 => acknowledged.push(answer.json::<Value>()?["id"].as_i64().context("an id")?),
            409 => {
                let code = &answer.json::<Value>()?["code"];
                assert!(code == "SHOP1001" || code == "TRL2009", "{code}");
            }
            _ => anyhow::bail!("{}: {}", answer.status, answer.text()),
        }
    }
    acknowledged.sort_unstable();
    acknowledged.dedup();
    assert_eq!(acknowledged.len(), STOCK, "all that there was is sold, once");
    assert_eq!(shop.fetch("/api/inventory/rare").await?["available"], 0);
    let completed = shop.fetch("/api/orders?status=completed&limit=200").await?;
    let ids: Vec<_> =
        completed.as_array().context("a list")?.iter().filter_map(|o| o["id"].as_i64()).collect();
    assert!(acknowledged.iter().all(|id| ids.contains(id)));
    // Alice's demo order is the one more.
    assert_eq!(ids.len(), STOCK + 1);
    let payments = shop.fetch("/api/payments?limit=200").await?;
    let captured =
        payments.as_array().context("a list")?.iter().filter(|p| p["status"] == "captured").count();
    assert_eq!(captured, STOCK + 1);
    Ok(())
}
