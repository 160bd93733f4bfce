//! How many requests somebody may send: an account where one is signed in, else an address. Counters are this process's own, in memory.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::{FromRef, FromRequestParts, MatchedPath, Request, State},
    http::request::Parts,
    middleware::Next,
    response::Response,
};
use domain::{
    error::{Code, Problem},
    ids::UserId,
};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

use super::{AppState, PIECE_ROUTES, client_address::ClientAddress, problem::Refusal, refused::Asker, viewer::MaybeViewer};
use crate::config::HttpSettings;

/// Tries to create an account or to change a password, of one address: 10, then one every 30 s. Signing in has counters of its own.
const DOOR: (u32, Duration) = (10, Duration::from_secs(30));
/// Checks between two looks at how many counters there are, and how many it takes to sweep them.
const LOOK_EVERY: u32 = 1_024;
const COUNTERS: usize = 10_000;

/// Who has sent how much. Clones count together.
#[derive(Debug, Clone)]
pub struct RateLimits(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    address: Option<DefaultKeyedRateLimiter<IpAddr>>,
    account: Option<DefaultKeyedRateLimiter<UserId>>,
    door: DefaultKeyedRateLimiter<IpAddr>,
    checks: AtomicU32,
}

impl RateLimits {
    /// Nobody has sent anything yet.
    pub fn new(settings: &HttpSettings) -> Self {
        // A page that opens asks for several things at once, so a minute's requests may come in a moment.
        let per_minute = |requests: u32| NonZeroU32::new(requests).map(Quota::per_minute);
        let (burst, refill) = DOOR;
        let door = Quota::with_period(refill).expect("the period is not zero").allow_burst(NonZeroU32::new(burst).expect("not zero"));
        Self(Arc::new(Counters {
            address: per_minute(settings.requests_per_minute_address).map(RateLimiter::keyed),
            account: per_minute(settings.requests_per_minute_account).map(RateLimiter::keyed),
            door: RateLimiter::keyed(door),
            checks: AtomicU32::new(0),
        }))
    }

    /// Counts a try to create an account or to change a password.
    ///
    /// # Errors
    /// There were too many.
    pub fn at_the_door(&self, address: IpAddr) -> Result<(), Problem> {
        self.sweep();
        check(&self.0.door, &network(address))
    }

    fn request(&self, account: Option<UserId>, address: IpAddr) -> Result<(), Problem> {
        self.sweep();
        match account {
            Some(account) => self.0.account.as_ref().map_or(Ok(()), |limiter| check(limiter, &account)),
            None => self.0.address.as_ref().map_or(Ok(()), |limiter| check(limiter, &network(address))),
        }
    }

    /// Lets go of who has sent nothing for long enough, once there are so many that it matters.
    fn sweep(&self) {
        let Counters { address, account, door, checks } = &*self.0;
        if !checks.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK_EVERY) {
            return;
        }
        for limiter in address.iter().chain([door]).filter(|limiter| limiter.len() > COUNTERS) {
            limiter.retain_recent();
        }
        if let Some(limiter) = account.as_ref().filter(|limiter| limiter.len() > COUNTERS) {
            limiter.retain_recent();
        }
    }
}

fn check<K: Clone + Eq + std::hash::Hash>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), Problem> {
    limiter.check_key(key).map_err(|until| {
        let seconds = until.wait_time_from(limiter.clock().now()).as_secs() + 1;
        let mut problem = Problem::new(Code::RateLimited, format!("Too many requests. Wait {seconds} s and try again."));
        problem.retry_after_seconds = Some(seconds);
        problem
    })
}

/// What one customer of a provider has: one IPv4 address, or an IPv6 network of 64 bits.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address => address,
    }
}

/// Counts a request and refuses it where there are too many. It has to stand inside the sessions' layer; whom it finds there, handlers need
/// not look up again.
pub async fn limit(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let asker = Asker::of(&request);
    let (mut parts, body) = request.into_parts();
    // Wrong credentials are nobody's; the handler says what is wrong with them.
    let known = MaybeViewer::from_request_parts(&mut parts, &state).await.ok();
    let account = known.as_ref().and_then(|MaybeViewer(viewer)| viewer.as_ref().map(|viewer| viewer.user));
    // Parts are bounded by the upload they belong to, and a fast network sends a hundred of them a second.
    let part = parts.extensions.get::<MatchedPath>().is_some_and(|route| PIECE_ROUTES.contains(&route.as_str()));
    let counted = if part && account.is_some() {
        Ok(())
    } else {
        state.rate_limits.request(account, ClientAddress::of(&parts, &state.settings.http).0)
    };
    if let Err(problem) = counted {
        return asker.refuse_and_close(problem);
    }
    if let Some(known) = known {
        parts.extensions.insert(known);
    }
    next.run(Request::from_parts(parts, body)).await
}

/// A request that counts for its address, of a route that reads no cookie and yet asks the database. The others are behind [`limit`].
#[derive(Debug, Clone, Copy)]
pub struct Counted;

impl<S> FromRequestParts<S> for Counted
where
    S: Send + Sync,
    AppState: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let state = AppState::from_ref(state);
        state.rate_limits.request(None, ClientAddress::of(parts, &state.settings.http).0)?;
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn everybody_has_a_counter_of_their_own() {
        let variables = [("MILLRACE_HTTP_REQUESTS_PER_MINUTE_ADDRESS".to_owned(), "3".to_owned())];
        let limits = RateLimits::new(&Settings::from_layers(None, &variables).expect("settings").http);
        let from = |address: &str| limits.request(None, address.parse().expect("an address"));
        for _ in 0..3 {
            from("192.0.2.1").expect("within the limit");
            from("2001:db8::1").expect("within the limit");
        }
        let refused = from("192.0.2.1").expect_err("too many");
        assert!(refused.code == Code::RateLimited && refused.retry_after_seconds.is_some_and(|seconds| seconds <= 21));
        from("2001:db8::ffff").expect_err("the same network");
        from("2001:db8:0:1::1").expect("another network");
        limits.request(Some(UserId(uuid::Uuid::now_v7())), "192.0.2.1".parse().expect("an address")).expect("somebody signed in there");
    }

    #[test]
    fn the_door_is_narrower_and_a_limit_of_0_is_none() {
        let variables = [("MILLRACE_HTTP_REQUESTS_PER_MINUTE_ADDRESS".to_owned(), "0".to_owned())];
        let limits = RateLimits::new(&Settings::from_layers(None, &variables).expect("settings").http);
        let address = "192.0.2.1".parse().expect("an address");
        for _ in 0..10_000 {
            limits.request(None, address).expect("no limit");
        }
        let tries = (0..20).filter(|_| limits.at_the_door(address).is_ok()).count();
        assert_eq!(tries, 10);
    }
}
