//! What becomes of a message that crashes its actor: `#[poison(..)]` on a message, and the actor's
//! option `poison`, which stands for all messages that say nothing themselves.
//!
//! A retried message is copied before its handler runs, and the copy takes the reply along; so its
//! arguments must be `Clone`, and its handler must not want the reply.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Expr, Ident, ImplItemFn, Meta};

use crate::attrs;
use crate::mistakes::Mistakes;
use crate::model::{Message, Model};
use crate::parse::literal;

const FORM: &str = "write `drop`, `dead_letter` or `retry(n)`";

/// The policy.
pub(crate) struct Poison {
    kind: Kind,
}

enum Kind {
    Drop,
    DeadLetter,
    Retry(Box<Expr>),
}

impl Parse for Poison {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let error = |span: Span| {
            let what = "this does not say what becomes of a message that crashes its actor";
            syn::Error::new(span, format!("{what}; {FORM}"))
        };
        let word: Ident = input.parse().map_err(|e: syn::Error| error(e.span()))?;
        let span = word.span();
        let kind = match word.to_string().as_str() {
            "drop" => Kind::Drop,
            "dead_letter" => Kind::DeadLetter,
            "retry" if input.is_empty() => {
                return Err(syn::Error::new(
                    span,
                    "`retry` needs the number of further tries; write `retry(3)`",
                ));
            }
            "retry" => {
                let content;
                syn::parenthesized!(content in input);
                let tries: Expr = content.parse().map_err(|error| {
                    syn::Error::new(error.span(), "write one number, such as `retry(3)`")
                })?;
                if literal(&tries).is_some_and(|n| n.base10_digits() == "0") {
                    return Err(syn::Error::new(
                        tries.span(),
                        "with 0 further tries a message that crashes its actor is a dead letter; \
                         that is called `dead_letter`",
                    ));
                }
                Kind::Retry(Box::new(tries))
            }
            _ => return Err(error(span)),
        };
        if input.is_empty() {
            Ok(Self { kind })
        } else {
            Err(error(input.span()))
        }
    }
}

/// Reads a method's `#[poison(..)]`; an error was reported.
pub(crate) fn of_message(
    method: &ImplItemFn,
    mistakes: &mut Mistakes,
) -> Result<Option<Poison>, ()> {
    let mut all = method.attrs.iter().filter(|a| a.path().is_ident("poison"));
    let Some(attr) = all.next() else {
        return Ok(None);
    };
    if let Some(second) = all.next() {
        mistakes.at(second, "this attribute is given twice; keep one of them");
        return Err(());
    }
    let parsed = match &attr.meta {
        Meta::List(list) if !list.tokens.is_empty() => syn::parse2(list.tokens.clone()),
        _ => Err(syn::Error::new_spanned(
            attr,
            "`#[poison]` does not say what becomes of a message that crashes its actor; write \
             `#[poison(drop)]`, `#[poison(dead_letter)]` or `#[poison(retry(3))]`",
        )),
    };
    parsed.map(Some).map_err(|error| mistakes.add(error))
}

/// The policy of a message.
fn policy<'a>(model: &'a Model, message: &'a Message) -> Option<&'a Poison> {
    message.poison.as_ref().or(model.options.poison.as_ref())
}

/// Whether it is tried again.
pub(crate) fn is_retried(model: &Model, message: &Message) -> bool {
    let can_be = message.params.reply.is_none()
        && message.concurrent.is_none()
        && message.queueing.batch.is_none();
    can_be && policy(model, message).is_some_and(|p| matches!(p.kind, Kind::Retry(_)))
}

