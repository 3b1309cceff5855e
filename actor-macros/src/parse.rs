//! The options in the attributes' parentheses: `#[actor(..)]`, `#[every(..)]`, `#[main(..)]`.
//!
//! Each list is cut at its commas first and every piece is parsed on its own, so that one bad
//! option does not hide the next one's mistake.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Ident, Lit, LitInt, LitStr, Token, Visibility};

use crate::mistakes::Mistakes;

/// `#[actor(..)]`, with `None` for what was not given.
#[derive(Default)]
pub(crate) struct ActorOptions {
    pub(crate) mailbox: Option<Mailbox>,
    pub(crate) name: Option<LitStr>,
    pub(crate) handle: Option<Ident>,
    pub(crate) vis: Option<Visibility>,
    /// The word `singleton`.
    pub(crate) singleton: Option<Ident>,
}

/// The mailbox's kind, as written.
pub(crate) enum Mailbox {
    Rendezvous,
    Unbounded,
    Buffered(Expr),
}

const ACTOR_OPTIONS: &str = "the options are `mailbox = buffered(n) | rendezvous | unbounded`, \
                             `name = \"..\"`, `handle = Name`, `vis = pub(crate)` and `singleton`";

/// Reads `#[actor(..)]`'s options.
pub(crate) fn actor_options(tokens: TokenStream, mistakes: &mut Mistakes) -> ActorOptions {
    let mut options = ActorOptions::default();
    let mut settings = Vec::new();
    for piece in pieces(tokens) {
        match syn::parse2::<Ident>(piece.clone()) {
            Ok(word) if word == "singleton" => {
                if options.singleton.is_some() {
                    mistakes.at(
                        word,
                        "the option `singleton` is given twice; keep one of them",
                    );
                } else {
                    options.singleton = Some(word);
                }
            }
            _ => settings.push(piece),
        }
    }
    for option in settings_of(settings, ACTOR_OPTIONS, mistakes) {
        match option.name.to_string().as_str() {
            "mailbox" => option.set(&mut options.mailbox, mailbox, mistakes),
            "name" => option.set(&mut options.name, name, mistakes),
            "handle" => option.set(&mut options.handle, handle, mistakes),
            "vis" => option.set(&mut options.vis, visibility, mistakes),
            "singleton" => mistakes.at(
                &option.name,
                "`singleton` is a word of its own; write `#[actor(singleton)]`",
            ),
            other => mistakes.at(
                &option.name,
                format!("`#[actor]` has no option `{other}`; {ACTOR_OPTIONS}"),
            ),
        }
    }
    options
}

/// Reads `#[every(..)]`'s period, in milliseconds.
pub(crate) fn period(attr: &syn::Attribute, mistakes: &mut Mistakes) -> Option<u64> {
    const FORM: &str = "write `#[every(seconds = 60)]`; the units are `millis`, `seconds` and \
                        `minutes`";
    let tokens = match &attr.meta {
        syn::Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    if tokens.is_empty() {
        mistakes.at(attr, format!("`#[every]` does not say how often; {FORM}"));
        return None;
    }
    let given = options_of(tokens, FORM, mistakes);
    if let Some(second) = given.get(1) {
        mistakes.at(
            &second.name,
            "a tick has one period; write the sum in one unit, such as `#[every(seconds = 90)]`",
        );
        return None;
    }
    let option = given.into_iter().next()?;
    let millis_per_unit = match option.name.to_string().as_str() {
        "millis" => 1,
        "seconds" => 1_000,
        "minutes" => 60_000,
        other => {
            mistakes.at(
                &option.name,
                format!("`{other}` is not a unit of time here; {FORM}"),
            );
            return None;
        }
    };
    let mut number: Option<LitInt> = None;
    let value = option.value.clone();
    option.set(&mut number, whole_number, mistakes);
    match number?.base10_parse::<u64>() {
        Ok(0) => {
            mistakes.at(
                value,
                "a period of zero would tick without end and leave no time for messages; give one \
                 of at least a millisecond",
            );
            None
        }
        Ok(n) => match n.checked_mul(millis_per_unit) {
            Some(millis) => Some(millis),
            None => {
                mistakes.at(value, "this period is longer than the clock can count");
                None
            }
        },
        Err(error) => {
            mistakes.add(error);
            None
        }
    }
}

/// Reads the `procs = n` of `#[main]` and `#[test]`.
pub(crate) fn procs(tokens: TokenStream, attribute: &str, mistakes: &mut Mistakes) -> Option<Expr> {
    const FORM: &str = "the only option is `procs = n`, the number of processors";
    let mut procs = None;
    for option in options_of(tokens, FORM, mistakes) {
        if option.name == "procs" {
            option.set(&mut procs, at_least_one, mistakes);
        } else {
            let name = &option.name;
            mistakes.at(
                name,
                format!("`#[{attribute}]` has no option `{name}`; {FORM}"),
            );
        }
    }
    procs
}

/// `name = value`, with the value not yet parsed.
struct Given {
    name: Ident,
    value: TokenStream,
}

impl Given {
    /// Parses the value into its place, or says why not. A second one of a kind is a mistake.
    fn set<T>(
        self,
        place: &mut Option<T>,
        parse: fn(ParseStream<'_>) -> syn::Result<T>,
        mistakes: &mut Mistakes,
    ) {
        if place.is_some() {
            let name = &self.name;
            mistakes.at(
                name,
                format!("the option `{name}` is given twice; keep one of them"),
            );
            return;
        }
        let name = self.name;
        let whole = |input: ParseStream<'_>| {
            let value = parse(input)?;
            if input.is_empty() {
                return Ok(value);
            }
            Err(input.error(format!("the value of `{name}` ends before this; remove it")))
        };
        match whole.parse2(self.value) {
            Ok(value) => *place = Some(value),
            Err(error) => mistakes.add(error),
        }
    }
}

/// Cuts a list of options at its commas. What is not `name = value` becomes a mistake.
fn options_of(tokens: TokenStream, form: &str, mistakes: &mut Mistakes) -> Vec<Given> {
    settings_of(pieces(tokens), form, mistakes)
}

fn settings_of(pieces: Vec<TokenStream>, form: &str, mistakes: &mut Mistakes) -> Vec<Given> {
    let mut out = Vec::new();
    for piece in pieces {
        let whole = piece.clone();
        let parser = |input: ParseStream<'_>| -> syn::Result<Given> {
            let name = input.parse()?;
            input.parse::<Token![=]>()?;
            Ok(Given {
                name,
                value: input.parse()?,
            })
        };
        match parser.parse2(piece) {
            Ok(given) if given.value.is_empty() => {
                mistakes.at(whole, format!("the value after `=` is missing; {form}"));
            }
            Ok(given) => out.push(given),
            Err(_) => mistakes.at(whole, format!("this is not an option; {form}")),
        }
    }
    out
}

