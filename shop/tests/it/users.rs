//! `/api/users`

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::kinds::{Shop, in_every_kind, next_page, problem, resolve};

in_every_kind!(users_can_be_made_changed_and_removed, users_come_in_pages);

async fn users_can_be_made_changed_and_removed(shop: Shop) -> Result<()> {
    let demo = json!([
        { "id": 1, "name": "Alice", "email": "alice@example.com" },
        { "id": 2, "name": "Bob", "email": "bob@example.com" },
    ]);
    assert_eq!(shop.fetch("/api/users").await?, demo);
    assert_eq!(shop.fetch("/api/users/1").await?, demo[0]);

    let carol = json!({ "name": "Carol", "email": "carol@example.com" });
    let created = shop.post("/api/users").json(&carol).send().await?.expect(201)?;
    let path = resolve("/api/users", created.header("location").context("no Location")?);
    assert_eq!(path, "/api/users/3");
    let wanted = json!({ "id": 3, "name": "Carol", "email": "carol@example.com" });
    assert_eq!(created.json::<Value>()?, wanted);
    assert_eq!(shop.fetch(&path).await?, wanted);

    let renamed = json!({ "name": "Caroline", "email": "carol@example.com" });
    shop.put(&path).json(&renamed).send().await?.expect(200)?;
    assert_eq!(shop.fetch(&path).await?["name"], "Caroline");

    let taken = json!({ "name": "Eve", "email": "ALICE@example.com" });
    problem(&shop.post("/api/users").json(&taken).send().await?, 409, "SHOP1006")?;
    problem(&shop.put(&path).json(&taken).send().await?, 409, "SHOP1006")?;

    let wrong = json!({ "name": "", "email": "nobody" });
    for call in [shop.post("/api/users"), shop.put(&path)] {
        let refused = problem(&call.json(&wrong).send().await?, 422, "TRL2002")?;
        let pointers: Vec<_> =
            refused["errors"].as_array().context("no errors")?.iter().map(|e| &e["pointer"]).collect();
        assert_eq!(pointers, ["/name", "/email"]);
    }

    shop.delete(&path).send().await?.expect(204)?;
    for call in
        [shop.get(&path), shop.delete(&path), shop.put(&path).json(&carol), shop.get("/api/users/alice")]
    {
        problem(&call.send().await?, 404, "TRL2004")?;
    }
    // What a user has ordered stays in the books.
    shop.delete("/api/users/1").send().await?.expect(204)?;
    assert_eq!(shop.fetch("/api/orders/1").await?["user_id"], 1);
    Ok(())
}

async fn users_come_in_pages(shop: Shop) -> Result<()> {
    for i in 3..=7 {
        let user = json!({ "name": format!("User {i}"), "email": format!("user{i}@example.com") });
        shop.post("/api/users").json(&user).send().await?.expect(201)?;
    }
    let mut path = Some("/api/users?limit=3".to_owned());
    let mut sizes = Vec::new();
    let mut ids = Vec::new();
    while let Some(here) = path {
        let answer = shop.get(&here).send().await?.expect(200)?;
        let page: Vec<Value> = answer.json()?;
        sizes.push(page.len());
        ids.extend(page.iter().map(|user| user["id"].as_i64()));
        path = next_page(&here, &answer);
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(ids, (1..=7).map(Some).collect::<Vec<_>>());
    for query in ["limit=0", "limit=201", "limit=x", "limit=-1", "cursor=what"] {
        problem(&shop.get(&format!("/api/users?{query}")).send().await?, 400, "TRL2010")?;
    }
    Ok(())
}
