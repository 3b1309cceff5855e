//! Writes the actor: the user's impl as it was, the message enum, the handle, and `impl Actor`.
//!
//! - Every path is absolute (`::actor_core::..`, `::core::..`), and every name of our own that
//!   meets a name of the user's starts with `__actor_`.
//! - The types are `pub` unless `vis` says otherwise: `Actor::Msg` of a `pub` actor must not be
//!   less visible than the actor, and a macro on the `impl` can't see how visible that is. For the
//!   same reason the handle has no `Deref` to `ActorRef<Bank>`: the target of a `pub` handle would
//!   name an actor that may be private. It forwards, and `AsRef` gives the rest.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Ident, ItemImpl, parse_quote};

use crate::attrs;
use crate::mistakes::Mistakes;
use crate::model::{self, Model};
use crate::types::Answer;
use crate::{actor_impl, constructors, handle, message_enum, parse};

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
        message_enum::message_enum(model, &names),
        handle::handle(model, &names),
        actor_impl::actor_impl(model, &names),
        constructors::constructors(model, &names),
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

pub(crate) fn infallible() -> (TokenStream, TokenStream) {
    (quote!(()), quote!(::core::convert::Infallible))
}
