//! `/api/payments`

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::kinds::{Shop, in_every_kind, problem, resolve};

in_every_kind!(money_is_taken_and_given_back);

async fn money_is_taken_and_given_back(shop: Shop) -> Result<()> {
    const PATH: &str = "/api/payments";
    let demo = shop.fetch(PATH).await?;
    assert_eq!((&demo[0]["amount"], &demo[0]["status"]), (&json!(100.0), &json!("captured")));

    let pay = |reference: &str, amount: f64, token: &str| {
        shop.post(PATH).json(&json!({ "reference": reference, "amount": amount, "token": token }))
    };
    let created = pay("r1", 12.34, "tok_ok").send().await?.expect(201)?;
    let payment: Value = created.json()?;
    assert_eq!(
        (&payment["reference"], &payment["amount"], &payment["status"]),
        (&json!("r1"), &json!(12.34), &json!("authorised"))
    );
    let path = resolve(PATH, created.header("location").context("no Location")?);
    assert_eq!(shop.fetch(&path).await?, payment);
    assert_eq!(pay("r1", 12.34, "tok_ok").send().await?.expect(200)?.json::<Value>()?, payment);
    problem(&pay("r1", 12.35, "tok_ok").send().await?, 422, "TRL2008")?;

    for _ in 0..2 {
        let captured = shop.post(&format!("{path}/capture")).send().await?.expect(200)?;
        assert_eq!(captured.json::<Value>()?["status"], "captured");
    }
    for _ in 0..2 {
        let refunded = shop.post(&format!("{path}/refund")).send().await?.expect(200)?;
        assert_eq!(refunded.json::<Value>()?["status"], "refunded");
    }
    let refused = problem(&shop.post(&format!("{path}/capture")).send().await?, 409, "SHOP1009")?;
    assert_eq!(refused["payment_status"], "refunded");

    problem(&pay("r2", 1.0, "tok_declined").send().await?, 402, "SHOP1002")?;
    problem(&pay("r3", 1.0, "tok_what").send().await?, 422, "SHOP1005")?;
    problem(&pay("", 1.0, "tok_ok").send().await?, 422, "TRL2002")?;
    problem(&pay("r4", -1.0, "tok_ok").send().await?, 422, "TRL2002")?;

    let authorised: Value = pay("r5", 1.0, "tok_ok").send().await?.expect(201)?.json()?;
    let voided =
        shop.post(&format!("{PATH}/{}/refund", authorised["id"].as_str().context("an id")?)).send().await?;
    assert_eq!(voided.expect(200)?.json::<Value>()?["status"], "voided");
    problem(&pay("r5", 1.0, "tok_ok").send().await?, 409, "SHOP1008")?;

    // Voided before it was made: it can never be made.
    for _ in 0..2 {
        let voided =
            shop.post("/api/payments/void").json(&json!({ "reference": "r6" })).send().await?.expect(200)?;
        assert_eq!(voided.json::<Value>()?, json!({ "reference": "r6", "status": "voided" }));
    }
    problem(&pay("r6", 1.0, "tok_ok").send().await?, 409, "SHOP1008")?;
    let listed = shop.fetch(PATH).await?;
    let statuses: Vec<_> =
        listed.as_array().context("a list")?.iter().map(|payment| &payment["status"]).collect();
    assert_eq!(statuses, ["captured", "refunded", "declined", "voided"]);
    assert!(!listed.to_string().contains("tok_") && !shop.log().contains("tok_"), "tokens are not shown");
    problem(&shop.get("/api/payments/01890000-0000-7000-8000-00000000000a").send().await?, 404, "TRL2004")?;
    Ok(())
}
