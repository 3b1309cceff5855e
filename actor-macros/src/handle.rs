//! Writes the handle: `BankRef`, a new type around `ActorRef<Bank>` with a method per message.
//!
//! The impls have no bounds, so a message may carry a handle of its own actor.

use proc_macro2::TokenStream;
use quote::quote;

use crate::attrs;
use crate::expand::{Names, answer_types};
use crate::model::{Message, Model};
use crate::queueing;

/// The handle's type, its methods and its traits.
pub(crate) fn handle(model: &Model, names: &Names) -> Vec<TokenStream> {
    let Names { handle, vis, .. } = names;
    let (self_ty, actor) = (&model.self_ty, &model.name);
    let docs = format!(
        "The handle of `{actor}`: a cheap, clonable address with a method per message, valid \
         across restarts; made by `#[actor]`."
    );
    let actor_ref = quote!(::actor_core::actor::ActorRef<#self_ty>);
    let methods = model
        .messages
        .iter()
        .map(|message| method(message, model, names));
    let mut items = vec![
        quote! {
            #[doc = #docs]
            #[allow(private_interfaces, unreachable_pub)]
            #vis struct #handle(#actor_ref);
        },
        quote! {
            #[allow(
                clippy::should_implement_trait,
                clippy::too_many_arguments,
                clippy::used_underscore_binding,
                clippy::wrong_self_convention,
                dead_code,
                irrefutable_let_patterns,
                non_snake_case,
                private_interfaces,
                unreachable_pub
            )]
            impl #handle {
                #(#methods)*
            }
        },
        forwards(model, names),
    ];
    items.extend(traits(model, names));
    items
}

fn method(message: &Message, model: &Model, names: &Names) -> TokenStream {
    let Message {
        ident,
        variant,
        vis,
        attrs,
        params,
        answer,
        ..
    } = message;
    let msg = &names.msg;
    let self_ty = &model.self_ty;
    let fallback = (!attrs::has_docs(attrs)).then(|| {
        let docs = format!("Asks the actor to run `{}::{ident}`.", model.name);
        quote!(#[doc = #docs])
    });
    let args: Vec<_> = params.args.iter().map(|arg| &arg.ident).collect();
    let types = params.args.iter().map(|arg| &arg.ty);
    let (ok, err) = answer_types(answer);
    let followers = queueing::empty_field(message);
    quote! {
        #(#attrs)*
        #fallback
        #vis fn #ident(
            &self,
            #(#args: #types),*
        ) -> ::actor_core::actor::Call<'_, #self_ty, #ok, #err> {
            ::actor_core::actor::Call::new(
                &self.0,
                #msg::#variant {
                    #(#args,)*
                    __actor_reply: ::actor_core::actor::Reply::none(),
                    #followers
                },
                |__actor_msg, __actor_slot| {
                    if let #msg::#variant { __actor_reply, .. } = __actor_msg {
                        *__actor_reply = __actor_slot;
                    }
                },
            )
        }
    }
}

