//! `#[protocol]`: a trait of messages becomes a trait of calls, and a handle for anything that has
//! them; and the impls by which an actor's handle has them (`#[provides]`, `protocol = ..`).
//!
//! - The user's trait keeps its name, visibility, docs and methods; each method takes `&self` and
//!   returns a `ProtocolCall`, so the trait can be a `dyn` one and a mock is an `impl` by hand.
//! - The actor's macro does not see the protocol, so its methods are listed at the actor, where
//!   their types are in scope; rustc compares the two.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Ident, ItemTrait, Path, Token, TraitItem, TraitItemFn};

use crate::attrs;
use crate::expand::{Names, answer_types};
use crate::mistakes::Mistakes;
use crate::mock;
use crate::model::Model;
use crate::parse;
use crate::signature::{self, Params, Receiver, mentions};
use crate::types::Answer;

/// Names that a protocol's handle, or its trait, has for itself.
const TAKEN: [&str; 8] = [
    "actor",
    "clone",
    "downgrade",
    "eq",
    "fmt",
    "hash",
    "into",
    "new",
];

/// `#[protocol]`.
pub(crate) fn protocol(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let options = parse::protocol_options(options, &mut mistakes);
    let parsed: ItemTrait = match syn::parse2(item.clone()) {
        Ok(parsed) => parsed,
        Err(error) => {
            if syn::parse2::<syn::Item>(item.clone()).is_ok() {
                mistakes.at(
                    crate::expand::first_line(&item),
                    "`#[protocol]` goes on a trait whose methods are the messages; to say that an \
                     actor has them, write `#[actor(protocol = Name)]` on its `impl` block",
                );
            } else {
                mistakes.add(error);
            }
            let errors = mistakes.into_tokens();
            return quote!(#item #errors);
        }
    };
    check_trait(&parsed, &mut mistakes);
    let calls: Vec<_> = parsed
        .items
        .iter()
        .filter_map(|item| call(item, &mut mistakes))
        .collect();
    let handle = options.handle.unwrap_or_else(|| {
        let name = &parsed.ident;
        format_ident!("{}Ref", name.unraw(), span = name.span())
    });
    let generated = generate(&parsed, &handle, &calls);
    let mock = (options.mock.as_ref())
        .and_then(|wanted| mock::mock(&parsed, &handle, wanted, &calls, &mut mistakes));
    let errors = mistakes.into_tokens();
    quote!(#generated #mock #errors)
}

/// One method.
pub(crate) struct Call {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) ident: Ident,
    pub(crate) params: Params,
    pub(crate) answer: Answer,
}

fn check_trait(item: &ItemTrait, mistakes: &mut Mistakes) {
    if !item.generics.params.is_empty() || item.generics.where_clause.is_some() {
        mistakes.at(
            &item.generics,
            "a protocol can't be generic: its handle is one concrete type; write the concrete types \
             in its methods",
        );
    }
    if let Some(token) = &item.unsafety {
        mistakes.at(token, "a protocol can't be `unsafe`: remove it");
    }
}

fn call(item: &TraitItem, mistakes: &mut Mistakes) -> Option<Call> {
    let TraitItem::Fn(method) = item else {
        mistakes.at(
            item,
            "a protocol has messages and nothing else: this can't be called through a handle; put \
             it into another trait",
        );
        return None;
    };
    let name = method.sig.ident.unraw().to_string();
    let mut valid = true;
    if let Some(body) = &method.default {
        mistakes.at(
            body,
            "a message of a protocol has no body: the actor has it; end the line with `;`",
        );
        valid = false;
    }
    if TAKEN.contains(&name.as_str()) {
        mistakes.at(
            &method.sig.ident,
            format!(
                "every protocol's handle has its own `{name}`, which this message would hide; give \
                 the message another name"
            ),
        );
        valid = false;
    }
    let params = signature::check(&method.sig, Receiver::Borrowed, "a message", mistakes);
    let answers = signature::check_reply(&method.sig, mistakes);
    let params = params?;
    valid &= check_caller_s_side(method, &params, mistakes);
    (valid && answers).then(|| Call {
        attrs: method.attrs.clone(),
        ident: method.sig.ident.clone(),
        params,
        answer: Answer::of(&method.sig.output),
    })
}

/// What only the actor's own method may have.
fn check_caller_s_side(method: &TraitItemFn, params: &Params, mistakes: &mut Mistakes) -> bool {
    let mut valid = true;
    for (place, input) in method
        .sig
        .inputs
        .iter()
        .filter(|input| matches!(input, syn::FnArg::Typed(_)))
        .enumerate()
    {
        if params.ctx_at == Some(place) {
            mistakes.at(
                input,
                "the context is between the actor and its handler, no caller gives it; remove it \
                 here",
            );
            valid = false;
        } else if params.reply.as_ref().is_some_and(|reply| reply.at == place) {
            mistakes.at(
                input,
                "whether the actor answers later is its own matter; write what it answers with as \
                 the return type, `-> T`, and remove the `Reply`",
            );
            valid = false;
        } else if mentions(input, "Self") {
            mistakes.at(
                input,
                "a caller does not know what `Self` is; write a type with a name",
            );
            valid = false;
        }
    }
    if mentions(&method.sig.output, "Self") {
        mistakes.at(
            &method.sig.output,
            "a caller does not know what `Self` is; write a type with a name",
        );
        valid = false;
    }
    valid
}

fn generate(item: &ItemTrait, handle: &Ident, calls: &[Call]) -> TokenStream {
    let ItemTrait {
        attrs,
        vis,
        ident,
        supertraits,
        ..
    } = item;
    let cfgs = attrs::cfgs(attrs);
    let plus = (!supertraits.is_empty()).then(|| quote!(+ #supertraits));
    let any_actor = quote!(dyn ::actor_core::actor::AnyActor);
    let upgrade = upgrade_of(ident);
    let declared = calls.iter().map(|call| {
        let (attrs, docs, signature) = (&call.attrs, fallback(call, ident), signature_of(call));
        quote!(#(#attrs)* #docs #signature;)
    });
    let forwarded = calls.iter().map(|call| {
        let (attrs, name) = (attrs::carried(&call.attrs), &call.ident);
        let (docs, signature) = (fallback(call, ident), signature_of(call));
        let args = call.params.args.iter().map(|arg| &arg.ident);
        quote! {
            #(#attrs)*
            #docs
            #vis #signature {
                #ident::#name(&*self.0 #(, #args)*)
            }
        }
    });
    let docs = format!(
        "A handle of anything that speaks the protocol [`{ident}`], an actor or a mock; made by \
         `#[protocol]`."
    );
    let mock = format!("a {} that is no actor", ident.unraw());
    quote! {
        #(#attrs)*
        #[allow(
            clippy::should_implement_trait,
            clippy::too_many_arguments,
            clippy::wrong_self_convention
        )]
        #vis trait #ident:
            ::core::marker::Send + ::core::marker::Sync + 'static #plus
        {
            #(#declared)*

            #[doc(hidden)]
            fn __actor(&self) -> ::core::option::Option<&#any_actor> {
                ::core::option::Option::None
            }

            #[doc(hidden)]
            fn __weak(&self) -> ::core::option::Option<#upgrade> {
                ::core::option::Option::None
            }
        }

        #(#cfgs)*
        #[doc = #docs]
        #[allow(unreachable_pub)]
        #vis struct #handle(::std::sync::Arc<dyn #ident>);

        #(#cfgs)*
        #[allow(
            clippy::should_implement_trait,
            clippy::too_many_arguments,
            clippy::wrong_self_convention,
            dead_code,
            deprecated,
            unreachable_pub
        )]
        impl #handle {
            /// The handle of an actor without its type, or one of a mock.
            #[must_use]
            #vis fn new(target: impl #ident) -> Self {
                Self(::std::sync::Arc::new(target))
            }

            /// The actor's id, name, and what else any actor's handle has; `None` for a mock.
            #[must_use]
            #vis fn actor(&self) -> ::core::option::Option<&#any_actor> {
                #ident::__actor(&*self.0)
            }

            /// A handle that doesn't keep an unsupervised actor alive.
            #[must_use]
            #vis fn downgrade(&self) -> ::actor_core::actor::WeakProtocol<Self> {
                let actor = #ident::__actor(&*self.0);
                let mock = ::std::sync::Arc::as_ptr(&self.0).cast::<()>() as usize;
                match #ident::__weak(&*self.0) {
                    ::core::option::Option::Some(upgrade) => {
                        ::actor_core::actor::WeakProtocol::new(actor, mock, move || {
                            upgrade().map(Self)
                        })
                    }
                    ::core::option::Option::None => {
                        let weak = ::std::sync::Arc::downgrade(&self.0);
                        ::actor_core::actor::WeakProtocol::new(actor, mock, move || {
                            weak.upgrade().map(Self)
                        })
                    }
                }
            }

            #(#forwarded)*
        }

        #(#cfgs)*
        #[automatically_derived]
        impl<__ActorTarget: #ident> ::core::convert::From<__ActorTarget> for #handle {
            fn from(target: __ActorTarget) -> Self {
                Self(::std::sync::Arc::new(target))
            }
        }

        #(#cfgs)*
        #[automatically_derived]
        impl ::core::clone::Clone for #handle {
            fn clone(&self) -> Self {
                Self(::core::clone::Clone::clone(&self.0))
            }
        }

        #(#cfgs)*
        #[automatically_derived]
        impl ::core::fmt::Debug for #handle {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match #ident::__actor(&*self.0) {
                    ::core::option::Option::Some(actor) => ::core::fmt::Debug::fmt(actor, f),
                    ::core::option::Option::None => f.write_str(#mock),
                }
            }
        }

        #(#cfgs)*
        #[automatically_derived]
        impl ::core::cmp::PartialEq for #handle {
            fn eq(&self, other: &Self) -> bool {
                match (#ident::__actor(&*self.0), #ident::__actor(&*other.0)) {
                    (::core::option::Option::Some(one), ::core::option::Option::Some(two)) => {
                        one.id() == two.id()
                    }
                    (::core::option::Option::None, ::core::option::Option::None) => {
                        ::std::sync::Arc::ptr_eq(&self.0, &other.0)
                    }
                    _ => false,
                }
            }
        }

        #(#cfgs)*
        #[automatically_derived]
        impl ::core::cmp::Eq for #handle {}

        #(#cfgs)*
        #[automatically_derived]
        impl ::core::hash::Hash for #handle {
            fn hash<__ActorHasher: ::core::hash::Hasher>(&self, state: &mut __ActorHasher) {
                match #ident::__actor(&*self.0) {
                    ::core::option::Option::Some(actor) => {
                        ::core::hash::Hash::hash(&actor.id(), state);
                    }
                    ::core::option::Option::None => {
                        let address = ::std::sync::Arc::as_ptr(&self.0).cast::<()>();
                        ::core::hash::Hash::hash(&address, state);
                    }
                }
            }
        }
    }
}

