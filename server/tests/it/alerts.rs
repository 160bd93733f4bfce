//! Alerts: what is wrong is told once, whoever sees it; what is not taken is sent again under the same id; when it is over, that is told too.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use domain::{alert::AlertKind, error::Code};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use serde_json::Value;
use server::{
    adapters::{alert_mail::MailChannel, alert_webhook::WebhookChannel},
    db::entity::{alert_notices, alerts, jobs},
    ports::alert_channel::{AlertChannel, ChannelError, Notice},
    services::alerts::{Alerts, try_out},
};
use standardwebhooks::Webhook;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::{Notify, mpsc},
};
use uuid::Uuid;

use crate::app::App;

const SECRET: &str = "whsec_dGVzdHMgb2Ygd2ViaG9va3MgaGF2ZSBhIHNlY3JldA==";
/// Every disk has less.
const FULL: (&str, &str) = ("MILLRACE_ALERTS_LOW_DISK_BYTES", "1000000000000000000");

/// What a receiver got: the id and the message, once the signature is checked.
type Got = Arc<Mutex<Vec<(String, Value)>>>;

/// A receiver that checks signatures and answers with these statuses, then with 200.
struct Receiver {
    url: String,
    got: Got,
}

#[derive(Clone)]
struct Desk {
    got: Got,
    statuses: Arc<Mutex<VecDeque<u16>>>,
}

async fn take(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let verified = Webhook::new(SECRET).expect("a secret").verify(&body, &headers);
    assert!(verified.is_ok(), "{verified:?}");
    let mut forged = body.to_vec();
    forged.push(b' ');
    assert!(Webhook::new(SECRET).expect("a secret").verify(&forged, &headers).is_err());
    let id = headers["webhook-id"].to_str().expect("text").to_owned();
    desk.got.lock().expect("nobody panicked").push((id, serde_json::from_slice(&body).expect("JSON")));
    let status = desk.statuses.lock().expect("nobody panicked").pop_front().unwrap_or(200);
    StatusCode::from_u16(status).expect("a status")
}

impl Receiver {
    async fn answering(statuses: &[u16]) -> Self {
        let got = Got::default();
        let desk = Desk { got: Arc::clone(&got), statuses: Arc::new(Mutex::new(statuses.iter().copied().collect())) };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let router = Router::new().route("/hook", post(take)).with_state(desk);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, got }
    }

    fn channel(&self) -> Arc<dyn AlertChannel> {
        Arc::new(WebhookChannel::new(&self.url, SECRET, true).expect("a channel"))
    }

    fn got(&self) -> Vec<(String, Value)> {
        self.got.lock().expect("nobody panicked").clone()
    }

    /// Kinds of messages, in order.
    fn types(&self) -> Vec<String> {
        self.got().iter().map(|(_, message)| message["type"].as_str().expect("a type").to_owned()).collect()
    }
}

fn telling(app: &App, channel: Arc<dyn AlertChannel>) -> Alerts {
    app.state.alerts.clone().telling(vec![channel])
}

/// Makes what waits due, as time does.
async fn let_time_pass(app: &App) {
    let due = alert_notices::Entity::update_many().col_expr(alert_notices::Column::DueAtMs, Expr::value(0));
    due.filter(alert_notices::Column::State.eq(alert_notices::WAITING)).exec(&app.db).await.expect("written");
}

async fn notices(app: &App) -> Vec<alert_notices::Model> {
    alert_notices::Entity::find().order_by_asc(alert_notices::Column::Id).all(&app.db).await.expect("read")
}

