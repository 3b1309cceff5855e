//! Histories whose verdict is known, and a comparison with a checker that tries everything.

use proptest::prelude::*;

use super::register::State;
use super::*;

/// One operation of client and key "x", from a time to a time; 0: never answered.
fn operation(client: u64, call: u64, end: u64, op: Op, reply: Reply) -> Operation {
    Operation {
        key: "x".to_owned(),
        client,
        op,
        call,
        reply: (end != 0).then_some((end, reply)),
    }
}

fn set(call: u64, end: u64, value: i64) -> Operation {
    operation(1, call, end, Op::Set(value), Reply::Ok)
}

fn get(call: u64, end: u64, value: impl Into<Option<i64>>) -> Operation {
    operation(2, call, end, Op::Get, Reply::Value(value.into()))
}

fn del(call: u64, end: u64, existed: bool) -> Operation {
    operation(3, call, end, Op::Del, Reply::Done(existed))
}

fn add(call: u64, end: u64, by: i64, sum: i64) -> Operation {
    operation(4, call, end, Op::Add(by), Reply::Sum(sum))
}

fn cas(call: u64, end: u64, from: i64, to: i64, done: bool) -> Operation {
    operation(5, call, end, Op::Cas { from, to }, Reply::Done(done))
}

#[test]
fn histories_that_are_linearizable() {
    let histories = [
        vec![],
        vec![get(1, 2, None)],
        vec![set(1, 2, 7), get(3, 4, 7)],
        // Overlapping: either order.
        vec![set(1, 4, 7), get(2, 3, None)],
        vec![set(1, 4, 7), get(2, 3, 7)],
        // The two reads agree on an order of the two writes.
        vec![set(1, 10, 1), set(2, 9, 2), get(3, 4, 1), get(5, 6, 2)],
        // At the same time is overlapping.
        vec![set(1, 2, 7), get(2, 3, None)],
        // Never answered: happened, late, or never.
        vec![set(1, 0, 7), get(2, 3, 7)],
        vec![set(1, 0, 7), get(2, 3, None), get(4, 5, 7)],
        vec![set(1, 0, 7), get(2, 3, None)],
        vec![add(1, 0, 5, 0), add(2, 3, 1, 6), get(4, 5, 6)],
        // Two adds at once; each sees the other or is seen.
        vec![add(1, 4, 1, 2), add(2, 3, 1, 1), get(5, 6, 2)],
        vec![
            set(1, 2, 1),
            cas(3, 6, 1, 2, true),
            cas(4, 5, 1, 3, false),
            get(7, 8, 2),
        ],
        vec![
            set(1, 2, 1),
            del(3, 6, true),
            del(4, 5, false),
            get(7, 8, None),
        ],
    ];
    for history in histories {
        assert_eq!(check(&history), Ok(()));
    }
}

#[test]
fn histories_that_are_not() {
    let histories = [
        // Read from nowhere.
        vec![get(1, 2, 7)],
        // Lost.
        vec![set(1, 2, 7), get(3, 4, None)],
        // Back in time.
        vec![set(1, 2, 1), set(3, 4, 2), get(5, 6, 1)],
        // New, then old: a read that saw what a crash then took back.
        vec![set(1, 0, 7), get(2, 3, 7), get(4, 5, None)],
        // The two reads disagree on the order of the two writes, each seen by a read before.
        vec![
            set(1, 10, 1),
            set(2, 9, 2),
            get(3, 4, 1),
            get(5, 6, 2),
            get(7, 8, 1),
        ],
        // A lost update.
        vec![add(1, 4, 1, 1), add(2, 3, 1, 1)],
        // Applied twice.
        vec![set(1, 2, 0), add(3, 0, 1, 0), get(4, 5, 2)],
        // Both won.
        vec![set(1, 2, 1), cas(3, 6, 1, 2, true), cas(4, 5, 1, 3, true)],
        vec![set(1, 2, 1), del(3, 6, true), del(4, 5, true)],
        // An answer of the wrong kind.
        vec![operation(1, 1, 2, Op::Get, Reply::Ok)],
    ];
    for history in histories {
        assert!(check(&history).is_err(), "{history:?}");
    }
}

