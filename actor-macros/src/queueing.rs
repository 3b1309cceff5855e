//! How a message is queued and handled besides one after the other: `#[priority]`,
//! `#[coalesce(key = ..)]` and `#[batch(max = ..)]` on a message, and how they and the mailbox's
//! options fit together.
//!
//! A `#[batch]` method takes `&mut Batch<T, R, E>`; to everybody else it is a message with the
//! arguments `T` and the answer `Result<R, E>`, and that is what the model gets.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{
    Attribute, Expr, FnArg, GenericArgument, ImplItemFn, PathArguments, ReturnType, Type,
    parse_quote,
};

use crate::attrs;
use crate::expand::Names;
use crate::mistakes::Mistakes;
use crate::model::{Message, Model};
use crate::parse::{self, Mailbox};
use crate::signature;
use crate::types::{ReplaceSelf, is_ctx, peel, result_arguments};

/// What the attributes of one message say.
#[derive(Default)]
pub(crate) struct Queueing {
    pub(crate) priority: bool,
    pub(crate) coalesce: Option<Coalesce>,
    pub(crate) batch: Option<Batch>,
}

/// `#[coalesce]`: with the key, or for all messages of the method.
pub(crate) struct Coalesce {
    at: Attribute,
    key: Option<Expr>,
}

/// `#[batch]`.
pub(crate) struct Batch {
    at: Attribute,
    max: Expr,
    /// Whether the arguments were written as a tuple.
    is_tuple: bool,
    /// Whether unanswered items are answered with `()`.
    pub(crate) is_silent: bool,
    /// The place of `&Ctx<Self>` among the method's own arguments.
    pub(crate) ctx_at: Option<usize>,
}

const BATCH_FORM: &str = "write `items: &mut Batch<T>`, with `T` the argument or the tuple of the \
                          arguments, `Batch<T, R>` if each caller is answered an `R`, \
                          `Batch<T, R, E>` if that may fail";

/// Reads the attributes of a message, and, for a `#[batch]` method, the signature that callers see.
/// `None` after a mistake that leaves no message.
pub(crate) fn queueing(
    method: &ImplItemFn,
    self_ty: &Type,
    mistakes: &mut Mistakes,
) -> Option<(Queueing, Option<ImplItemFn>)> {
    let mut queueing = Queueing::default();
    let mut seen = method.clone();
    for attr in attrs::modifiers(method) {
        let known = if attr.path().is_ident("priority") {
            std::mem::replace(&mut queueing.priority, true)
        } else if attr.path().is_ident("coalesce") {
            let key = coalesce_key(attr, self_ty, mistakes);
            let at = attr.clone();
            queueing.coalesce.replace(Coalesce { at, key }).is_some()
        } else {
            let batch = batch(attr, &mut seen, mistakes)?;
            queueing.batch.replace(batch).is_some()
        };
        if known {
            mistakes.at(attr, "this attribute is given twice; keep one of them");
            return None;
        }
        if attr.path().is_ident("priority") && attr.meta.require_path_only().is_err() {
            mistakes.at(
                attr,
                "`#[priority]` takes no options: there are two lanes, the urgent and the normal one",
            );
        }
    }
    if let (Some(_), Some(Coalesce { at, .. })) = (&queueing.batch, &queueing.coalesce) {
        mistakes.at(
            at,
            "a batch handles all queued messages of the method, and coalescing keeps one of each \
             key: keep one of `#[batch]` and `#[coalesce]`",
        );
    }
    let changed = queueing.batch.is_some();
    Some((queueing, changed.then_some(seen)))
}

/// Reports attributes of messages on a method that is none.
pub(crate) fn only_on_messages(method: &ImplItemFn, mistakes: &mut Mistakes) {
    for attr in attrs::modifiers(method) {
        let name = attr.path().to_token_stream();
        mistakes.at(
            attr,
            format!(
                "`#[{name}]` says how a message is queued, and this method is not a message; make \
                 it `pub` with `&mut self`, or remove the attribute"
            ),
        );
    }
}