#[tokio::test]
async fn a_disk_that_fills_up_is_told_once_by_several_processes_and_so_is_its_end() {
    let app = App::with(&[FULL]).await;
    let other = app.other_process().await;
    let receiver = Receiver::answering(&[]).await;
    let (here, there) = (telling(&app, receiver.channel()), telling(&app, receiver.channel()));
    for _ in 0..3 {
        let (one, two) = tokio::join!(here.look(), there.look());
        one.and(two).expect("looked");
        let (one, two) = tokio::join!(here.send_due(), there.send_due());
        one.and(two).expect("sent");
    }
    assert_eq!(receiver.types(), ["alert.opened"]);
    let (id, message) = receiver.got().remove(0);
    assert!(id.starts_with("msg_") && message["data"]["kind"] == "low_disk" && message["data"]["server"] == app.state.settings.public_url);
    assert!(message["data"]["detail"].as_str().is_some_and(|detail| detail.contains("Make room")), "{message}");

    // After the time between two reminders it is told again, and no more.
    let told = alerts::Entity::update_many().col_expr(alerts::Column::ToldAtMs, Expr::value(0));
    told.filter(alerts::Column::IsOpen.eq(true)).exec(&app.db).await.expect("written");
    let (one, two) = tokio::join!(here.look(), there.look());
    one.and(two).expect("looked");
    here.send_due().await.expect("sent");
    assert_eq!(receiver.types(), ["alert.opened", "alert.reminder"]);

    // The other process sees room: its settings say so.
    let roomy = telling(&other, receiver.channel());
    for _ in 0..2 {
        roomy.look().await.expect("looked");
        roomy.send_due().await.expect("sent");
    }
    assert_eq!(receiver.types(), ["alert.opened", "alert.reminder", "alert.resolved"]);
    assert!(notices(&app).await.iter().all(|notice| notice.state == alert_notices::SENT));
}

#[tokio::test]
async fn a_receiver_that_fails_gets_the_same_message_again_and_is_given_up_after_a_day() {
    let app = App::with(&[FULL]).await;
    let receiver = Receiver::answering(&[500, 503, 307]).await;
    let alerts = telling(&app, receiver.channel());
    alerts.look().await.expect("looked");
    for tries in 1..=3_usize {
        alerts.send_due().await.expect("tried");
        alerts.send_due().await.expect("nothing is due");
        let row = notices(&app).await.remove(0);
        assert_eq!(
            (receiver.got().len(), row.state.as_str(), row.attempt),
            (tries, alert_notices::WAITING, i32::try_from(tries).expect("few"))
        );
        assert!(row.last_error.is_some_and(|error| error.contains("answers")), "it says what was wrong");
        let_time_pass(&app).await;
    }
    alerts.send_due().await.expect("sent");
    let ids: std::collections::BTreeSet<_> = receiver.got().into_iter().map(|(id, _)| id).collect();
    assert_eq!((receiver.got().len(), ids.len()), (4, 1), "one message, however often it is sent");
    assert_eq!(notices(&app).await[0].state, alert_notices::SENT);

    // Another one, which nobody takes for a day.
    let closed = Arc::new(WebhookChannel::new("http://127.0.0.1:1/", SECRET, true).expect("a channel"));
    let alerts = telling(&app, closed);
    alerts::Entity::delete_many().exec(&app.db).await.expect("forgotten");
    alerts.look().await.expect("looked");
    alerts.send_due().await.expect("tried");
    let old = alert_notices::Entity::update_many().col_expr(alert_notices::Column::CreatedAtMs, Expr::value(0));
    old.filter(alert_notices::Column::State.eq(alert_notices::WAITING)).exec(&app.db).await.expect("written");
    let_time_pass(&app).await;
    alerts.send_due().await.expect("tried");
    let_time_pass(&app).await;
    alerts.send_due().await.expect("nothing is left");
    let owner = app.somebody("ada@example.com").await;
    let shown = alerts.shown(owner.user).await.expect("an owner");
    assert_eq!((shown.lost.len(), shown.open.len(), shown.open[0].kind), (1, 1, AlertKind::LowDisk));
    let member = app.somebody("eve@example.com").await;
    let refused = domain::error::Problem::from(alerts.shown(member.user).await.expect_err("no owner"));
    assert_eq!(refused.code, Code::Forbidden);
}

/// Sends, and never comes back to say so.
#[derive(Debug)]
struct Dying {
    inner: Arc<dyn AlertChannel>,
    sent: Notify,
}

