//! What the queue promises, on the host.

use domain::upload::{PART_SIZE, PartPlan};

use super::*;

fn ticket(n: u8, size: u64) -> UploadTicket {
    let id = format!("018f4c3e-7b1a-7000-8000-0000000000{n:02}");
    UploadTicket {
        upload_id: id.parse().expect("an id"),
        video_id: id.parse().expect("an id"),
        plan: PartPlan::for_size(size),
        part_url: "/p/{number}".into(),
        target_url: None,
        received: vec![],
    }
}

fn spoken(queue: &mut Queue) -> Vec<String> {
    queue.take_announcements().into_iter().map(|said| said.text).collect()
}

/// Two files of two and five parts, both begun.
fn two_files() -> (Queue, Vec<ItemKey>) {
    let mut queue = Queue::default();
    let keys = queue.add([("a.mp4".to_owned(), 2 * PART_SIZE), ("b.mp4".to_owned(), 5 * PART_SIZE)]);
    assert_eq!(queue.next_steps(0.0).len(), 2);
    assert!(queue.began(keys[0], ticket(1, 2 * PART_SIZE)));
    assert!(queue.began(keys[1], ticket(2, 5 * PART_SIZE)));
    (queue, keys)
}

#[test]
fn never_more_parts_in_flight_than_the_browser_has_connections_for() {
    let (mut queue, keys) = two_files();
    assert_eq!(queue.next_steps(0.0), [Step::Part(keys[0], 1), Step::Part(keys[0], 2), Step::Part(keys[1], 1)]);
    assert_eq!(queue.next_steps(0.0), []);
    queue.arrived(keys[0], 1, 1.0);
    assert_eq!(queue.next_steps(1.0), [Step::Part(keys[1], 2)]);
    queue.arrived(keys[0], 2, 2.0);
    let steps = queue.next_steps(2.0);
    assert!(matches!(steps[..], [Step::Complete(key, _), Step::Part(other, 3)] if key == keys[0] && other == keys[1]), "{steps:?}");
}

#[test]
fn files_wait_in_line_until_there_is_room() {
    let mut queue = Queue::default();
    let keys = queue.add((0..5).map(|n| (format!("{n}.mp4"), PART_SIZE)));
    assert_eq!(queue.next_steps(0.0).len(), PARTS_IN_FLIGHT);
    assert_eq!(queue.get(keys[4]).map(|item| item.phase.clone()), Some(Phase::Waiting));
}

#[test]
fn offline_nothing_is_tried_and_back_online_all_at_once() {
    let (mut queue, keys) = two_files();
    queue.next_steps(0.0);
    queue.set_online(false);
    for number in [1, 2] {
        queue.failed(keys[0], Some(number), SendError::Network, 10.0, 0.5);
    }
    queue.failed(keys[1], Some(1), SendError::Network, 10.0, 0.5);
    assert_eq!(queue.next_steps(1e9), []);
    assert_eq!(queue.next_wake(10.0), None);
    queue.set_online(true);
    assert_eq!(queue.next_steps(11.0).len(), PARTS_IN_FLIGHT);
    let said = spoken(&mut queue);
    assert!(said.iter().any(|text| text == words::WAITING_FOR_NETWORK) && said.iter().any(|text| text == words::NETWORK_BACK), "{said:?}");
}

#[test]
fn one_failing_file_does_not_hold_up_the_other() {
    let (mut queue, keys) = two_files();
    queue.next_steps(0.0);
    queue.failed(keys[0], Some(1), SendError::Network, 0.0, 0.5);
    let steps = queue.next_steps(1.0);
    assert_eq!(steps, [Step::Part(keys[1], 2)]);
    let wake = queue.next_wake(1.0).expect("a wake-up");
    assert!(queue.next_steps(wake).is_empty(), "no connection is free");
    queue.arrived(keys[1], 1, wake);
    assert_eq!(queue.next_steps(wake), [Step::Part(keys[0], 1)]);
}

#[test]
fn cancelled_while_it_begins_is_taken_back() {
    let mut queue = Queue::default();
    let keys = queue.add([("a.mp4".to_owned(), 5)]);
    queue.next_steps(0.0);
    assert_eq!(queue.remove(keys[0]), None);
    assert!(!queue.began(keys[0], ticket(1, 5)));
}

#[test]
fn quarters_are_said_once() {
    let mut queue = Queue::default();
    let keys = queue.add([("a.mp4".to_owned(), 100)]);
    queue.next_steps(0.0);
    queue.began(keys[0], ticket(1, 100));
    queue.next_steps(0.0);
    for bytes in [10, 26, 30, 60, 80, 100] {
        queue.progress(keys[0], 1, bytes, 0.0);
    }
    queue.arrived(keys[0], 1, 0.0);
    queue.next_steps(0.0);
    queue.completed(keys[0]);
    assert_eq!(
        spoken(&mut queue),
        ["Upload of a.mp4 started.", "a.mp4: 25 percent.", "a.mp4: 50 percent.", "a.mp4: 75 percent.", "a.mp4 is uploaded."]
    );
    assert_eq!(queue.totals().percent, 100);
    assert_eq!(queue.clear_finished(), keys);
}

#[test]
fn an_empty_file_fails_at_once_and_urgently() {
    let mut queue = Queue::default();
    let keys = queue.add([("nothing.mp4".to_owned(), 0)]);
    assert!(queue.get(keys[0]).and_then(problem_of).is_some());
    assert!(queue.take_announcements().iter().all(|said| said.urgent));
    assert_eq!(queue.next_steps(0.0), []);
}

#[test]
fn a_paused_file_lets_the_others_go() {
    let (mut queue, keys) = two_files();
    queue.set_paused(keys[0], true);
    assert_eq!(queue.next_steps(0.0), [Step::Part(keys[1], 1), Step::Part(keys[1], 2), Step::Part(keys[1], 3)]);
    queue.set_paused(keys[0], false);
    queue.arrived(keys[1], 1, 0.0);
    assert_eq!(queue.next_steps(0.0), [Step::Part(keys[0], 1)]);
}