fn coalesce_key(attr: &Attribute, self_ty: &Type, mistakes: &mut Mistakes) -> Option<Expr> {
    const FORM: &str = "write `#[coalesce(key = argument)]`, or `#[coalesce]` to keep the newest \
                        message of this method only";
    if attr.meta.require_path_only().is_ok() {
        return None;
    }
    let mut key: Option<Expr> = parse::only_option(attr, "key", FORM, mistakes)?;
    if let Some(key) = &mut key {
        ReplaceSelf(self_ty).visit_expr_mut(key);
    }
    key
}

/// Reads `#[batch]`, and makes of the method's signature the one that callers see.
fn batch(attr: &Attribute, method: &mut ImplItemFn, mistakes: &mut Mistakes) -> Option<Batch> {
    let max: Expr = if attr.meta.require_path_only().is_ok() {
        parse_quote!(64)
    } else {
        const FORM: &str = "write `#[batch]` or `#[batch(max = 64)]`";
        parse::only_option(attr, "max", FORM, mistakes)??
    };
    if parse::literal(&max).is_some_and(|n| ["0", "1"].contains(&n.base10_digits())) {
        mistakes.at(
            &max,
            "a batch of at most one message is an ordinary call; give a larger number, or remove \
             `#[batch]` and take the arguments themselves",
        );
    }
    let typed: Vec<_> = method
        .sig
        .inputs
        .iter()
        .filter_map(|input| match input {
            FnArg::Typed(typed) => Some(typed.clone()),
            FnArg::Receiver(_) => None,
        })
        .collect();
    let is_context = |ty: &Type| match peel(ty) {
        Type::Reference(reference) => is_ctx(&reference.elem),
        _ => false,
    };
    let ctx_at = typed.iter().position(|arg| is_context(&arg.ty));
    let mut items = typed.iter().filter(|arg| !is_context(&arg.ty));
    let (Some(arg), None) = (items.next(), items.next()) else {
        mistakes.at(
            &method.sig.ident,
            format!("a `#[batch]` method takes one argument, the batch; {BATCH_FORM}"),
        );
        return None;
    };
    let Some(types) = batch_types(&arg.ty) else {
        mistakes.at(
            &arg.ty,
            format!("this is not a batch of messages; {BATCH_FORM}"),
        );
        return None;
    };
    if !signature::check_silent_batch(&method.sig, mistakes) {
        return None;
    }
    let (args, is_tuple) = match peel(&types[0]) {
        Type::Tuple(tuple) => (tuple.elems.iter().cloned().collect(), true),
        ty => (vec![ty.clone()], false),
    };
    let span = arg.pat.span();
    let named = args.iter().enumerate().map(|(index, ty)| -> FnArg {
        let ident = if is_tuple {
            format_ident!("arg{index}", span = span)
        } else {
            format_ident!("item", span = span)
        };
        parse_quote!(#ident: #ty)
    });
    let is_silent = match types.get(1) {
        None => true,
        Some(answer) => matches!(peel(answer), Type::Tuple(tuple) if tuple.elems.is_empty()),
    };
    if let Some(result) = types
        .get(1)
        .filter(|answer| result_arguments(answer).is_some())
    {
        mistakes.at(
            result,
            "an answer that may fail is written as two types: `Batch<T, R, E>` for a \
             `Result<R, E>`",
        );
        return None;
    }
    let output: ReturnType = match types.as_slice() {
        [_, answer, error] => parse_quote!(-> ::core::result::Result<#answer, #error>),
        [_, answer] if !is_silent => parse_quote!(-> #answer),
        _ => ReturnType::Default,
    };
    let receiver = method.sig.inputs.first().cloned();
    method.sig.inputs = receiver.into_iter().chain(named).collect();
    method.sig.output = output;
    Some(Batch {
        at: attr.clone(),
        max,
        is_tuple,
        is_silent,
        ctx_at,
    })
}

/// The type arguments of `&mut Batch<..>`.
fn batch_types(ty: &Type) -> Option<Vec<Type>> {
    let Type::Reference(reference) = peel(ty) else {
        return None;
    };
    reference.mutability.as_ref()?;
    let Type::Path(path) = peel(&reference.elem) else {
        return None;
    };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let types: Vec<Type> = arguments
        .args
        .iter()
        .filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty.clone()),
            _ => None,
        })
        .collect();
    (last.ident == "Batch" && (1..=3).contains(&types.len())).then_some(types)
}

