//! The options in the attributes' parentheses: `#[actor(..)]`, `#[every(..)]`, `#[main(..)]`.
//!
//! Each list is cut at its commas first and every piece is parsed on its own, so that one bad
//! option does not hide the next one's mistake.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Ident, Lit, LitInt, LitStr, Path, Token, Visibility};

use crate::mistakes::Mistakes;
use crate::mock::Wanted;
use crate::poison::Poison;

/// `#[actor(..)]`, with `None` for what was not given.
#[derive(Default)]
pub(crate) struct ActorOptions {
    pub(crate) mailbox: Option<Mailbox>,
    /// One of `OVERFLOWS`.
    pub(crate) overflow: Option<Ident>,
    pub(crate) high_water: Option<Expr>,
    pub(crate) low_water: Option<Expr>,
    pub(crate) name: Option<LitStr>,
    pub(crate) handle: Option<Ident>,
    pub(crate) vis: Option<Visibility>,
    /// The protocol of all messages that name none.
    pub(crate) protocol: Option<Path>,
    /// The variant of `WhenUnreferenced`.
    pub(crate) when_unreferenced: Option<&'static str>,
    pub(crate) handler_limit: Option<Millis>,
    pub(crate) wedged_after: Option<Millis>,
    pub(crate) poison: Option<Poison>,
    /// The word `singleton`.
    pub(crate) singleton: Option<Ident>,
}

/// The mailbox's kind, as written.
pub(crate) enum Mailbox {
    Rendezvous,
    Unbounded,
    Buffered(Expr),
}

const OVERFLOWS: [&str; 5] = ["wait", "fail", "drop_newest", "drop_oldest", "coalesce"];

const ACTOR_OPTIONS: &str = "the options are `mailbox = buffered(n) | rendezvous | unbounded`, \
                             `overflow = wait | fail | drop_newest | drop_oldest | coalesce`, \
                             `high_water = n`, `low_water = n`, `name = \"..\"`, `handle = Name`, \
                             `vis = pub(crate)`, `when_unreferenced = stop | keep`, \
                             `handler_limit = seconds(5)`, `wedged_after = seconds(5)`, \
                             `poison = drop | dead_letter | retry(n)`, \
                             `protocol = Name` and `singleton`";

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
            "overflow" => option.set(&mut options.overflow, overflow, mistakes),
            "high_water" => option.set(&mut options.high_water, mark, mistakes),
            "low_water" => option.set(&mut options.low_water, Expr::parse, mistakes),
            "name" => option.set(&mut options.name, name, mistakes),
            "handle" => option.set(&mut options.handle, handle, mistakes),
            "vis" => option.set(&mut options.vis, visibility, mistakes),
            "protocol" => option.set(&mut options.protocol, protocol, mistakes),
            "when_unreferenced" => {
                option.set(&mut options.when_unreferenced, when_unreferenced, mistakes);
            }
            "handler_limit" => option.set(&mut options.handler_limit, time, mistakes),
            "wedged_after" => option.set(&mut options.wedged_after, time_or_never, mistakes),
            "poison" => option.set(&mut options.poison, Poison::parse, mistakes),
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

/// How a time in an attribute of its own is spoken of.
struct TimeWords {
    missing: &'static str,
    form: &'static str,
    twice: &'static str,
    zero: &'static str,
    long: &'static str,
}

/// Reads `#[every(..)]`'s period, in milliseconds.
pub(crate) fn period(attr: &syn::Attribute, mistakes: &mut Mistakes) -> Option<u64> {
    let words = TimeWords {
        missing: "`#[every]` does not say how often",
        form: "write `#[every(seconds = 60)]`; the units are `millis`, `seconds` and `minutes`",
        twice: "a tick has one period; write the sum in one unit, such as `#[every(seconds = 90)]`",
        zero: "a period of zero would tick without end and leave no time for messages; give one of \
               at least a millisecond",
        long: "this period is longer than the clock can count",
    };
    named_time(attr, &words, mistakes)
}

