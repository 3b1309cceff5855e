//! Writes the functions that the actor's type gets: `Bank::start` and `Bank::child`, and for a
//! singleton `Bank::instance`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Ident;

use crate::expand::Names;
use crate::model::Model;

/// `Bank::start`, `Bank::child` and perhaps `Bank::instance`; none without a valid `#[init]`, nor where the user has one.
pub(crate) fn constructors(model: &Model, names: &Names) -> Vec<TokenStream> {
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
    let is_free = |name: &str| !model.taken.iter().any(|taken| taken == name);
    let start = is_free("start").then(|| {
        quote! {
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
        }
    });
    let tuple = (!args.is_empty()).then(|| quote!((#(::core::clone::Clone::clone(&#args),)*)));
    // Behind a `for`, a bound that does not hold is a mistake of the caller alone.
    let child = is_free("child").then(|| {
        quote! {
            #[doc = #child_docs]
            #[doc = ""]
            #(#init_docs)*
            #vis fn child(
                #id: impl ::core::convert::Into<::std::sync::Arc<str>>,
                #(#args: #types),*
            ) -> ::actor_core::supervise::Child<#self_ty>
            where
                #(for<'__actor> #types: ::core::clone::Clone,)*
            {
                ::actor_core::supervise::Child::new(#id, move || {#tuple})
            }
        }
    });
    let singleton = model.options.singleton.is_some() && is_free("instance");
    let instance = singleton.then(|| {
        let docs = format!(
            "The one `{actor}` of this runtime; the first call starts it, under a supervisor."
        );
        // With arguments it is a mistake, which is reported already.
        let body = if args.is_empty() {
            quote!(::actor_core::supervise::instance::<#self_ty>().await)
        } else {
            quote!(::core::unreachable!())
        };
        quote! {
            #[doc = #docs]
            #[doc = ""]
            #(#init_docs)*
            #vis async fn instance(
            ) -> ::core::result::Result<#handle, ::actor_core::actor::StartError> {
                #body
            }
        }
    });
    vec![quote! {
        #[allow(
            clippy::too_many_arguments,
            clippy::used_underscore_binding,
            dead_code,
            deprecated,
            non_snake_case,
            private_interfaces,
            unreachable_pub
        )]
        impl #self_ty {
            #start
            #child
            #instance
        }
    }]
}

/// `wanted`, or with a word before it where an argument has that name already.
fn free_name(wanted: &str, taken: &[&Ident]) -> Ident {
    let mut name = String::from(wanted);
    while taken.iter().any(|ident| *ident == &name) {
        name.insert_str(0, "child_");
    }
    format_ident!("{name}")
}
