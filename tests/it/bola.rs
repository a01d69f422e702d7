//! Broken object level authorisation, looked for in every operation of `infra/openapi.json` that names something: another
//! tenant's id must read like one that never was, change nothing, and tell nothing. An operation that is added to the
//! document is taken in by itself; `support/belongings.rs` knows how ids are come by.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use domain::tenant::api_key::{ApiKey, Scope};
use serde_json::{Value, json};

use crate::support::belongings::{Owner, never, tenant_named};
use crate::support::client::Reply;
use crate::support::openapi::{Ids, Kind, Operation, Place, Slot, operation, operations};

/// One who tries, and what was heard meanwhile.
struct Intruder<'a> {
    owner: &'a Owner,
    own: Owner,
    /// Keys of its own that lack a scope, by that scope.
    lacking: BTreeMap<&'static str, String>,
    requests: Cell<usize>,
    leaks: RefCell<Vec<String>>,
}

/// Ids of the owner's for one slot, and those beside it.
struct Case {
    operation: Operation,
    slot: Slot,
    /// Of the owner's: what is there, and what was.
    foreign: Vec<String>,
    /// All that the owner itself would name.
    owners: Ids,
    malformed: Vec<String>,
}

/// An answer without what may differ: its request id, and the id that was asked for.
#[derive(Debug, Eq, PartialEq)]
struct Said {
    status: u16,
    headers: BTreeSet<String>,
    body: String,
}

fn said(reply: &Reply, ids: &Ids) -> Said {
    let mut body = reply.text();
    let request_id = reply.header("x-request-id").expect("a request id");
    for id in ids.values().map(String::as_str).chain([request_id]) {
        body = body.replace(id, "ID");
    }
    Said { status: reply.status, headers: reply.headers.keys().map(ToString::to_string).collect(), body }
}

/// What no route shows in this form. None of them is two segments of a path.
fn malformed(like: &str) -> Vec<String> {
    let (prefix, digits) = like.split_once('_').unwrap_or(("", like));
    let others =
        ["evt", "ep", "key", "org", "rpl", "era", "lse", ""].into_iter().filter(|other| *other != prefix);
    let others = others.map(|other| format!("{other}_{digits}"));
    let texts = [
        like.to_uppercase(),
        format!("{like}0"),
        like[..like.len() - 1].to_owned(),
        format!("{like} "),
        format!("{like}\0"),
        format!("{like}%00"),
        format!("{like}#"),
        format!("{like}?"),
        format!("{prefix}_{digits}, {like}"),
        "nonsense".to_owned(),
        "*".to_owned(),
        "%".to_owned(),
        "null".to_owned(),
        "-1".to_owned(),
        "é\u{202e}".to_owned(),
        "' OR '1'='1".to_owned(),
        "{\"S\":\"x\"}".to_owned(),
        "x".repeat(3000),
    ];
    texts.into_iter().chain(others).collect()
}

impl Case {
    fn of(owner: &Owner, operation: Operation, slot: Slot) -> Self {
        let others = others(operation, &slot, false);
        let beside = owner.own(operation, &others);
        let live = owner.several(operation, &slot, &beside);
        let malformed = malformed(live.last().expect("an id"));
        let foreign = live.into_iter().chain(owner.gone(slot.kind)).collect();
        let owners = owner.own(operation, &operation.slots());
        Self { operation, slot, foreign, owners, malformed }
    }
}

/// The slots beside this one: all, or those that a request must fill.
fn others(operation: Operation, slot: &Slot, all: bool) -> Vec<Slot> {
    let beside = |other: &Slot| other.name != slot.name && (all || other.required);
    operation.slots().into_iter().filter(beside).collect()
}

