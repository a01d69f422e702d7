//! The root key of the stack opens the data keys of all tenants, so an instance calls KMS once. KMS alone still opens each of
//! them, and nothing opens the key of an erased tenant.

use std::time::Duration;

use domain::sealed::{DataKey, Sealed};
use domain::tenant::id::TenantId;
use domain::testing::{START, data_key, tenant};
use futures_util::FutureExt;
use futures_util::future::{join, join_all};
use store::data_keys::DataKeys;
use store::item::Item;
use store::testing::clock::FixedClock;
use store::testing::faults::{Fault, Faults};
use store::testing::memory::Memory;
use store::testing::table::usage::Operation;

use crate::support::lines::Lines;

/// More steps than any work of these stories has.
const MANY: usize = 40;

/// The tables and KMS of a stack.
struct Stack {
    faults: Faults,
    clock: FixedClock,
    ports: Memory,
}

impl Stack {
    fn new() -> Self {
        let (faults, clock) = (Faults::default(), FixedClock::at(START));
        Self { ports: Memory::new(&faults, &clock), faults, clock }
    }

    /// A cold instance of a function that makes keys.
    fn instance(&self) -> DataKeys<Memory> {
        DataKeys::new(self.ports.tables.control.clone(), self.ports.vault.clone(), self.clock.clone())
    }

    /// A cold instance of a function that reads keys.
    fn reader(&self) -> DataKeys<Memory> {
        self.instance().read_only()
    }

    /// What the work asked of KMS: keys made, and keys unwrapped.
    async fn kms_calls<T>(&self, work: impl Future<Output = T>) -> ([u64; 2], T) {
        let before = self.ports.vault.calls();
        let result = work.await;
        let after = self.ports.vault.calls();
        ([after[0] - before[0], after[1] - before[1]], result)
    }

    /// What the work asked of the table: reads, puts and updates.
    async fn table_calls<T>(&self, work: impl Future<Output = T>) -> ([u64; 3], T) {
        self.ports.tables.control.reset_usage();
        let result = work.await;
        let calls = self.ports.tables.control.usage().calls;
        let count = |operation| calls.get(&operation).copied().unwrap_or_default();
        ([Operation::Get, Operation::Put, Operation::Update].map(count), result)
    }

    /// The stored data key of a tenant.
    fn item(&self, tenant: &TenantId) -> Item {
        self.ports.tables.data_key(tenant).expect("a data key")
    }
}

/// Encrypts a payload.
fn seal(key: &DataKey, tenant: &TenantId) -> Sealed {
    key.seal(tenant, "event", b"payload", rand::random()).unwrap()
}

/// Returns whether the key opens the payload.
fn opens(key: &DataKey, tenant: &TenantId, sealed: &Sealed) -> bool {
    key.open(tenant, "event", sealed).is_ok_and(|text| text == b"payload")
}

#[tokio::test]
async fn a_cold_instance_calls_kms_once_however_many_tenants_it_serves() {
    let (stack, tenants) = (Stack::new(), [(); 20].map(|()| tenant()));
    let maker = stack.instance();
    let first_uses = join_all(tenants.iter().map(|tenant| maker.key_or_new(tenant)));
    let (calls, made) = stack.kms_calls(first_uses).await;
    assert_eq!(calls, [21, 0], "one for each new tenant, and one for the root key");
    let sealed: Vec<_> =
        made.iter().zip(&tenants).map(|(key, tenant)| seal(key.as_ref().unwrap(), tenant)).collect();
    for cold in [stack.instance(), stack.reader()] {
        let (calls, found) = stack.kms_calls(join_all(tenants.iter().map(|tenant| cold.key(tenant)))).await;
        assert_eq!(calls, [0, 1]);
        for ((key, tenant), sealed) in found.into_iter().zip(&tenants).zip(&sealed) {
            assert!(opens(&key.unwrap().unwrap(), tenant, sealed));
        }
    }
    let (calls, _) = stack.kms_calls(maker.key_or_new(&tenant())).await;
    assert_eq!(calls, [1, 0], "one for a new tenant");
}

#[tokio::test]
async fn an_instance_reads_a_data_key_every_five_minutes_and_the_root_key_every_hour() {
    let (stack, ours) = (Stack::new(), tenant());
    stack.ports.tables.put_data_key(&ours);
    let instance = stack.reader();
    let (mut kms, mut reads) = (0, 0);
    for _ in 0..121 {
        let work = stack.table_calls(instance.key(&ours));
        let ([_, unwrapped], ([read, ..], key)) = stack.kms_calls(work).await;
        assert!(key.unwrap().is_some());
        (kms, reads) = (kms + unwrapped, reads + read);
        stack.clock.advance(Duration::from_mins(1));
    }
    assert_eq!((kms, reads), (3, 25 + 3), "in two hours and a minute");
}

