//! Writes the message enum, `BankMsg`: a variant per message, a field per argument, and the slot for
//! the reply, which is `Reply::none()` in a message that was told.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;

use crate::attrs;
use crate::expand::{Names, answer_types};
use crate::model::{Message, Model};
use crate::poison;
use crate::queueing;

/// The enum, its `Message` and its `Debug`, which needs nothing of the arguments.
pub(crate) fn message_enum(model: &Model, names: &Names) -> Vec<TokenStream> {
    let Names { msg, vis, .. } = names;
    let queueing = queueing::message_items(model);
    let spare = poison::spare(model);
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
        let followers = queueing::field(message, names);
        quote! {
            #[doc = #docs]
            #(#cfgs)*
            #variant {
                #(#fields)*
                #[doc(hidden)]
                __actor_reply: ::actor_core::actor::Reply<::core::result::Result<#ok, #err>>,
                #followers
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
            #[allow(deprecated, unreachable_patterns)]
            impl ::actor_core::actor::Message for #msg {
                fn name(&self) -> &'static str {
                    match *self {
                        #(#names_of)*
                    }
                }

                #queueing
                #spare
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
