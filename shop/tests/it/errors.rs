//! Bad input of all kinds is answered with a problem document that names it.

use anyhow::Result;
use http::Method;
use serde_json::json;

use crate::kinds::{Shop, in_every_kind, problem};

in_every_kind!(bad_input_is_named, an_oversized_body_harms_nobody, an_unknown_path_is_named);

const TOO_LARGE: usize = 3 << 20;

async fn bad_input_is_named(shop: Shop) -> Result<()> {
    let json_body = |path: &str, body: &str| {
        shop.post(path).header("Content-Type", "application/json").body(body.to_owned())
    };
    for path in
        ["/api/users", "/api/orders", "/api/payments", "/api/notifications", "/api/inventory/reservations"]
    {
        for malformed in ["", "{", "{\"name\":", "not json"] {
            problem(&json_body(path, malformed).send().await?, 400, "TRL2001")?;
        }
        for wrong in ["[]", "{}", "7", "null"] {
            problem(&json_body(path, wrong).send().await?, 422, "TRL2002")?;
        }
        problem(&shop.post(path).body("name=Alice").send().await?, 415, "TRL2003")?;
        problem(&shop.call(Method::PATCH, path).send().await?, 405, "TRL1002")?;
    }
    let with_nul = r#"{"name":"a\u0000b","email":"a@example.com"}"#;
    problem(&json_body("/api/users", with_nul).send().await?, 422, "TRL2002")?;
    Ok(())
}

async fn an_oversized_body_harms_nobody(shop: Shop) -> Result<()> {
    let large = json!({ "name": "x".repeat(TOO_LARGE), "email": "x@example.com" });
    let small = json!({ "name": "", "email": "x@example.com" });
    for _ in 0..10 {
        problem(&shop.post("/api/users").json(&large).send().await?, 413, "TRL1009")?;
        // The next request does not suffer from it.
        problem(&shop.post("/api/users").json(&small).send().await?, 422, "TRL2002")?;
    }
    Ok(())
}

async fn an_unknown_path_is_named(shop: Shop) -> Result<()> {
    problem(&shop.get("/api/nothing").send().await?, 404, "TRL1001")?;
    problem(&shop.get("/api/users/1/nothing").send().await?, 404, "TRL2004")?;
    Ok(())
}