impl Intruder<'_> {
    fn new(owner: &Owner) -> Intruder<'_> {
        let own = Owner::marked("intruder");
        let lacking = |scope: Scope| {
            let others = Scope::ALL.into_iter().filter(|other| *other != scope).map(Scope::as_str);
            (scope.as_str(), own.tenant.further_key(&others.collect::<Vec<_>>()).key)
        };
        let lacking = Scope::ALL.into_iter().map(lacking).collect();
        Intruder { owner, own, lacking, requests: Cell::new(0), leaks: RefCell::default() }
    }

    /// Asks, and listens for what is the owner's. An id that was named is no secret to who named it.
    fn ask(&self, operation: Operation, ids: &Ids, key: Option<&str>) -> Reply {
        let reply = operation.request(ids).send_with(&self.own.tenant, key);
        self.requests.set(self.requests.get() + 1);
        let heard = format!("{:?} {}", reply.headers, reply.text());
        let untold = self.owner.secrets.iter().filter(|secret| !ids.values().any(|id| id.contains(*secret)));
        for secret in untold.filter(|secret| heard.contains(*secret)) {
            self.leaks.borrow_mut().push(format!("{} {ids:?} tells {secret}: {heard}", operation.name()));
        }
        reply
    }

    /// What is said to these ids, with the intruder's own key.
    fn said(&self, operation: Operation, ids: &Ids) -> Said {
        said(&self.ask(operation, ids, Some(&self.own.tenant.key)), ids)
    }

    /// Tries the owner's ids in one slot, and what the intruder had itself and deleted, beside nothing more than needed and
    /// beside all that the intruder has.
    fn try_case(&self, case: &Case) {
        let Case { operation, slot, .. } = case;
        let gone = self.own.gone(slot.kind);
        for beside in [false, true].map(|all| others(*operation, slot, all)) {
            let beside = self.own.own(*operation, &beside);
            let with = |id: &str| {
                let mut ids = beside.clone();
                ids.insert(slot.name, id.to_owned());
                ids
            };
            let absent = self.refused(*operation, slot, &with(&never(slot.kind)));
            for id in &case.foreign {
                let foreign = self.refused(*operation, slot, &with(id));
                assert_eq!(foreign, absent, "{} with another tenant's {}", operation.name(), slot.name);
            }
            if let Some(id) = &gone {
                let reply = self.said(*operation, &with(id));
                let has_failing_notice =
                    slot.kind == Kind::Replay || operation.name() == "DELETE /api/events/{id}";
                let is_done = has_failing_notice && (200..300).contains(&reply.status);
                assert!(is_done || reply == absent, "{} of its own {id}: {reply:?}", operation.name());
            }
            for id in &case.malformed {
                let ids = with(id);
                let reply = self.said(*operation, &ids);
                let also = match slot.place {
                    Place::Path => 404, // no route has such characters
                    Place::Body | Place::List if slot.kind != Kind::Lease => 422,
                    _ => absent.status,
                };
                let is_refused = [absent.status, also].contains(&reply.status);
                assert!(is_refused, "{} {ids:?}: {reply:?}", operation.name());
            }
        }
        for id in &case.foreign {
            let mut ids = case.owners.clone();
            ids.insert(slot.name, id.clone());
            let strangers = operation.slots().iter().map(|slot| (slot.name, never(slot.kind))).collect();
            let (foreign, absent) = (self.said(*operation, &ids), self.said(*operation, &strangers));
            assert_eq!(foreign, absent, "{} with nothing of its own", operation.name());
            self.locked_out(*operation, &ids, &strangers);
        }
        self.own_is_found(*operation);
    }

    /// What is said where an id in this slot is nobody's that asks.
    fn refused(&self, operation: Operation, slot: &Slot, ids: &Ids) -> Said {
        let reply = self.ask(operation, ids, Some(&self.own.tenant.key));
        match (slot.place, slot.kind) {
            (_, Kind::Cursor) => drop(reply.problem(400, "cursor-invalid")),
            (_, Kind::Lease) => drop(reply.problem(409, "lease-lost")),
            (Place::List, _) => assert!(!is_done(&reply, &ids[slot.name]), "{}", reply.text()),
            (Place::Path, _) if operation.name() == "DELETE /api/endpoints/{id}" => {
                assert_eq!((reply.status, reply.text().as_str()), (204, ""));
            }
            _ => drop(reply.problem(404, "not-found")),
        }
        said(&reply, ids)
    }

    /// The same with what is the intruder's own, so that the rest says something.
    fn own_is_found(&self, operation: Operation) {
        let ids = self.own.own(operation, &operation.slots());
        let reply = self.ask(operation, &ids, Some(&self.own.tenant.key));
        let found = (200..300).contains(&reply.status) && operation.answers(reply.status);
        assert!(found, "{} {ids:?}: {} {}", operation.name(), reply.status, reply.text());
        for slot in operation.slots().iter().filter(|slot| slot.place == Place::List) {
            assert!(is_done(&reply, &ids[slot.name]), "{}: {}", operation.name(), reply.text());
        }
    }

    /// An erasure is of the key's own tenant, whose name it must know.
    fn erases_nobody_else(&self) {
        let name = self.owner.tenant.get("/api/tenant").expect(200).json()["organization_name"].take();
        let body = json!({"confirm": name}).to_string();
        let headers = [("content-type", "application/json")];
        self.own.tenant.call("DELETE", "/api/tenant", &headers, body).problem(422, "invalid");
        self.own.tenant.get("/api/tenant").expect(200);
    }

    /// The key of an erased tenant is as unknown as one that never was. It is told what came of the erasure that it asked for, and
    /// nothing else.
    fn nobody_is_told_who_is_erased(&self, guarded: &[Operation]) {
        let erased = tenant_named("Example Ltd"); // as the document's example confirms it
        let unknown = ApiKey::generate(&mut rand::rng());
        let erase = operation("DELETE /api/tenant");
        let told = erase.request(&Ids::new()).send(&erased).expect(202).json();
        assert_eq!(erase.request(&Ids::new()).send(&erased).expect(202).json(), told);
        for operation in guarded.iter().filter(|operation| operation.name() != erase.name()) {
            let ids = operation.slots().iter().map(|slot| (slot.name, never(slot.kind))).collect();
            let keys = [erased.key.as_str(), unknown.expose()];
            let [erased, unknown] = keys.map(|key| self.ask(*operation, &ids, Some(key)));
            erased.problem(401, "unauthorized");
            assert_eq!(said(&erased, &ids), said(&unknown, &ids), "{}", operation.name());
        }
    }

    /// Who may not ask at all is told nothing, whatever the ids.
    fn locked_out(&self, operation: Operation, foreign: &Ids, absent: &Ids) {
        let scope = operation.scope().expect("a scope");
        let unknown = ApiKey::generate(&mut rand::rng());
        let keys =
            [Some(self.lacking[scope].as_str()), None, Some(unknown.expose()), Some("trg_live_nonsense")];
        for (n, key) in keys.into_iter().enumerate() {
            let replies = [foreign, absent].map(|ids| (self.ask(operation, ids, key), ids));
            let (status, slug) = if n == 0 { (403, "forbidden") } else { (401, "unauthorized") };
            for (reply, _) in &replies {
                reply.problem(status, slug);
            }
            let [foreign, absent] = replies.map(|(reply, ids)| said(&reply, ids));
            assert_eq!(foreign, absent, "{}", operation.name());
        }
    }
}