/// Reports options and attributes that contradict each other.
pub(crate) fn check(model: &Model, mistakes: &mut Mistakes) {
    let options = &model.options;
    let is_rendezvous = matches!(options.mailbox, Some(Mailbox::Rendezvous));
    let is_unbounded = matches!(options.mailbox, Some(Mailbox::Unbounded));
    let coalesces = options.overflow.as_ref().is_some_and(|o| o == "coalesce");
    let by_call = options.overflow.is_some() && !coalesces;
    if let Some(overflow) = &options.overflow {
        let name = overflow.to_string();
        if is_rendezvous && ["drop_oldest", "coalesce"].contains(&name.as_str()) {
            mistakes.at(
                overflow,
                format!(
                    "a rendezvous mailbox has no queue, so `overflow = {name}` finds nothing in it \
                     to drop or to replace; write `mailbox = buffered(n)`, or take the policy \
                     `wait`, `fail` or `drop_newest`"
                ),
            );
        }
        if is_unbounded && ["fail", "drop_newest", "drop_oldest"].contains(&name.as_str()) {
            mistakes.at(
                overflow,
                format!(
                    "an unbounded mailbox is never full, so `overflow = {name}` would never \
                     apply; write `mailbox = buffered(n)`, or remove the policy"
                ),
            );
        }
    }
    high_water(model, is_rendezvous, mistakes);
    for message in &model.messages {
        if let Some(Coalesce { at, .. }) = &message.queueing.coalesce {
            if by_call && is_rendezvous {
                mistakes.at(
                    at,
                    "a rendezvous mailbox has no queue, so there is nothing in it to replace; write \
                     `mailbox = buffered(n)`",
                );
            } else if !coalesces && !by_call {
                mistakes.at(
                    at,
                    "say when messages are replaced: always, with `#[actor(overflow = coalesce)]`, or \
                     where a call says `.overflow(Overflow::Coalesce)`, with the actor's own policy \
                     written out, such as `#[actor(overflow = wait)]`",
                );
            }
        }
        if let Some(Batch { at, .. }) = &message.queueing.batch
            && is_rendezvous
        {
            mistakes.at(
                at,
                "a rendezvous mailbox hands over one message at a time, so there is never a batch \
                 of them; write `mailbox = buffered(n)`",
            );
        }
    }
    let has_keys = |message: &Message| message.queueing.coalesce.is_some();
    if coalesces && !model.messages.iter().any(has_keys) {
        mistakes.at(
            &options.overflow,
            "no message says what it replaces; mark one with `#[coalesce(key = argument)]`, or with \
             `#[coalesce]` to keep the newest of that method only",
        );
    }
}

fn high_water(model: &Model, is_rendezvous: bool, mistakes: &mut Mistakes) {
    let options = &model.options;
    let value = |expr: &Option<Expr>| parse::literal(expr.as_ref()?)?.base10_parse::<usize>().ok();
    if let Some(low) = &options.low_water {
        match &options.high_water {
            None => mistakes.at(
                low,
                "a low-water mark ends what a high-water mark began; write `high_water = n` as well",
            ),
            Some(_) => {
                if let (Some(high), Some(low_value)) =
                    (value(&options.high_water), value(&options.low_water))
                    && low_value >= high
                {
                    mistakes.at(
                        low,
                        "the low-water mark must be below the high-water mark, or the mailbox \
                         would be high and low at once",
                    );
                }
            }
        }
    }
    if let Some(high) = &options.high_water {
        if is_rendezvous {
            mistakes.at(
                high,
                "a rendezvous mailbox has no queue that could reach a high-water mark; write \
                 `mailbox = buffered(n)`",
            );
        }
        let capacity = match &options.mailbox {
            Some(Mailbox::Buffered(capacity)) => value(&Some(capacity.clone())),
            _ => None,
        };
        let prioritised = model
            .messages
            .iter()
            .any(|message| message.queueing.priority);
        if let (Some(high_value), Some(capacity), false) =
            (value(&options.high_water), capacity, prioritised)
            && high_value > capacity
        {
            mistakes.at(
                high,
                format!(
                    "the mailbox holds {capacity} messages, so it never reaches this mark; give a \
                     lower one"
                ),
            );
        }
    } else if let Some(hook) = &model.high_water {
        mistakes.at(
            &hook.ident,
            "`#[high_water]` is called when the mailbox reaches a mark, and there is none; write \
             `#[actor(high_water = 48)]`",
        );
    }
}

