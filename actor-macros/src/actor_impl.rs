//! Writes `impl Actor`: how the library calls the user's methods.
//!
//! - `handle` is one `match`: an async handler is awaited in its arm, a sync one just called.
//! - Arguments are bound to names of our own, so that none of the user's can get in the way.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Ident;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use crate::attrs;
use crate::expand::{Names, answer_types, infallible};
use crate::model::{Message, Model, Stopped};
use crate::poison;
use crate::queueing;
use crate::signature::Params;
use crate::types::Answer;

/// The impl, or one that only type-checks if there is no valid `#[init]`.
pub(crate) fn actor_impl(model: &Model, names: &Names) -> Vec<TokenStream> {
    let Names { msg, handle, .. } = names;
    let self_ty = &model.self_ty;
    let name = match &model.options.name {
        Some(name) => name.to_token_stream(),
        None => model.name.unraw().to_string().to_token_stream(),
    };
    let mailbox = model.options.mailbox.as_ref().map(|mailbox| {
        quote! {
            const MAILBOX: ::actor_core::actor::MailboxKind = #mailbox;
        }
    });
    // At the `vis` option, if there is one: it must not hide them from who sees the actor.
    let span = model
        .options
        .vis
        .as_ref()
        .map_or_else(proc_macro2::Span::call_site, Spanned::span);
    let associated = quote_spanned! {span=>
        type Msg = #msg;
        type Handle = #handle;
    };
    let queueing = queueing::actor_items(model);
    let is_exclusive = |message: &&Message| message.concurrent.is_none();
    let exclusive = || model.messages.iter().filter(is_exclusive);
    let waits = exclusive().any(|m| m.is_async);
    let defers = model.messages.iter().any(Message::defers_reply);
    let unreferenced = model.options.when_unreferenced.map(|when| {
        let variant = Ident::new(when, proc_macro2::Span::call_site());
        quote! {
            const WHEN_UNREFERENCED: ::actor_core::actor::WhenUnreferenced =
                ::actor_core::actor::WhenUnreferenced::#variant;
        }
    });
    let concurrent = concurrent(model, msg);
    let init = init(model);
    let poison = poison::actor_items(model);
    let arms = exclusive().map(|message| arm(message, msg, poison::is_retried(model, message)));
    let others = concurrent.is_some().then(|| {
        quote! {
            _ => ::core::unreachable!("a concurrent message goes to `concurrently`"),
        }
    });
    let stopped = stopped(model);
    let hooks = hooks(model);
    let shareable = shareable(model);
    let limits = limits(model, msg);
    let ticks = ticks(model);
    vec![quote! {
        #shareable

        #[automatically_derived]
        #[allow(unreachable_patterns, clippy::let_unit_value, clippy::manual_async_fn, clippy::unit_arg, clippy::used_underscore_binding, deprecated, private_interfaces)]
        impl ::actor_core::actor::Actor for #self_ty {
            #associated
            const NAME: &'static str = #name;
            const DEFERS_REPLIES: bool = #defers;
            const HANDLERS_WAIT: bool = #waits;
            #mailbox
            #queueing
            #unreferenced
            #limits
            #poison
            #init

            // No `async fn`: its future has room for the message twice, as an argument and as a local.
            fn handle(
                &mut self,
                __actor_msg: #msg,
                __actor_ctx: &::actor_core::actor::Ctx<Self>,
            ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send {
                async move {
                    match __actor_msg {
                        #(#arms)*
                        #others
                    }
                }
            }

            #concurrent
            #stopped
            #hooks
            #ticks
        }
    }]
}

/// How many handlers of one method run at once unless it says: as many as a mailbox holds.
const CONCURRENT_MAX: usize = 64;

