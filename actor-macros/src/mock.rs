//! `#[protocol(mock)]`: a mock of the protocol, answered by closures and telling what it was called
//! with. What it can do is written in `actor_core::testkit::mock`; here are only the names and types
//! that no library can know: `MockBank` with `on_deposit`, `expect_deposit` and `when_deposit`.
//!
//! The calls go to a hidden struct with a `MockMethod` for each message, which the handles share;
//! `MockBank` is the test's end of it, so that its drop says that the test is over.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use crate::attrs;
use crate::expand::answer_types;
use crate::mistakes::Mistakes;
use crate::protocol::{Call, signature_of};
use crate::types::Answer;

/// The mock of the protocol `item`, whose handle is `handle`; `None` after a mistake.
pub(crate) fn mock(
    item: &syn::ItemTrait,
    handle: &Ident,
    wanted: &Wanted,
    calls: &[Call],
    mistakes: &mut Mistakes,
) -> Option<TokenStream> {
    if !item.supertraits.is_empty() {
        mistakes.at(
            &item.supertraits,
            "a mock can't know how to be what this asks for; remove `mock` and write the mock as an \
             `impl` of the protocol by hand",
        );
        return None;
    }
    let protocol = &item.ident;
    let name = match wanted {
        Wanted::Named(name) => name.clone(),
        Wanted::Word => {
            format_ident!("Mock{}", protocol.unraw(), span = protocol.span())
        }
    };
    let methods = format_ident!("__{}Methods", name.unraw());
    let (vis, cfgs) = (&item.vis, attrs::cfgs(&item.attrs));
    let (kit, text) = (
        quote!(::actor_core::testkit::mock),
        name.unraw().to_string(),
    );
    let fields = calls.iter().map(|call| {
        let (cfgs, ident, args) = (attrs::cfgs(&call.attrs), &call.ident, arguments(call));
        let (ok, err) = answer_types(&call.answer);
        quote!(#(#cfgs)* #ident: #kit::MockMethod<#args, #ok, #err>,)
    });
    let made = calls.iter().map(|call| {
        let (cfgs, ident) = (attrs::cfgs(&call.attrs), &call.ident);
        let (name, hint) = (ident.unraw().to_string(), hint(call));
        quote!(#(#cfgs)* #ident: #kit::MockMethod::new(#name, #hint, &log),)
    });
    let answered = calls.iter().map(|call| answered(call, &kit));
    let offered = calls.iter().map(|call| offered(call, vis, &kit));
    let docs = format!(
        "A mock of the protocol [`{protocol}`], for tests; made by `#[protocol(mock)]`.\n\n`on_..` \
         says what a message is answered with, [`handle`](Self::handle) is what the code under test \
         is given, `expect_..` awaits a call, `when_..` can do more. A call that nobody has an \
         answer for panics in its caller, and again when the mock is dropped."
    );
    Some(quote! {
        #(#cfgs)*
        #[doc(hidden)]
        #[allow(non_camel_case_types, non_snake_case)]
        struct #methods {
            #(#fields)*
            __log: ::std::sync::Arc<#kit::MockLog>,
        }

        #(#cfgs)*
        #[allow(clippy::too_many_arguments, deprecated, non_snake_case)]
        impl #protocol for #methods {
            #(#answered)*
        }

        #(#cfgs)*
        #[doc = #docs]
        #[allow(dead_code, unreachable_pub)]
        #vis struct #name {
            methods: ::std::sync::Arc<#methods>,
        }

        #(#cfgs)*
        #[allow(
            clippy::new_without_default,
            clippy::too_many_arguments,
            clippy::type_complexity,
            dead_code,
            deprecated,
            non_snake_case,
            unreachable_pub
        )]
        impl #name {
            /// A mock that expects no call yet.
            #[must_use]
            #vis fn new() -> Self {
                let log = #kit::MockLog::new(#text);
                Self {
                    methods: ::std::sync::Arc::new(#methods {
                        #(#made)*
                        __log: log,
                    }),
                }
            }

            /// A handle that means this mock, for the code under test.
            #[must_use]
            #vis fn handle(&self) -> #handle {
                #handle(::std::sync::Arc::clone(&self.methods) as ::std::sync::Arc<dyn #protocol>)
            }

            /// All calls so far, in order, as they would be written: `"deposit(7, 500)"`.
            #[must_use]
            #vis fn calls(&self) -> ::std::vec::Vec<::std::string::String> {
                self.methods.__log.calls()
            }

            /// The calls that nobody had an answer for, and the panics of answers. They are told when
            /// the mock is dropped, unless they are taken here.
            #vis fn take_faults(&self) -> ::std::vec::Vec<::std::string::String> {
                self.methods.__log.take_faults()
            }

            #(#offered)*
        }

        #(#cfgs)*
        #[automatically_derived]
        impl ::core::default::Default for #name {
            fn default() -> Self {
                Self::new()
            }
        }

        #(#cfgs)*
        #[automatically_derived]
        impl ::core::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Debug::fmt(&self.methods.__log, f)
            }
        }

        #(#cfgs)*
        #[automatically_derived]
        impl ::core::convert::From<&#name> for #handle {
            fn from(mock: &#name) -> Self {
                mock.handle()
            }
        }

        #(#cfgs)*
        #[automatically_derived]
        impl ::core::ops::Drop for #name {
            fn drop(&mut self) {
                self.methods.__log.end();
            }
        }
    })
}

