//! What `doctor` finds out about an adapter: one sentence on each thing that was looked at, and what to do about it.

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What to do, where something is to be done.
    pub advice: Option<String>,
}

impl Check {
    /// All is well.
    pub fn good(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, ok: true, detail: detail.into(), advice: None }
    }

    /// Something is wrong, and how to mend it.
    pub fn bad(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, ok: false, detail: detail.into(), advice: Some(advice.into()) }
    }

    /// Nothing that was found is wrong, but there is something to know.
    pub fn note(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { ok: true, ..Self::bad(name, detail, advice) }
    }
}
