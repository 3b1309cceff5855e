//! `select!`: one future that waits for several arms, and the handler of the one that won.
//!
//! ```text
//!   { enum of outputs
//!     let picked = { arms, in a `Selecting` pinned here; poll it; } // all arms are dropped here
//!     match picked { Arm0(pattern) => handler, .. } }
//! ```
//!
//! - Handlers stay in the surrounding function, outside of every loop and closure of ours: `?`,
//!   `return`, `break` and `.await` mean what they mean there. So do the arms' expressions.
//! - Our variables have mixed-site spans: user code can't see or shadow them.
//! - A pattern that may not match is tried first without its bindings, so that nothing moves; an
//!   arm that misses is disabled and the waiting goes on.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, FieldPat, Ident, Pat, Token};

use crate::mistakes::Mistakes;

/// As many as `select!` accepts.
const ARMS_MAX: usize = 64;

/// The places of a row of arms.
const ROW: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

const ARM_FORM: &str = "an arm is `pattern = operation => handler`, or `pattern = operation, if \
                        condition => handler`";

struct Arm {
    pattern: Pat,
    operation: Expr,
    condition: Option<Expr>,
    handler: Expr,
}

#[derive(Default)]
struct Select {
    biased: Option<Ident>,
    arms: Vec<Arm>,
    default: Option<Expr>,
    otherwise: Option<Expr>,
    mistakes: Mistakes,
}

