//! Who is signed in, as the app knows it: asked once on the server, and again when a form has signed somebody in.

use domain::account::Account;
use leptos::prelude::*;

use crate::{
    server_fns::{AppError, accounts::current_account},
    wire,
};

/// The account, in the context of the whole app.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// The account, once known; `None` where nobody is signed in.
    pub account: wire::Asked<Result<Option<Account>, AppError>>,
}

impl Session {
    /// A session in the context.
    pub fn provide() -> Self {
        let session = Self { account: wire::ask(|| (), |()| current_account()) };
        provide_context(session);
        session
    }

    /// Whether somebody is signed in, as far as is known. For effects, not for views.
    pub fn signed_in(self) -> Signal<bool> {
        Signal::derive(move || matches!(self.account.get(), Some(Ok(Some(_)))))
    }
}
