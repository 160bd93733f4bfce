//! What the queue promises, on the host.

use domain::{
    account::Role,
    upload::{PART_SIZE, PARTS_IN_FLIGHT, PartPlan},
};

use super::{steps::PROBE_MS, *};

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
    let mut queue = Queue::with_pace(Pace::remembered(1e9));
    let keys = queue.add([("a.mp4".to_owned(), 2 * PART_SIZE), ("b.mp4".to_owned(), 5 * PART_SIZE)], None);
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
    let keys = queue.add((0..5).map(|n| (format!("{n}.mp4"), PART_SIZE)), None);
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
    assert_eq!(queue.next_steps(20.0), []);
    queue.set_online(true);
    let steps = queue.next_steps(30.0);
    assert!(matches!(steps[..], [Step::Look(a, _), Step::Look(b, _)] if (a, b) == (keys[0], keys[1])), "{steps:?}");
    assert!(queue.began(keys[0], ticket(1, 2 * PART_SIZE)) && queue.began(keys[1], ticket(2, 5 * PART_SIZE)));
    assert_eq!(queue.next_steps(40.0), [Step::Part(keys[0], 1)], "one at a time on a line that broke");
    let said = spoken(&mut queue);
    assert!(said.iter().any(|text| text == words::WAITING_FOR_NETWORK) && said.iter().any(|text| text == words::NETWORK_BACK), "{said:?}");
}

#[test]
fn one_failing_file_does_not_hold_up_the_other() {
    let (mut queue, keys) = two_files();
    queue.next_steps(0.0);
    queue.failed(keys[0], Some(1), SendError::Store("No.".into()), 0.0, 0.5);
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
    let keys = queue.add([("a.mp4".to_owned(), 5)], None);
    queue.next_steps(0.0);
    assert_eq!(queue.remove(keys[0]), None);
    assert!(!queue.began(keys[0], ticket(1, 5)));
}

#[test]
fn quarters_are_said_once() {
    let mut queue = Queue::default();
    let keys = queue.add([("a.mp4".to_owned(), 100)], None);
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
    let keys = queue.add([("nothing.mp4".to_owned(), 0)], None);
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

#[test]
fn a_browser_that_says_offline_is_not_believed_for_ever() {
    let (mut queue, keys) = two_files();
    queue.next_steps(0.0);
    queue.set_online(false);
    for (key, number) in [(keys[0], 1), (keys[0], 2), (keys[1], 1)] {
        queue.failed(key, Some(number), SendError::Network, 10.0, 0.5);
    }
    assert_eq!(queue.next_steps(20.0), []);
    let wake = queue.next_wake(20.0).expect("a wake-up");
    assert!(wake <= 20.0 + PROBE_MS);
    assert!(matches!(queue.next_steps(wake)[..], [Step::Look(key, _)] if key == keys[0]), "one request");
    assert_eq!(queue.next_steps(wake + 1.0), []);
    // No answer: the next one later. An answer: all go on.
    queue.failed(keys[0], None, SendError::Network, wake, 0.5);
    let wake = queue.next_wake(wake + 1.0).expect("a wake-up");
    assert_eq!(queue.next_steps(wake).len(), 1);
    assert!(queue.began(keys[0], ticket(1, 2 * PART_SIZE)));
    assert!(queue.online());
    assert!(!queue.next_steps(wake).is_empty());
}

#[test]
fn a_slow_line_has_one_part_on_its_way_and_the_next_file_smaller_ones() {
    let mut queue = Queue::with_pace(Pace::remembered(400e3));
    let keys = queue.add([("a.mp4".to_owned(), 5 * PART_SIZE)], None);
    assert!(matches!(&queue.next_steps(0.0)[..], [Step::Begin(_, begin)] if begin.part_size == Some(3 * 1024 * 1024)));
    queue.began(keys[0], ticket(1, 5 * PART_SIZE));
    assert_eq!(queue.next_steps(0.0), [Step::Part(keys[0], 1)]);
    queue.arrived(keys[0], 1, 21_000.0);
    assert_eq!(queue.next_steps(21_000.0), [Step::Part(keys[0], 2)]);
}

#[test]
fn an_upload_from_before_goes_on_with_the_servers_list() {
    let of_ticket = ticket(1, 3 * PART_SIZE);
    let upload = UnfinishedUpload {
        upload_id: of_ticket.upload_id,
        video_id: of_ticket.video_id,
        file_name: "a.mp4".into(),
        size: 3 * PART_SIZE,
        percent: 66,
        fingerprint: None,
        updated_at_ms: 0,
        expires_at_ms: 1,
    };
    let mut queue = Queue::default();
    let key = queue.go_on(&upload, None);
    assert!(queue.holds(upload.upload_id));
    assert_eq!(queue.next_steps(0.0), [Step::Look(key, upload.upload_id)]);
    assert!(queue.began(key, UploadTicket { received: vec![1, 2], ..of_ticket }));
    assert_eq!(queue.next_steps(0.0), [Step::Part(key, 3)]);
    queue.arrived(key, 3, 1.0);
    assert_eq!(queue.next_steps(1.0), [Step::Complete(key, upload.upload_id)]);
    assert_eq!(spoken(&mut queue)[0], "Upload of a.mp4 goes on where it was.");
}

#[test]
fn files_wait_for_the_one_whose_they_are() {
    let id = ticket(7, 1).video_id.to_string().parse().expect("an id");
    let ada = Account { id, email: "ada@example.org".into(), role: Role::Member };
    let mut queue = Queue::default();
    let keys = queue.add([("a.mp4".to_owned(), 5)], Some(&ada));
    queue.next_steps(0.0);
    assert_eq!(queue.waits_for(), None);
    queue.failed(keys[0], None, SendError::OtherAccount(ada.email.clone()), 0.0, 0.5);
    assert_eq!(queue.waits_for(), Some(ada));
    assert_eq!(queue.next_steps(1.0), []);
    queue.hurry(|_| true);
    assert_eq!(queue.next_steps(2.0).len(), 1);
}