fn concurrent(model: &Model, msg: &Ident) -> Option<TokenStream> {
    let is_concurrent = |message: &&Message| message.concurrent.is_some();
    let messages: Vec<_> = model.messages.iter().filter(is_concurrent).collect();
    if messages.is_empty() {
        return None;
    }
    let limits = messages.iter().enumerate().map(|(index, message)| {
        let cfgs = attrs::cfgs(&message.attrs);
        let variant = &message.variant;
        let max = match message.concurrent.as_ref().and_then(|c| c.max.as_ref()) {
            Some(max) => max.to_token_stream(),
            None => CONCURRENT_MAX.to_token_stream(),
        };
        quote! {
            #(#cfgs)*
            #msg::#variant { .. } => ::core::option::Option::Some(
                ::actor_core::actor::Concurrency { handler: #index, max: #max },
            ),
        }
    });
    let arms = messages.iter().map(|message| arm(message, msg, false));
    // At the attribute, where it is said that the state can't be shared.
    let span = messages[0].concurrent.as_ref().map(|c| c.span)?;
    let share = quote_spanned! {span=>
        ::actor_core::actor::Shared::new(self, __actor_ctx)
    };
    Some(quote! {
        const CONCURRENT: bool = true;

        fn concurrency(
            __actor_msg: &#msg,
        ) -> ::core::option::Option<::actor_core::actor::Concurrency> {
            match __actor_msg {
                #(#limits)*
                _ => ::core::option::Option::None,
            }
        }

        fn share(
            self,
            __actor_ctx: &::actor_core::actor::Ctx<Self>,
        ) -> ::actor_core::actor::Shared<Self> {
            #share
        }

        fn concurrently(
            &self,
            __actor_msg: #msg,
            __actor_ctx: &::actor_core::actor::Ctx<Self>,
        ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send {
            async move {
                match __actor_msg {
                    #(#arms)*
                    _ => ::core::unreachable!("an exclusive message goes to `handle`"),
                }
            }
        }
    })
}

/// Says in plain words what is wrong with a state that can't be shared; which part of it that is,
/// is told by the compiler.
fn shareable(model: &Model) -> Option<TokenStream> {
    let mut concurrent = model.messages.iter().filter_map(|m| m.concurrent.as_ref());
    let span = concurrent.next()?.span;
    let self_ty = &model.self_ty;
    let message = format!(
        "the concurrent handlers of `{}` run in parallel and share its state, which is not `Sync`; \
         keep what they change in an atomic, behind a lock or in another actor, or remove \
         `#[concurrent]`",
        model.name.unraw(),
    );
    let check = quote_spanned! {span=>
        ::core::assert!(__ActorState::<#self_ty>::IS_SYNC, #message)
    };
    Some(quote! {
        const _: () = {
            struct __ActorState<T>(::core::marker::PhantomData<T>);
            #[allow(dead_code)]
            trait __ActorNotSync {
                const IS_SYNC: bool = false;
            }
            impl<T> __ActorNotSync for __ActorState<T> {}
            #[allow(dead_code)]
            impl<T: ::core::marker::Sync> __ActorState<T> {
                const IS_SYNC: bool = true;
            }
            #check
        };
    })
}

fn init(model: &Model) -> TokenStream {
    let Some(init) = &model.init else {
        // Reported already; what calls the generated functions still finds their types.
        return quote! {
            type Args = ();
            type Error = ::core::convert::Infallible;

            async fn init(
                (): (),
                _: &::actor_core::actor::Ctx<Self>,
            ) -> ::core::result::Result<Self, Self::Error> {
                ::core::unreachable!()
            }
        };
    };
    let types = init.params.args.iter().map(|arg| &arg.ty);
    let (_, error) = init.fails.as_ref().map_or_else(infallible, answer_types);
    let call = call(&init.ident, None, &init.params, init.is_async);
    let result = match &init.fails {
        None => quote!(::core::result::Result::Ok(#call)),
        Some(Answer::Alias(_)) => quote!(::actor_core::actor::ReplyResult::into_result(#call)),
        Some(_) => call,
    };
    let not_started = quote!(::actor_core::actor::NotStarted);
    let (error, result, is_ignored) = if init.may_decline {
        let result = quote! {
            let __actor_made: ::core::result::Result<_, #error> = #result;
            match __actor_made {
                ::core::result::Result::Ok(::core::option::Option::Some(state)) => {
                    ::core::result::Result::Ok(state)
                }
                ::core::result::Result::Ok(::core::option::Option::None) => {
                    ::core::result::Result::Err(#not_started::Ignored)
                }
                ::core::result::Result::Err(error) => {
                    ::core::result::Result::Err(#not_started::Failed(error))
                }
            }
        };
        let is_ignored = quote! {
            fn is_ignored(__actor_error: &Self::Error) -> bool {
                ::core::matches!(__actor_error, #not_started::Ignored)
            }
        };
        (quote!(#not_started<#error>), result, Some(is_ignored))
    } else {
        (error, result, None)
    };
    let bindings = bindings(&init.params);
    // At the function's name: where a type is said to be less visible than the actor.
    let associated = quote_spanned! {init.ident.span()=>
        type Args = (#(#types,)*);
        type Error = #error;
    };
    quote! {
        #associated

        async fn init(
            (#(#bindings,)*): Self::Args,
            __actor_ctx: &::actor_core::actor::Ctx<Self>,
        ) -> ::core::result::Result<Self, Self::Error> {
            #result
        }

        #is_ignored
    }
}

fn arm(message: &Message, msg: &Ident, is_retried: bool) -> TokenStream {
    if let Some(batch) = &message.queueing.batch {
        return queueing::batch_arm(message, batch, msg);
    }
    let Message {
        variant,
        ident,
        params,
        is_async,
        ..
    } = message;
    let cfgs = attrs::cfgs(&message.attrs);
    let fields = params.args.iter().map(|arg| &arg.ident);
    let bindings = bindings(params);
    let call = call(ident, Some(quote!(self)), params, *is_async);
    // A retried message's reply is looked for when the handler is done.
    let (first, call) = if is_retried {
        let reply = poison::reply(message, msg);
        (
            quote!(let __actor_answer = #call; #reply),
            quote!(__actor_answer),
        )
    } else {
        (TokenStream::new(), call)
    };
    let reply = match &message.answer {
        // A reply that cannot fail is the user's `Reply<T>`; the slot's is one of a `Result`.
        Answer::Unit | Answer::Plain(_) if params.reply.is_some() => quote! {
            let __actor_reply = __actor_reply.plain();
            #call;
        },
        _ if params.reply.is_some() => quote!(#call;),
        Answer::Unit if !is_retried => quote! {
            #call;
            __actor_reply.send(::core::result::Result::Ok(()));
        },
        Answer::Unit | Answer::Plain(_) => quote! {
            __actor_reply.send(::core::result::Result::Ok(#call));
        },
        Answer::Result { .. } => quote! {
            __actor_reply.send(#call);
        },
        Answer::Alias(_) => quote! {
            __actor_reply.send(::actor_core::actor::ReplyResult::into_result(#call));
        },
    };
    quote! {
        #(#cfgs)*
        #msg::#variant { #(#fields: #bindings,)* __actor_reply } => {
            #first
            #reply
        }
    }
}

fn stopped(model: &Model) -> Option<TokenStream> {
    let stopped = model.stopped.as_ref()?;
    let call = call_with(
        &stopped.ident,
        Some(quote!(self)),
        &stopped.params,
        stopped.is_async,
        |_| quote!(__actor_why),
    );
    Some(quote! {
        async fn stopped(
            self,
            __actor_why: ::actor_core::actor::StopReason,
            __actor_ctx: &::actor_core::actor::Ctx<Self>,
        ) {
            #call;
        }
    })
}

/// `down`, `exit` and `restarting`.
fn hooks(model: &Model) -> TokenStream {
    let [down, exit, restarting] = &model.hooks;
    let told = |hook: &Stopped, receiver| {
        call_with(&hook.ident, receiver, &hook.params, hook.is_async, |_| {
            quote!(__actor_told)
        })
    };
    let ctx = quote!(__actor_ctx: &::actor_core::actor::Ctx<Self>);
    let down = down.as_ref().map(|hook| {
        let call = told(hook, Some(quote!(self)));
        quote! {
            async fn down(&mut self, __actor_told: ::actor_core::actor::Down, #ctx) {
                #call;
            }
        }
    });
    let exit = exit.as_ref().map(|hook| {
        let call = told(hook, Some(quote!(self)));
        quote! {
            const TRAPS_EXITS: bool = true;

            async fn exit(&mut self, __actor_told: ::actor_core::actor::Exited, #ctx) {
                #call;
            }
        }
    });
    let restarting = restarting.as_ref().map(|hook| {
        let call = told(hook, None);
        quote! {
            async fn restarting(__actor_told: ::actor_core::actor::ExitReason, #ctx) {
                #call;
            }
        }
    });
    quote!(#down #exit #restarting)
}

/// How long a handler may take, when it is reported, and how long the actor lives.
fn limits(model: &Model, msg: &Ident) -> TokenStream {
    let duration = |millis: u64| quote!(::core::time::Duration::from_millis(#millis));
    let wedged = model.options.wedged_after.as_ref().map(|after| {
        let after = duration(after.0);
        quote! {
            const WEDGED_AFTER: ::core::option::Option<::core::time::Duration> =
                ::core::option::Option::Some(#after);
        }
    });
    let all = model.options.handler_limit.as_ref().map(|limit| {
        let limit = duration(limit.0);
        quote! {
            const HANDLER_LIMIT: ::core::option::Option<::core::time::Duration> =
                ::core::option::Option::Some(#limit);
        }
    });
    let arms: Vec<_> = model
        .messages
        .iter()
        .filter_map(|message| {
            let limit = duration(message.limit_ms?);
            let cfgs = attrs::cfgs(&message.attrs);
            let variant = &message.variant;
            Some(quote! {
                #(#cfgs)*
                #msg::#variant { .. } => ::core::option::Option::Some(#limit),
            })
        })
        .collect();
    let each = (!arms.is_empty()).then(|| {
        quote! {
            #[allow(unreachable_patterns)]
            fn limit(
                __actor_msg: &#msg,
            ) -> ::core::option::Option<::core::time::Duration> {
                match __actor_msg {
                    #(#arms)*
                    _ => Self::HANDLER_LIMIT,
                }
            }
        }
    });
    let limited = (all.is_some() || each.is_some()).then(|| {
        quote!(
            const LIMITED: bool = true;
        )
    });
    quote!(#wedged #all #limited #each)
}

fn ticks(model: &Model) -> Option<TokenStream> {
    if model.ticks.is_empty() {
        return None;
    }
    let periods = model.ticks.iter().map(|tick| tick.period_ms);
    let arms = model.ticks.iter().enumerate().map(|(index, tick)| {
        let call = call(&tick.ident, Some(quote!(self)), &tick.params, tick.is_async);
        quote!(#index => { #call; })
    });
    Some(quote! {
        fn ticks() -> &'static [::core::time::Duration] {
            const PERIODS: &[::core::time::Duration] =
                &[#(::core::time::Duration::from_millis(#periods)),*];
            PERIODS
        }

        async fn tick(
            &mut self,
            __actor_index: usize,
            __actor_ctx: &::actor_core::actor::Ctx<Self>,
        ) {
            match __actor_index {
                #(#arms)*
                _ => {}
            }
        }
    })
}

/// Our own name for each argument.
fn bindings(params: &Params) -> Vec<Ident> {
    (0..params.args.len())
        .map(|index| format_ident!("__actor_arg{index}"))
        .collect()
}

fn call(
    ident: &Ident,
    receiver: Option<TokenStream>,
    params: &Params,
    is_async: bool,
) -> TokenStream {
    call_with(ident, receiver, params, is_async, |index| {
        format_ident!("__actor_arg{index}").into_token_stream()
    })
}

/// A call of the user's method, with the context put where the user has it.
fn call_with(
    ident: &Ident,
    receiver: Option<TokenStream>,
    params: &Params,
    is_async: bool,
    arg: impl Fn(usize) -> TokenStream,
) -> TokenStream {
    let mut args: Vec<TokenStream> = (0..params.args.len()).map(arg).collect();
    // In the order of their places, so that each insertion finds those before it there.
    let ctx = params.ctx_at.map(|at| (at, quote!(__actor_ctx)));
    let reply = params.reply.as_ref().map(|r| (r.at, quote!(__actor_reply)));
    let mut added: Vec<_> = ctx.into_iter().chain(reply).collect();
    added.sort_by_key(|(at, _)| *at);
    for (at, arg) in added {
        args.insert(at, arg);
    }
    let args = receiver.into_iter().chain(args);
    // At the method's name, so that a future that can't be sent is reported there.
    let wait = is_async.then(|| quote_spanned!(ident.span()=> .await));
    quote!(Self::#ident(#(#args),*) #wait)
}
