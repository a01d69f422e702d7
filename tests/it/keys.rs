//! API keys: made, listed, and limited to what they are for.

use aws::system_clock::SystemClock;
use domain::timestamp::Timestamp;
use serde_json::{Value, json};
use store::clock::Clock;

use crate::support::client::{Reply, Tenant, call};

const GOOD: &str = r#"{"type":"a","payload":1}"#;

fn generate(tenant: &Tenant, body: &Value) -> Reply {
    let url = format!("{}/api/keys/generate", tenant.place.url());
    call("POST", &url, &[("content-type", "application/json")], body.to_string())
}

#[test]
fn signing_up_makes_a_tenant_and_its_first_key() {
    let tenant = Tenant::new();
    let made = generate(&tenant, &json!({"organization_name": "Ada & Co"})).expect(201).json();
    let key = made["api_key"].as_str().unwrap();
    assert!(key.starts_with("trg_live_"), "{key}");
    assert!(made["organization_id"].as_str().unwrap().starts_with("org_"));
    assert_eq!((&made["organization_name"], &made["tier"]), (&json!("Ada & Co"), &json!("free")));
    assert_eq!(made["rate_limit_per_minute"], 100);
    tenant.with_key(key).post_event(GOOD).expect(202);

    for (tier, limit) in [("free", 100), ("pro", 1_000), ("business", 10_000), ("enterprise", 100_000)] {
        let made = generate(&tenant, &json!({"org_name": "Other", "tier": tier})).expect(201).json();
        assert_eq!((&made["tier"], &made["rate_limit_per_minute"]), (&json!(tier), &json!(limit)));
    }
}

#[test]
fn a_sign_up_that_breaks_a_rule_is_told_which() {
    let tenant = Tenant::new();
    let unknown_tier = generate(&tenant, &json!({"organization_name": "A", "tier": "gold"}));
    assert_eq!(unknown_tier.problem(422, "invalid")["errors"][0]["pointer"], "/tier");
    for deceiving in ["a\u{202e}b", "a\nb", "a\u{7}"] {
        let refused = generate(&tenant, &json!({"organization_name": deceiving})).problem(422, "invalid");
        assert_eq!(refused["errors"][0]["pointer"], "/organization_name");
        let key = json!({"name": deceiving, "scopes": ["inbox:read"]}).to_string();
        assert_eq!(tenant.post("/api/keys", key).problem(422, "invalid")["errors"][0]["pointer"], "/name");
    }
    let no_name = generate(&tenant, &json!({"organization_name": " "}));
    assert_eq!(no_name.problem(422, "invalid")["errors"][0]["pointer"], "/organization_name");
    for body in [json!({}), json!({"organization_name": 7}), json!({"organization_name": "A", "admin": true})]
    {
        generate(&tenant, &body).problem(422, "invalid");
    }
}

#[test]
fn the_list_shows_every_key_but_no_key_itself() {
    let tenant = Tenant::of_tier("business");
    tenant.set_webhook("https://hooks.example.com/a");
    let further = tenant.further_key(&["inbox:read"]);
    let reply = tenant.get("/api/keys").expect(200);
    let text = reply.text();
    for key in [&tenant.key, &further.key] {
        let secret = &key["trg_live_".len()..];
        assert!(!text.contains(&secret[..8]), "{text}");
    }
    assert!(!text.contains("whsec_"), "{text}");
    let list = reply.json();
    assert_eq!(
        (&list["organization_id"], &list["organization_name"]),
        (&json!(tenant.id), &json!("A story"))
    );
    assert_eq!((&list["tier"], &list["rate_limit_per_minute"]), (&json!("business"), &json!(10_000)));
    assert_eq!(list["webhook_url"], "https://hooks.example.com/a");
    let keys = list["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        let members: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = [
            "id",
            "name",
            "scopes",
            "rate_limit_per_minute",
            "last4",
            "created_at",
            "last_used_at",
            "expires_at",
        ];
        assert_eq!(members, expected);
    }
    let limited = keys.iter().find(|key| key["name"] == "further").unwrap();
    assert_eq!(limited["scopes"], json!(["inbox:read"]));
    let last4 = limited["last4"].as_str().unwrap();
    assert!(last4.len() == 4 && further.key.contains(last4), "{last4}");
}

