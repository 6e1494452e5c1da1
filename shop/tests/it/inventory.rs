//! `/api/inventory`

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::kinds::{Shop, in_every_kind, next_page, problem, resolve};

in_every_kind!(articles_can_be_read_and_written, stock_is_reserved_and_released);

async fn articles_can_be_read_and_written(shop: Shop) -> Result<()> {
    let demo = shop.fetch("/api/inventory").await?;
    assert_eq!(demo[0], json!({ "sku": "keyboard", "available": 5000, "price": 100.0 }));
    let skus: Vec<_> = demo.as_array().context("a list")?.iter().map(|item| &item["sku"]).collect();
    assert_eq!(skus, ["keyboard", "monitor", "mouse"]);

    let cable = json!({ "available": 7, "price": 9.99 });
    let wanted = json!({ "sku": "usb-c_2.0", "available": 7, "price": 9.99 });
    let put = shop.put("/api/inventory/usb-c_2.0").json(&cable).send().await?.expect(200)?;
    assert_eq!(put.json::<Value>()?, wanted);
    assert_eq!(shop.fetch("/api/inventory/usb-c_2.0").await?, wanted);
    problem(&shop.get("/api/inventory/unheard-of").send().await?, 404, "TRL2004")?;

    for wrong in [
        json!({ "available": -1, "price": 1 }),
        json!({ "available": 1, "price": -1 }),
        json!({ "available": 1, "price": 1.005 }),
        json!({ "available": 1.5, "price": 1 }),
        json!({ "available": 1 }),
    ] {
        problem(&shop.put("/api/inventory/cable").json(&wrong).send().await?, 422, "TRL2002")
            .context(wrong)?;
    }
    let first = shop.get("/api/inventory?limit=3").send().await?.expect(200)?;
    let next = next_page("/api/inventory?limit=3", &first).context("there is a next page")?;
    assert_eq!(shop.fetch(&next).await?, json!([wanted]));
    Ok(())
}

async fn stock_is_reserved_and_released(shop: Shop) -> Result<()> {
    const PATH: &str = "/api/inventory/reservations";
    let available = async |sku: &str| {
        Ok::<_, anyhow::Error>(shop.fetch(&format!("/api/inventory/{sku}")).await?["available"].clone())
    };
    let id = "01890000-0000-7000-8000-00000000000a";
    let wanted = json!({ "id": id, "items": [{ "sku": "mouse", "quantity": 2 }, { "sku": "keyboard", "quantity": 1 }] });
    let created = shop.post(PATH).json(&wanted).send().await?.expect(201)?;
    let body: Value = created.json()?;
    assert_eq!((&body["status"], &body["total"]), (&json!("held"), &json!(151.0)));
    assert_eq!(body["items"][0], json!({ "sku": "mouse", "quantity": 2, "price": 25.5 }));
    let path = resolve(PATH, created.header("location").context("no Location")?);
    assert_eq!(shop.fetch(&path).await?, body);
    let again = shop.post(PATH).json(&wanted).send().await?.expect(200)?;
    assert_eq!(again.json::<Value>()?, body);
    assert_eq!(available("mouse").await?, 9998);

    let other = json!({ "id": id, "items": [{ "sku": "mouse", "quantity": 3 }] });
    problem(&shop.post(PATH).json(&other).send().await?, 422, "TRL2008")?;
    let too_many = json!({ "id": "01890000-0000-7000-8000-00000000000b",
        "items": [{ "sku": "keyboard", "quantity": 1 }, { "sku": "monitor", "quantity": 1000 }, { "sku": "mouse", "quantity": 1 }] });
    shop.put("/api/inventory/monitor")
        .json(&json!({ "available": 3, "price": 200 }))
        .send()
        .await?
        .expect(200)?;
    let refused = problem(&shop.post(PATH).json(&too_many).send().await?, 409, "SHOP1001")?;
    assert_eq!((&refused["sku"], &refused["available"]), (&json!("monitor"), &json!(3)));
    assert_eq!((available("keyboard").await?, available("mouse").await?), (json!(4999), json!(9998)));
    let unknown =
        json!({ "id": "01890000-0000-7000-8000-00000000000c", "items": [{ "sku": "zzz", "quantity": 1 }] });
    assert_eq!(problem(&shop.post(PATH).json(&unknown).send().await?, 422, "SHOP1004")?["sku"], "zzz");

    for _ in 0..2 {
        let released = shop.post(&format!("{path}/release")).send().await?.expect(200)?;
        assert_eq!(released.json::<Value>()?["status"], "released");
    }
    assert_eq!((available("keyboard").await?, available("mouse").await?), (json!(5000), json!(10_000)));

    // Released before it was made: it can never be made.
    let late =
        json!({ "id": "01890000-0000-7000-8000-00000000000d", "items": [{ "sku": "mouse", "quantity": 1 }] });
    shop.post(&format!("{PATH}/01890000-0000-7000-8000-00000000000d/release")).send().await?.expect(200)?;
    problem(&shop.post(PATH).json(&late).send().await?, 409, "SHOP1007")?;
    problem(
        &shop.get(&format!("{PATH}/01890000-0000-7000-8000-0000000000ff")).send().await?,
        404,
        "TRL2004",
    )?;
    Ok(())
}