/// What every handle can do, whatever its messages: `ActorRef`'s methods.
fn forwards(model: &Model, names: &Names) -> TokenStream {
    let Names { handle, vis, .. } = names;
    let self_ty = &model.self_ty;
    let actor_ref = quote!(::actor_core::actor::ActorRef<#self_ty>);
    let exit = quote!(::actor_core::actor::Exit<#self_ty>);
    quote! {
        #[allow(dead_code, private_interfaces, unreachable_pub)]
        impl #handle {
            /// The handle without the methods for messages, for code that works with any actor.
            #[must_use]
            #vis fn actor_ref(&self) -> &#actor_ref {
                &self.0
            }

            /// The actor's id, unique in the process and kept across restarts.
            #[must_use]
            #vis fn id(&self) -> ::actor_core::actor::ActorId {
                self.0.id()
            }

            /// The actor's name.
            #[must_use]
            #vis fn name(&self) -> &str {
                self.0.name()
            }

            /// True once it has ended and nothing is about to start it again.
            #[must_use]
            #vis fn is_stopped(&self) -> bool {
                self.0.is_stopped()
            }

            /// How many messages wait in the mailbox.
            #[must_use]
            #vis fn mailbox_len(&self) -> usize {
                self.0.mailbox_len()
            }

            /// Asks the actor to stop after what is queued; ready when its state is dropped. The
            /// request is made by the call, not by the `.await`.
            #[must_use = "the request is made; await it to know when the actor has stopped"]
            #vis fn stop(&self) -> #exit {
                self.0.stop()
            }

            /// Asks the actor to stop after the message in work; ready when its state is dropped.
            #[must_use = "the request is made; await it to know when the actor has stopped"]
            #vis fn stop_now(&self) -> #exit {
                self.0.stop_now()
            }

            /// Asks the actor to stop after what is queued, and says why: its exit reason will be
            /// `ShutdownWith` this cause, which is orderly.
            #[must_use = "the request is made; await it to know when the actor has stopped"]
            #vis fn stop_with(
                &self,
                cause: impl ::core::convert::Into<::std::string::String>,
            ) -> #exit {
                self.0.stop_with(cause)
            }

            /// Ends the actor at the await it waits in, without its `#[stopped]`; ready when its
            /// state is dropped.
            #[must_use = "the kill is done; await it to know when the state is dropped"]
            #vis fn kill(&self) -> #exit {
                self.0.kill()
            }

            /// A handle that doesn't keep an unsupervised actor alive.
            #[must_use]
            #vis fn downgrade(&self) -> ::actor_core::actor::WeakRef<#self_ty> {
                self.0.downgrade()
            }

            /// Watches the incarnation that lives now: ready when it has ended.
            #vis fn monitor(&self) -> ::actor_core::actor::Monitor {
                self.0.monitor()
            }

            /// Waits until the actor has ended for good and says how.
            #[must_use = "futures do nothing unless awaited"]
            #vis fn wait(&self) -> #exit {
                self.0.wait()
            }
        }
    }
}

fn traits(model: &Model, names: &Names) -> Vec<TokenStream> {
    let Names { handle, .. } = names;
    let self_ty = &model.self_ty;
    let actor_ref = quote!(::actor_core::actor::ActorRef<#self_ty>);
    vec![
        quote! {
            #[automatically_derived]
            impl ::core::clone::Clone for #handle {
                fn clone(&self) -> Self {
                    Self(::core::clone::Clone::clone(&self.0))
                }
            }
        },
        quote! {
            #[automatically_derived]
            impl ::core::fmt::Debug for #handle {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    ::core::fmt::Debug::fmt(&self.0, f)
                }
            }
        },
        quote! {
            #[automatically_derived]
            impl ::core::cmp::PartialEq for #handle {
                fn eq(&self, other: &Self) -> bool {
                    self.0 == other.0
                }
            }
        },
        quote! {
            #[automatically_derived]
            impl ::core::cmp::Eq for #handle {}
        },
        quote! {
            #[automatically_derived]
            impl ::core::hash::Hash for #handle {
                fn hash<__ActorHasher: ::core::hash::Hasher>(&self, state: &mut __ActorHasher) {
                    ::core::hash::Hash::hash(&self.0, state);
                }
            }
        },
        quote! {
            #[automatically_derived]
            #[allow(private_interfaces)]
            impl ::core::convert::AsRef<#actor_ref> for #handle {
                fn as_ref(&self) -> &#actor_ref {
                    &self.0
                }
            }
        },
        quote! {
            #[automatically_derived]
            #[allow(private_interfaces)]
            impl ::core::convert::From<#actor_ref> for #handle {
                fn from(actor: #actor_ref) -> Self {
                    Self(actor)
                }
            }
        },
        quote! {
            #[automatically_derived]
            #[allow(private_interfaces)]
            impl ::core::convert::From<#handle> for #actor_ref {
                fn from(handle: #handle) -> Self {
                    handle.0
                }
            }
        },
    ]
}