#[async_trait::async_trait]
impl AlertChannel for Dying {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn send(&self, notice: &Notice) -> Result<(), ChannelError> {
        self.inner.send(notice).await?;
        self.sent.notify_one();
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_process_that_dies_between_sending_and_noting_sends_the_same_message_again() {
    let app = App::with(&[FULL]).await;
    let receiver = Receiver::answering(&[]).await;
    let dying = Arc::new(Dying { inner: receiver.channel(), sent: Notify::new() });
    let alerts = telling(&app, dying.clone());
    alerts.look().await.expect("looked");
    let sending = tokio::spawn(async move { alerts.send_due().await });
    dying.sent.notified().await;
    sending.abort();
    let next = telling(&app, receiver.channel());
    next.send_due().await.expect("the other one has claimed it");
    assert_eq!(receiver.got().len(), 1);
    let_time_pass(&app).await;
    next.send_due().await.expect("sent");
    let got = receiver.got();
    assert!(got.len() == 2 && got[0] == got[1], "{got:?}");
}

#[tokio::test]
async fn private_places_are_not_told_unless_the_settings_allow_it() {
    let receiver = Receiver::answering(&[]).await;
    let port = receiver.url.split(':').next_back().expect("a port").to_owned();
    for host in ["127.0.0.1", "localhost", "[::1]", "2130706433", "hooks.internal"] {
        let channel: Arc<dyn AlertChannel> =
            Arc::new(WebhookChannel::new(&format!("http://{host}:{port}"), SECRET, false).expect("a channel"));
        let went = try_out(&[channel], "http://127.0.0.1:3000").await.remove(0);
        assert!(went.1.is_err_and(|error| error.0.contains("private network") || error.0.contains("plain http")), "{host}");
    }
    assert!(receiver.got().is_empty());
    assert!(try_out(&[receiver.channel()], "http://127.0.0.1:3000").await.remove(0).1.is_ok());
    assert_eq!(receiver.types(), ["alert.test"]);
}

#[tokio::test]
async fn a_queue_that_nobody_works_on_and_videos_that_failed_are_told() {
    let app = App::with(&[("MILLRACE_ALERTS_LOW_DISK_BYTES", "0")]).await;
    let receiver = Receiver::answering(&[]).await;
    let alerts = telling(&app, receiver.channel());
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "Secret title.mp4", b"no video").await;
    alerts.look().await.expect("looked");
    assert!(notices(&app).await.is_empty(), "it has only just come");
    let set = |column: jobs::Column, value: Expr| jobs::Entity::update_many().col_expr(column, value);
    set(jobs::Column::CreatedAtMs, Expr::value(1)).exec(&app.db).await.expect("written");
    alerts.look().await.expect("looked");
    set(jobs::Column::State, Expr::value("failed")).exec(&app.db).await.expect("written");
    set(jobs::Column::FailureCode, Expr::value("not_a_video")).exec(&app.db).await.expect("written");
    alerts.look().await.expect("looked");
    set(jobs::Column::FailureCode, Expr::value("processing_failed")).exec(&app.db).await.expect("written");
    alerts.look().await.expect("looked");
    alerts.send_due().await.expect("sent");
    assert_eq!(receiver.types(), ["alert.opened", "alert.resolved", "alert.opened"], "a bad file is nobody's alert");
    let kinds: Vec<_> = receiver.got().iter().map(|(_, message)| message["data"]["kind"].as_str().expect("a kind").to_owned()).collect();
    assert_eq!(kinds, ["no_worker", "no_worker", "failed_videos"]);
    let said = receiver.got().iter().map(|(_, message)| message.to_string()).collect::<String>();
    assert!(said.contains(&video) && !said.contains("Secret title") && !said.contains("ada@"), "{said}");
}

/// From now on so many of the videos have failed by a fault on our side; the others wait.
async fn let_fail(app: &App, count: usize) {
    let query = jobs::Entity::find().order_by_asc(jobs::Column::Id).select_only().column(jobs::Column::Id);
    let ids: Vec<Uuid> = query.into_tuple().all(&app.db).await.expect("read");
    let (failed, waiting) = ids.split_at(count);
    for (ids, state, code) in [(failed, "failed", Some("processing_failed")), (waiting, "queued", None)] {
        let update = jobs::Entity::update_many()
            .col_expr(jobs::Column::State, Expr::value(state))
            .col_expr(jobs::Column::FailureCode, Expr::value(code));
        update.filter(jobs::Column::Id.is_in(ids.iter().copied())).exec(&app.db).await.expect("written");
    }
}

#[tokio::test]
async fn more_and_more_failures_are_told_at_each_doubling() {
    let app = App::with(&[("MILLRACE_ALERTS_LOW_DISK_BYTES", "0")]).await;
    let receiver = Receiver::answering(&[]).await;
    let (here, there) = (telling(&app, receiver.channel()), telling(&app, receiver.channel()));
    let ada = app.somebody("ada@example.com").await;
    for _ in 0..13 {
        app.upload(&ada, "clip.mp4", b"no video").await;
    }
    // What is told at each number of failures: from three on at the double, and again when it has become better and then worse.
    let (opened, worse) = ("alert.opened", "alert.worse");
    let told: [(usize, &[&str]); 9] =
        [(1, &[opened]), (2, &[]), (5, &[]), (6, &[worse]), (11, &[]), (12, &[worse]), (4, &[]), (7, &[]), (8, &[worse])];
    let mut expected = Vec::new();
    for (count, news) in told {
        let_fail(&app, count).await;
        for _ in 0..2 {
            let (one, two) = tokio::join!(here.look(), there.look());
            one.and(two).expect("looked");
        }
        here.send_due().await.expect("sent");
        expected.extend_from_slice(news);
        assert_eq!(receiver.types(), expected, "{count} failures");
    }
    let (_, last) = receiver.got().pop().expect("a message");
    assert!(last["data"]["detail"].as_str().is_some_and(|detail| detail.starts_with("8 videos")), "{last}");
}

/// A mail server that takes one message a connection; gives what it was told.
async fn mail_server() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://{}", listener.local_addr().expect("an address"));
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (read, mut write) = socket.into_split();
            let (mut lines, mut all, mut data) = (BufReader::new(read).lines(), String::new(), false);
            write.write_all(b"220 sink\r\n").await.expect("answered");
            while let Ok(Some(line)) = lines.next_line().await {
                all.push_str(&line);
                all.push('\n');
                let answer: &[u8] = match line.as_str() {
                    "." if data => {
                        data = false;
                        let _ = tell.send(std::mem::take(&mut all));
                        b"250 taken\r\n"
                    }
                    _ if data => continue,
                    "DATA" => {
                        data = true;
                        b"354 go on\r\n"
                    }
                    "QUIT" => b"221 bye\r\n",
                    _ => b"250 sink\r\n",
                };
                write.write_all(answer).await.expect("answered");
            }
        }
    });
    (url, told)
}

