//! From an impl block to what `expand.rs` needs, with every mistake found on the way.
//!
//! - A method with a mistake is left out of the model; the rest of the block is still generated.
//! - Roles: a helper attribute decides first (`#[init]`, `#[stopped]`, `#[every]`), then a `pub`
//!   method with `self` is a message; everything else is the user's own. An `#[every]` method that
//!   is `pub` is both: a tick, and a message that anyone may send in between.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{Attribute, Ident, ImplItem, ImplItemFn, ItemImpl, ReturnType, Type, Visibility};

use crate::attrs;
use crate::mistakes::Mistakes;
use crate::parse::{self, ActorOptions};
use crate::signature::{self, Params, Receiver};
use crate::types::{Answer, ReplaceSelf, peel, result_arguments, same};

/// A valid actor, or the valid part of one.
pub(crate) struct Model {
    pub(crate) options: ActorOptions,
    /// The actor's type, as the user wrote it.
    pub(crate) self_ty: Type,
    /// Its last word, from which the generated names are made.
    pub(crate) name: Ident,
    /// The impl block's own `#[cfg]`s, which hold for all that is generated.
    pub(crate) cfgs: Vec<Attribute>,
    /// `None` after a mistake only.
    pub(crate) init: Option<Init>,
    pub(crate) messages: Vec<Message>,
    pub(crate) stopped: Option<Stopped>,
    pub(crate) ticks: Vec<Tick>,
}

/// The `#[init]` function.
pub(crate) struct Init {
    pub(crate) ident: Ident,
    pub(crate) is_async: bool,
    pub(crate) params: Params,
    pub(crate) docs: Vec<Attribute>,
    /// How it fails: `None` if it returns `Self`, else the `Result`.
    pub(crate) fails: Option<Answer>,
}

/// A `pub` method.
pub(crate) struct Message {
    pub(crate) ident: Ident,
    pub(crate) variant: Ident,
    pub(crate) vis: Visibility,
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) is_async: bool,
    pub(crate) params: Params,
    pub(crate) answer: Answer,
}

/// The `#[stopped]` method.
pub(crate) struct Stopped {
    pub(crate) ident: Ident,
    pub(crate) is_async: bool,
    pub(crate) params: Params,
}

/// An `#[every]` method.
pub(crate) struct Tick {
    pub(crate) ident: Ident,
    pub(crate) is_async: bool,
    pub(crate) params: Params,
    pub(crate) period_ms: u64,
}

/// Names that the handle has for itself. A message of the same name would hide it.
const HANDLE_METHODS: [&str; 14] = [
    "actor_ref",
    "as_ref",
    "clone",
    "eq",
    "fmt",
    "hash",
    "id",
    "is_stopped",
    "kill",
    "mailbox_len",
    "name",
    "stop",
    "stop_now",
    "wait",
];

/// Names of the functions that the macro adds to the actor's type.
const ACTOR_FUNCTIONS: [&str; 2] = ["child", "start"];

/// Reads the block; `None` if it is not one that could be an actor.
pub(crate) fn model(
    item: &ItemImpl,
    options: ActorOptions,
    mistakes: &mut Mistakes,
) -> Option<Model> {
    let name = actor_name(item, mistakes)?;
    let mut model = Model {
        options,
        self_ty: (*item.self_ty).clone(),
        name,
        cfgs: attrs::cfgs(&item.attrs),
        init: None,
        messages: Vec::new(),
        stopped: None,
        ticks: Vec::new(),
    };
    let mut init_seen: Option<Span> = None;
    let mut stopped_seen: Option<Span> = None;
    for entry in &item.items {
        let ImplItem::Fn(original) = entry else {
            continue;
        };
        // Generated items stand outside of the impl block, where there is no `Self`.
        let mut method = original.clone();
        ReplaceSelf(&model.self_ty).visit_signature_mut(&mut method.sig);
        let method = &method;
        let ident = &method.sig.ident;
        if ACTOR_FUNCTIONS.iter().any(|taken| ident == taken) {
            mistakes.at(
                ident,
                format!(
                    "`#[actor]` generates a function `{}::{ident}` itself; give this one another \
                     name",
                    model.name
                ),
            );
            continue;
        }
        match attrs::helpers(method).as_slice() {
            [] => {}
            [attr] if attr.path().is_ident("init") => {
                if once(attr, &mut init_seen, mistakes) {
                    model.init = init(method, attr, &model.self_ty, mistakes);
                }
                continue;
            }
            [attr] if attr.path().is_ident("stopped") => {
                if once(attr, &mut stopped_seen, mistakes) {
                    model.stopped = stopped(method, attr, mistakes);
                }
                continue;
            }
            [attr] => {
                let period_ms = parse::period(attr, mistakes);
                model.ticks.extend(tick(method, attr, period_ms, mistakes));
                if !is_message(method) {
                    continue;
                }
            }
            [_, second, ..] => {
                mistakes.at(
                    second,
                    "a method has one role: keep one of `#[init]`, `#[stopped]` and `#[every]`",
                );
                init_seen = init_seen.or(attrs::helper(method, "init").map(|attr| attr.span()));
                continue;
            }
        }
        if is_message(method)
            && let Some(message) = message(method, mistakes)
            && is_new(&message, &model.messages, mistakes)
        {
            model.messages.push(message);
        }
    }
    if init_seen.is_none() {
        let name = &model.name;
        mistakes.at(
            &item.self_ty,
            format!(
                "the actor `{name}` has no `#[init]` function, so nothing could make its state at \
                 the start or at a restart; add one, such as `#[init] fn new() -> Self {{ .. }}`"
            ),
        );
    }
    Some(model)
}

