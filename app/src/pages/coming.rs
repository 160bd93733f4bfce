//! Says that a page is coming while its code is fetched. The page before it stays until then.

use leptos::prelude::*;

/// How many pages are on their way, in the context of the whole app.
#[derive(Debug, Clone, Copy)]
pub struct Coming(RwSignal<u32>);

/// Says so until it is dropped.
#[derive(Debug)]
pub struct Told(RwSignal<u32>);

impl Coming {
    /// Puts it into the context.
    pub fn provide() {
        provide_context(Self(RwSignal::new(0)));
    }

    /// Says from now on that a page is coming.
    pub fn begin(self) -> Told {
        self.0.update(|count| *count += 1);
        Told(self.0)
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.0.try_update(|count| *count -= 1);
    }
}

/// What is seen and heard of it.
#[component]
pub fn ComingNote() -> impl IntoView {
    let Coming(count) = expect_context();
    view! { <p class="coming" role="status">{move || (count.get() > 0).then_some("The page is coming…")}</p> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_until_the_last_page_is_there() {
        let owner = Owner::new();
        owner.set();
        Coming::provide();
        let coming = expect_context::<Coming>();
        let (first, second) = (coming.begin(), coming.begin());
        drop(first);
        assert_eq!(coming.0.get_untracked(), 1);
        drop(second);
        assert_eq!(coming.0.get_untracked(), 0);
    }
}