fn pieces(tokens: TokenStream) -> Vec<TokenStream> {
    let mut out = vec![TokenStream::new()];
    for token in tokens {
        match (&token, out.last_mut()) {
            (TokenTree::Punct(punct), _) if punct.as_char() == ',' => out.push(TokenStream::new()),
            (_, Some(last)) => last.extend([token]),
            (_, None) => {}
        }
    }
    out.retain(|piece| !piece.is_empty());
    out
}

fn mailbox(input: ParseStream<'_>) -> syn::Result<Mailbox> {
    const FORM: &str = "a mailbox is `buffered(n)`, `rendezvous` or `unbounded`";
    let kind: Ident = input
        .parse()
        .map_err(|error| syn::Error::new(error.span(), FORM))?;
    match kind.to_string().as_str() {
        "rendezvous" => Ok(Mailbox::Rendezvous),
        "unbounded" => Ok(Mailbox::Unbounded),
        "buffered" if input.is_empty() => Err(syn::Error::new(
            kind.span(),
            "`buffered` needs the number of messages it holds; write `buffered(64)`",
        )),
        "buffered" => {
            let content;
            syn::parenthesized!(content in input);
            let capacity: Expr = content.parse().map_err(|error| {
                syn::Error::new(error.span(), "write one number, such as `buffered(64)`")
            })?;
            if literal(&capacity).is_some_and(|n| n.base10_digits() == "0") {
                return Err(syn::Error::new(
                    capacity.span(),
                    "a mailbox for 0 messages hands each one over in person; that kind is called \
                     `mailbox = rendezvous`",
                ));
            }
            Ok(Mailbox::Buffered(capacity))
        }
        _ => Err(syn::Error::new(kind.span(), FORM)),
    }
}

fn name(input: ParseStream<'_>) -> syn::Result<LitStr> {
    let error = |span: Span| {
        syn::Error::new(
            span,
            "a name is text that is not empty; write `name = \"bank\"`",
        )
    };
    let text: LitStr = input.parse().map_err(|e: syn::Error| error(e.span()))?;
    if text.value().is_empty() {
        Err(error(text.span()))
    } else {
        Ok(text)
    }
}

fn handle(input: ParseStream<'_>) -> syn::Result<Ident> {
    input.parse().map_err(|error: syn::Error| {
        syn::Error::new(
            error.span(),
            "a handle's name is one word; write `handle = BankRef`",
        )
    })
}

fn visibility(input: ParseStream<'_>) -> syn::Result<Visibility> {
    match Visibility::parse(input)? {
        Visibility::Inherited => Err(input.error(
            "a visibility is `pub`, `pub(crate)` or the like; `pub(self)` is the private one",
        )),
        vis => Ok(vis),
    }
}

fn whole_number(input: ParseStream<'_>) -> syn::Result<LitInt> {
    input.parse().map_err(|error: syn::Error| {
        syn::Error::new(
            error.span(),
            "write the period as a whole number, such as `seconds = 60`",
        )
    })
}

fn at_least_one(input: ParseStream<'_>) -> syn::Result<Expr> {
    let count: Expr = input.parse()?;
    if literal(&count).is_some_and(|n| n.base10_digits() == "0") {
        return Err(syn::Error::new(
            count.span(),
            "a runtime needs at least one processor; leave the option out for one per core",
        ));
    }
    Ok(count)
}

fn literal(expr: &Expr) -> Option<&LitInt> {
    match expr {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) => Some(number),
        _ => None,
    }
}

impl ToTokens for Mailbox {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let kind = quote!(::actor_core::actor::MailboxKind);
        tokens.extend(match self {
            Mailbox::Rendezvous => quote!(#kind::Rendezvous),
            Mailbox::Unbounded => quote!(#kind::Unbounded),
            Mailbox::Buffered(capacity) if literal(capacity).is_some() => {
                quote!(#kind::Buffered(#capacity))
            }
            // A named constant can't be looked into here, so the compiler does it.
            Mailbox::Buffered(capacity) => quote!({
                const CAPACITY: usize = #capacity;
                ::core::assert!(CAPACITY != 0, "a mailbox for 0 messages is `rendezvous`");
                #kind::Buffered(CAPACITY)
            }),
        });
    }
}