/// Whether something was done with an event of a list: it is named outside of `failed`.
fn is_done(reply: &Reply, id: &str) -> bool {
    let mut body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let failed = body.get_mut("failed").map(Value::take).unwrap_or_default();
    assert!(
        reply.status != 200 || body.to_string().contains(id) != failed.to_string().contains(id),
        "{failed}"
    );
    reply.status == 200 && body.to_string().contains(id)
}

#[test]
fn another_tenants_id_reads_like_one_that_never_was() {
    let mark = format!("mark{:032x}", rand::random::<u128>());
    let owner = Owner::marked(&mark);
    let intruder = Intruder::new(&owner);
    let guarded: Vec<Operation> = operations().into_iter().filter(|it| it.scope().is_some()).collect();
    let cases =
        |it: &Operation| it.slots().into_iter().map(|slot| Case::of(&owner, *it, slot)).collect::<Vec<_>>();
    let cases: Vec<Case> = guarded.iter().flat_map(cases).collect();
    let before = owner.everything();
    assert!(before.iter().any(|(_, body)| body.to_string().contains(&mark)), "the owner sees its own");
    for case in &cases {
        intruder.try_case(case);
    }
    for operation in &guarded {
        if operation.slots().is_empty() {
            intruder.locked_out(*operation, &Ids::new(), &Ids::new());
        }
    }
    for operation in operations().into_iter().filter(|it| it.scope().is_none()) {
        for slot in operation.slots() {
            let known = owner.several(operation, &slot, &Ids::new());
            let unknown = malformed(&known[0]).into_iter().chain([never(slot.kind)]);
            for id in unknown.chain(known.clone()) {
                let reply = intruder.ask(operation, &Ids::from([(slot.name, id)]), None);
                let is_answered = operation.answers(reply.status) || reply.status == 404;
                assert!(is_answered, "{}: {}", operation.name(), reply.text());
            }
        }
    }
    intruder.erases_nobody_else();
    intruder.nobody_is_told_who_is_erased(&guarded);
    for (after, before) in owner.everything().iter().zip(&before) {
        assert_eq!(after, before, "nothing of the owner's has changed");
    }
    let leaks = intruder.leaks.take();
    let count = guarded.len();
    println!("BOLA: {count} operations, {} requests, {} leaks", intruder.requests.get(), leaks.len());
    assert!(leaks.is_empty(), "{leaks:#?}");
}
