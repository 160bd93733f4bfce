//! What happens to one file, on the host.

use domain::upload::{PART_SIZE, PartPlan};

use super::*;
use crate::uploader::refusal::Refusal;

fn ticket(parts: u64) -> UploadTicket {
    let id = "018f4c3e-7b1a-7000-8000-000000000001";
    UploadTicket {
        upload_id: id.parse().expect("an id"),
        video_id: id.parse().expect("an id"),
        plan: PartPlan::for_size(PART_SIZE * parts),
        part_url: "/api/v1/uploads/x/parts/{number}".into(),
        target_url: None,
        received: vec![],
    }
}

fn sending(parts: u64) -> Item {
    let mut item = Item::new(ItemKey(1), "clip.mp4".into(), PART_SIZE * parts);
    item.begin(ticket(parts));
    item
}

fn refused(status: u16, code: Code) -> SendError {
    SendError::Refused(Refusal { status, code: Some(code), detail: "So it is.".into(), retry_after_seconds: None, missing: vec![] })
}

#[test]
fn the_percent_never_goes_backwards_and_is_100_only_at_the_end() {
    let mut item = sending(2);
    assert_eq!(item.take_part(0.0), Some(1));
    assert_eq!(item.take_part(0.0), Some(2));
    item.progress(1, PART_SIZE, 0.0);
    item.progress(2, PART_SIZE, 100.0);
    assert_eq!(item.percent(), 99);
    item.fail(Some(2), SendError::Network, 200.0, 0.5);
    item.arrive(1, 300.0);
    assert_eq!(item.percent(), 99);
    item.phase = Phase::Completing;
    assert_eq!(item.percent(), 100);
}

#[test]
fn the_network_never_ends_an_upload() {
    let mut item = sending(1);
    let mut now = 0.0;
    for _ in 0..100 {
        assert!(item.due(now));
        let number = item.take_part(0.0);
        item.fail(number, SendError::Network, now, 0.5);
        assert_eq!(item.trouble, Some(Trouble::Network));
        assert!(!item.due(now + 1.0));
        now += 30_000.0;
    }
    assert!(item.running());
    let number = item.take_part(0.0).expect("the part is there again");
    item.arrive(number, now);
    assert_eq!((item.trouble.clone(), item.resume_at), (None, None));
    assert!(item.all_arrived());
}

#[test]
fn three_parts_that_fail_together_are_one_failure() {
    let mut item = sending(3);
    for number in [item.take_part(0.0), item.take_part(0.0), item.take_part(0.0)] {
        item.fail(number, SendError::Network, 0.0, 1.0);
    }
    assert_eq!(item.resume_at, Some(500.0));
}

#[test]
fn a_part_that_was_on_its_way_when_the_session_ended_lets_nobody_in() {
    let mut item = sending(3);
    let (first, second) = (item.take_part(0.0), item.take_part(0.0).expect("a part"));
    item.fail(first, refused(401, Code::Unauthenticated), 0.0, 0.0);
    item.arrive(second, 1.0);
    assert_eq!(item.trouble, Some(Trouble::SignedOut));
    assert!(item.to_look());
}

#[test]
fn signed_out_waits_and_what_cannot_be_cured_ends_with_the_servers_sentence() {
    let mut item = sending(1);
    let number = item.take_part(0.0);
    item.fail(number, refused(401, Code::Unauthenticated), 0.0, 0.0);
    assert_eq!(item.trouble, Some(Trouble::SignedOut));
    assert!(item.to_look(), "no part goes before the server lets us in again");
    let number = item.take_part(0.0);
    item.fail(number, refused(507, Code::StorageFull), 60_000.0, 0.0);
    assert_eq!(item.trouble, Some(Trouble::StorageFull));
    assert!(item.resume_at.is_some_and(|at| at >= 60_000.0 + 30_000.0), "minutes, not seconds");
    let number = item.take_part(0.0);
    item.fail(number, refused(422, Code::ChecksumMismatch), 220_000.0, 0.0);
    assert!(item.running());
    let number = item.take_part(0.0);
    item.fail(number, refused(422, Code::PartSizeMismatch), 320_000.0, 0.0);
    assert_eq!(item.phase, Phase::Failed(Problem::new(Code::PartSizeMismatch, "So it is.")));
}

