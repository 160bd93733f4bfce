//! Alerts by e-mail (SMTP).

use std::{fmt, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailboxes, header::ContentType},
};

use crate::ports::alert_channel::{AlertChannel, ChannelError, Event, Notice};

/// A mail server that does not answer for so long does not answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where e-mail goes.
pub struct MailChannel {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailboxes,
    to: Mailboxes,
}

impl fmt::Debug for MailChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailChannel").field("to", &self.to).finish_non_exhaustive()
    }
}

impl MailChannel {
    /// From an address to others, by the server at `url`.
    ///
    /// # Errors
    /// A sentence that names the setting which cannot be used; never the URL, which may hold a password.
    pub fn new(url: &str, from: &str, to: &str) -> Result<Self, String> {
        let addresses = |name: &str, text: &str| {
            let parsed: Result<Mailboxes, _> = text.parse();
            parsed.map_err(|error| format!("the setting `{name}` is no e-mail address: {error}"))
        };
        let transport =
            AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|error| format!("cannot use `alerts.smtp_url`: {error}"))?;
        Ok(Self {
            transport: transport.timeout(Some(PATIENCE)).build(),
            from: addresses("alerts.from", from)?,
            to: addresses("alerts.to", to)?,
        })
    }

    fn message(&self, notice: &Notice) -> Result<Message, lettre::error::Error> {
        let matter = &notice.data;
        let lead = match notice.event {
            Event::Opened | Event::Test => "",
            Event::Worse => "Worse: ",
            Event::Reminder => "Still: ",
            Event::Resolved => "Over: ",
        };
        let mut message = Message::builder()
            // A server that gets it twice may know it by this.
            .message_id(Some(format!("<{}@millrace.invalid>", notice.id)))
            .subject(format!("[Millrace] {lead}{}", matter.summary))
            .header(ContentType::TEXT_PLAIN);
        for mailbox in self.from.iter().take(1) {
            message = message.from(mailbox.clone());
        }
        for mailbox in self.to.iter() {
            message = message.to(mailbox.clone());
        }
        message.body(format!("{}\n\nServer: {}\nTime: {}\n", matter.detail, matter.server, notice.timestamp))
    }
}

#[async_trait::async_trait]
impl AlertChannel for MailChannel {
    fn name(&self) -> &'static str {
        "email"
    }

    async fn send(&self, notice: &Notice) -> Result<(), ChannelError> {
        let message = self.message(notice).map_err(|error| ChannelError(error.to_string()))?;
        self.transport.send(message).await.map_err(|error| ChannelError(error.to_string()))?;
        Ok(())
    }
}
