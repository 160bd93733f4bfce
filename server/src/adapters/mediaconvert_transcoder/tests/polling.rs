//! How an encode goes on: by reports, by asking, and by whichever of the two comes first.

use domain::failure::FailureCode;

use super::*;

fn progressing(request: &TranscodeRequest, percent: u8) -> (u16, Value) {
    let mut job = job("1-a", "PROGRESSING", request.generation);
    job["jobPercentComplete"] = json!(percent);
    (200, json!({ "job": job }))
}

#[tokio::test]
async fn reports_alone_bring_it_to_its_end_in_whatever_order_they_come() {
    let bench = Bench::new().await;
    let ours = request(facts(320, 180));
    bench.put_output(ours.generation).await;
    let id = bench.start(&ours).await;
    let percent = async || match bench.transcoder.poll(&id).await {
        Ok(TranscodeState::Running { percent, poster: false, .. }) => percent,
        other => panic!("{other:?}"),
    };
    for (at_ms, told, expected) in [(10, 40, 40), (20, 30, 40), (20, 30, 40), (5, 20, 40), (30, 100, 99)] {
        bench.transcoder.hear(&report(&ours, &id, at_ms, EncodeNews::Progress { percent: told }));
        assert_eq!(percent().await, expected);
    }
    // Of another encode, and of this one for another job.
    bench.transcoder.hear(&report(&ours, &TranscodeId("9-z".into()), 40, EncodeNews::Canceled));
    bench.transcoder.hear(&report(&request(facts(320, 180)), &id, 40, EncodeNews::Canceled));
    for _ in 0..2 {
        bench.transcoder.hear(&report(&ours, &id, 50, EncodeNews::Done));
        bench.transcoder.hear(&report(&ours, &id, 45, EncodeNews::Progress { percent: 60 }));
    }
    let (over, seen) = bench.finish(&id).await;
    let Ok(TranscodeState::Done { renditions, poster: true }) = over else { panic!("{over:?}") };
    assert_eq!(renditions.len(), 2);
    assert!(seen.iter().all(|percent| *percent == 99), "{seen:?}");
    assert!(bench.calls(Operation::Get).is_empty(), "nothing had to be asked");
    assert!(matches!(bench.transcoder.poll(&id).await, Err(TranscodeError::Engine(_))), "told once, forgotten then");
}

#[tokio::test]
async fn the_poller_finds_out_what_no_report_said_and_a_busy_service_is_no_failure() {
    let bench = Bench::new().await;
    let ours = request(facts(320, 180));
    bench.put_output(ours.generation).await;
    let id = bench.start(&ours).await;
    let answers = [
        (429, refusal("TooManyRequestsException")),
        progressing(&ours, 30),
        (500, refusal("InternalServerErrorException")),
        progressing(&ours, 20),
        (200, json!({ "job": job("1-a", "COMPLETE", ours.generation) })),
    ];
    bench.answers(Operation::Get, answers);
    let (over, seen) = bench.finish(&id).await;
    assert!(matches!(over, Ok(TranscodeState::Done { .. })), "{over:?}");
    assert!(seen.is_sorted() && seen.contains(&30), "{seen:?}");
    assert_eq!(bench.calls(Operation::Get).len(), 5, "asked every so often, not at every look");
}

#[tokio::test]
async fn news_put_off_the_next_question_and_old_news_do_not() {
    let bench = Bench::new().await;
    let ours = request(facts(320, 180));
    let id = bench.start(&ours).await;
    bench.answers(Operation::Get, [progressing(&ours, 50)]);
    let watch = async |fresh: bool| {
        for round in 0..20 {
            let at_ms = if fresh { round } else { 20 };
            bench.transcoder.hear(&report(&ours, &id, at_ms, EncodeNews::Progress { percent: 1 }));
            bench.transcoder.poll(&id).await.expect("running");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bench.calls(Operation::Get).len()
    };
    assert_eq!(watch(true).await, 0);
    assert!(watch(false).await >= 2, "the same report again is no sign of life");
}

#[tokio::test]
async fn a_job_that_ends_badly_says_whose_fault_it_is() {
    let bench = Bench::new().await;
    for (code, expected) in [(1030, Some(FailureCode::UnsupportedCodec)), (1401, None)] {
        let ours = request(facts(320, 180));
        let id = bench.start(&ours).await;
        let mut failed = job("1-a", "ERROR", ours.generation);
        failed["errorCode"] = json!(code);
        failed["errorMessage"] = json!("in words");
        bench.answers(Operation::Get, [(200, json!({ "job": failed }))]);
        let asked = bench.finish(&id).await.0.expect_err("it failed");
        let id = bench.start(&ours).await;
        bench.transcoder.hear(&report(&ours, &id, 1, EncodeNews::Failed { code: code.to_string(), detail: "in words".into() }));
        let told = bench.finish(&id).await.0.expect_err("it failed");
        assert_eq!(asked.to_string(), told.to_string());
        match (asked, expected) {
            (TranscodeError::Source { code, .. }, Some(expected)) => assert_eq!(code, expected),
            (TranscodeError::Engine(detail), None) => assert!(detail.contains("1401") && detail.contains("in words"), "{detail}"),
            (other, _) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn what_asking_again_cannot_mend_ends_the_attempt_in_words() {
    let bench = Bench::new().await;
    for (status, kind) in [(403, "AccessDeniedException"), (404, "NotFoundException")] {
        let id = bench.start(&request(facts(320, 180))).await;
        bench.answers(Operation::Get, [(status, refusal(kind))]);
        let over = bench.finish(&id).await.0;
        assert!(matches!(&over, Err(TranscodeError::Engine(detail)) if detail.contains(kind)), "{over:?}");
    }
    let ours = request(facts(320, 180));
    let id = bench.start(&ours).await;
    bench.transcoder.hear(&report(&ours, &id, 1, EncodeNews::Canceled));
    assert!(matches!(bench.finish(&id).await.0, Err(TranscodeError::Engine(detail)) if detail.contains("canceled")));
}

#[tokio::test]
async fn an_end_without_output_is_the_machinerys_fault() {
    let bench = Bench::new().await;
    let ours = request(facts(320, 180));
    let id = bench.start(&ours).await;
    bench.transcoder.hear(&report(&ours, &id, 1, EncodeNews::Done));
    let over = bench.finish(&id).await.0;
    assert!(matches!(&over, Err(TranscodeError::Engine(detail)) if detail.contains("index.m3u8 is missing")), "{over:?}");
}
