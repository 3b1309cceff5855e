//! Writes the actor: the user's impl as it was, the message enum, the handle, and `impl Actor`.
//!
//! - Every path is absolute (`::actor_core::..`, `::core::..`), and every name of our own that
//!   meets a name of the user's starts with `__actor_`.
//! - The types are `pub` unless `vis` says otherwise: `Actor::Msg` of a `pub` actor must not be
//!   less visible than the actor, and a macro on the `impl` can't see how visible that is. For the
//!   same reason the handle has no `Deref` to `ActorRef<Bank>`: the target of a `pub` handle would
//!   name an actor that may be private. It forwards, and `AsRef` gives the rest.
//! - `handle` is one `match`: an async handler is awaited in its arm, a sync one just called.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Ident, ItemImpl, parse_quote};

use crate::attrs;
use crate::handle;
use crate::mistakes::Mistakes;
use crate::model::{self, Message, Model};
use crate::parse;
use crate::signature::Params;
use crate::types::Answer;

/// `#[actor]`.
pub(crate) fn actor(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let options = parse::actor_options(options, &mut mistakes);
    let block: ItemImpl = match syn::parse2(item.clone()) {
        Ok(block) => block,
        Err(error) => {
            if syn::parse2::<syn::Item>(item.clone())
                .is_ok_and(|i| !matches!(i, syn::Item::Impl(_)))
            {
                mistakes.at(
                    first_line(&item),
                    "`#[actor]` goes on the `impl` block whose methods are the messages; write it \
                     above `impl Type { .. }`",
                );
            } else {
                mistakes.add(error);
            }
            let errors = mistakes.into_tokens();
            return quote!(#item #errors);
        }
    };
    let generated = model::model(&block, options, &mut mistakes).map(|model| generate(&model));
    let errors = mistakes.into_tokens();
    let block = attrs::without_helpers(block);
    // `pub` means "message" here, also in a crate that nobody else can reach into.
    quote!(#[allow(unreachable_pub)] #block #generated #errors)
}

/// The keyword and name of an item, to point at.
fn first_line(item: &TokenStream) -> TokenStream {
    let is_body = |token: &proc_macro2::TokenTree| match token {
        proc_macro2::TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
        _ => false,
    };
    item.clone()
        .into_iter()
        .take_while(|token| !is_body(token))
        .collect()
}

fn generate(model: &Model) -> TokenStream {
    let names = Names::of(model);
    let items = [
        message_enum(model, &names),
        handle::handle(model, &names),
        actor_impl(model, &names),
        constructors(model, &names),
    ];
    let cfgs = &model.cfgs;
    items
        .into_iter()
        .flatten()
        .map(|item| quote!(#(#cfgs)* #item))
        .collect()
}

/// The names of what is generated.
pub(crate) struct Names {
    pub(crate) msg: Ident,
    pub(crate) handle: Ident,
    pub(crate) vis: syn::Visibility,
}

impl Names {
    fn of(model: &Model) -> Names {
        let name = model.name.unraw();
        let span = model.name.span();
        let handle = format_ident!("{name}Ref", span = span);
        Names {
            msg: format_ident!("{name}Msg", span = span),
            handle: model.options.handle.clone().unwrap_or(handle),
            vis: model
                .options
                .vis
                .clone()
                .unwrap_or_else(|| parse_quote!(pub)),
        }
    }
}

fn message_enum(model: &Model, names: &Names) -> Vec<TokenStream> {
    let Names { msg, vis, .. } = names;
    let actor = &model.name;
    let docs = format!(
        "The messages of `{actor}`, one variant for each of its `pub` methods; made by `#[actor]`."
    );
    let variants = model.messages.iter().map(|message| {
        let Message {
            variant,
            ident,
            params,
            ..
        } = message;
        let cfgs = attrs::cfgs(&message.attrs);
        let docs = format!("A call of `{actor}::{ident}`.");
        let fields = params.args.iter().map(|arg| {
            let docs = format!("The argument `{}`.", arg.ident);
            let (ident, ty) = (&arg.ident, &arg.ty);
            quote!(#[doc = #docs] #ident: #ty,)
        });
        let (ok, err) = answer_types(&message.answer);
        quote! {
            #[doc = #docs]
            #(#cfgs)*
            #variant {
                #(#fields)*
                #[doc(hidden)]
                __actor_reply: ::actor_core::actor::Reply<::core::result::Result<#ok, #err>>,
            },
        }
    });
    let names_of = model.messages.iter().map(|message| {
        let cfgs = attrs::cfgs(&message.attrs);
        let variant = &message.variant;
        let name = message.ident.unraw().to_string();
        quote!(#(#cfgs)* Self::#variant { .. } => #name,)
    });
    let msg_name = msg.to_string();
    vec![
        quote! {
            #[doc = #docs]
            #[allow(
                clippy::enum_variant_names,
                clippy::large_enum_variant,
                dead_code,
                deprecated,
                non_camel_case_types,
                non_snake_case,
                private_interfaces,
                unreachable_pub
            )]
            #vis enum #msg {
                #(#variants)*
            }
        },
        quote! {
            #[automatically_derived]
            impl ::actor_core::actor::Message for #msg {
                fn name(&self) -> &'static str {
                    match *self {
                        #(#names_of)*
                    }
                }
            }
        },
        quote! {
            #[automatically_derived]
            impl ::core::fmt::Debug for #msg {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    ::core::write!(
                        f,
                        "{}::{}",
                        #msg_name,
                        ::actor_core::actor::Message::name(self)
                    )
                }
            }
        },
    ]
}