#[tokio::test]
async fn alerts_come_by_mail() {
    let app = App::with(&[FULL]).await;
    let (url, mut told) = mail_server().await;
    let channel =
        MailChannel::new(&url, "Millrace <millrace@example.com>", "ops@example.com, Grace <grace@example.com>").expect("a channel");
    let alerts = telling(&app, Arc::new(channel));
    alerts.look().await.expect("looked");
    alerts.send_due().await.expect("sent");
    let mail = told.recv().await.expect("a mail");
    for part in
        ["MAIL FROM:<millrace@example.com>", "RCPT TO:<ops@example.com>", "RCPT TO:<grace@example.com>", "Subject: [Millrace] A disk"]
    {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    let row = notices(&app).await.remove(0);
    assert!(mail.contains(&format!("<{}@", row.id)) && row.state == alert_notices::SENT && row.channel == "email");

    let secret = "smtp://ada:planted-word@127.0.0.1:1";
    let channel: Arc<dyn AlertChannel> = Arc::new(MailChannel::new(secret, "a@example.com", "b@example.com").expect("a channel"));
    let said = format!("{channel:?} {:?}", try_out(std::slice::from_ref(&channel), "x").await);
    assert!(!said.contains("planted-word") && said.contains("Err"), "{said}");
    for (from, to) in [("nobody", "b@example.com"), ("a@example.com", "b@")] {
        let refused = MailChannel::new(secret, from, to).expect_err("no address");
        assert!(refused.contains("alerts.") && !refused.contains("planted-word"), "{refused}");
    }
}