#[test]
fn a_server_that_says_when_is_believed() {
    let mut item = sending(1);
    let number = item.take_part(0.0);
    let refusal =
        Refusal { status: 429, code: Some(Code::RateLimited), detail: "Slowly.".into(), retry_after_seconds: Some(12), missing: vec![] };
    item.fail(number, SendError::Refused(refusal), 0.0, 0.0);
    assert_eq!(item.resume_at, Some(12_000.0));
}

#[test]
fn parts_that_the_server_lacks_go_again() {
    let mut item = sending(2);
    while let Some(number) = item.take_part(0.0) {
        item.arrive(number, 0.0);
    }
    item.phase = Phase::Completing;
    let refusal = Refusal {
        status: 409,
        code: Some(Code::PartsMissing),
        detail: "Some are missing.".into(),
        retry_after_seconds: None,
        missing: vec![2],
    };
    item.fail(None, SendError::Refused(refusal), 0.0, 0.0);
    assert_eq!(item.phase, Phase::Sending);
    assert_eq!(item.take_part(0.0), Some(2));
}

#[test]
fn a_part_goes_by_its_number() {
    let mut item = sending(2);
    let url = "/api/v1/uploads/x/parts/2".to_owned();
    let way = PartWay { url: url.clone(), target_url: None, start: PART_SIZE, end: 2 * PART_SIZE };
    assert_eq!(item.part(2), Some(way.clone()));
    assert_eq!(item.part(3), None);
    item.target_url = Some("/api/v1/uploads/x/parts/{number}/target".into());
    assert_eq!(item.part(2), Some(PartWay { target_url: Some(format!("{url}/target")), ..way }));
}

#[test]
fn a_store_that_does_not_take_a_part_is_asked_again_for_ever() {
    let mut item = sending(2);
    let mut now = 0.0;
    for _ in 0..50 {
        let number = item.take_part(0.0);
        assert_eq!(number, Some(1));
        item.fail(number, SendError::Store("The storage did not take a part (403, AccessDenied).".into()), now, 0.5);
        assert!(matches!(&item.trouble, Some(Trouble::Refused(text)) if text.contains("403")));
        assert!(item.running() && !item.due(now + 1.0));
        now += 30_000.0;
    }
}

#[test]
fn what_the_server_has_is_asked_before_the_next_part_goes() {
    let mut item = sending(3);
    let number = item.take_part(0.0);
    assert!(!item.to_look());
    item.fail(number, SendError::Network, 0.0, 0.0);
    assert!(item.to_look());
    let ticket = UploadTicket { received: vec![1], ..ticket(3) };
    item.begin(ticket);
    assert!(!item.to_look());
    assert_eq!(item.take_part(0.0), Some(2));
}

#[test]
fn a_continued_file_begins_with_what_the_server_has() {
    let ticket = UploadTicket { received: vec![1, 3], ..ticket(4) };
    let upload = UnfinishedUpload {
        upload_id: ticket.upload_id,
        video_id: ticket.video_id,
        file_name: "clip.mp4".into(),
        size: ticket.plan.file_size,
        percent: 25,
        fingerprint: None,
        updated_at_ms: 0,
        expires_at_ms: 1,
    };
    let mut item = Item::continued(ItemKey(1), &upload);
    assert!(item.to_look() && item.due(0.0));
    item.begin(ticket.clone());
    assert_eq!((item.percent(), item.take_part(0.0), item.take_part(0.0), item.take_part(0.0)), (50, Some(2), Some(4), None));

    let mut other = Item::continued(ItemKey(2), &UnfinishedUpload { size: 5, ..upload });
    other.begin(ticket);
    assert!(matches!(other.phase, Phase::Failed(_)), "{other:?}");
}

#[test]
fn an_upload_that_was_discarded_elsewhere_ends_and_one_of_another_account_waits() {
    let mut item = sending(1);
    item.fail(None, SendError::OtherAccount("ada@example.org".into()), 0.0, 0.0);
    assert_eq!((item.running(), item.trouble.clone()), (true, Some(Trouble::OtherAccount("ada@example.org".into()))));
    assert!(item.to_look(), "no part is sent to find out who is signed in");
    item.fail(None, refused(404, Code::NotFound), 60_000.0, 0.0);
    assert_eq!(item.phase, Phase::Failed(Problem::new(Code::NotFound, words::GONE)));
}
