//! `/api/dashboard`: one request, several services.

use anyhow::Result;
use serde_json::json;

use crate::kinds::{Shop, in_every_kind, problem};

in_every_kind!(the_dashboard_is_computed_from_the_live_services);

async fn the_dashboard_is_computed_from_the_live_services(shop: Shop) -> Result<()> {
    let board = shop.fetch("/api/dashboard").await?;
    assert_eq!(board["users"], shop.fetch("/api/users").await?);
    assert_eq!(board["orders"], shop.fetch("/api/orders").await?);
    assert_eq!(board["stats"]["total_users"], 2);
    assert_eq!(board["stats"]["total_orders"], 2);
    assert_eq!(board["stats"]["revenue"].as_f64(), Some(300.0));
    assert_eq!(board.as_object().map(serde_json::Map::len), Some(3), "{board}");

    let order =
        json!({ "user_id": 2, "items": [{ "sku": "mouse", "quantity": 1 }], "payment_token": "tok_ok" });
    shop.post("/api/orders").json(&order).send().await?.expect(201)?;
    shop.post("/api/orders/2/cancel").send().await?.expect(200)?;
    let stats = &shop.fetch("/api/dashboard").await?["stats"];
    assert_eq!((&stats["total_orders"], stats["revenue"].as_f64()), (&json!(3), Some(125.5)));

    // One part is missing: the other is shown all the same.
    shop.set_override("orders", "OUT_OF_SERVICE").await?;
    let partial = shop.fetch("/api/dashboard").await?;
    assert_eq!((&partial["orders"], &partial["stats"]["total_users"]), (&json!(null), &json!(2)));
    assert!(partial["errors"].to_string().contains("orders"), "{partial}");
    shop.set_override("users", "OUT_OF_SERVICE").await?;
    problem(&shop.get("/api/dashboard").send().await?, 502, "TRL1011")?;
    shop.set_override("orders", "UP").await?;
    let back = shop.fetch("/api/dashboard").await?;
    assert_eq!((&back["users"], &back["stats"]["total_orders"]), (&json!(null), &json!(3)));
    Ok(())
}