#[tokio::test]
async fn ten_first_uses_at_the_same_time_call_kms_once_and_read_each_item_once() {
    let (stack, ours) = (Stack::new(), tenant());
    stack.ports.tables.put_data_key(&ours);
    for cold in [stack.instance(), stack.reader()] {
        let ten = join_all((0..10).map(|_| cold.key(&ours)));
        let (kms, (table, keys)) = stack.kms_calls(stack.table_calls(ten)).await;
        assert_eq!((kms, table), ([0, 1], [2, 0, 0]), "the root key and the data key");
        assert!(keys.into_iter().all(|key| key.unwrap().is_some()));
    }
    let (stack, ours) = (Stack::new(), tenant());
    let cold = stack.instance();
    let ten = join_all((0..10).map(|_| cold.key_or_new(&ours)));
    let (kms, (table, keys)) = stack.kms_calls(stack.table_calls(ten)).await;
    assert_eq!((kms, table), ([2, 0], [2, 2, 0]), "each is made once");
    let sealed = seal(keys[0].as_ref().unwrap(), &ours);
    assert!(keys.iter().all(|key| opens(key.as_ref().unwrap(), &ours, &sealed)));
}

#[tokio::test]
async fn a_key_of_the_version_before_works_and_is_sealed_under_the_root_key_once() {
    let (stack, ours) = (Stack::new(), tenant());
    stack.ports.tables.put_old_data_key(&ours);
    let before = stack.item(&ours);
    let sealed = seal(&data_key(), &ours);
    let (kms, (table, key)) = stack.kms_calls(stack.table_calls(stack.reader().key(&ours))).await;
    assert!(opens(&key.unwrap().unwrap(), &ours, &sealed));
    assert_eq!((kms, table), ([0, 1], [1, 0, 0]), "a reader writes nothing");

    let (kms, (table, key)) = stack.kms_calls(stack.table_calls(stack.instance().key_or_new(&ours))).await;
    assert!(opens(&key.unwrap(), &ours, &sealed));
    assert_eq!((kms, table), ([1, 1], [2, 1, 1]), "the root key is made, and seals the data key");
    let mut after = stack.item(&ours);
    assert!(after.remove("under_root").is_some());
    assert_eq!(after, before, "the version before reads what it read");
    for cold in [stack.instance(), stack.reader()] {
        let (kms, (table, key)) = stack.kms_calls(stack.table_calls(cold.key(&ours))).await;
        assert!(opens(&key.unwrap().unwrap(), &ours, &sealed));
        assert_eq!((kms, table), ([0, 1], [2, 0, 0]));
    }
}

#[tokio::test]
async fn an_erasure_at_any_step_of_the_sealing_under_the_root_key_ends_the_key() {
    let mut steps = 0;
    for step in 0..MANY {
        let (stack, ours) = (Stack::new(), tenant());
        stack.ports.tables.put_old_data_key(&ours);
        let instance = stack.instance();
        let mut work = Box::pin(instance.key(&ours));
        let has_ended = (0..step).any(|_| (&mut work).now_or_never().is_some());
        stack.ports.tables.drop_data_key(&ours);
        if !has_ended {
            work.await.unwrap();
            steps += 1;
        }
        assert_eq!(stack.ports.tables.data_key(&ours), None, "step {step}");
        assert!(stack.instance().key(&ours).await.unwrap().is_none(), "step {step}");
        stack.clock.advance(Duration::from_mins(5));
        assert!(instance.key(&ours).await.unwrap().is_none(), "it still has the root key; step {step}");
    }
    assert!((5..MANY).contains(&steps), "{steps} steps");
}

#[tokio::test]
async fn wherever_a_process_dies_while_it_makes_keys_all_stays_readable_without_another_call_of_kms() {
    let mut deaths = 0;
    for fault in Fault::ALL {
        for call in 0..MANY {
            let (stack, [old, new]) = (Stack::new(), [tenant(), tenant()]);
            let context = format!("{fault:?} at {call}");
            stack.ports.tables.put_old_data_key(&old);
            stack.faults.die_at(call, fault);
            let dying = stack.instance();
            let mut sealed = vec![(old.clone(), seal(&data_key(), &old))];
            for tenant in [&old, &new] {
                if let Ok(key) = dying.key_or_new(tenant).await {
                    sealed.push((tenant.clone(), seal(&key, tenant)));
                }
            }
            deaths += usize::from(stack.faults.recover());
            let next = stack.instance();
            for (tenant, sealed) in &sealed {
                assert!(opens(&next.key_or_new(tenant).await.unwrap(), tenant, sealed), "{context}");
            }
            next.key_or_new(&new).await.unwrap();
            let cold = stack.reader();
            let both = join(cold.key(&old), cold.key(&new));
            let (kms, (found_old, found_new)) = stack.kms_calls(both).await;
            assert_eq!(kms, [0, 1], "both are sealed under the root key; {context}");
            assert!(found_old.unwrap().is_some() && found_new.unwrap().is_some(), "{context}");
        }
    }
    assert!((16..2 * MANY).contains(&deaths), "{deaths} deaths");
}