#[test]
fn keys_are_checked_each_by_itself() {
    let mut other = set(1, 2, 7);
    other.key = "y".to_owned();
    assert_eq!(check(&[other.clone(), get(3, 4, None)]), Ok(()));
    let violation = check(&[other, get(3, 4, 7)]).expect_err("from another key");
    assert_eq!(violation.key, "x");
}

#[test]
fn a_long_history_is_cut_to_what_shows_the_fault() {
    let mut history = Vec::new();
    for i in 0..200 {
        let time = 10 * i;
        history.push(set(time + 1, time + 4, i as i64));
        history.push(get(time + 2, time + 3, i as i64));
        history.push(add(time + 5, time + 6, 1000, i as i64 + 1000));
    }
    assert_eq!(check(&history), Ok(()));
    // The 150th write is lost; what follows is as it was.
    history.insert(452, get(1508, 1509, 149));
    let violation = check(&history).expect_err("lost");
    assert!(!violation.from_the_start);
    assert_eq!(violation.at, 1509);
    assert_eq!(
        violation.operations,
        [add(1505, 1506, 1000, 1150), get(1508, 1509, 149)]
    );
    assert_eq!(
        violation.to_string(),
        "key 'x' is not linearizable: no order of these 2 operations explains the marked reply, \
         whatever the key held before\n    \
         1505..1506   client 4   INCRBY 1000 -> 1150\n>   \
         1508..1509   client 2   GET -> 149\n"
    );
}

#[test]
fn what_only_the_first_state_shows_is_told_from_the_start() {
    let violation = check(&[get(1, 2, 7), get(3, 4, 7)]).expect_err("from nowhere");
    assert!(violation.from_the_start);
    assert_eq!(violation.operations, [get(1, 2, 7)]);
}

#[test]
fn many_clients_and_many_lost_replies_are_decided_quickly() {
    // 12 writes whose replies were lost, then 400 reads that see some of them, by 8 clients at once.
    let mut history: Vec<Operation> = (0..12).map(|i| set(i + 1, 0, i as i64)).collect();
    for i in 0..400 {
        history.push(get(100 + i, 108 + i, (i / 40) as i64));
    }
    assert_eq!(check(&history), Ok(()));
    history.push(get(1000, 1001, 3));
    assert!(check(&history).is_err());
}

#[test]
fn a_history_is_written_down_in_order_and_struck_calls_are_gone() {
    let history = History::new();
    let first = history.call(1, "x", Op::Set(1));
    let second = history.call(2, "x", Op::Get);
    let third = history.call(3, "x", Op::Set(3));
    history.reply(second, Reply::Value(None));
    history.reply(first, Reply::Ok);
    history.strike(third);
    let fourth = history.call(1, "x", Op::Set(4));
    drop(fourth);
    let expected = [set(1, 5, 1), get(2, 4, None), set(6, 0, 4)];
    assert_eq!(history.operations(), expected);
}

/// Tries every order of every choice of the unanswered: no cleverness to be wrong.
fn brute_force(operations: &[Operation], start: State) -> bool {
    fn go(operations: &[Operation], done: &mut Vec<usize>, state: State) -> bool {
        let left: Vec<usize> = (0..operations.len())
            .filter(|i| !done.contains(i))
            .collect();
        if left.iter().all(|&i| operations[i].reply.is_none()) {
            return true;
        }
        left.iter().any(|&i| {
            let this = &operations[i];
            let too_early = left.iter().any(|&other| {
                operations[other]
                    .reply
                    .is_some_and(|(end, _)| end < this.call)
            });
            if too_early {
                return false;
            }
            let Some(after) = state.step(this.op, this.reply.map(|(_, reply)| reply)) else {
                return false;
            };
            done.push(i);
            let found = go(operations, done, after);
            done.pop();
            found
        })
    }
    go(operations, &mut Vec::new(), start)
}

