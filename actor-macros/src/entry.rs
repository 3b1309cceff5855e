//! `#[main]` and `#[test]`: a sync function around an `async fn` of the user's.
//!
//! The body stays an `async fn`, inside of the sync one, so that its errors and its `?` are those
//! of the user's own signature. Its result is turned into an exit code in the goroutine, as Rust's
//! own `main` does it, so an error type needs no `Send`: only the code crosses to the caller. A
//! simulated test hands it to `sim::check_test` instead, which calls it once for each seed.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{FnArg, ItemFn, ReturnType, Safety};

use crate::mistakes::Mistakes;
use crate::parse::{self, EntryOptions};

/// Which of the two.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Main,
    Test,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Main => "main",
            Kind::Test => "test",
        }
    }
}

/// `#[actor_core::main]` and `#[actor_core::test]`.
pub(crate) fn expand(kind: Kind, options: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let options = parse::entry_options(options, kind.name(), &mut mistakes);
    let function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            if syn::parse2::<syn::Item>(item.clone()).is_ok() {
                let name = kind.name();
                let what = format!("`#[actor_core::{name}]` goes on an `async fn`");
                mistakes.at(first_word(&item), what);
            } else {
                mistakes.add(error);
            }
            let errors = mistakes.into_tokens();
            return quote!(#item #errors);
        }
    };
    check(kind, &function, &options, &mut mistakes);
    let errors = mistakes.into_tokens();
    if !errors.is_empty() {
        // A sync `main` keeps the compiler from complaining about that as well.
        let mut function = function;
        function.sig.asyncness = None;
        function.sig.inputs.clear();
        function.sig.generics = syn::Generics::default();
        function.sig.output = ReturnType::Default;
        *function.block = syn::parse_quote!({});
        return quote!(#[allow(unused)] #function #errors);
    }
    match options.sim {
        Some(_) => simulated_test(&function, &options),
        None => sync_function(kind, &function, options.procs),
    }
}

/// A test that runs once for each seed.
fn simulated_test(function: &ItemFn, options: &EntryOptions) -> TokenStream {
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
        ..
    } = function;
    let (ident, inputs, output) = (&sig.ident, &sig.inputs, &sig.output);
    let seeds = options.seeds.iter();
    let policy = options.policy.iter();
    let call = match inputs.first() {
        None => quote!(__actor_test()),
        Some(FnArg::Typed(arg)) if !matches!(*arg.ty, syn::Type::Reference(_)) => {
            quote!(__actor_test(::core::clone::Clone::clone(sim)))
        }
        Some(_) => quote!(__actor_test(sim)),
    };
    quote! {
        #[::core::prelude::v1::test]
        #(#attrs)*
        #vis fn #ident() {
            async fn __actor_test(#inputs) #output #block
            ::actor_core::sim::check_test(
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#ident)),
                ::core::env!("CARGO_PKG_NAME"),
                |sim| {
                    let _ = sim;
                    #call
                },
            )
            #(.seeds(#seeds))*
            #(.policy(#policy))*
            .run();
        }
    }
}

fn sync_function(kind: Kind, function: &ItemFn, procs: Option<syn::Expr>) -> TokenStream {
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
        ..
    } = function;
    let (ident, output) = (&sig.ident, &sig.output);
    let body = format_ident!("__actor_{}", kind.name());
    let test = matches!(kind, Kind::Test).then(|| quote!(#[::core::prelude::v1::test]));
    let procs = match (procs, kind) {
        (Some(count), _) => quote!(.procs(#count)),
        (None, Kind::Test) => quote!(.procs(2)),
        (None, Kind::Main) => TokenStream::new(),
    };
    let deadlock = matches!(kind, Kind::Test)
        .then(|| quote!(.on_deadlock(::actor_core::DeadlockPolicy::Panic)));
    let runtime = quote! {
        ::actor_core::Runtime::builder()
            #procs
            #deadlock
            .build()
            .expect("the runtime could not start its threads")
    };
    match output {
        ReturnType::Default => quote! {
            #test
            #(#attrs)*
            #vis fn #ident() {
                async fn #body() #block
                #runtime.run(#body());
            }
        },
        ReturnType::Type(..) => quote! {
            #test
            #(#attrs)*
            #vis fn #ident() -> ::std::process::ExitCode {
                async fn #body() #output #block
                #runtime.run(async { ::std::process::Termination::report(#body().await) })
            }
        },
    }
}

fn check(kind: Kind, function: &ItemFn, options: &EntryOptions, mistakes: &mut Mistakes) {
    let sig = &function.sig;
    let name = kind.name();
    if sig.asyncness.is_none() {
        mistakes.at(
            sig.fn_token,
            format!(
                "`#[actor_core::{name}]` runs an `async fn` as a goroutine; write `async fn {}`",
                sig.ident
            ),
        );
    }
    if options.sim.is_some() {
        if sig.inputs.len() > 1 {
            mistakes.at(
                &sig.inputs,
                format!(
                    "a simulated test takes its simulation, `sim: &Sim`, or nothing; remove the other \
                     arguments of `{}`",
                    sig.ident
                ),
            );
        }
    } else if !sig.inputs.is_empty() {
        mistakes.at(
            &sig.inputs,
            format!(
                "nobody is there to give `{}` arguments; remove them",
                sig.ident
            ),
        );
    }
    if !sig.generics.params.is_empty() {
        mistakes.at(
            &sig.generics,
            format!(
                "nobody is there to choose types for `{}`; remove the parameters",
                sig.ident
            ),
        );
    }
    let remove = |word: &str| format!("`{}` can't be `{word}` here; remove it", sig.ident);
    if let Safety::Unsafe(token) = &sig.safety {
        mistakes.at(token, remove("unsafe"));
    }
    if let Some(token) = &sig.constness {
        mistakes.at(token, remove("const"));
    }
    if let Some(abi) = &sig.abi {
        mistakes.at(abi, remove("extern"));
    }
    if let Some(variadic) = &sig.variadic {
        mistakes.at(variadic, remove("..."));
    }
}

fn first_word(item: &TokenStream) -> Option<proc_macro2::TokenTree> {
    item.clone().into_iter().next()
}