#[tokio::test]
async fn two_instances_that_make_the_root_key_at_the_same_time_use_one() {
    for step in 0..MANY {
        let (stack, [ours, other]) = (Stack::new(), [tenant(), tenant()]);
        let (slow, fast) = (stack.instance(), stack.instance());
        let mut work = Box::pin(slow.key_or_new(&ours));
        let early = (0..step).find_map(|_| (&mut work).now_or_never());
        let of_fast = fast.key_or_new(&other).await.unwrap();
        let of_slow = match early {
            Some(key) => key.unwrap(),
            None => work.await.unwrap(),
        };
        let cold = stack.reader();
        let (kms, found) = stack.kms_calls(join(cold.key(&ours), cold.key(&other))).await;
        assert_eq!(kms, [0, 1], "one root key opens both; step {step}");
        assert!(opens(&found.0.unwrap().unwrap(), &ours, &seal(&of_slow, &ours)), "step {step}");
        assert!(opens(&found.1.unwrap().unwrap(), &other, &seal(&of_fast, &other)), "step {step}");
    }
}

#[tokio::test]
async fn two_instances_that_make_the_key_of_one_tenant_at_the_same_time_use_one() {
    for step in 0..MANY {
        let (stack, ours) = (Stack::new(), tenant());
        let (slow, fast) = (stack.instance(), stack.instance());
        let mut work = Box::pin(slow.key_or_new(&ours));
        let early = (0..step).find_map(|_| (&mut work).now_or_never());
        let of_fast = fast.key_or_new(&ours).await.unwrap();
        let of_slow = match early {
            Some(key) => key.unwrap(),
            None => work.await.unwrap(),
        };
        assert!(opens(&of_slow, &ours, &seal(&of_fast, &ours)), "step {step}");
    }
}

#[tokio::test]
async fn without_a_readable_root_key_kms_opens_every_key_and_a_new_root_key_heals_all() {
    let (stack, [ours, new]) = (Stack::new(), [tenant(), tenant()]);
    stack.ports.tables.put_data_key(&ours);
    let sealed = seal(&data_key(), &ours);
    stack.ports.tables.put_root_key(b"of another KMS key");
    for cold in [stack.instance(), stack.reader()] {
        let (kms, key) = stack.kms_calls(cold.key(&ours)).await;
        assert!(opens(&key.unwrap().unwrap(), &ours, &sealed));
        assert_eq!(kms, [0, 2], "the root key is tried");
    }
    let instance = stack.instance();
    let (kms, made) = stack.kms_calls(join(instance.key_or_new(&ours), instance.key_or_new(&new))).await;
    assert_eq!(kms, [1, 2], "the root key is tried once");
    assert!(!stack.item(&new).has("under_root"));
    let of_new = made.1.unwrap();

    stack.ports.tables.drop_root_key();
    stack.clock.advance(Duration::from_mins(5));
    for tenant in [&ours, &new] {
        instance.key_or_new(tenant).await.unwrap();
    }
    let cold = stack.reader();
    let (kms, found) = stack.kms_calls(join(cold.key(&ours), cold.key(&new))).await;
    assert_eq!(kms, [0, 1], "a new root key opens both");
    assert!(opens(&found.0.unwrap().unwrap(), &ours, &sealed));
    assert!(opens(&found.1.unwrap().unwrap(), &new, &seal(&of_new, &new)));
}

#[tokio::test]
async fn an_unreadable_root_key_is_logged_once_by_each_instance() {
    let (stack, lines) = (Stack::new(), Lines::default());
    let instance = stack.instance();
    stack.ports.tables.put_root_key(b"of another KMS key");
    stack.instance().key_or_new(&tenant()).await.unwrap(); // the first line of a process decides who logs it
    let writer = lines.clone();
    let logger = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone());
    let _logging = tracing::subscriber::set_default(logger.finish());
    tracing::callsite::rebuild_interest_cache();
    for _ in 0..10 {
        instance.key_or_new(&tenant()).await.unwrap();
        stack.clock.advance(Duration::from_mins(2));
    }
    let lines = lines.take();
    let errors: Vec<&str> = lines.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 1, "{lines}");
    assert!(errors[0].contains("there is no root key; KMS unwraps the data key of each tenant"), "{lines}");
}

#[tokio::test]
async fn a_function_that_may_make_no_keys_asks_kms_for_none() {
    let (stack, ours) = (Stack::new(), tenant());
    let reader = stack.reader();
    let (kms, (table, key)) = stack.kms_calls(stack.table_calls(reader.key_or_new(&ours))).await;
    assert!(key.unwrap_err().to_string().contains("this function may make none"));
    assert_eq!((kms, table), ([0, 0], [1, 0, 0]));
    assert_eq!(stack.ports.tables.root_key(), None);
}