fn actor_impl(model: &Model, names: &Names) -> Vec<TokenStream> {
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
    let init = init(model);
    let arms = model.messages.iter().map(|message| arm(message, msg));
    let stopped = stopped(model);
    let ticks = ticks(model);
    vec![quote! {
        #[automatically_derived]
        #[allow(clippy::unit_arg, clippy::used_underscore_binding, deprecated, private_interfaces)]
        impl ::actor_core::actor::Actor for #self_ty {
            type Msg = #msg;
            type Handle = #handle;
            const NAME: &'static str = #name;
            #mailbox
            #init

            async fn handle(
                &mut self,
                __actor_msg: #msg,
                __actor_ctx: &::actor_core::actor::Ctx<Self>,
            ) {
                match __actor_msg {
                    #(#arms)*
                }
            }

            #stopped
            #ticks
        }
    }]
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
    let bindings = bindings(&init.params);
    quote! {
        type Args = (#(#types,)*);
        type Error = #error;

        async fn init(
            (#(#bindings,)*): Self::Args,
            __actor_ctx: &::actor_core::actor::Ctx<Self>,
        ) -> ::core::result::Result<Self, Self::Error> {
            #result
        }
    }
}

fn arm(message: &Message, msg: &Ident) -> TokenStream {
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
    let reply = match &message.answer {
        Answer::Unit => quote! {
            #call;
            __actor_reply.send(::core::result::Result::Ok(()));
        },
        Answer::Plain(_) => quote! {
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

/// `Bank::start` and `Bank::child`; neither without a valid `#[init]`.
fn constructors(model: &Model, names: &Names) -> Vec<TokenStream> {
    let Some(init) = &model.init else {
        return Vec::new();
    };
    let Names { handle, vis, .. } = names;
    let (self_ty, actor) = (&model.self_ty, &model.name);
    let args: Vec<_> = init.params.args.iter().map(|arg| &arg.ident).collect();
    let types: Vec<_> = init.params.args.iter().map(|arg| &arg.ty).collect();
    let id = free_name("id", &args);
    let init_docs = &init.docs;
    let start_docs = format!(
        "Starts the actor `{actor}` without a supervisor; ready when `{actor}::{}` has returned.",
        init.ident
    );
    let child_docs = format!(
        "Describes the actor `{actor}` to a supervisor, as the child `{id}`; the other arguments \
         go to `{actor}::{}` at every start.",
        init.ident
    );
    vec![quote! {
        #[allow(clippy::too_many_arguments, dead_code, deprecated, private_interfaces)]
        #[allow(non_snake_case, unreachable_pub)]
        impl #self_ty {
            #[doc = #start_docs]
            #[doc = ""]
            #(#init_docs)*
            #vis async fn start(
                #(#args: #types),*
            ) -> ::core::result::Result<#handle, ::actor_core::actor::StartError> {
                ::actor_core::actor::start::<#self_ty>(
                    <#self_ty as ::actor_core::actor::Actor>::NAME,
                    (#(#args,)*),
                )
                .await
            }

            #[doc = #child_docs]
            #[doc = ""]
            #(#init_docs)*
            #vis fn child(
                #id: impl ::core::convert::Into<::std::string::String>,
                #(#args: #types),*
            ) -> ::actor_core::actor::Child<#self_ty>
            where
                // Behind a `for`, a bound that does not hold is a mistake of the caller alone.
                #(for<'__actor> #types: ::core::clone::Clone,)*
            {
                ::actor_core::actor::Child::new(#id, move || {
                    (#(::core::clone::Clone::clone(&#args),)*)
                })
            }
        }
    }]
}

/// The types `T` and `E` of a reply slot.
pub(crate) fn answer_types(answer: &Answer) -> (TokenStream, TokenStream) {
    match answer {
        Answer::Unit => (quote!(()), infallible().1),
        Answer::Plain(ty) => (ty.to_token_stream(), infallible().1),
        Answer::Result { ok, err } => (ok.to_token_stream(), err.to_token_stream()),
        Answer::Alias(ty) => {
            let part = quote!(<#ty as ::actor_core::actor::ReplyResult>);
            (quote!(#part::Ok), quote!(#part::Err))
        }
    }
}

fn infallible() -> (TokenStream, TokenStream) {
    (quote!(()), quote!(::core::convert::Infallible))
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
    if let Some(at) = params.ctx_at {
        args.insert(at, quote!(__actor_ctx));
    }
    let args = receiver.into_iter().chain(args);
    // At the method's name, so that a future that can't be sent is reported there.
    let wait = is_async.then(|| quote_spanned!(ident.span()=> .await));
    quote!(Self::#ident(#(#args),*) #wait)
}

/// `wanted`, or with underscores where an argument has that name already.
fn free_name(wanted: &str, taken: &[&Ident]) -> Ident {
    let mut name = String::from(wanted);
    while taken.iter().any(|ident| *ident == &name) {
        name.insert_str(0, "child_");
    }
    format_ident!("{name}")
}