/// What makes a strong handle of a weak one.
fn upgrade_of(protocol: impl ToTokens) -> TokenStream {
    quote! {
        ::std::boxed::Box<
            dyn ::core::ops::Fn() -> ::core::option::Option<::std::sync::Arc<dyn #protocol>>
                + ::core::marker::Send
                + ::core::marker::Sync
        >
    }
}

fn fallback(call: &Call, protocol: &Ident) -> Option<TokenStream> {
    (!attrs::has_docs(&call.attrs)).then(|| {
        let docs = format!("The message `{}` of `{protocol}`.", call.ident);
        quote!(#[doc = #docs])
    })
}

pub(crate) fn signature_of(call: &Call) -> TokenStream {
    let ident = &call.ident;
    let args = call.params.args.iter().map(|arg| {
        let (ident, ty) = (&arg.ident, &arg.ty);
        quote!(#ident: #ty)
    });
    let (ok, err) = answer_types(&call.answer);
    quote! {
        fn #ident(&self #(, #args)*) -> ::actor_core::actor::ProtocolCall<'_, #ok, #err>
    }
}

/// Reads `#[provides(Protocol, ..)]`.
pub(crate) fn provided(attrs: &[Attribute], mistakes: &mut Mistakes) -> Vec<Path> {
    const FORM: &str = "write the protocols that this message belongs to, `#[provides(Storage)]`";
    let mut paths = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("provides")) {
        let parsed = attr
            .meta
            .require_list()
            .and_then(|list| list.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated));
        match parsed {
            Ok(given) if !given.is_empty() => paths.extend(given),
            _ => mistakes.at(attr, FORM),
        }
    }
    paths
}

