//! The address that users are given: does Millrace answer there, and from where can it be reached?

use server::{
    adapters::{
        check::Check,
        outgoing::{Outgoing, OutgoingError, Refused},
    },
    config::Settings,
};

const NAME: &str = "public address";

/// Asks `public_url` for the health that a running server tells. First as a stranger's client would, which goes to no private place; the
/// operator chose this one, so then all the same.
pub(super) async fn check(settings: &Settings) -> Check {
    let url = format!("{}/healthz", settings.public_url);
    let (answer, private) = match Outgoing::public().get(&url).await {
        Err(OutgoingError::Refused(Refused::Private | Refused::Port)) => (Outgoing::anywhere().get(&url).await, true),
        answer => (answer, false),
    };
    let place = &settings.public_url;
    match answer {
        Ok(answer) if answer.status == 200 && answer.body == b"ok\n" && private => {
            let advice = "Set `public_url` to an address of the internet when others than your own network are to watch.";
            Check::note(NAME, format!("{place} answers; it can be reached from this machine or its network alone"), advice)
        }
        Ok(answer) if answer.status == 200 && answer.body == b"ok\n" => Check::good(NAME, format!("{place} answers")),
        Ok(answer) => {
            let advice =
                format!("Let the proxy in front hand its requests on to {} (setting `bind`), or correct `public_url`.", settings.bind);
            Check::bad(NAME, format!("{place} answers with status {}, and not as Millrace does", answer.status), advice)
        }
        Err(error @ OutgoingError::Refused(_)) => Check::bad(NAME, format!("{place}: {error}"), "Correct the setting `public_url`."),
        // Nothing is wrong with looking before the start.
        Err(error) => {
            Check::note(NAME, format!("{place}: {error}"), "If Millrace runs already, see to the proxy in front and to `public_url`.")
        }
    }
}