/// The last word of the actor's type, if the block is an inherent one of a concrete type.
fn actor_name(item: &ItemImpl, mistakes: &mut Mistakes) -> Option<Ident> {
    if let Some((path, _)) = &item.trait_ {
        mistakes.at(
            path,
            "`#[actor]` goes on the type's own `impl` block, whose `pub` methods become messages; \
             the methods of a trait can't: write `#[actor] impl Type { .. }` and leave this block \
             as it is",
        );
        return None;
    }
    if !item.generics.params.is_empty() || item.generics.where_clause.is_some() {
        mistakes.at(
            &item.generics,
            "an actor can't be generic: its messages are one concrete enum; write `#[actor]` on \
             an `impl` of a concrete type, which may hold the generic part as a field",
        );
        return None;
    }
    match peel(&item.self_ty) {
        Type::Path(ty) if ty.qself.is_none() => ty.path.segments.last().map(|s| s.ident.clone()),
        other => {
            mistakes.at(
                other,
                "an actor is a struct or an enum with a name; put what this is into a struct and \
                 write `#[actor]` on its `impl`",
            );
            None
        }
    }
}

/// Whether a method is a message, by the rule for methods without a helper attribute.
fn is_message(method: &ImplItemFn) -> bool {
    let visible = match &method.vis {
        Visibility::Public(_) => true,
        Visibility::Restricted(restricted) => !restricted.path.is_ident("self"),
        _ => false,
    };
    visible && method.sig.receiver().is_some()
}

fn init(
    method: &ImplItemFn,
    attr: &Attribute,
    self_ty: &Type,
    mistakes: &mut Mistakes,
) -> Option<Init> {
    plain_hook(attr, method, mistakes);
    let params = signature::check(&method.sig, Receiver::None, "#[init]", mistakes);
    let fails = match &method.sig.output {
        ReturnType::Type(_, ty) if same(ty, self_ty) => Some(None),
        ReturnType::Type(_, ty)
            if result_arguments(ty)
                .is_some_and(|args| args.first().is_some_and(|ok| same(ok, self_ty))) =>
        {
            Some(Some(Answer::of(&method.sig.output)))
        }
        other => {
            let why = "`#[init]` makes the actor's state, so it returns `Self`, or \
                       `Result<Self, E>` if it can fail";
            match other {
                ReturnType::Default => mistakes.at(&method.sig.ident, why),
                ReturnType::Type(_, ty) => mistakes.at(ty, why),
            }
            None
        }
    };
    Some(Init {
        ident: method.sig.ident.clone(),
        is_async: method.sig.asyncness.is_some(),
        params: params?,
        docs: method
            .attrs
            .iter()
            .filter(|attr| attr.path().is_ident("doc"))
            .cloned()
            .collect(),
        fails: fails?,
    })
}

fn message(method: &ImplItemFn, mistakes: &mut Mistakes) -> Option<Message> {
    let params = signature::check(&method.sig, Receiver::Borrowed, "a message", mistakes);
    let answers = signature::check_reply(&method.sig, mistakes);
    let name = method.sig.ident.unraw().to_string();
    if HANDLE_METHODS.contains(&name.as_str()) {
        mistakes.at(
            &method.sig.ident,
            format!(
                "every handle has a `{name}` of its own, which this message would hide; give the \
                 message another name"
            ),
        );
        return None;
    }
    Some(Message {
        ident: method.sig.ident.clone(),
        variant: Ident::new(&camel_case(&name), method.sig.ident.span()),
        vis: method.vis.clone(),
        attrs: attrs::carried(&method.attrs),
        is_async: method.sig.asyncness.is_some(),
        params: params?,
        answer: answers.then(|| Answer::of(&method.sig.output))?,
    })
}