/// The constants of `impl Actor`, and the hook of the high-water mark.
pub(crate) fn actor_items(model: &Model) -> TokenStream {
    let options = &model.options;
    let overflow = options.overflow.as_ref().map(|overflow| {
        let variant = match overflow.to_string().as_str() {
            "wait" => "Wait",
            "fail" => "Fail",
            "drop_newest" => "DropNewest",
            "drop_oldest" => "DropOldest",
            _ => "Coalesce",
        };
        let variant = syn::Ident::new(variant, Span::call_site());
        quote! {
            const OVERFLOW: ::actor_core::actor::Overflow =
                ::actor_core::actor::Overflow::#variant;
        }
    });
    let prioritised = model
        .messages
        .iter()
        .any(|message| message.queueing.priority);
    let has_keys = |message: &Message| message.queueing.coalesce.is_some();
    let keyed = model.messages.iter().any(has_keys).then(|| {
        quote! {
            const KEYED: bool = true;
        }
    });
    let priority = prioritised.then(|| {
        quote!(
            const PRIORITY: bool = true;
        )
    });
    let marks = options.high_water.as_ref().map(|high| {
        let low = options.low_water.as_ref().map(|low| quote!(.low(#low)));
        quote! {
            const HIGH_WATER: ::core::option::Option<::actor_core::actor::HighWater> =
                ::core::option::Option::Some(::actor_core::actor::HighWater::at(#high)#low);
        }
    });
    let sizes: Vec<_> = batches(model).map(|(_, batch)| &batch.max).collect();
    let sizes =
        (!sizes.is_empty()).then(|| quote!(const BATCHES: &'static [usize] = &[#(#sizes),*];));
    let hook = model.high_water.as_ref().map(|hook| {
        let ident = &hook.ident;
        quote! {
            fn pressure(__actor_change: &::actor_core::actor::Pressure<'_>) {
                Self::#ident(__actor_change);
            }
        }
    });
    quote!(#overflow #keyed #priority #marks #sizes #hook)
}

fn batches(model: &Model) -> impl Iterator<Item = (&Message, &Batch)> {
    model
        .messages
        .iter()
        .filter_map(|message| Some((message, message.queueing.batch.as_ref()?)))
}

/// The methods of `impl Message` besides `name`.
pub(crate) fn message_items(model: &Model) -> TokenStream {
    let urgent: Vec<_> = model
        .messages
        .iter()
        .filter(|message| message.queueing.priority)
        .map(|message| {
            let (cfgs, variant) = (attrs::cfgs(&message.attrs), &message.variant);
            quote!(#(#cfgs)* Self::#variant { .. } => true,)
        })
        .collect();
    let is_priority = (!urgent.is_empty()).then(|| {
        quote! {
            fn is_priority(&self) -> bool {
                match self { #(#urgent)* _ => false }
            }
        }
    });
    let defers_reply = defers_reply(model);
    let keys: Vec<_> = model.messages.iter().filter_map(key_arm).collect();
    let coalesce_key = (!keys.is_empty()).then(|| {
        quote! {
            fn coalesce_key(&self) -> ::core::option::Option<u64> {
                match self { #(#keys)* _ => ::core::option::Option::None }
            }
        }
    });
    let numbers: Vec<_> = batches(model)
        .enumerate()
        .map(|(index, (message, _))| {
            let (cfgs, variant) = (attrs::cfgs(&message.attrs), &message.variant);
            let number = index as u32 + 1;
            quote!(#(#cfgs)* Self::#variant { .. } => #number,)
        })
        .collect();
    let places = batches(model).map(|(message, _)| {
        let (cfgs, variant) = (attrs::cfgs(&message.attrs), &message.variant);
        quote! {
            #(#cfgs)*
            Self::#variant { __actor_followers, .. } => {
                *__actor_followers = ::actor_core::actor::Followers::of(__actor_joining);
            }
        }
    });
    let batch = (!numbers.is_empty()).then(|| {
        quote! {
            fn batch(&self) -> u32 {
                match self { #(#numbers)* _ => 0 }
            }

            fn join(&mut self, __actor_joining: ::std::vec::Vec<Self>) {
                match self { #(#places)* _ => ::core::mem::drop(__actor_joining) }
            }
        }
    });
    quote!(#is_priority #defers_reply #coalesce_key #batch)
}

/// Only for an actor some of whose messages defer: if none does, it is not asked.
fn defers_reply(model: &Model) -> Option<TokenStream> {
    let at_once: Vec<_> = model
        .messages
        .iter()
        .filter(|message| !message.defers_reply())
        .map(|message| {
            let (cfgs, variant) = (attrs::cfgs(&message.attrs), &message.variant);
            quote!(#(#cfgs)* Self::#variant { .. } => false,)
        })
        .collect();
    (at_once.len() < model.messages.len()).then(|| {
        quote! {
            fn defers_reply(&self) -> bool {
                match self { #(#at_once)* _ => true }
            }
        }
    })
}

fn key_arm(message: &Message) -> Option<TokenStream> {
    let coalesce = message.queueing.coalesce.as_ref()?;
    let (cfgs, variant) = (attrs::cfgs(&message.attrs), &message.variant);
    let name = message.ident.unraw().to_string();
    let args = message.params.args.iter().map(|arg| &arg.ident);
    let key = coalesce.key.as_ref().map(|key| quote!(#key));
    let (fields, key) = match key {
        Some(key) => (quote!(#(#args,)*), key),
        None => (quote!(), quote!(())),
    };
    Some(quote! {
        #(#cfgs)*
        #[allow(unused_variables)]
        Self::#variant { #fields .. } => ::core::option::Option::Some(
            ::actor_core::actor::coalesce_key_of(#name, &(#key)),
        ),
    })
}

/// What a batch's variant has besides its arguments.
pub(crate) fn field(message: &Message, names: &Names) -> Option<TokenStream> {
    let msg = &names.msg;
    message.queueing.batch.as_ref().map(|_| {
        quote! {
            #[doc(hidden)]
            __actor_followers: ::actor_core::actor::Followers<#msg>,
        }
    })
}

/// That field, as a handle makes it.
pub(crate) fn empty_field(message: &Message) -> Option<TokenStream> {
    let none = || quote!(__actor_followers: ::actor_core::actor::Followers::none(),);
    message.queueing.batch.as_ref().map(|_| none())
}

/// The arm of `handle` for a batch.
pub(crate) fn batch_arm(message: &Message, batch: &Batch, msg: &syn::Ident) -> TokenStream {
    let (cfgs, variant, ident) = (
        attrs::cfgs(&message.attrs),
        &message.variant,
        &message.ident,
    );
    let fields: Vec<_> = message.params.args.iter().map(|arg| &arg.ident).collect();
    let bindings: Vec<_> = (0..fields.len())
        .map(|index| format_ident!("__actor_arg{index}"))
        .collect();
    let args = if batch.is_tuple {
        quote!((#(#bindings,)*))
    } else {
        quote!(#(#bindings)*)
    };
    let mut given = vec![quote!(self), quote!(&mut __actor_batch)];
    if let Some(at) = batch.ctx_at {
        given.insert(at + 1, quote!(__actor_ctx));
    }
    let wait = message
        .is_async
        .then(|| quote::quote_spanned!(ident.span()=> .await));
    let finish = batch.is_silent.then(|| quote!(__actor_batch.finish();));
    quote! {
        #(#cfgs)*
        #msg::#variant { #(#fields: #bindings,)* __actor_reply, __actor_followers } => {
            let mut __actor_batch = ::actor_core::actor::Batch::new(
                #args,
                __actor_reply,
                __actor_followers,
                |__actor_msg| match __actor_msg {
                    #msg::#variant { #(#fields: #bindings,)* __actor_reply, .. } => {
                        ::core::option::Option::Some((#args, __actor_reply))
                    }
                    #[allow(unreachable_patterns)]
                    _ => ::core::option::Option::None,
                },
            );
            Self::#ident(#(#given),*) #wait;
            #finish
        }
    }
}