fn any_op() -> impl Strategy<Value = Op> {
    let value = || 0..3_i64;
    prop_oneof![
        3 => Just(Op::Get),
        2 => value().prop_map(Op::Set),
        1 => value().prop_map(Op::Swap),
        1 => value().prop_map(Op::SetIfMissing),
        1 => value().prop_map(Op::SetIfPresent),
        1 => (value(), value()).prop_map(|(from, to)| Op::Cas { from, to }),
        1 => (1..3_i64).prop_map(Op::Add),
        1 => Just(Op::Del),
    ]
}

fn any_reply(op: Op) -> BoxedStrategy<Reply> {
    match op {
        Op::Get | Op::Swap(_) => proptest::option::of(0..3_i64)
            .prop_map(Reply::Value)
            .boxed(),
        Op::Set(_) => Just(Reply::Ok).boxed(),
        Op::Add(_) => (1..5_i64).prop_map(Reply::Sum).boxed(),
        _ => any::<bool>().prop_map(Reply::Done).boxed(),
    }
}

fn any_operation() -> impl Strategy<Value = Operation> {
    let replied = any_op().prop_flat_map(|op| (Just(op), any_reply(op)));
    (replied, 1..20_u64, 0..8_u64, 0..3_u8).prop_map(|((op, reply), call, length, lost)| {
        let end = if lost == 0 { 0 } else { call + length };
        operation(1, call, end, op, reply)
    })
}

/// What a real register answers when each operation takes effect at a moment of its own.
fn a_real_run() -> impl Strategy<Value = Vec<Operation>> {
    let op = (any_op(), 0..20_u64, 0..6_u64, 0..6_u64, 0..6_u8);
    proptest::collection::vec(op, 0..40).prop_map(|mut run| {
        run.sort_by_key(|(_, moment, ..)| *moment);
        let mut state = State::Missing;
        let mut operations = Vec::new();
        for (i, (op, moment, before, after, lost)) in run.into_iter().enumerate() {
            let value = match state {
                State::Holds(value) => Some(value),
                _ => None,
            };
            let answers = [
                Reply::Ok,
                Reply::Value(value),
                Reply::Sum(i64::MIN),
                Reply::Done(true),
                Reply::Done(false),
            ];
            let sum = |reply| match (op, reply) {
                (Op::Add(by), Reply::Sum(_)) => Reply::Sum(value.unwrap_or(0) + by),
                (_, reply) => reply,
            };
            let (reply, next) = answers
                .into_iter()
                .map(sum)
                .find_map(|reply| Some((reply, state.step(op, Some(reply))?)))
                .expect("one of them fits");
            state = next;
            let (i, moment) = (i as u64, moment * 100 + i as u64 + 1000);
            let end = if lost == 0 {
                0
            } else {
                moment + 100 * after + 1
            };
            operations.push(operation(i, moment - 100 * before, end, op, reply));
        }
        operations
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_verdict_is_that_of_brute_force(
        operations in proptest::collection::vec(any_operation(), 0..7)
    ) {
        prop_assert_eq!(check(&operations).is_ok(), brute_force(&operations, State::Missing));
    }

    #[test]
    fn a_violation_is_one_by_itself(
        operations in proptest::collection::vec(any_operation(), 0..7)
    ) {
        if let Err(violation) = check(&operations) {
            prop_assert!(!violation.operations.is_empty());
            prop_assert!(violation.operations.len() <= operations.len());
            let mut inside = violation.operations.clone();
            // What was answered later was not answered yet.
            for operation in &mut inside {
                operation.reply = operation.reply.filter(|(end, _)| *end <= violation.at);
            }
            prop_assert!(!brute_force(&inside, State::Missing));
            if !violation.from_the_start {
                for value in 0..10 {
                    prop_assert!(!brute_force(&inside, State::Holds(value)));
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn what_a_real_register_did_is_linearizable(operations in a_real_run()) {
        prop_assert_eq!(check(&operations), Ok(()));
    }
}