/// The impls of the protocols that an actor's messages belong to.
pub(crate) fn impls(model: &Model, names: &Names) -> Vec<TokenStream> {
    let mut protocols: Vec<(&Path, Vec<TokenStream>)> = Vec::new();
    let given = model.options.protocol.as_ref();
    // Also one without a message: then rustc says which are missing.
    protocols.extend(given.map(|path| (path, Vec::new())));
    for message in &model.messages {
        let own = &message.provides;
        let default = given.filter(|_| own.is_empty());
        for path in own.iter().chain(default) {
            let written = |path: &Path| path.to_token_stream().to_string();
            let known = protocols
                .iter()
                .position(|(other, _)| written(other) == written(path));
            let at = known.unwrap_or_else(|| {
                protocols.push((path, Vec::new()));
                protocols.len() - 1
            });
            protocols[at].1.push(provide(message, names));
        }
    }
    let handle = &names.handle;
    protocols
        .into_iter()
        .map(|(path, methods)| {
            let upgrade = upgrade_of(path);
            // At the protocol's name, where it is said that one of its messages is missing.
            quote_spanned! {path.span()=>
                #[allow(
                    clippy::too_many_arguments,
                    clippy::used_underscore_binding,
                    deprecated,
                    non_snake_case
                )]
                impl #path for #handle {
                    #(#methods)*

                    fn __actor(
                        &self,
                    ) -> ::core::option::Option<&dyn ::actor_core::actor::AnyActor> {
                        ::core::option::Option::Some(&self.0)
                    }

                    fn __weak(&self) -> ::core::option::Option<#upgrade> {
                        let weak = #handle::downgrade(self);
                        ::core::option::Option::Some(::std::boxed::Box::new(move || {
                            let handle = weak.upgrade()?;
                            ::core::option::Option::Some(::std::sync::Arc::new(handle))
                        }))
                    }
                }
            }
        })
        .collect()
}

fn provide(message: &crate::model::Message, names: &Names) -> TokenStream {
    let cfgs = attrs::cfgs(&message.attrs);
    let (ident, handle) = (&message.ident, &names.handle);
    let args: Vec<_> = message.params.args.iter().map(|arg| &arg.ident).collect();
    let types = message.params.args.iter().map(|arg| &arg.ty);
    let (ok, err) = answer_types(&message.answer);
    // At the message's name, where it is said that it is none of the protocol's.
    quote_spanned! {ident.span()=>
        #(#cfgs)*
        fn #ident(
            &self,
            #(#args: #types),*
        ) -> ::actor_core::actor::ProtocolCall<'_, #ok, #err> {
            // The handle's own method: it comes before the trait's.
            ::actor_core::actor::ProtocolCall::of(#handle::#ident(self #(, #args)*))
        }
    }
}
