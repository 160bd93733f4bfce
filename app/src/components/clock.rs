//! What time it is for the reader. Nothing on the server and in the first moment in the browser, so that both draw the same page; then the
//! browser's own clock, twice a minute.

use gloo_timers::future::TimeoutFuture;
use leptos::{prelude::*, task::spawn_local};

use super::words;

/// Milliseconds of the Unix epoch, once the page has come to life.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    now_ms: RwSignal<Option<i64>>,
}

impl Clock {
    /// A clock in the context.
    pub fn provide() -> Self {
        let clock = Self { now_ms: RwSignal::new(None) };
        provide_context(clock);
        Effect::new(move |_| {
            spawn_local(async move {
                loop {
                    clock.now_ms.set(Some(js_sys::Date::now() as i64));
                    TimeoutFuture::new(30_000).await;
                }
            });
        });
        clock
    }

    /// Whether the page has come to life: what only works with scripts shows itself then.
    pub fn alive(self) -> bool {
        self.now_ms.with(Option::is_some)
    }

    /// The time, once known.
    pub fn now_ms(self) -> Option<i64> {
        self.now_ms.get()
    }
}

/// A moment: its date, then its age.
#[component]
pub fn Moment(
    /// Milliseconds of the Unix epoch.
    at_ms: i64,
) -> impl IntoView {
    let clock = expect_context::<Clock>();
    let text = move || clock.now_ms().map_or_else(|| words::date(at_ms), |now| words::age(at_ms, now));
    view! { <time class="num" datetime=words::timestamp(at_ms) title=words::date_and_time(at_ms)>{text}</time> }
}