#[test]
fn a_key_may_do_what_its_scopes_say_and_nothing_else() {
    type Call<'a> = &'a dyn Fn(&Tenant) -> Reply;
    let tenant = Tenant::new();
    let id = tenant.accepted("a");
    tenant.shown_as("pending", &id);
    let webhook = r#"{"webhook_url":"https://hooks.example.com/a"}"#;
    let json = ("content-type", "application/json");
    let calls: [(&str, Call); 6] = [
        ("events:write", &|key| key.post_event(GOOD)),
        ("inbox:read", &|key| key.get("/api/inbox")),
        ("inbox:ack", &|key| key.acknowledge(&id)),
        ("endpoints:admin", &|key| key.post("/api/webhook/config", webhook)),
        ("keys:admin", &|key| key.get("/api/keys")),
        ("tenant:admin", &|key| key.call("PATCH", "/api/tenant", &[json], "{}")),
    ];
    for (scope, _) in calls {
        let key = tenant.further_key(&[scope]);
        for (needed, call) in calls {
            let reply = call(&key);
            if needed == scope {
                assert!((200..300).contains(&reply.status), "{needed}: {}", reply.text());
            } else {
                let document = reply.problem(403, "forbidden");
                assert!(document["detail"].as_str().unwrap().contains(needed), "{document}");
            }
        }
    }
}

#[test]
fn no_key_gives_more_than_it_has() {
    let tenant = Tenant::new();
    let create = |key: &Tenant, body: Value| key.post("/api/keys", body.to_string());
    let admin = tenant.further_key(&["keys:admin"]);
    create(&admin, json!({"name": "more", "scopes": ["keys:admin", "inbox:read"]})).problem(403, "forbidden");
    let writer = tenant.further_key(&["events:write"]);
    create(&writer, json!({"name": "same", "scopes": ["events:write"]})).problem(403, "forbidden");
    writer.post("/api/keys/rotate", "").problem(403, "forbidden");
    let scopes = |scopes: Value| create(&tenant, json!({"name": "a", "scopes": scopes}));
    for wrong in [json!([]), json!(["events:read"])] {
        assert_eq!(scopes(wrong).problem(422, "invalid")["errors"][0]["pointer"], "/scopes");
    }
}

#[test]
fn a_key_shows_when_it_was_used_and_one_that_never_was_shows_nothing() {
    let tenant = Tenant::new();
    let idle = tenant.further_key(&["inbox:read"]);
    let began = SystemClock.now();
    tenant.accepted("a");
    let list = tenant.get("/api/keys").expect(200).json();
    let used = |name: &str| {
        let keys = list["keys"].as_array().unwrap();
        keys.iter().find(|key| key["name"] == name).unwrap()["last_used_at"].clone()
    };
    let last_used = Timestamp::parse(used("default").as_str().unwrap()).unwrap();
    assert!(last_used <= SystemClock.now() && began.since(last_used).as_secs() < 60, "{last_used}");
    assert_eq!(used("further"), Value::Null);
    idle.get("/api/inbox").expect(200);
    let list = tenant.get("/api/keys").expect(200).json();
    assert!(list["keys"].as_array().unwrap().iter().all(|key| key["last_used_at"].is_string()), "{list}");
}

#[test]
fn a_limit_of_a_key_is_no_higher_than_that_of_the_key_that_makes_it_and_survives_rotation() {
    let tenant = Tenant::of_tier("free");
    let make = |key: &Tenant, limit: Value| {
        let scopes = json!(["events:write", "keys:admin"]);
        key.post(
            "/api/keys",
            json!({"name": "narrow", "scopes": scopes, "rate_limit_per_minute": limit}).to_string(),
        )
    };
    for wrong in [json!(0), json!(101), json!(-1), json!("7")] {
        make(&tenant, wrong).problem(422, "invalid");
    }
    let narrow = make(&tenant, json!(3)).expect(201).json();
    assert_eq!(narrow["rate_limit_per_minute"], 3);
    let narrow = tenant.with_key(narrow["api_key"].as_str().unwrap());
    make(&narrow, json!(4)).problem(422, "invalid");
    let inherited =
        narrow.post("/api/keys", r#"{"name":"child","scopes":["events:write"]}"#).expect(201).json();
    assert_eq!(inherited["rate_limit_per_minute"], 3);
    let rotated = narrow.post("/api/keys/rotate", "").expect(200).json();
    assert_eq!(rotated["rate_limit_per_minute"], 3);
}