fn stopped(method: &ImplItemFn, attr: &Attribute, mistakes: &mut Mistakes) -> Option<Stopped> {
    plain_hook(attr, method, mistakes);
    let params = signature::check(&method.sig, Receiver::Owned, "#[stopped]", mistakes);
    let silent = signature::check_silent(&method.sig, "#[stopped]", mistakes);
    let params = params?;
    if let Some(extra) = params.args.get(1) {
        mistakes.at(
            &extra.ty,
            "`#[stopped]` is told why the actor stops and nothing else; write \
             `fn close(self, why: StopReason)`, with `ctx: &Ctx<Self>` if needed",
        );
        return None;
    }
    silent.then(|| Stopped {
        ident: method.sig.ident.clone(),
        is_async: method.sig.asyncness.is_some(),
        params,
    })
}

fn tick(
    method: &ImplItemFn,
    attr: &Attribute,
    period_ms: Option<u64>,
    mistakes: &mut Mistakes,
) -> Option<Tick> {
    no_cfg(attr, method, mistakes);
    // A `pub` tick is checked as a message as well, which must not say everything twice.
    let both = is_message(method);
    let mut unheard = Mistakes::default();
    let heard = if both { &mut unheard } else { &mut *mistakes };
    let params = signature::check(&method.sig, Receiver::Borrowed, "#[every]", heard)?;
    let silent = signature::check_silent(&method.sig, "#[every]", mistakes);
    if let Some(extra) = params.args.first() {
        mistakes.at(
            &extra.ty,
            "nobody is there to give a tick this argument; `#[every]` methods take `&mut self` \
             and, if needed, `ctx: &Ctx<Self>`: keep what the tick needs in the actor's state",
        );
        return None;
    }
    silent.then_some(())?;
    Some(Tick {
        ident: method.sig.ident.clone(),
        is_async: method.sig.asyncness.is_some(),
        params,
        period_ms: period_ms?,
    })
}

/// Whether this is the first of its kind; a second one is a mistake.
fn once(attr: &Attribute, seen: &mut Option<Span>, mistakes: &mut Mistakes) -> bool {
    if seen.replace(attr.span()).is_none() {
        return true;
    }
    let name = attr
        .path()
        .get_ident()
        .map(ToString::to_string)
        .unwrap_or_default();
    mistakes.at(
        attr,
        format!(
            "there is a `#[{name}]` above already, and an actor has only one; call this function \
             from it instead"
        ),
    );
    false
}

/// `#[init]` and `#[stopped]` take no options and always exist.
fn plain_hook(attr: &Attribute, method: &ImplItemFn, mistakes: &mut Mistakes) {
    if attr.meta.require_path_only().is_err() {
        let name = attr
            .path()
            .get_ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        mistakes.at(
            attr,
            format!("`#[{name}]` takes no options; write it alone"),
        );
    }
    no_cfg(attr, method, mistakes);
}

/// A hook that may be compiled out would change what else is generated.
fn no_cfg(attr: &Attribute, method: &ImplItemFn, mistakes: &mut Mistakes) {
    for cfg in attrs::cfgs(&method.attrs) {
        let name = attr
            .path()
            .get_ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        mistakes.at(
            cfg,
            format!(
                "a `#[{name}]` can't be switched by `cfg` on its own; put the `cfg` inside of its \
                 body, or on the whole `impl` block above `#[actor]`"
            ),
        );
    }
}

/// Whether no other message has this variant's name. Two of the same method name with a `cfg` each
/// are alternatives.
fn is_new(message: &Message, others: &[Message], mistakes: &mut Mistakes) -> bool {
    let Some(other) = others.iter().find(|other| other.variant == message.variant) else {
        return true;
    };
    let switched = |m: &Message| {
        m.attrs
            .iter()
            .any(|a| !a.path().is_ident("doc") && is_cfg(a))
    };
    if other.ident == message.ident && switched(other) && switched(message) {
        return true;
    }
    mistakes.at(
        &message.ident,
        format!(
            "the messages `{}` and `{}` would both be the variant `{}` of the message enum; rename \
             one of them",
            other.ident, message.ident, message.variant
        ),
    );
    false
}

fn is_cfg(attr: &Attribute) -> bool {
    attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr")
}

/// `get_many` becomes `GetMany`; what would not be a name gets an underscore.
fn camel_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 1);
    for word in name.split('_') {
        let mut letters = word.chars();
        out.extend(
            letters
                .next()
                .map(|first| first.to_uppercase())
                .into_iter()
                .flatten(),
        );
        out.push_str(letters.as_str());
    }
    match out.as_str() {
        "Self" => "Self_".into(),
        "" => "Unnamed".into(),
        _ if out.starts_with(char::is_numeric) => format!("_{out}"),
        _ => out,
    }
}
