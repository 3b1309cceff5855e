//! Collects the mistakes of one macro call, so that a user sees all of them in one build.
//!
//! - A mistake points at the user's own tokens and says in plain words what is wrong, why, and what
//!   to write instead.
//! - Collecting never stops the analysis; whoever finds a mistake decides what can still be used.

use proc_macro2::TokenStream;
use quote::ToTokens;

/// All mistakes so far, in the order found.
#[derive(Default)]
pub(crate) struct Mistakes(Option<syn::Error>);

impl Mistakes {
    /// Records one mistake at `tokens`.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, what: impl std::fmt::Display) {
        self.add(syn::Error::new_spanned(tokens, what));
    }

    /// Records a mistake that syn or a parser found.
    pub(crate) fn add(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            none => *none = Some(error),
        }
    }

    /// The `compile_error!` calls, or nothing.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0
            .map(syn::Error::into_compile_error)
            .unwrap_or_default()
    }
}