/// Expands `select! { .. }`.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let select: Select = match syn::parse2(input) {
        Ok(select) => select,
        Err(error) => return error.into_compile_error(),
    };
    let Select {
        biased,
        arms,
        default,
        otherwise,
        mut mistakes,
    } = select;
    if arms.is_empty() && default.is_none() {
        let nothing = "this select! has nothing to wait for: give it an arm, `pattern = operation \
                       => handler`; to wait for ever, as Go's `select {}`, await \
                       `std::future::pending::<()>()`";
        let span = biased.as_ref().map_or_else(Span::call_site, Ident::span);
        mistakes.add(syn::Error::new(span, nothing));
    }
    if let Some(one_more) = arms.get(ARMS_MAX) {
        let what = format!(
            "a select! has at most {ARMS_MAX} arms, this one has {}; `actor_core::chan::Select` \
             takes any number",
            arms.len()
        );
        mistakes.at(&one_more.pattern, what);
    }
    let errors = mistakes.into_tokens();
    if !errors.is_empty() {
        return quote!({ #errors });
    }
    match default {
        Some(default) if arms.is_empty() => quote!({ #default }),
        default => waiting(biased.is_some(), &arms, default, otherwise),
    }
}

/// A select with at least one arm.
fn waiting(
    biased: bool,
    arms: &[Arm],
    default: Option<Expr>,
    otherwise: Option<Expr>,
) -> TokenStream {
    let select = local("select");
    let picked = local("picked");
    let numbers: Vec<_> = (0..arms.len()).map(syn::Index::from).collect();
    let variants: Vec<_> = (0..arms.len()).map(|n| format_ident!("Arm{n}")).collect();
    let count = numbers.last().map_or(0, |last| last.index as usize + 1);

    let futures: TokenStream = (arms.iter().enumerate())
        .map(|(n, arm)| future(n, arm))
        .collect();
    // What is in scope while the select waits is kept beside it, in the future that awaits it, and so can't
    // be built in registers.
    let (outside, inside) = if arms.iter().any(|arm| may_borrow(&arm.operation)) {
        (futures, TokenStream::new())
    } else {
        (TokenStream::new(), futures)
    };
    let list =
        (0..arms.len())
            .step_by(ROW.len())
            .rev()
            .fold(quote!(__select::End), |tail, first| {
                let arms = (first..first + ROW.len()).map(|n| {
                    let arm = local(&format!("arm{n}"));
                    if n < arms.len() {
                        quote!(#arm)
                    } else {
                        quote!(__select::End)
                    }
                });
                let places = ROW.map(|place| format_ident!("{place}"));
                quote!(__select::Row { #(#places: #arms,)* tail: #tail })
            });
    let places: Vec<_> = (0..arms.len())
        .map(|n| {
            let tails = std::iter::repeat_n(quote!(.tail()), n / ROW.len());
            let place = format_ident!("{}", ROW[n % ROW.len()]);
            quote!(#select.as_mut().arms() #(#tails)* .#place())
        })
        .collect();
    let misses: Vec<_> = arms
        .iter()
        .zip(variants.iter().zip(&places))
        .filter(|(arm, _)| may_miss(&arm.pattern))
        .map(|(arm, (variant, place))| {
            let pattern = without_bindings(arm.pattern.clone());
            quote! {
                __ActorSelected::#variant(#pattern) => {}
                __ActorSelected::#variant(_) => {
                    __select::TakeOutput::disable(#place);
                    continue;
                }
            }
        })
        .collect();
    let pick = quote! {
        match ::core::future::poll_fn(|cx| #select.as_mut().poll_pick(cx)).await {
            #(
                __select::Picked::Arm(#numbers) => {
                    __ActorSelected::#variants(__select::TakeOutput::take(#places))
                }
            )*
            __select::Picked::Arm(_) => ::core::unreachable!("an arm that is not there"),
            __select::Picked::Default => __ActorSelected::Default,
            __select::Picked::Disabled => __ActorSelected::Disabled,
        }
    };
    let pick = if misses.is_empty() {
        pick
    } else {
        quote! {
            loop {
                let #picked = #pick;
                #[allow(unused, unreachable_patterns, clippy::all)]
                match #picked {
                    #(#misses)*
                    _ => {}
                }
                break #picked;
            }
        }
    };

    let handlers = arms.iter().zip(&variants).map(|(arm, variant)| {
        let (pattern, handler) = (&arm.pattern, &arm.handler);
        let missed = may_miss(pattern).then(|| {
            quote! {
                #[allow(unreachable_patterns)]
                __ActorSelected::#variant(_) => ::core::unreachable!("the pattern matched before"),
            }
        });
        quote! {
            __ActorSelected::#variant(#pattern) => #handler,
            #missed
        }
    });
    let has_default = default.is_some();
    let on_disabled = match (&otherwise, &default) {
        (Some(otherwise), _) => quote!(__ActorSelected::Disabled => #otherwise,),
        (None, Some(_)) => TokenStream::new(),
        (None, None) => quote! {
            __ActorSelected::Disabled => ::core::panic!(
                "every arm of this select! is disabled: add an `else => ..` arm for that case"
            ),
        },
    };
    let on_default = match (&default, &otherwise) {
        (Some(default), Some(_)) => quote!(__ActorSelected::Default => #default,),
        (Some(default), None) => quote! {
            __ActorSelected::Default | __ActorSelected::Disabled => #default,
        },
        (None, _) => quote! {
            __ActorSelected::Default => ::core::unreachable!("there is no default"),
        },
    };
    quote! {{
        use ::actor_core::chan::__select;
        #[allow(dead_code, clippy::large_enum_variant)]
        enum __ActorSelected<#(#variants),*> {
            #(#variants(#variants),)*
            Default,
            Disabled,
        }
        let #picked = {
            #outside
            let mut #select = ::core::pin::pin!({
                #inside
                __select::Selecting::<_, #count>::new(#list, #biased, #has_default)
            });
            #pick
        };
        // By value, so that a pattern may say `ref mut`.
        match { #picked } {
            #(#handlers)*
            #on_default
            #on_disabled
        }
    }}
}

/// Whether it may be a reference to something that has to live as long as the variable that it is put in.
fn may_borrow(operation: &Expr) -> bool {
    let borrows = |arg: &Expr| matches!(arg, Expr::Reference(_));
    match operation {
        Expr::MethodCall(_) | Expr::Path(_) | Expr::Field(_) => false,
        // It may be no function but a constructor.
        Expr::Call(call) => call.args.iter().any(borrows),
        _ => true,
    }
}

/// Evaluates an arm's expression, if its precondition holds, and finds out what sort of arm it is.
fn future(n: usize, arm: &Arm) -> TokenStream {
    let operation = &arm.operation;
    let (future, kind) = (local("future"), local("kind"));
    // A value that is no future is reported at the user's expression.
    let name = Ident::new(
        &format!("arm{n}"),
        Span::mixed_site().located_at(operation.span()),
    );
    let value = match &arm.condition {
        None => quote!(::core::option::Option::Some(#operation)),
        Some(condition) => quote! {
            if #condition {
                ::core::option::Option::Some(#operation)
            } else {
                ::core::option::Option::None
            }
        },
    };
    let make = quote_spanned! {Span::mixed_site().located_at(operation.span())=>
        #kind.arm(#future)
    };
    quote! {
        let #future = #value;
        let #name = {
            #[allow(unused_imports)]
            use __select::{ChannelKind as _, PlainKind as _};
            let #kind = (&#future).__select_kind();
            #make
        };
    }
}

/// A variable that user code can't name.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

impl Parse for Select {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let mut select = Select::default();
        while !input.is_empty() {
            if is_word(input, "biased") && input.peek2(Token![;]) {
                select.biased(input)?;
            } else if is_word(input, "default") && input.peek2(Token![=>]) {
                let word: Ident = input.parse()?;
                let handler = handler(input)?;
                if select.default.replace(handler).is_some() {
                    let twice = "there is one `default` already: nothing is ready only once";
                    select.mistakes.at(word, twice);
                }
            } else if input.peek(Token![else]) {
                let word: Token![else] = input.parse()?;
                let handler = handler(input)?;
                if select.otherwise.replace(handler).is_some() {
                    let twice = "there is one `else` already, for when every arm is disabled";
                    select.mistakes.at(word, twice);
                }
            } else {
                select.arms.push(input.parse()?);
            }
        }
        Ok(select)
    }
}

impl Select {
    fn biased(&mut self, input: ParseStream) -> syn::Result<()> {
        let word: Ident = input.parse()?;
        input.parse::<Token![;]>()?;
        if self.biased.is_some() {
            self.mistakes.at(&word, "`biased;` is there already");
        } else if !self.arms.is_empty() || self.default.is_some() || self.otherwise.is_some() {
            let place = "`biased;` comes before the arms, as it concerns all of them";
            self.mistakes.at(&word, place);
        }
        self.biased = Some(word);
        Ok(())
    }
}

impl Parse for Arm {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        if input.peek(Token![#]) {
            return Err(input.error("the arms of a select! have no attributes"));
        }
        let start = input.fork();
        let pattern = Pat::parse_multi_with_leading_vert(input)?;
        if !input.peek(Token![=]) || input.peek(Token![=>]) || input.peek(Token![==]) {
            let what = if is_word(&start, "default") || is_word(&start, "biased") {
                "write `default => handler` (it has no condition), and `biased;` before the arms"
                    .to_owned()
            } else {
                format!("{ARM_FORM}; if the outcome does not matter, `_ = operation => handler`")
            };
            return Err(syn::Error::new_spanned(pattern, what));
        }
        input.parse::<Token![=]>()?;
        let operation: Expr = input.parse()?;
        let condition = if input.peek(Token![,]) && input.peek2(Token![if]) {
            input.parse::<Token![,]>()?;
            input.parse::<Token![if]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        if !input.peek(Token![=>]) {
            let what = if input.peek(Token![if]) {
                "a precondition follows a comma: `pattern = operation, if condition => handler`"
                    .to_owned()
            } else {
                format!("this arm has no handler; {ARM_FORM}")
            };
            return Err(if input.is_empty() {
                syn::Error::new_spanned(operation, what)
            } else {
                input.error(what)
            });
        }
        Ok(Self {
            pattern,
            operation,
            condition,
            handler: handler(input)?,
        })
    }
}

fn is_word(input: ParseStream, word: &str) -> bool {
    input
        .cursor()
        .ident()
        .is_some_and(|(ident, _)| ident == word)
}

/// `=> handler`, and the comma after it.
fn handler(input: ParseStream) -> syn::Result<Expr> {
    if !input.peek(Token![=>]) {
        return Err(input.error("write `else => handler`"));
    }
    let arrow: Token![=>] = input.parse()?;
    if input.is_empty() || input.peek(Token![,]) {
        let what = "this arm does nothing: write what to do after `=>`, or `{}`";
        return Err(syn::Error::new_spanned(arrow, what));
    }
    let handler = Expr::parse_with_earlier_boundary_rule(input)?;
    if input.peek(Token![,]) {
        input.parse::<Token![,]>()?;
    } else if !input.is_empty() && !is_block(&handler) {
        return Err(input.error("a comma goes between this and the handler before it"));
    }
    Ok(handler)
}

/// As in a `match`: after these a comma may be missing.
fn is_block(handler: &Expr) -> bool {
    matches!(
        handler,
        Expr::Block(_)
            | Expr::If(_)
            | Expr::Match(_)
            | Expr::Loop(_)
            | Expr::While(_)
            | Expr::ForLoop(_)
            | Expr::Unsafe(_)
            | Expr::Const(_)
            | Expr::TryBlock(_)
    )
}

/// Whether an output may not match, as far as the pattern's words tell.
fn may_miss(pattern: &Pat) -> bool {
    match pattern {
        Pat::Wild(_) | Pat::Rest(_) => false,
        Pat::Ident(ident) => match &ident.subpat {
            Some((_, inner)) => may_miss(inner),
            None => !is_binding(ident),
        },
        Pat::Paren(paren) => may_miss(&paren.pat),
        Pat::Reference(reference) => may_miss(&reference.pat),
        Pat::Tuple(tuple) => tuple.elems.iter().any(may_miss),
        Pat::Type(typed) => may_miss(&typed.pat),
        _ => true,
    }
}

/// `x`, and not `None` or `LIMIT`, which look the same: Rust's naming rules tell them apart.
fn is_binding(pattern: &syn::PatIdent) -> bool {
    let name = pattern.ident.to_string();
    let first = name.trim_start_matches("r#").chars().next();
    pattern.by_ref.is_some()
        || pattern.mutability.is_some()
        || !first.is_some_and(char::is_uppercase)
}

/// The pattern with `_` for every binding: matching it moves nothing.
fn without_bindings(mut pattern: Pat) -> Pat {
    struct Blank;
    impl VisitMut for Blank {
        fn visit_pat_mut(&mut self, pattern: &mut Pat) {
            if let Pat::Ident(ident) = pattern {
                if let Some((_, inner)) = ident.subpat.take() {
                    *pattern = *inner;
                } else if is_binding(ident) {
                    *pattern = syn::parse_quote!(_);
                    return;
                }
            }
            visit_mut::visit_pat_mut(self, pattern);
        }

        fn visit_field_pat_mut(&mut self, field: &mut FieldPat) {
            if field.colon_token.is_none() {
                field.colon_token = Some(Token![:](field.pat.span()));
                *field.pat = syn::parse_quote!(_);
            } else {
                visit_mut::visit_field_pat_mut(self, field);
            }
        }
    }
    Blank.visit_pat_mut(&mut pattern);
    pattern
}