/// Reports messages that can't have the policy that is asked for.
pub(crate) fn check(model: &Model, mistakes: &mut Mistakes) {
    for message in &model.messages {
        let Some(policy) = policy(model, message) else {
            continue;
        };
        if matches!(policy.kind, Kind::Drop) {
            continue;
        }
        let otherwise = if message.poison.is_some() {
            "write `#[poison(drop)]`, or nothing"
        } else {
            "write `#[poison(drop)]` here"
        };
        if message.queueing.batch.is_some() {
            mistakes.at(
                &message.ident,
                format!(
                    "nobody knows which message of a batch crashed the actor, so all of them are \
                     answered and dropped; {otherwise}"
                ),
            );
            continue;
        }
        if !matches!(policy.kind, Kind::Retry(_)) {
            continue;
        }
        if message.params.reply.is_some() {
            mistakes.at(
                &message.ident,
                format!(
                    "a message that is tried again keeps its reply for the next try, and this \
                     handler takes it; let it return the answer, or {otherwise}"
                ),
            );
        }
        if message.concurrent.is_some() {
            mistakes.at(
                &message.ident,
                format!(
                    "concurrent handlers end with each other, whichever crashed, so they are not \
                     tried again; {otherwise}"
                ),
            );
        }
    }
}

/// What `impl Actor` says about it.
pub(crate) fn actor_items(model: &Model) -> Option<TokenStream> {
    let arms: Vec<_> = model
        .messages
        .iter()
        .filter_map(|message| {
            let kind = match &policy(model, message)?.kind {
                Kind::Drop => return None,
                Kind::DeadLetter => quote!(DeadLetter),
                Kind::Retry(tries) => quote!(Retry(#tries)),
            };
            let cfgs = attrs::cfgs(&message.attrs);
            let name = message.ident.unraw().to_string();
            Some(quote!(#(#cfgs)* #name => ::actor_core::actor::Poison::#kind,))
        })
        .collect();
    if arms.is_empty() {
        return None;
    }
    let retries = model.messages.iter().any(|m| is_retried(model, m));
    Some(quote! {
        const RETRIES: bool = #retries;

        #[allow(unreachable_patterns)]
        fn poison(__actor_message: &str) -> ::actor_core::actor::Poison {
            match __actor_message {
                #(#arms)*
                _ => ::actor_core::actor::Poison::Drop,
            }
        }
    })
}

/// How a message is copied: `Message::spare`.
pub(crate) fn spare(model: &Model) -> Option<TokenStream> {
    let arms: Vec<_> = model
        .messages
        .iter()
        .filter(|message| is_retried(model, message))
        .map(|message| {
            let (cfgs, variant) = (attrs::cfgs(&message.attrs), &message.variant);
            let fields: Vec<_> = message.params.args.iter().map(|arg| &arg.ident).collect();
            let copies = message.params.args.iter().map(|arg| {
                let ident = &arg.ident;
                // At the argument's type, where it is said that it is not `Clone`.
                let clone = quote_spanned!(arg.ty.span()=> ::core::clone::Clone::clone);
                quote!(#ident: #clone(#ident))
            });
            quote! {
                #(#cfgs)*
                Self::#variant { #(#fields,)* __actor_reply } => ::core::option::Option::Some(
                    Self::#variant {
                        #(#copies,)*
                        __actor_reply: ::core::mem::replace(
                            __actor_reply,
                            ::actor_core::actor::Reply::none(),
                        ),
                    },
                ),
            }
        })
        .collect();
    if arms.is_empty() {
        return None;
    }
    Some(quote! {
        #[allow(unreachable_patterns)]
        fn spare(&mut self) -> ::core::option::Option<Self> {
            match self {
                #(#arms)*
                _ => ::core::option::Option::None,
            }
        }
    })
}

/// The reply of a retried message, after its handler: from the copy, if there is one.
pub(crate) fn reply(message: &Message, msg: &Ident) -> TokenStream {
    let variant = &message.variant;
    quote! {
        let __actor_reply = match ::actor_core::actor::Ctx::take_spare(__actor_ctx) {
            ::core::option::Option::Some(#msg::#variant { __actor_reply, .. }) => __actor_reply,
            _ => __actor_reply,
        };
    }
}