/// How the mock was asked for.
pub(crate) enum Wanted {
    /// `mock`.
    Word,
    /// `mock = Name`.
    Named(Ident),
}

/// The one type of all arguments.
fn arguments(call: &Call) -> TokenStream {
    let types: Vec<_> = call.params.args.iter().map(|arg| &arg.ty).collect();
    match types.as_slice() {
        [only] => quote!(#only),
        all => quote!((#(#all),*)),
    }
}

/// The arguments as a pattern or value of that type.
fn tuple(names: &[Ident]) -> TokenStream {
    match names {
        [only] => quote!(#only),
        all => quote!((#(#all),*)),
    }
}

fn names(call: &Call) -> Vec<Ident> {
    (call.params.args.iter())
        .map(|arg| arg.ident.clone())
        .collect()
}

fn hint(call: &Call) -> String {
    let names: Vec<_> = names(call).iter().map(|n| n.unraw().to_string()).collect();
    format!("on_{}(|{}| ..)", call.ident.unraw(), names.join(", "))
}

/// The message as the hidden struct answers it.
fn answered(call: &Call, kit: &TokenStream) -> TokenStream {
    let (cfgs, ident, signature) = (attrs::cfgs(&call.attrs), &call.ident, signature_of(call));
    let name = ident.unraw().to_string();
    let names = names(call);
    let numbered = |n: usize| -> Vec<_> {
        let numbered = |name: &Ident| format_ident!("__{}_{n}", name.unraw());
        names.iter().map(numbered).collect()
    };
    let (first, second, third) = (numbered(1), numbered(2), numbered(3));
    let texts: Vec<_> = numbered(0);
    let noted = call.params.args.iter().enumerate().map(|(n, arg)| {
        let (ident, text) = (&arg.ident, &texts[n]);
        let (first, second, third) = (&first[n], &second[n], &third[n]);
        // At the argument's type, where it is said that it can't be noted.
        let note = quote_spanned!(arg.ty.span()=> #kit::MockArgument::noted(#ident));
        quote!(let (#text, [#first, #second, #third]) = #note;)
    });
    let all = [tuple(&first), tuple(&second), tuple(&third)];
    quote! {
        #(#cfgs)*
        #signature {
            #(#noted)*
            self.#ident.call([#(#all),*], #kit::text(#name, &[#(#texts),*]))
        }
    }
}

/// What the mock offers for the message.
fn offered(call: &Call, vis: &syn::Visibility, kit: &TokenStream) -> TokenStream {
    let (cfgs, ident) = (attrs::cfgs(&call.attrs), &call.ident);
    let prefixed = |prefix: &str| format_ident!("{prefix}_{}", ident.unraw(), span = ident.span());
    let (on, expect, when) = (prefixed("on"), prefixed("expect"), prefixed("when"));
    let types = call.params.args.iter().map(|arg| &arg.ty);
    let returned = returned(&call.answer);
    let (ok, err) = answer_types(&call.answer);
    let (args, names) = (arguments(call), names(call));
    let pattern = tuple(&names);
    let answer = Ident::new("__answer", Span::mixed_site());
    let called = quote!(#answer(#(#names),*));
    let result = match &call.answer {
        Answer::Unit | Answer::Plain(_) => quote!(::core::result::Result::Ok(#called)),
        Answer::Result { .. } => called,
        Answer::Alias(_) => quote!(::actor_core::actor::ReplyResult::into_result(#called)),
    };
    let on_docs = format!("Answers each call of `{ident}` with what this closure says.");
    let expect_docs = format!(
        "Awaits a call of `{ident}`, and is ready with its arguments; each takes one call, in order."
    );
    let when_docs = format!(
        "The mocked `{ident}`: replies lined up, answers that take their time, failures, all its \
         calls."
    );
    quote! {
        #(#cfgs)*
        #[doc = #on_docs]
        #vis fn #on(
            self,
            mut #answer: impl ::core::ops::FnMut(#(#types),*) -> #returned
                + ::core::marker::Send
                + 'static,
        ) -> Self {
            self.methods.#ident.answers(move |#pattern: #args| #result);
            self
        }

        #(#cfgs)*
        #[doc = #expect_docs]
        #[track_caller]
        #vis fn #expect(&self) -> ::actor_core::testkit::Expect<'_, #args> {
            self.methods.#ident.expect_call()
        }

        #(#cfgs)*
        #[doc = #when_docs]
        #vis fn #when(&self) -> &#kit::MockMethod<#args, #ok, #err> {
            &self.methods.#ident
        }
    }
}

/// What the method returns, as written.
fn returned(answer: &Answer) -> TokenStream {
    match answer {
        Answer::Unit => quote!(()),
        Answer::Plain(ty) | Answer::Alias(ty) => quote!(#ty),
        Answer::Result { ok, err } => quote!(::core::result::Result<#ok, #err>),
    }
}