/// Reads `#[limit(..)]`'s time, in milliseconds.
pub(crate) fn limit(attr: &syn::Attribute, mistakes: &mut Mistakes) -> Option<u64> {
    let words = TimeWords {
        missing: "`#[limit]` does not say how long the message may take",
        form: "write `#[limit(millis = 500)]`; the units are `millis`, `seconds` and `minutes`",
        twice: "a message has one limit; write the sum in one unit, such as `#[limit(seconds = 90)]`",
        zero: ZERO_LIMIT,
        long: "this limit is longer than the clock can count",
    };
    named_time(attr, &words, mistakes)
}

fn millis_per_unit(unit: &Ident) -> Option<u64> {
    match unit.to_string().as_str() {
        "millis" => Some(1),
        "seconds" => Some(1_000),
        "minutes" => Some(60_000),
        _ => None,
    }
}

/// `(seconds = 60)`.
fn named_time(attr: &syn::Attribute, words: &TimeWords, mistakes: &mut Mistakes) -> Option<u64> {
    let form = words.form;
    let tokens = match &attr.meta {
        syn::Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    if tokens.is_empty() {
        mistakes.at(attr, format!("{}; {form}", words.missing));
        return None;
    }
    let given = options_of(tokens, form, mistakes);
    if let Some(second) = given.get(1) {
        mistakes.at(&second.name, words.twice);
        return None;
    }
    let option = given.into_iter().next()?;
    let Some(millis_per_unit) = millis_per_unit(&option.name) else {
        let other = &option.name;
        mistakes.at(
            other,
            format!("`{other}` is not a unit of time here; {form}"),
        );
        return None;
    };
    let mut number: Option<LitInt> = None;
    let value = option.value.clone();
    option.set(&mut number, whole_number, mistakes);
    match number?.base10_parse::<u64>() {
        Ok(0) => {
            mistakes.at(value, words.zero);
            None
        }
        Ok(n) => match n.checked_mul(millis_per_unit) {
            Some(millis) => Some(millis),
            None => {
                mistakes.at(value, words.long);
                None
            }
        },
        Err(error) => {
            mistakes.add(error);
            None
        }
    }
}

/// Reads `#[concurrent]` or `#[concurrent(max = n)]`; an error was reported.
pub(crate) fn concurrent_max(
    attr: &syn::Attribute,
    mistakes: &mut Mistakes,
) -> Result<Option<Expr>, ()> {
    const FORM: &str = "write `#[concurrent]` or `#[concurrent(max = 16)]`";
    let tokens = match &attr.meta {
        syn::Meta::Path(_) => return Ok(None),
        syn::Meta::List(list) => list.tokens.clone(),
        syn::Meta::NameValue(_) => {
            mistakes.at(attr, FORM);
            return Err(());
        }
    };
    let mut max = None;
    for option in options_of(tokens, FORM, mistakes) {
        if option.name == "max" {
            option.set(&mut max, handlers_max, mistakes);
        } else {
            let name = &option.name;
            mistakes.at(
                name,
                format!("`#[concurrent]` has no option `{name}`; {FORM}"),
            );
        }
    }
    max.map(Some).ok_or(())
}

fn handlers_max(input: ParseStream<'_>) -> syn::Result<Expr> {
    let max: Expr = input.parse()?;
    if literal(&max).is_some_and(|n| n.base10_digits() == "0") {
        return Err(syn::Error::new(
            max.span(),
            "at a limit of 0 the message would never be handled; 1 is one at a time",
        ));
    }
    Ok(max)
}

/// `#[protocol(..)]`, with `None` for what was not given.
#[derive(Default)]
pub(crate) struct ProtocolOptions {
    pub(crate) handle: Option<Ident>,
    pub(crate) mock: Option<Wanted>,
}

/// Reads `#[protocol(..)]`'s options.
pub(crate) fn protocol_options(tokens: TokenStream, mistakes: &mut Mistakes) -> ProtocolOptions {
    const FORM: &str = "the options are `handle = Name`, the name of the handle, `mock`, and \
                        `mock = Name` for a mock of another name";
    let mut options = ProtocolOptions::default();
    let mut settings = Vec::new();
    let mut word = None;
    for piece in pieces(tokens) {
        match syn::parse2::<Ident>(piece.clone()) {
            Ok(mock) if mock == "mock" => {
                if word.is_some() {
                    mistakes.at(mock, "the option `mock` is given twice; keep one of them");
                } else {
                    word = Some(mock);
                }
            }
            _ => settings.push(piece),
        }
    }
    let mut named: Option<Ident> = None;
    for option in settings_of(settings, FORM, mistakes) {
        match option.name.to_string().as_str() {
            "handle" => option.set(&mut options.handle, handle, mistakes),
            "mock" if word.is_some() => mistakes.at(
                &option.name,
                "the option `mock` is given twice; keep one of them",
            ),
            "mock" => option.set(&mut named, mock, mistakes),
            other => mistakes.at(
                &option.name,
                format!("`#[protocol]` has no option `{other}`; {FORM}"),
            ),
        }
    }
    options.mock = named.map(Wanted::Named).or(word.map(|_| Wanted::Word));
    options
}

/// The options of `#[main]` and `#[test]`.
#[derive(Default)]
pub(crate) struct EntryOptions {
    pub(crate) procs: Option<Expr>,
    /// The word `sim`.
    pub(crate) sim: Option<Ident>,
    pub(crate) seeds: Option<Expr>,
    pub(crate) policy: Option<Expr>,
}

/// Reads the options of `#[main]` and `#[test]`.
pub(crate) fn entry_options(
    tokens: TokenStream,
    attribute: &str,
    mistakes: &mut Mistakes,
) -> EntryOptions {
    let form = match attribute {
        "test" => {
            "the options are `procs = n`, the number of processors, or `sim` with `seeds = n` and \
             `policy = p`, for a simulated test"
        }
        _ => "the only option is `procs = n`, the number of processors",
    };
    let mut options = EntryOptions::default();
    let mut settings = Vec::new();
    for piece in pieces(tokens) {
        match syn::parse2::<Ident>(piece.clone()) {
            Ok(word) if word == "sim" && attribute == "test" => options.sim = Some(word),
            _ => settings.push(piece),
        }
    }
    for option in settings_of(settings, form, mistakes) {
        match option.name.to_string().as_str() {
            "procs" => option.set(&mut options.procs, at_least_one, mistakes),
            "seeds" if attribute == "test" => {
                option.set(&mut options.seeds, at_least_one, mistakes);
            }
            "policy" if attribute == "test" => {
                option.set(&mut options.policy, Expr::parse, mistakes);
            }
            _ => {
                let name = &option.name;
                let what = format!("`#[{attribute}]` has no option `{name}`; {form}");
                mistakes.at(name, what);
            }
        }
    }
    match (&options.sim, &options.procs) {
        (Some(_), Some(procs)) => mistakes.at(
            procs,
            "a simulation has one processor: remove `procs`, or `sim`",
        ),
        (None, _) => {
            if let Some(lonely) = options.seeds.as_ref().or(options.policy.as_ref()) {
                mistakes.at(lonely, "this is for simulated tests: write `sim` before it");
            }
        }
        _ => {}
    }
    options
}

/// Reads the one option `name` that an attribute's parentheses may have: `None` after a mistake.
pub(crate) fn only_option(
    attr: &syn::Attribute,
    name: &str,
    form: &str,
    mistakes: &mut Mistakes,
) -> Option<Option<Expr>> {
    let tokens = match &attr.meta {
        syn::Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    if tokens.is_empty() {
        mistakes.at(attr, form);
        return None;
    }
    let mut found = None;
    for option in options_of(tokens, form, mistakes) {
        if option.name == name {
            option.set(&mut found, Expr::parse, mistakes);
        } else {
            let other = &option.name;
            mistakes.at(other, format!("there is no option `{other}` here; {form}"));
        }
    }
    found.map(Some)
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

fn overflow(input: ParseStream<'_>) -> syn::Result<Ident> {
    const FORM: &str = "an overflow policy is `wait`, `fail`, `drop_newest`, `drop_oldest` or \
                        `coalesce`";
    let error = |span: Span| syn::Error::new(span, FORM);
    let policy: Ident = input.parse().map_err(|e: syn::Error| error(e.span()))?;
    if OVERFLOWS.iter().any(|known| policy == known) {
        Ok(policy)
    } else {
        Err(error(policy.span()))
    }
}

fn mark(input: ParseStream<'_>) -> syn::Result<Expr> {
    let mark: Expr = input.parse()?;
    if literal(&mark).is_some_and(|n| n.base10_digits() == "0") {
        return Err(syn::Error::new(
            mark.span(),
            "an empty mailbox would be above this mark; give a number of at least 1",
        ));
    }
    Ok(mark)
}

/// A time in an option.
pub(crate) struct Millis(pub(crate) u64);

const ZERO_LIMIT: &str = "a limit of zero would end every handler that waits; give one of at least \
                          a millisecond, or leave it out";

fn time(input: ParseStream<'_>) -> syn::Result<Millis> {
    let span = input.span();
    let time = time_or_never(input)?;
    if time.0 == 0 {
        return Err(syn::Error::new(span, ZERO_LIMIT));
    }
    Ok(time)
}

/// `seconds(5)`; 0 is "never".
fn time_or_never(input: ParseStream<'_>) -> syn::Result<Millis> {
    const FORM: &str = "write a time as `seconds(5)`; the units are `millis`, `seconds` and \
                        `minutes`";
    let unit: Ident = input
        .parse()
        .map_err(|error| syn::Error::new(error.span(), FORM))?;
    let Some(millis_per_unit) = millis_per_unit(&unit) else {
        return Err(syn::Error::new(unit.span(), FORM));
    };
    if input.is_empty() {
        return Err(syn::Error::new(unit.span(), FORM));
    }
    let content;
    syn::parenthesized!(content in input);
    let number: LitInt = content
        .parse()
        .map_err(|error| syn::Error::new(error.span(), FORM))?;
    if !content.is_empty() {
        return Err(content.error(FORM));
    }
    match number.base10_parse::<u64>()?.checked_mul(millis_per_unit) {
        Some(millis) => Ok(Millis(millis)),
        None => Err(syn::Error::new(
            number.span(),
            "this time is longer than the clock can count",
        )),
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

fn mock(input: ParseStream<'_>) -> syn::Result<Ident> {
    input.parse().map_err(|error: syn::Error| {
        syn::Error::new(
            error.span(),
            "a mock's name is one word; write `mock`, or `mock = FakeBank`",
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

fn protocol(input: ParseStream<'_>) -> syn::Result<Path> {
    input.parse().map_err(|error: syn::Error| {
        syn::Error::new(
            error.span(),
            "a protocol is named by its trait; write `protocol = Storage`",
        )
    })
}

fn when_unreferenced(input: ParseStream<'_>) -> syn::Result<&'static str> {
    let word: Option<Ident> = input.parse().ok();
    match word.as_ref().map(ToString::to_string).as_deref() {
        Some("stop") => Ok("Stop"),
        Some("keep") => Ok("Keep"),
        _ => Err(syn::Error::new(
            word.map_or_else(|| input.span(), |word| word.span()),
            "an actor whose last handle is dropped can `stop` (the default) or `keep` running",
        )),
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

pub(crate) fn literal(expr: &Expr) -> Option<&LitInt> {
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
