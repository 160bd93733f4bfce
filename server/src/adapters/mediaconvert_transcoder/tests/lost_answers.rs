//! Answers and processes that get lost: no second job is made where the first can be found.

use super::*;

async fn tried(bench: &Bench, request: &TranscodeRequest) -> Result<TranscodeId, String> {
    bench.transcoder.start(request.clone()).await.map_err(|error| match error {
        TranscodeError::Engine(detail) | TranscodeError::Passing(detail) | TranscodeError::Full(detail) => detail,
        TranscodeError::Source { .. } => panic!("the file is not to blame: {error}"),
    })
}

fn page(jobs: &[Value], next: Option<&str>) -> (u16, Value) {
    (200, json!({ "jobs": jobs, "nextToken": next }))
}

#[tokio::test]
async fn a_job_whose_submission_got_no_answer_is_found_by_its_metadata() {
    let bench = Bench::new().await;
    let (ours, other) = (request(facts(320, 180)), request(facts(320, 180)));
    bench.answers(Operation::Create, [(500, refusal("InternalServerErrorException"))]);
    let others = [job("2-x", "PROGRESSING", other.generation), job("2-y", "ERROR", ours.generation)];
    bench.answers(Operation::List, [page(&others, Some("more")), page(&[job("1-a", "SUBMITTED", ours.generation)], None)]);
    assert_eq!(tried(&bench, &ours).await, Ok(TranscodeId("1-a".into())), "the one that can still end well");
    assert_eq!(bench.calls(Operation::Create).len(), 1);
    let lists = bench.calls(Operation::List);
    assert!(lists[0].0.contains("order=DESCENDING") && lists[0].0.contains("queue=millrace"), "{lists:?}");
    assert!(lists[1].0.contains("nextToken=more"), "{lists:?}");
}

#[tokio::test]
async fn what_was_surely_refused_is_not_looked_for() {
    let bench = Bench::new().await;
    for (status, kind) in [(400, "BadRequestException"), (403, "AccessDeniedException"), (429, "TooManyRequestsException")] {
        bench.answers(Operation::Create, [(status, refusal(kind))]);
        let said = tried(&bench, &request(facts(320, 180))).await.expect_err(kind);
        assert!(said.contains(kind) && said.contains("in words"), "{said}");
    }
    assert!(bench.calls(Operation::List).is_empty());
}

#[tokio::test]
async fn the_search_ends_where_jobs_are_older_than_the_generation() {
    let bench = Bench::new().await;
    let ours = request(facts(320, 180));
    let mut old = job("0-x", "COMPLETE", GenerationId(Uuid::now_v7()));
    old["createdAt"] = json!(ours.generation.0.get_timestamp().expect("version 7").to_unix().0 - 61);
    bench.answers(Operation::Create, [(503, refusal("ServiceUnavailable"))]);
    bench.answers(Operation::List, [page(&[old], Some("more"))]);
    assert!(tried(&bench, &ours).await.is_err());
    assert_eq!(bench.calls(Operation::List).len(), 1);
}

#[tokio::test]
async fn the_next_process_goes_on_with_a_job_that_can_still_end_well() {
    let bench = Bench::new().await;
    let ours = request(facts(320, 180));
    let known = TranscodeId("1-a".into());
    for (status, goes_on) in [("SUBMITTED", true), ("PROGRESSING", true), ("COMPLETE", true), ("ERROR", false), ("CANCELED", false)] {
        bench.answers(Operation::Get, [(200, json!({ "job": job("1-a", status, ours.generation) }))]);
        let resumed = bench.transcoder.resume(&ours, Some(&known)).await.expect("an answer");
        assert_eq!(resumed.is_some(), goes_on, "{status}");
        bench.answers(Operation::List, [page(&[job("1-a", status, ours.generation)], None)]);
        let resumed = bench.transcoder.resume(&ours, None).await.expect("an answer");
        assert_eq!(resumed.is_some(), goes_on, "{status}, found");
    }
    bench.answers(Operation::Get, [(404, refusal("NotFoundException"))]);
    assert_eq!(bench.transcoder.resume(&ours, Some(&known)).await.expect("an answer"), None);
    bench.answers(Operation::Get, [(429, refusal("TooManyRequestsException"))]);
    assert!(bench.transcoder.resume(&ours, Some(&known)).await.is_err(), "not known is not the same as not there");
}

#[tokio::test]
async fn a_resumed_job_that_was_over_long_ago_is_done_at_once() {
    let bench = Bench::new().await;
    let ours = request(facts(320, 180));
    bench.put_output(ours.generation).await;
    bench.answers(Operation::Get, [(200, json!({ "job": job("1-a", "COMPLETE", ours.generation) }))]);
    let id = bench.transcoder.resume(&ours, Some(&TranscodeId("1-a".into()))).await.expect("an answer").expect("there");
    assert!(matches!(bench.finish(&id).await.0, Ok(TranscodeState::Done { poster: true, .. })));
}

#[tokio::test]
async fn a_job_that_is_over_is_as_good_as_canceled() {
    let bench = Bench::new().await;
    let id = TranscodeId("1-a".into());
    for (status, kind) in [(404, "NotFoundException"), (409, "ConflictException"), (400, "BadRequestException")] {
        bench.answers(Operation::Cancel, [(status, refusal(kind))]);
        bench.transcoder.cancel(&id).await.expect(kind);
    }
    bench.answers(Operation::Cancel, [(403, refusal("ForbiddenException"))]);
    assert!(matches!(bench.transcoder.cancel(&id).await, Err(TranscodeError::Engine(_))));
    for (status, kind) in [(429, "TooManyRequestsException"), (500, "InternalServerErrorException")] {
        bench.answers(Operation::Cancel, [(status, refusal(kind))]);
        assert!(matches!(bench.transcoder.cancel(&id).await, Err(TranscodeError::Passing(_))), "{kind}");
    }
}
