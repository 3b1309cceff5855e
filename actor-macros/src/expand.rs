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
use crate::{actor_impl, constructors, handle, message_enum, parse, protocol};

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
pub(crate) fn first_line(item: &TokenStream) -> TokenStream {
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
        protocol::impls(model, &names),
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

#[cfg(test)]
mod tests {
    use super::*;
    use syn::visit::{self, Visit};
    use syn::{ExprAwait, ImplItem, ImplItemFn, Item};

    /// Everything that `#[actor]` writes for these tokens, the user's impl first.
    fn expanded(block: TokenStream) -> Vec<Item> {
        let file: syn::File = syn::parse2(actor(TokenStream::new(), block)).expect("items");
        file.items
    }

    fn method(items: &[Item], block: &str, name: &str) -> ImplItemFn {
        let is_it = |item: &&ImplItem| matches!(item, ImplItem::Fn(f) if f.sig.ident == name);
        let found = items.iter().find_map(|item| match item {
            Item::Impl(item) => {
                let trait_name = item
                    .trait_
                    .as_ref()
                    .map(|(path, _)| path.segments.last().unwrap());
                let of = match trait_name {
                    Some(segment) => segment.ident.to_string(),
                    None => item.self_ty.to_token_stream().to_string(),
                };
                item.items.iter().find(|item| of == block && is_it(item))
            }
            _ => None,
        });
        match found {
            Some(ImplItem::Fn(method)) => method.clone(),
            _ => panic!("no method {name} in an impl of {block}"),
        }
    }

    fn bank() -> TokenStream {
        quote! {
            impl Bank {
                #[init]
                fn new() -> Self { Bank }
                /// Adds some.
                #[inline]
                #[cfg_attr(all(), deprecated, inline)]
                pub fn deposit(&mut self, mut cents: u64) -> u64 { cents += 1; cents }
                pub async fn audit(&mut self) {}
                #[every(seconds = 1)]
                fn flush(&mut self) { let x = 1 + 1; drop(x) }
                #[stopped]
                fn close(self) {}
            }
        }
    }

    #[test]
    fn the_users_block_is_kept_but_for_the_helper_attributes() {
        let mut expected: ItemImpl = syn::parse2(bank()).unwrap();
        for item in &mut expected.items {
            let ImplItem::Fn(method) = item else { continue };
            method.attrs.retain(|a| {
                !["init", "every", "stopped"]
                    .iter()
                    .any(|n| a.path().is_ident(n))
            });
        }
        expected.attrs.push(parse_quote!(#[allow(unreachable_pub)]));
        let kept = expanded(bank()).remove(0);
        assert_eq!(
            kept.to_token_stream().to_string(),
            expected.to_token_stream().to_string()
        );
    }

    #[test]
    fn docs_and_deprecation_are_carried_over_and_other_attributes_are_not() {
        let attrs = method(&expanded(bank()), "BankRef", "deposit").attrs;
        let attrs: Vec<_> = attrs
            .iter()
            .map(|a| a.to_token_stream().to_string())
            .collect();
        assert_eq!(
            attrs,
            [
                "# [doc = r\" Adds some.\"]",
                "# [cfg_attr (all () , deprecated)]"
            ]
        );
    }

    #[test]
    fn only_async_handlers_are_awaited_and_nothing_is_boxed() {
        #[derive(Default)]
        struct Awaits(Vec<String>);
        impl<'ast> Visit<'ast> for Awaits {
            fn visit_expr_await(&mut self, expr: &'ast ExprAwait) {
                self.0.push(expr.base.to_token_stream().to_string());
                visit::visit_expr_await(self, expr);
            }
        }
        let items = expanded(bank());
        let mut awaits = Awaits::default();
        awaits.visit_impl_item_fn(&method(&items, "Actor", "handle"));
        assert_eq!(awaits.0, ["Self :: audit (self)"]);
        let all: String = items
            .iter()
            .map(|item| item.to_token_stream().to_string())
            .collect();
        assert!(!all.contains("Box") && !all.contains("dyn"), "{all}");
    }
}
